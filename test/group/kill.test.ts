import assert from "node:assert/strict"
import { test } from "node:test"
import { drawSeed } from "../support/random.ts"
import { killInBookings } from "./kill.ts"

test("what the group server has acknowledged survives kill -9 in the middle of bookings, and nothing is doubled", async () => {
    const figures = await killInBookings({ kills: 8, seed: drawSeed("group kills") })
    assert.equal(figures.kills, 8)
    assert.ok(figures.acknowledged >= 8, `${figures.acknowledged} bookings`)
    assert.deepEqual([figures.lost, figures.doubled, figures.overlapping], [0, 0, 0])
})
