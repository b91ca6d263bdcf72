import assert from "node:assert/strict"
import { resolve } from "node:path"
import { test } from "node:test"
import { drawSeed } from "../support/random.ts"
import { killInBookings } from "./kill.ts"

test("a group server that acknowledges before it has written down is found out by the same kills", async () => {
    const script = resolve(import.meta.dirname, "hasty-server.ts")
    const figures = await killInBookings({ kills: 2, limitMs: 4000, seed: drawSeed("hasty kills"), script })
    assert.ok(figures.kills >= 1)
    assert.ok(figures.lost > 0, JSON.stringify(figures))
})
