/**
 * One-way delays between routing servers: the shortest-path delays that they report from their routing tables, and where none
 * is reported, the shortest way over the links that they list. A link counts only if both of its ends list it as up; the
 * delay of a direction is the one that its sender measured. Delays are integers of 0.01 ms.
 */

import type { ServerState } from "../../../protocol/servers.ts"

export type Graph = Map<string, Map<string, number>>

/** One way, 0.01 ms; undefined when no path is known. */
export type DelayBetween = (from: string, to: string) => number | undefined

/** Reads `reported` first: it is what packets will meet. The other direction of a path is its best estimate. */
export function delaysBetween(
    servers: Map<string, ServerState>,
    reported: Map<string, Map<string, number>>,
): DelayBetween {
    let graph: Graph | undefined
    const computed = new Map<string, Map<string, number>>()
    return (from, to) => {
        if (from === to) return 0
        const told = reported.get(from)?.get(to) ?? reported.get(to)?.get(from)
        if (told !== undefined) return told
        graph ??= linkGraph(servers)
        const delays = computed.get(from) ?? delaysFrom(graph, from)
        computed.set(from, delays)
        return delays.get(to)
    }
}

export function linkGraph(servers: Map<string, ServerState>): Graph {
    const listed: Graph = new Map()
    for (const [id, state] of servers) {
        if (state.on !== 1) continue
        const links = new Map<string, number>()
        for (const link of state.links ?? []) if (link.up === 1) links.set(link.rs, link.delay)
        listed.set(id, links)
    }
    const graph: Graph = new Map()
    for (const [id, links] of listed) {
        const both = new Map<string, number>()
        for (const [to, delay] of links) if (listed.get(to)?.has(id)) both.set(to, delay)
        graph.set(id, both)
    }
    return graph
}

/** Smallest delay from `from` to every server that can be reached. */
export function delaysFrom(graph: Graph, from: string): Map<string, number> {
    return new Map([...shortestWays(graph, from)].map(([id, way]) => [id, way.delay]))
}

export interface Way {
    id: string
    delay: number
    /** The server before it on the way; "" for the first. */
    parent: string
}

/** The shortest way from `from` to every server that can be reached (Dijkstra with a binary heap). */
export function shortestWays(graph: Graph, from: string): Map<string, Way> {
    const settled = new Map<string, Way>()
    const heap: Way[] = [{ id: from, delay: 0, parent: "" }]
    while (heap.length > 0) {
        const nearest = pop(heap)
        if (settled.has(nearest.id)) continue
        settled.set(nearest.id, nearest)
        for (const [to, delay] of graph.get(nearest.id) ?? [])
            if (!settled.has(to)) push(heap, { id: to, delay: nearest.delay + delay, parent: nearest.id })
    }
    return settled
}

function push(heap: Way[], item: Way): void {
    let at = heap.length
    heap.push(item)
    while (at > 0) {
        const parent = (at - 1) >> 1
        if (heap[parent].delay <= item.delay) break
        heap[at] = heap[parent]
        at = parent
    }
    heap[at] = item
}

function pop(heap: Way[]): Way {
    const top = heap[0]
    const last = heap.pop()!
    if (heap.length === 0) return top
    let at = 0
    for (;;) {
        let child = 2 * at + 1
        if (child >= heap.length) break
        if (child + 1 < heap.length && heap[child + 1].delay < heap[child].delay) child++
        if (heap[child].delay >= last.delay) break
        heap[at] = heap[child]
        at = child
    }
    heap[at] = last
    return top
}
