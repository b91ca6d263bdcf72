/** Whether a network gives a choice of ways, so that choosing well can matter. */

import type { BandwidthGraph } from "../../servers/routing/reservation/model.ts"
import { type PlainGraph, plainGraph } from "../reference/plain-graph.ts"

const leastDegree = 3

/** At least three links a server on average, and no single link that more than one server depends on. */
export function isMeshed(graph: BandwidthGraph): boolean {
    const plain = plainGraph(graph)
    if (graph.head.length / plain.length < leastDegree) return false
    return plain.every((peers, a) =>
        peers.every(b => {
            const side = reachedWithout(plain, a, b)
            return Math.min(side, plain.length - side) <= 1
        }),
    )
}

/** Servers that `a` reaches without its link to `b`, itself included. */
function reachedWithout(graph: PlainGraph, a: number, b: number): number {
    const reached = new Set([a])
    for (const v of reached)
        for (const w of graph[v]) if (!(v === a && w === b) && !(v === b && w === a)) reached.add(w)
    return reached.size
}
