import assert from "node:assert/strict"
import { before, describe, test } from "node:test"
import { findClicks } from "../../media/clicks.ts"
import { measure } from "../../media/measure.ts"
import { loadOpus } from "../../media/opus.ts"
import { Chain } from "./chain.ts"
import { tone } from "./room.ts"
import { readSpeech } from "./speech.ts"

const speech = readSpeech()
const firstSeed = Number(process.env.PARLEY_SEED ?? 1)
const steady = Int16Array.from({ length: 64_000 }, (_, at) => Math.round(tone(440, 8000)(at)))
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

    test("whose tree moves miss at most one frame while nobody loses a link before others have theirs, and hear no click", async () => {
        for (const sound of [steady, speech])
            for (const [gainMs, loseMs, swapMs] of [
                [0, 0, 0],
                [0, 10, 10],
                [0, 40, 20],
                [20, 40, 0],
                [10, 30, 10],
            ] as const) {
                const chain = await Chain.start({ ...{ seed: 1, names: names.slice(0, 3) }, links: way })
                chain.pass(1500)
                const said = chain.say(0, sound)
                chain.pass(2000)
                // A - B - C becomes B - A - C, then A - B - C again.
                await atTimes(
                    chain,
                    [gainMs, loseMs, swapMs],
                    [
                        () => chain.plant(0, 2),
                        () => chain.cut(1, 2),
                        () => {
                            chain.plant(2, 0)
                            chain.cut(2, 1)
                        },
                    ],
                )
                chain.pass(1000)
                await atTimes(
                    chain,
                    [gainMs, loseMs, swapMs],
                    [
                        () => chain.plant(1, 2),
                        () => chain.cut(0, 2),
                        () => {
                            chain.plant(2, 1)
                            chain.cut(2, 0)
                        },
                    ],
                )
                chain.pass(1000)
                const { samples } = chain.heardSince(2, said.atMs + 500)
                const heard = samples.subarray(0, 16 * 3300)
                const name = `${sound === steady ? "tone" : "speech"}, ${gainMs} ${loseMs} ${swapMs}`
                assert.deepEqual(findClicks(heard), [], name)
                if (sound === steady) assert.ok(longestSoftMs(heard) <= 20, `${name}: ${longestSoftMs(heard)} ms`)
                await chain.end()
            }
    })

    test("hear no click when the server between them loses its last endpoint, nor when it has one again", async () => {
        for (const sound of [steady, speech])
            for (let waitMs = 0; waitMs < 20; waitMs += 5) {
                const chain = await Chain.start({ ...{ seed: 1, names: names.slice(0, 3) }, links: way })
                chain.pass(1500)
                const said = chain.say(0, sound)
                chain.pass(2000 + waitMs)
                chain.leave(1)
                chain.setTransit(1, true)
                chain.pass(1000)
                chain.setTransit(1, false)
                chain.join(1)
                chain.pass(1000)
                const { samples } = chain.heardSince(2, said.atMs + 500)
                const heard = samples.subarray(0, 16 * 3300)
                const name = `${sound === steady ? "tone" : "speech"}, ${waitMs} ms`
                assert.deepEqual(findClicks(heard), [], name)
                if (sound === steady) assert.ok(longestSoftMs(heard) <= 40, `${name}: ${longestSoftMs(heard)} ms`)
                await chain.end()
            }
    })
})

const way = { delayMs: 10, jitterMs: 2, loss: 0, inOrder: true }

/** Each server's part of a change, so many ms after its beginning. */
async function atTimes(chain: Chain, lateMs: number[], parts: (() => void)[]): Promise<void> {
    const startMs = chain.nowMs
    const order = parts.map((part, index) => ({ part, atMs: startMs + lateMs[index]! })).sort((a, b) => a.atMs - b.atMs)
    for (const { part, atMs } of order) {
        chain.pass(atMs - chain.nowMs)
        part()
    }
}

/** The longest time in which a loud sound was softer than a tenth of what it is. */
function longestSoftMs(samples: Int16Array): number {
    let longest = 0
    let since = 0
    for (let at = 0; at < samples.length; at++)
        if (Math.abs(samples[at]!) > 800) since = at
        else longest = Math.max(longest, at - since)
    return longest / 16
}
