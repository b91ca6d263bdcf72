/** What needs no search for a good tree: each destination by its way of least delay, shared or not. */

import type { BandwidthGraph } from "../../servers/routing/reservation/model.ts"

/** Delays from a vertex in 0.01 ms and the vertex before on the way of least delay (Dijkstra; ties: the lower number). */
export function leastDelays(graph: BandwidthGraph, from: number): { delay: number[]; before: number[] } {
    const delay = graph.ids.map(() => Number.POSITIVE_INFINITY)
    const before = graph.ids.map(() => -1)
    const done = graph.ids.map(() => false)
    delay[from] = 0
    for (;;) {
        let v = -1
        for (let u = 0; u < done.length; u++)
            if (!done[u] && delay[u] < (v < 0 ? Number.POSITIVE_INFINITY : delay[v])) v = u
        if (v < 0) return { delay, before }
        done[v] = true
        for (let e = graph.start[v]; e < graph.start[v + 1]; e++)
            if (delay[v] + graph.delay[e] < delay[graph.head[e]]) {
                delay[graph.head[e]] = delay[v] + graph.delay[e]
                before[graph.head[e]] = v
            }
    }
}

/** The shortest-path tree: each vertex but the source with its parent. `before` is that of `leastDelays`. */
export function shortestPathTree(before: readonly number[], destinations: readonly number[]): Map<number, number> {
    const parents = new Map<number, number>()
    for (const destination of destinations)
        for (let v = destination; before[v] >= 0 && !parents.has(v); v = before[v]) parents.set(v, before[v])
    return parents
}

/** The unicast star: a flow of its own for each destination. Links, each as often as flows use it. */
export function starLinks(before: readonly number[], destinations: readonly number[]): number {
    let links = 0
    for (const destination of destinations) for (let v = destination; before[v] >= 0; v = before[v]) links++
    return links
}
