import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { exactSteinerLinks } from "../../bench/reference/exact-steiner.ts"
import { kmbLinks } from "../../bench/reference/kmb.ts"
import { plainGraph } from "../../bench/reference/plain-graph.ts"
import { leastDelays } from "../../bench/reference/plain-trees.ts"
import { guidedTree, type TreeRequest } from "../../servers/routing/reservation/guided-tree.ts"
import { Random } from "../../sim/world/random.ts"
import { assertTree, boundedDestinations, networkOf, randomNetwork } from "./random-network.ts"

const far = 1_000_000
const seeds = Array.from({ length: 60 }, (_, i) => i + 1)

const parentsOf = (request: TreeRequest) => Object.fromEntries(guidedTree(request).parents)

describe("the tree of the guided mode", () => {
    test("shares links rather than taking each destination's shortest way", () => {
        // 2 and 3 are nearest over 4 and 5, each alone; over 1 they share a link.
        const graph = networkOf(6, [
            [0, 1, 110],
            [1, 2, 110],
            [1, 3, 110],
            [0, 4, 100],
            [4, 2, 100],
            [0, 5, 100],
            [5, 3, 100],
        ])
        const destinations = [2, 3].map(vertex => ({ vertex, maxDelay: 300 }))
        assert.deepEqual(parentsOf({ graph, source: 0, destinations, bandwidthKbps: 1 }), { 1: 0, 2: 1, 3: 1 })
        // ... unless the shared way is too long.
        const hasty = destinations.map(({ vertex }) => ({ vertex, maxDelay: 210 }))
        assert.deepEqual(parentsOf({ graph, source: 0, destinations: hasty, bandwidthKbps: 1 }), {
            4: 0,
            2: 4,
            5: 0,
            3: 5,
        })
    })

    test("takes the way of least delay among those with equally many links", () => {
        const graph = networkOf(4, [
            [0, 1, 100],
            [1, 3, 100],
            [0, 2, 50],
            [2, 3, 100],
        ])
        const destinations = [{ vertex: 3, maxDelay: far }]
        assert.deepEqual(parentsOf({ graph, source: 0, destinations, bandwidthKbps: 1 }), { 2: 0, 3: 2 })
    })

    test("does not use links that are full, nor those to be avoided in the direction to be avoided", () => {
        const graph = networkOf(4, [
            [0, 3, 10, 499],
            [0, 1, 10],
            [1, 3, 10],
            [0, 2, 50],
            [2, 3, 50],
        ])
        const request = { graph, source: 0, destinations: [{ vertex: 3, maxDelay: far }], bandwidthKbps: 500 }
        assert.deepEqual(parentsOf(request), { 1: 0, 3: 1 })
        assert.deepEqual(parentsOf({ ...request, bandwidthKbps: 499 }), { 3: 0 })
        assert.deepEqual(parentsOf({ ...request, avoid: (from, to) => from === 1 && to === 3 }), { 2: 0, 3: 2 })
        assert.deepEqual(parentsOf({ ...request, avoid: (from, to) => from === 3 && to === 1 }), { 1: 0, 3: 1 })
    })

    test("reaches a destination that the ways of the others would shut off", () => {
        // The fewest links to 3 enter 1 over the slow link, and 4 is behind 1: its way is laid first.
        const graph = networkOf(5, [
            [0, 1, 100],
            [1, 3, 10],
            [0, 2, 5],
            [2, 1, 5],
            [1, 4, 10],
        ])
        const destinations = [
            { vertex: 3, maxDelay: 200 },
            { vertex: 4, maxDelay: 30 },
        ]
        const tree = guidedTree({ graph, source: 0, destinations, bandwidthKbps: 1 })
        assert.deepEqual(tree.missing, [])
        assert.deepEqual(Object.fromEntries(tree.parents), { 2: 0, 1: 2, 3: 1, 4: 1 })
    })

    test("names destinations that no way within their bounds reaches, and joins the others, also through those", () => {
        const graph = networkOf(5, [
            [0, 1, 100],
            [1, 2, 100],
            [3, 4, 100],
        ])
        const destinations = [
            { vertex: 1, maxDelay: 99 },
            { vertex: 2, maxDelay: 200 },
            { vertex: 4, maxDelay: far },
        ]
        const tree = guidedTree({ graph, source: 0, destinations, bandwidthKbps: 1 })
        assert.deepEqual(tree.missing, [1, 4])
        assert.deepEqual(Object.fromEntries(tree.parents), { 1: 0, 2: 1 })
    })

    test("needs nothing for the source itself, and counts a destination named twice once", () => {
        const graph = networkOf(2, [[0, 1, 100]])
        const at = (vertex: number) => ({ vertex, maxDelay: far })
        const one = guidedTree({ graph, source: 0, destinations: [at(0), at(1), at(1)], bandwidthKbps: 1 })
        assert.deepEqual([Object.fromEntries(one.parents), one.missing], [{ 1: 0 }, []])
        const none = guidedTree({ graph, source: 0, destinations: [at(0)], bandwidthKbps: 1 })
        assert.deepEqual([Object.fromEntries(none.parents), none.missing], [{}, []])
    })

    test("finds a branching point that joining one destination after the other does not", () => {
        // Three destinations in a ring through which each next one is two links away; 4 is next to all of them.
        const graph = networkOf(8, [
            [0, 5, 10],
            [5, 1, 10],
            [1, 6, 10],
            [6, 2, 10],
            [2, 7, 10],
            [7, 3, 10],
            [0, 4, 20],
            [4, 1, 20],
            [4, 2, 20],
            [4, 3, 20],
        ])
        const destinations = [1, 2, 3].map(vertex => ({ vertex, maxDelay: far }))
        assert.deepEqual(parentsOf({ graph, source: 0, destinations, bandwidthKbps: 1 }), { 4: 0, 1: 4, 2: 4, 3: 4 })
    })

    test("is a tree within all bounds on any network, and leaves out exactly what cannot be reached", () => {
        for (const seed of seeds) {
            const random = new Random(seed)
            const graph = randomNetwork(40, 40, random, true)
            const [source, ...vertices] = random.shuffle([...graph.ids.keys()]).slice(0, 10)
            const destinations = boundedDestinations(graph, source, vertices)
            // Some are so hasty that they may be out of reach over links that are free.
            for (const destination of destinations)
                if (random.chance(0.3)) destination.maxDelay = Math.floor(destination.maxDelay * 0.68)
            const request = { graph, source, destinations, bandwidthKbps: 500 }
            const tree = guidedTree(request)
            assertTree(request, tree)
            const usable = { ...graph, delay: graph.delay.map((delay, e) => (graph.freeKbps[e] < 500 ? 1e8 : delay)) }
            const { delay } = leastDelays(usable, source)
            const lost = destinations.filter(({ vertex, maxDelay }) => delay[vertex] > maxDelay)
            assert.deepEqual(
                tree.missing,
                lost.map(({ vertex }) => vertex),
                `seed ${seed}`,
            )
        }
    })

    test("is the same for the same request, whatever was computed in between", () => {
        const random = new Random(1)
        const graph = randomNetwork(60, 80, random)
        const small = randomNetwork(5, 2, random)
        const request = {
            graph,
            source: 0,
            destinations: boundedDestinations(graph, 0, [5, 17, 23, 31, 44, 59]),
            bandwidthKbps: 1,
        }
        const before = guidedTree(request)
        guidedTree({ graph: small, source: 4, destinations: [{ vertex: 0, maxDelay: far }], bandwidthKbps: 1 })
        assert.deepEqual(guidedTree(request), before)
    })

    test("without bounds never has fewer links than the exact Steiner tree, and on average no more than KMB's", () => {
        const sum = { guided: 0, kmb: 0, exact: 0 }
        for (const seed of seeds) {
            const random = new Random(seed)
            const graph = randomNetwork(30, 30, random)
            const terminals = random.shuffle([...graph.ids.keys()]).slice(0, 7)
            const [source, ...vertices] = terminals
            const destinations = vertices.map(vertex => ({ vertex, maxDelay: far }))
            const guided = guidedTree({ graph, source, destinations, bandwidthKbps: 1 }).parents.size
            const exact = exactSteinerLinks(plainGraph(graph), terminals)
            assert.ok(guided >= exact, `seed ${seed}`)
            sum.guided += guided
            sum.exact += exact
            sum.kmb += kmbLinks(plainGraph(graph), terminals)
        }
        assert.ok(sum.guided <= sum.kmb, JSON.stringify(sum))
        assert.ok(sum.guided <= 1.03 * sum.exact, JSON.stringify(sum))
    })
})
