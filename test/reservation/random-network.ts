/** Networks and trees for the tests of what a tree is computed on. One seed, one network. */

import assert from "node:assert/strict"
import { leastDelays } from "../../bench/reference/plain-trees.ts"
import { bandwidthGraph } from "../../servers/routing/reservation/bandwidth-graph.ts"
import type { GuidedTree, TreeRequest } from "../../servers/routing/reservation/guided-tree.ts"
import type { BandwidthGraph } from "../../servers/routing/reservation/model.ts"
import type { Advertisement } from "../../servers/routing/route/advertisement.ts"
import type { Random } from "../../sim/world/random.ts"

/** Links between servers "00", "01", ...: vertex numbers are their names. Delays in 0.01 ms, free bandwidth in kbit/s. */
export function networkOf(
    vertices: number,
    links: readonly (readonly [a: number, b: number, delay: number, freeKbps?: number])[],
): BandwidthGraph {
    const name = (v: number) => String(v).padStart(4, "0")
    const told: Advertisement[] = Array.from({ length: vertices }, (_, v) => ({
        origin: name(v),
        bootId: 1,
        seq: 1,
        area: 0,
        links: [],
    }))
    for (const [a, b, delay, freeKbps] of links)
        for (const [from, to] of [
            [a, b],
            [b, a],
        ])
            told[from].links.push({
                to: name(to),
                delay,
                jitter: 0,
                loss: 0,
                capacity: freeKbps ?? 1000,
                free: 16,
                hops: 1,
            })
    return bandwidthGraph(told)
}

/** Connected, with `extra` links beyond a tree; one of five links has little bandwidth when `thin`. */
export function randomNetwork(vertices: number, extra: number, random: Random, thin = false): BandwidthGraph {
    const links: [number, number, number, number][] = []
    const has = new Set<string>()
    const join = (a: number, b: number) => {
        if (a === b || has.has(`${a} ${b}`)) return
        has.add(`${a} ${b}`).add(`${b} ${a}`)
        links.push([a, b, 1 + random.below(2000), thin && random.chance(0.2) ? 10 : 1000])
    }
    for (let v = 1; v < vertices; v++) join(v, random.below(v))
    for (let i = 0; i < extra; i++) join(random.below(vertices), random.below(vertices))
    return networkOf(vertices, links)
}

/** Bounds of the specification: half as much again as the shortest way, or 10 ms more. */
export function boundedDestinations(graph: BandwidthGraph, source: number, vertices: readonly number[]) {
    const { delay } = leastDelays(graph, source)
    return vertices.map(vertex => ({
        vertex,
        maxDelay: Math.floor(Math.max(1.5 * delay[vertex], delay[vertex] + 1000)),
    }))
}

/** Delay along the tree from the source to a vertex, over links that the request allows; fails where there is no such way. */
export function delayInTree(request: TreeRequest, { parents }: GuidedTree, vertex: number): number {
    const { graph, source, bandwidthKbps, avoid } = request
    let delay = 0
    let steps = 0
    for (let v = vertex; v !== source; steps++) {
        const parent = parents.get(v)
        assert.ok(parent !== undefined && steps <= parents.size, `the tree leads from the source to ${vertex}`)
        const e = Array.from(graph.head).findIndex(
            (to, i) => to === v && i >= graph.start[parent] && i < graph.start[parent + 1],
        )
        assert.ok(e >= 0, `${parent} and ${v} have a link`)
        assert.ok(graph.freeKbps[e] >= bandwidthKbps && !avoid?.(parent, v), `the link ${parent} - ${v} may be used`)
        delay += graph.delay[e]
        v = parent
    }
    return delay
}

/** What holds for every tree, whatever the request. */
export function assertTree(request: TreeRequest, tree: GuidedTree): void {
    assert.ok(!tree.parents.has(request.source), "the source has no parent")
    for (const { vertex, maxDelay } of request.destinations) {
        if (vertex === request.source || tree.missing.includes(vertex)) continue
        assert.ok(delayInTree(request, tree, vertex) <= maxDelay, `${vertex} is reached within its bound`)
    }
    const inner = new Set(tree.parents.values())
    const wanted = new Set(request.destinations.map(({ vertex }) => vertex))
    for (const v of tree.parents.keys()) {
        delayInTree(request, tree, v)
        assert.ok(inner.has(v) || wanted.has(v), `the tree ends at destinations, not at ${v}`)
    }
}
