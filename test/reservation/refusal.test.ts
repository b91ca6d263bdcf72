import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { TestNetwork } from "./network.ts"

/** The link that a refusal of the second session names. */
function refusedOn(links: string[], fillsFrom: string, fillsTo: string) {
    const network = TestNetwork.of(links)
    network.wish(fillsFrom, [fillsTo], { sid: "full", bandwidthKbps: 900 })
    network.pass(1000)
    assert.equal(network.of(fillsFrom, "active").length, 1)
    network.tellTopology()
    network.wish("a", ["d"], { sid: "s2", bandwidthKbps: 200 })
    network.pass(10_000)
    const [refused] = network.of("a", "refused")
    assert.ok(refused, "refused")
    return refused.short
}

describe("a session for which a link has not enough bandwidth", () => {
    const line = ["a b 2 1000", "b c 2 1000", "c d 2 1000"]
    const what = (at: string, to: string) => ({ rs: "d", reason: "no-bandwidth", at, to })

    test("is refused with the link's name when the link is the source's own", () => {
        const [{ what: text, ...short }] = refusedOn(line, "a", "b")
        assert.deepEqual(short, what("a", "b"))
        assert.equal(text, "200 kbit/s from a to b")
    })

    test("is refused with the link's name when the link is far away and everybody knows that it is full", () => {
        const [{ what: text, ...short }] = refusedOn(line, "c", "d")
        assert.deepEqual(short, what("c", "d"))
        assert.equal(text, "200 kbit/s from c to d")
    })
})
