import assert from "node:assert/strict"
import { before, describe, test } from "node:test"
import { findClicks } from "../../media/clicks.ts"
import { measure } from "../../media/measure.ts"
import { loadOpus } from "../../media/opus.ts"
import { Chain } from "./chain.ts"
import { readSpeech } from "./support.ts"

const speech = readSpeech()
const firstSeed = Number(process.env.PARLEY_SEED ?? 1)
const names = ["rs-a", "rs-b", "rs-c", "rs-d"]

before(loadOpus)

describe("rooms at servers in a chain, in virtual time", () => {
    test("hear no click over legs that lose 2 % and vary by 20 ms and links that lose 1 %", async context => {
        for (let seed = firstSeed; seed < firstSeed + 2; seed++) {
            context.diagnostic(`seed ${seed}`)
            const chain = await Chain.start({
                ...{ seed, names },
                legs: { delayMs: 0, jitterMs: 20, loss: 0.02 },
                links: { delayMs: 10, jitterMs: 20, loss: 0.01, inOrder: true },
            })
            chain.pass(1500)
            const said = chain.say(0, speech)
            chain.pass(speech.length / 16 + 1500)
            for (const listener of [1, 2, 3]) {
                const heard = chain.heardSince(listener, said.atMs)
                const measured = measure(said, heard)
                assert.ok(measured.ok, measured.ok ? "" : measured.what)
                const { correlation, delayP95Ms } = measured.value
                assert.ok(correlation > 0.9, `seed ${seed}, room ${listener}: ${correlation}`)
                // Three links of 20 ms and half of what both legs vary by.
                assert.ok(delayP95Ms <= 80 + 160, `seed ${seed}, room ${listener}: ${delayP95Ms} ms`)
                assert.deepEqual(findClicks(heard.samples), [], `seed ${seed}, room ${listener}`)
            }
            await chain.end()
        }
    })
})
