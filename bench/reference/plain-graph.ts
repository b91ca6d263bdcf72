/**
 * A graph as plainly as can be: for each vertex its neighbours. The references measure in links, and take all links as usable.
 */

import type { BandwidthGraph } from "../../servers/routing/reservation/model.ts"

export type PlainGraph = readonly (readonly number[])[]

export function plainGraph({ ids, start, head }: BandwidthGraph): PlainGraph {
    return ids.map((_, v) => Array.from(head.subarray(start[v], start[v + 1])))
}

/** Links from a vertex to every other one, Infinity where there is no way, and the vertex before on such a way. */
export function fewestLinks(graph: PlainGraph, from: number): { links: number[]; before: number[] } {
    const links = graph.map(() => Number.POSITIVE_INFINITY)
    const before = graph.map(() => -1)
    links[from] = 0
    const queue = [from]
    for (const v of queue)
        for (const w of graph[v]) {
            if (links[w] !== Number.POSITIVE_INFINITY) continue
            links[w] = links[v] + 1
            before[w] = v
            queue.push(w)
        }
    return { links, before }
}
