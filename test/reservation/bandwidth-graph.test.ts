import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { BandwidthGraphCache, bandwidthGraph } from "../../servers/routing/reservation/bandwidth-graph.ts"
import type { BandwidthGraph } from "../../servers/routing/reservation/model.ts"
import type { AdvertisedLink, Advertisement } from "../../servers/routing/route/advertisement.ts"

const link = (to: string, delay: number, capacity = 16_000, free = 16): AdvertisedLink => ({
    to,
    delay,
    jitter: 0,
    loss: 0,
    capacity,
    free,
    hops: 1,
})
const told = (origin: string, ...links: AdvertisedLink[]): Advertisement => ({
    origin,
    bootId: 1,
    seq: 1,
    area: 0,
    links,
})

function links(graph: BandwidthGraph): string[] {
    return graph.ids.flatMap((id, v) =>
        Array.from(graph.head.subarray(graph.start[v], graph.start[v + 1]), (to, i) => {
            const e = graph.start[v] + i
            return `${id} ${graph.ids[to]} ${graph.delay[e]} ${graph.freeKbps[e]}`
        }),
    )
}

describe("the link-state database as a graph for trees", () => {
    test("has each direction of a link with its delay, and the smaller of both directions' free bandwidth", () => {
        const graph = bandwidthGraph([told("b", link("a", 30, 16_000, 4)), told("a", link("b", 20, 8_000, 15))])
        assert.deepEqual(links(graph), ["a b 20 4000", "b a 30 4000"])
        assert.equal(graph.indexOf.get("b"), 1)
    })

    test("leaves out a link that only one end lists, and one to a server that does not advertise", () => {
        const graph = bandwidthGraph([
            told("a", link("b", 1), link("c", 1), link("z", 1)),
            told("b"),
            told("c", link("a", 2)),
        ])
        assert.deepEqual(links(graph), ["a c 1 16000", "c a 2 16000"])
    })

    test("rounds down what is free to whole kbit/s, and a full link has nothing", () => {
        const graph = bandwidthGraph([
            told("a", link("b", 1, 1001, 7), link("c", 1, 1001, 0)),
            told("b", link("a", 1, 1001, 7)),
            told("c", link("a", 1)),
        ])
        assert.deepEqual(links(graph), ["a b 1 437", "a c 1 0", "b a 1 437", "c a 1 0"])
    })

    test("is the same in whatever order the advertisements and their links came", () => {
        const one = [told("a", link("b", 1), link("c", 2)), told("b", link("a", 1)), told("c", link("a", 2))]
        const other = [told("c", link("a", 2)), told("a", link("c", 2), link("b", 1)), told("b", link("a", 1))]
        assert.deepEqual(bandwidthGraph(one), bandwidthGraph(other))
    })

    test("is made again only when the database has changed", () => {
        const database = [told("a", link("b", 1)), told("b", link("a", 1))]
        const cache = new BandwidthGraphCache(() => database)
        const before = cache.get()
        assert.equal(cache.get(), before)
        database[0] = told("a", link("b", 5))
        cache.changed()
        assert.deepEqual(links(cache.get()), ["a b 5 16000", "b a 1 16000"])
    })
})
