import assert from "node:assert/strict"
import { test } from "node:test"
import { drawSeed } from "../support/random.ts"
import { proveDatagrams, wrongWithDatagrams } from "./datagrams.ts"

test("50 000 hostile datagrams neither end a routing server nor harm a conversation beside them", async () => {
    const seed = drawSeed("datagrams")
    const figures = await proveDatagrams({ count: 50_000, seed, progress: () => {} })
    assert.equal(wrongWithDatagrams(figures), "", `seed ${seed}: ${JSON.stringify(figures)}`)
    assert.ok(
        figures.forged > 1000 && figures.acceptedOfNeighbour > 1000 && figures.replayed > 100,
        "all have been there",
    )
})
