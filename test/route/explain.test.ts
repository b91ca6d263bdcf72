import assert from "node:assert/strict"
import { describe, test } from "node:test"
import type { Advertisement } from "../../servers/routing/route/advertisement.ts"
import { type ExplainedNeighbour, explainRoute } from "../../servers/routing/route/explain.ts"
import { maximumCost } from "../../servers/routing/route/graph.ts"
import { RoutingTable } from "../../servers/routing/route/routing-table.ts"

/** A network from links "a b delayMs", and A's routing table of it. */
class Map4 {
    readonly links = new Map<string, number>()
    readonly table = new RoutingTable("a")

    set(a: string, b: string, delayMs: number): this {
        this.links.set(`${a} ${b}`, delayMs * 100)
        this.links.set(`${b} ${a}`, delayMs * 100)
        for (const [origin, advertisement] of this.advertisements())
            if (origin === a || origin === b) this.table.update(origin, advertisement)
        return this
    }

    advertisements(): Map<string, Advertisement> {
        const all = new Map<string, Advertisement>()
        for (const [pair, delay] of this.links) {
            const [origin, to] = pair.split(" ")
            const one = all.get(origin) ?? { origin, bootId: 1, seq: 1, area: 0, links: [] }
            one.links.push({ to, delay, jitter: 10, loss: 50, capacity: 1000, free: 16, hops: 1 })
            all.set(origin, one)
        }
        return all
    }

    explain(to: string, ...neighbours: (string | Partial<ExplainedNeighbour>)[]) {
        return explainRoute({
            self: "a",
            to,
            advertisements: this.advertisements(),
            route: this.table.route(to),
            neighbours: neighbours.map(each => ({
                ...{ id: "", kind: "dynamic", isUp: true, isRetiring: false },
                ...(typeof each === "string" ? { id: each } : each),
            })),
        })
    }
}

describe("the explanation of a route", () => {
    test("[claim 3] gives the way with the delay of each link, and of each neighbour not chosen why", () => {
        const map = new Map4().set("a", "b", 10).set("b", "d", 10).set("a", "c", 30).set("c", "d", 8).set("a", "e", 5)
        const told = map.explain("d", "b", "c", "e", { id: "f", isUp: false }, { id: "g" })
        assert.equal(told.text, "by way of b: the shortest delay there is, 20 ms")
        assert.deepEqual(
            told.hops.map(hop => [hop.from, hop.to, hop.delayMs, hop.lossPercent]),
            [
                ["a", "b", 10, 0.5],
                ["b", "d", 10, 0.5],
            ],
        )
        assert.deepEqual([told.nextHop, told.alternate, told.delayMs], ["b", "c", 20])
        assert.deepEqual(
            told.notChosen.map(({ neighbour, reason, text }) => [neighbour, reason, text]),
            [
                [
                    "c",
                    "slower",
                    "38 ms by way of it, 20 ms as chosen: slower; it takes over at once when the next hop is lost",
                ],
                [
                    "e",
                    "not-loop-free",
                    "30 ms by way of it, 20 ms as chosen; its own way takes 25 ms, which is not less than ours of 20 ms, " +
                        "so that packets could come back: no alternate either",
                ],
                ["f", "down", "the link to it is down"],
                ["g", "not-counted", "its link counts only once both ends have told of it"],
            ],
        )
    })

    test("says that damping keeps a route which is not the shortest any more", () => {
        const map = new Map4().set("a", "b", 10).set("b", "d", 10).set("a", "c", 12).set("c", "d", 12)
        map.set("c", "d", 5)
        const told = map.explain("d", "b", "c")
        assert.equal(told.nextHop, "b")
        assert.equal(told.text, "by way of b: 20 ms; there is a way of 17 ms, not better by enough to move the route")
        assert.equal(told.notChosen[0].reason, "damping")
        assert.match(
            told.notChosen[0].text,
            /^17 ms by way of it, 20 ms as chosen: better, but a route moves only for more/,
        )
    })

    test("names a link that is being given up, a way that there is none of, and what was never heard of", () => {
        const map = new Map4()
            .set("a", "b", 10)
            .set("b", "d", 10)
            .set("a", "c", maximumCost / 100)
            .set("c", "d", 1)
        map.set("x", "y", 1)
        const reasons = map.explain("d", "b", { id: "c", isRetiring: true }).notChosen.map(({ reason }) => reason)
        assert.deepEqual(reasons, ["retiring"])
        assert.match(map.explain("y", "b").text, /^no path: y is known, but no chain of links/)
        assert.deepEqual(
            map.explain("y", "b").notChosen.map(({ text }) => text),
            ["it knows no way to y"],
        )
        assert.equal(map.explain("z", "b").text, "no path: nothing was heard of z")
        assert.equal(map.explain("a").text, "it is this server itself")
    })
})
