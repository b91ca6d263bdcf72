import assert from "node:assert/strict"
import { test } from "node:test"
import { drawSeed } from "../support/random.ts"
import { killInBookings } from "./kill.ts"

test("what the group server has acknowledged survives kill -9 in the middle of bookings, and nothing is doubled", async () => {
    // As many as a busy machine can restart in the time that a test may take; `npm run prove -- kills` does a hundred.
    const figures = await killInBookings({ kills: 12, limitMs: 7000, seed: drawSeed("group kills") })
    assert.ok(figures.kills >= 1)
    assert.ok(figures.acknowledged >= figures.kills, `${figures.acknowledged} bookings`)
    assert.deepEqual([figures.lost, figures.doubled, figures.overlapping], [0, 0, 0])
})
