import assert from "node:assert/strict"
import { test } from "node:test"
import { talkForLong, wrongWithLong } from "./long.ts"

test("twelve rooms talk for a minute and a half of virtual time: memory flat, clocks followed, nothing held afterwards", async context => {
    const figures = await talkForLong({ minutes: 1.5, seed: 1 })
    context.diagnostic(JSON.stringify(figures))
    assert.equal(wrongWithLong(figures), "")
})
