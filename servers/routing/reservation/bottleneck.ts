/**
 * Which link keeps a session from a destination: for people, who are to be told more than that no way has enough.
 * Pure, and only asked when a session is refused. Never decides anything.
 */

import { linkBetween } from "./bandwidth-graph.ts"
import { guidedTree } from "./guided-tree.ts"
import type { BandwidthGraph } from "./model.ts"

/** What is wanted: bandwidth on a way from one server to another, within a delay (0.01 ms). */
export interface WantedWay {
    from: string
    to: string
    maxDelay: number
    kbps: number
}

/**
 * The first link without enough bandwidth on the way that would be taken if there were enough everywhere; undefined when
 * there is none, as far as the graph knows. `freeHere`: what is free from `from` to a neighbour, which is known exactly.
 */
export function bottleneck(
    graph: BandwidthGraph,
    { from, to, maxDelay, kbps }: WantedWay,
    freeHere: (peer: string) => number,
): { from: string; to: string } | undefined {
    const source = graph.indexOf.get(from)
    const vertex = graph.indexOf.get(to)
    if (source === undefined || vertex === undefined) return undefined
    const { parents } = guidedTree({ graph, source, destinations: [{ vertex, maxDelay }], bandwidthKbps: 0 })
    let short: { from: string; to: string } | undefined
    for (let v = vertex; v !== source; ) {
        const parent = parents.get(v)
        if (parent === undefined) return undefined
        const [above, below] = [graph.ids[parent], graph.ids[v]]
        const free = parent === source ? freeHere(below) : graph.freeKbps[linkBetween(graph, above, below)]
        if (free < kbps) short = { from: above, to: below }
        v = parent
    }
    return short
}
