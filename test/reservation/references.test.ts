import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { exactSteinerLinks } from "../../bench/reference/exact-steiner.ts"
import { kmbLinks } from "../../bench/reference/kmb.ts"
import { type PlainGraph, plainGraph } from "../../bench/reference/plain-graph.ts"
import { leastDelays, shortestPathTree, starLinks } from "../../bench/reference/plain-trees.ts"
import { Random } from "../../sim/world/random.ts"
import { networkOf, randomNetwork } from "./random-network.ts"

/** Every set of vertices that holds the terminals, the slow way that nobody doubts. */
function bruteForceLinks(graph: PlainGraph, terminals: readonly number[]): number {
    let least = Number.POSITIVE_INFINITY
    for (let set = 0; set < 1 << graph.length; set++) {
        if (terminals.some(v => (set & (1 << v)) === 0)) continue
        const reached = new Set([terminals[0]])
        for (const v of reached) for (const w of graph[v]) if (set & (1 << w)) reached.add(w)
        if (terminals.every(v => reached.has(v))) least = Math.min(least, reached.size - 1)
    }
    return least
}

describe("references that trees are measured against", () => {
    test("exact: agrees with trying every set of servers", () => {
        for (let seed = 1; seed <= 40; seed++) {
            const random = new Random(seed)
            const graph = plainGraph(randomNetwork(10, 8, random))
            const terminals = random.shuffle([...graph.keys()]).slice(0, 2 + random.below(4))
            assert.equal(exactSteinerLinks(graph, terminals), bruteForceLinks(graph, terminals), `seed ${seed}`)
        }
    })

    test("KMB: never below the exact tree, and below twice as much", () => {
        for (let seed = 1; seed <= 60; seed++) {
            const random = new Random(seed)
            const graph = plainGraph(randomNetwork(25, 20, random))
            const terminals = random.shuffle([...graph.keys()]).slice(0, 6)
            const exact = exactSteinerLinks(graph, terminals)
            const kmb = kmbLinks(graph, terminals)
            assert.ok(exact <= kmb && kmb < 2 * exact, `seed ${seed}: exact ${exact}, KMB ${kmb}`)
        }
    })

    test("terminals that nothing joins have no tree", () => {
        const graph = plainGraph(networkOf(3, [[0, 1, 1]]))
        assert.equal(kmbLinks(graph, [0, 2]), Number.POSITIVE_INFINITY)
        assert.equal(exactSteinerLinks(graph, [0, 2]), Number.POSITIVE_INFINITY)
    })

    test("shortest-path tree and star: the same ways, shared or not", () => {
        const graph = networkOf(5, [
            [0, 1, 10],
            [1, 2, 10],
            [1, 3, 10],
            [0, 3, 50],
            [3, 4, 10],
        ])
        const { delay, before } = leastDelays(graph, 0)
        assert.deepEqual(delay, [0, 10, 20, 20, 30])
        assert.deepEqual(Object.fromEntries(shortestPathTree(before, [2, 4])), { 1: 0, 2: 1, 3: 1, 4: 3 })
        assert.equal(starLinks(before, [2, 4]), 5)
    })
})
