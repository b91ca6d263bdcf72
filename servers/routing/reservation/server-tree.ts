/**
 * Trees of servers by their names, as requests and answers carry them.
 *
 * Owns what is read off such a tree and off the graph along it. Never decides which one is wanted.
 */

import type { Req } from "../../../protocol/reservation.ts"
import { linkBetween } from "./bandwidth-graph.ts"
import { guidedTree } from "./guided-tree.ts"
import type { BandwidthGraph } from "./model.ts"
import type { Way } from "./source-session.ts"

/** Each server but the root, with its parent; parents before their children. */
export type ServerTree = NonNullable<Req["tree"]>

export interface TreeWish {
    source: string
    /** `maxDelay` along the tree, 0.01 ms. */
    destinations: readonly { id: string; maxDelay: number }[]
    kbps: number
    /** Links that are not to be used, whatever the graph says. */
    avoid?: (from: string, to: string) => boolean
}

/** The tree that the graph has room for, and the destinations that no way within their bounds reaches. */
export function findTree(graph: BandwidthGraph, wish: TreeWish): { tree: ServerTree; missing: string[] } {
    const { ids, indexOf } = graph
    const { kbps, avoid } = wish
    const source = indexOf.get(wish.source)
    if (source === undefined) return { tree: [], missing: wish.destinations.map(({ id }) => id) }
    const known = wish.destinations.flatMap(({ id, maxDelay }) => {
        const vertex = indexOf.get(id)
        return vertex === undefined ? [] : [{ vertex, maxDelay }]
    })
    const found = guidedTree({
        ...{ graph, source, destinations: known, bandwidthKbps: kbps },
        ...(avoid && { avoid: (from: number, to: number) => avoid(ids[from], ids[to]) }),
    })
    const isMissing = ({ id }: { id: string }) => {
        const vertex = indexOf.get(id)
        return vertex === undefined || found.missing.includes(vertex)
    }
    return {
        tree: [...found.parents].map(([v, parent]) => ({ rs: ids[v], parent: ids[parent] })),
        missing: wish.destinations.filter(isMissing).map(({ id }) => id),
    }
}

/** The tree as the answers of its destinations have shown it, parents before their children. */
export function treeOfWays(self: string, ways: ReadonlyMap<string, Way>): ServerTree {
    const parents = new Map<string, string>()
    for (const [dest, { via }] of ways) {
        let parent = self
        for (const rs of [dest, ...via].reverse()) {
            parents.set(rs, parent)
            parent = rs
        }
    }
    return [...parents].map(([rs, parent]) => ({ rs, parent }))
}

/** `top` and all below it. */
export function serversBelow(tree: ServerTree, top: string): Set<string> {
    const below = new Set([top])
    for (let grew = true; grew; ) {
        grew = false
        for (const { rs, parent } of tree)
            if (below.has(parent) && !below.has(rs)) {
                below.add(rs)
                grew = true
            }
    }
    return below
}

/** 0.01 ms; Infinity when a link of it is not known. */
export function longestDelay(graph: BandwidthGraph, self: string, tree: ServerTree): number {
    const delays = new Map([[self, 0]])
    let longest = 0
    for (let grew = true; grew; ) {
        grew = false
        for (const { rs, parent } of tree) {
            const above = delays.get(parent)
            if (above === undefined || delays.has(rs)) continue
            const link = linkBetween(graph, parent, rs)
            const delay = above + (link < 0 ? Number.POSITIVE_INFINITY : graph.delay[link])
            delays.set(rs, delay)
            longest = Math.max(longest, delay)
            grew = true
        }
    }
    return longest
}

/** The graph as a session sees it that holds `tree` already: what it holds is free for its next epoch. */
export function creditedGraph(graph: BandwidthGraph, tree: ServerTree | undefined, heldKbps: number): BandwidthGraph {
    if (!tree) return graph
    const freeKbps = graph.freeKbps.slice()
    const credit = (from: string, to: string) => {
        const link = linkBetween(graph, from, to)
        if (link >= 0) freeKbps[link] = Math.min(0x7fffffff, freeKbps[link] + heldKbps)
    }
    for (const { rs, parent } of tree) {
        credit(rs, parent)
        credit(parent, rs)
    }
    return { ...graph, freeKbps }
}
