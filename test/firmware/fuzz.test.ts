import assert from "node:assert/strict"
import { test } from "node:test"
import { drawSeed } from "../support/random.ts"
import { runFuzz } from "./fuzz.ts"

// `npm run prove -- fuzz` feeds 100 000.
const streams = 1000

test(`${streams} hostile byte streams cause no panic, and the firmware still does its work after them`, async () => {
    const result = await runFuzz({ streams, seed: drawSeed("fuzz of the firmware's MQTT client") })
    assert.deepEqual(result.failures, [])
    assert.ok(result.proofsOfLife >= streams / 500, `${result.proofsOfLife} proofs of life`)
    assert.ok(result.heapPeakBytes <= 48 * 1024, `heap peak ${result.heapPeakBytes}`)
})
