/**
 * The link-state database as a graph with what is free on each link: what the source of a session computes its tree on.
 *
 * Owns the reading of advertisements into arrays. Never searches, and keeps no advertisement. [routing-spec 3, 4]
 */

import type { Advertisement } from "../route/advertisement.ts"
import { maximumCost } from "../route/graph.ts"
import type { BandwidthGraph } from "./model.ts"

/** Steps in which `free` is advertised. */
const levels = 16

/**
 * The graph of all servers that advertise. A link counts only if both ends list it; what is free on it is the smaller of
 * both directions, because a conference is two-way. Servers are numbered in the order of their names and so are the links
 * of each, so that all servers that know the same make the same tree.
 */
export function bandwidthGraph(advertisements: Iterable<Advertisement>): BandwidthGraph {
    const list = [...advertisements].sort((a, b) => (a.origin < b.origin ? -1 : a.origin > b.origin ? 1 : 0))
    const ids = list.map(({ origin }) => origin)
    const indexOf = new Map(ids.map((id, index) => [id, index]))

    // All links as told, row by row; those that only one end lists are left out in the second pass.
    let told = 0
    for (const { links } of list) told += links.length
    const toldStart = new Int32Array(list.length + 1)
    const toldHead = new Int32Array(told)
    const toldDelay = new Int32Array(told)
    const toldFree = new Float64Array(told)
    let end = 0
    for (let v = 0; v < list.length; v++) {
        const from = end
        for (const link of list[v].links) {
            const to = indexOf.get(link.to)
            if (to === undefined) continue
            const delay = Math.min(link.delay, maximumCost)
            const free = Math.floor((link.capacity * link.free) / levels)
            let place = end++
            for (; place > from && toldHead[place - 1] > to; place--) {
                toldHead[place] = toldHead[place - 1]
                toldDelay[place] = toldDelay[place - 1]
                toldFree[place] = toldFree[place - 1]
            }
            toldHead[place] = to
            toldDelay[place] = delay
            toldFree[place] = free
        }
        toldStart[v + 1] = end
    }

    const start = new Int32Array(list.length + 1)
    const head = new Int32Array(end)
    const delay = new Int32Array(end)
    const freeKbps = new Int32Array(end)
    let count = 0
    for (let v = 0; v < list.length; v++) {
        for (let e = toldStart[v]; e < toldStart[v + 1]; e++) {
            const back = edgeTo(toldHead, toldStart[toldHead[e]], toldStart[toldHead[e] + 1], v)
            if (back < 0) continue
            head[count] = toldHead[e]
            delay[count] = toldDelay[e]
            freeKbps[count++] = Math.min(toldFree[e], toldFree[back], 0x7fffffff)
        }
        start[v + 1] = count
    }
    return {
        ids,
        indexOf,
        start,
        head: head.subarray(0, count),
        delay: delay.subarray(0, count),
        freeKbps: freeKbps.subarray(0, count),
    }
}

/** The link from one server to another, as its number in the graph; -1 when there is none. */
export function linkBetween(graph: BandwidthGraph, from: string, to: string): number {
    const v = graph.indexOf.get(from)
    const w = graph.indexOf.get(to)
    return v === undefined || w === undefined ? -1 : edgeTo(graph.head, graph.start[v], graph.start[v + 1], w)
}

function edgeTo(head: Int32Array, start: number, end: number, to: number): number {
    for (let e = start; e < end; e++) if (head[e] === to) return e
    return -1
}

/** The graph of a database that changes: made when it is asked for, and again only after `changed`. */
export class BandwidthGraphCache {
    private graph: BandwidthGraph | undefined

    constructor(private readonly advertisements: () => Iterable<Advertisement>) {}

    /** An advertisement has come, changed or gone. */
    changed(): void {
        this.graph = undefined
    }

    get(): BandwidthGraph {
        this.graph ??= bandwidthGraph(this.advertisements())
        return this.graph
    }
}
