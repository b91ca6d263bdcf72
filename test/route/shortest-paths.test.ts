import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { Graph, unreachable } from "../../servers/routing/route/graph.ts"
import { ShortestPaths } from "../../servers/routing/route/shortest-paths.ts"

/** Park and Miller's generator: the same seed gives the same graph on every machine. */
function randomOf(seed: number) {
    let state = seed
    return () => {
        state = (state * 48271) % 2147483647
        return state / 2147483647
    }
}

function randomGraph(vertices: number, degree: number, random: () => number) {
    const graph = new Graph(vertices)
    const owner: number[] = []
    const link = (a: number, b: number) => {
        if (a === b || graph.edge(a, b) >= 0) return
        graph.addLink(a, b, 1 + Math.floor(random() * 1000), 1 + Math.floor(random() * 1000))
    }
    for (let v = 1; v < vertices; v++) link(v, Math.floor(random() * v))
    for (let i = 0; i < (vertices * (degree - 2)) / 2; i++)
        link(Math.floor(random() * vertices), Math.floor(random() * vertices))
    for (let v = 0; v < vertices; v++) for (let i = 0; i < graph.rowLength[v]; i++) owner[graph.rowStart[v] + i] = v
    const edges = Object.keys(owner).map(Number)
    return { graph, owner, edges }
}

/** Bellman and Ford, the slow way that nobody doubts. */
function plainDistances(graph: Graph, root: number): Int32Array {
    const distance = new Int32Array(graph.vertices).fill(unreachable)
    distance[root] = 0
    for (let changed = true; changed; ) {
        changed = false
        for (let v = 0; v < graph.vertices; v++)
            for (let e = graph.rowStart[v]; e < graph.rowStart[v] + graph.rowLength[v]; e++)
                if (Math.min(distance[v] + graph.cost[e], unreachable) < distance[graph.head[e]]) {
                    distance[graph.head[e]] = distance[v] + graph.cost[e]
                    changed = true
                }
    }
    return distance
}

function assertTree(graph: Graph, paths: ShortestPaths, story: string) {
    for (let v = 0; v < graph.vertices; v++) {
        const parent = paths.parent[v]
        if (v === paths.root || paths.distance[v] === unreachable) assert.equal(parent, -1, story)
        else assert.equal(paths.distance[v], paths.distance[parent] + graph.cost[graph.edge(parent, v)], story)
    }
}

describe("shortest-delay paths [claim 3]", () => {
    for (const seed of [1, 2, 3, 4, 5])
        test(`agree with Bellman and Ford on a random network (seed ${seed})`, () => {
            const { graph } = randomGraph(120, 5, randomOf(seed))
            const paths = new ShortestPaths(graph, 7)
            assert.deepEqual(paths.distance.slice(0, 120), plainDistances(graph, 7))
            assertTree(graph, paths, `seed ${seed}`)
        })

    for (const seed of [11, 12, 13])
        test(`mended change by change equal a full run, through cuts and returns of links (seed ${seed})`, () => {
            const random = randomOf(seed)
            const { graph, owner, edges } = randomGraph(200, 4, random)
            const base = graph.cost.slice()
            const paths = new ShortestPaths(graph, 0)
            for (let i = 0; i < 2000; i++) {
                const e = edges[Math.floor(random() * edges.length)]
                const old = graph.cost[e]
                graph.cost[e] = random() < 0.15 ? unreachable : Math.max(1, Math.round(base[e] * (0.5 + random())))
                paths.costChanged(owner[e], e, old)
                if (i % 50 === 0) {
                    assert.deepEqual(paths.distance, new ShortestPaths(graph, 0).distance, `seed ${seed} step ${i}`)
                    assertTree(graph, paths, `seed ${seed} step ${i}`)
                }
            }
        })

    test("report every vertex whose path a change moved", () => {
        const graph = new Graph(4)
        graph.addLink(0, 1, 10, 10)
        graph.addLink(1, 2, 10, 10)
        graph.addLink(0, 3, 5, 5)
        const paths = new ShortestPaths(graph, 0)
        const e = graph.edge(0, 1)
        graph.cost[e] = 30
        assert.equal(paths.costChanged(0, e, 10), true)
        assert.deepEqual(new Set(paths.moved.slice(0, paths.movedCount)), new Set([1, 2]))
        assert.deepEqual([...paths.parent], [-1, 0, 1, 0])
    })

    test("are the same in a graph that gave back its free slots, which links can still be added to", () => {
        const random = randomOf(21)
        const { graph } = randomGraph(120, 5, random)
        const before = new ShortestPaths(graph, 7)
        assert.ok(graph.freeSlots > 0)
        graph.compact()
        assert.equal(graph.freeSlots, 0)
        assert.deepEqual(new ShortestPaths(graph, 7).distance, before.distance)
        for (let v = 0; v < 119; v++) if (graph.edge(v, v + 1) < 0) graph.addLink(v, v + 1, 1 + v, 2 + v)
        for (let v = 0; v < 119; v++) {
            const e = graph.edge(v, v + 1)
            assert.equal(graph.twin[e], graph.edge(v + 1, v))
            assert.equal(graph.twin[graph.twin[e]], e)
        }
        assert.deepEqual(new ShortestPaths(graph, 7).distance, plainDistances(graph, 7))
    })

    test("need no limit to the size of a network", () => {
        const vertices = 70_000
        const graph = new Graph(vertices)
        for (let v = 1; v < vertices; v++) graph.addLink(v - 1, v, 2, 3)
        const paths = new ShortestPaths(graph, 10)
        assert.equal(paths.distance[vertices - 1], (vertices - 11) * 2)
        assert.equal(paths.distance[0], 30)
    })

    test("of a graph that grows keep their links", () => {
        const graph = new Graph(0)
        for (let v = 0; v < 40; v++) graph.addVertex()
        for (let v = 1; v < 40; v++) graph.addLink(0, v, v, v)
        for (let v = 2; v < 40; v++) graph.addLink(v - 1, v, 100, 100)
        const paths = new ShortestPaths(graph, 39)
        assert.equal(paths.distance[1], 40)
        assert.deepEqual(paths.distance.slice(0, 40), plainDistances(graph, 39))
    })
})
