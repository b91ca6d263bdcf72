/**
 * The Steiner tree heuristic of Kou, Markowsky and Berman (Acta Informatica 15, 1981), with links as costs: what the trees of
 * the reservation are measured against.
 */

import { fewestLinks, type PlainGraph } from "./plain-graph.ts"

/** Links of the tree that joins the terminals; Infinity when nothing does. */
export function kmbLinks(graph: PlainGraph, terminals: readonly number[]): number {
    const from = terminals.map(terminal => fewestLinks(graph, terminal))
    // 1, 2: the least spanning tree of the terminals, each pair as far apart as the fewest links between them (Prim).
    const pairs: [number, number][] = []
    const joined = [0]
    const open = new Set(terminals.keys())
    open.delete(0)
    while (open.size > 0) {
        let best: [number, number] | undefined
        let least = Number.POSITIVE_INFINITY
        for (const a of joined)
            for (const b of open)
                if (from[a].links[terminals[b]] < least) {
                    least = from[a].links[terminals[b]]
                    best = [a, b]
                }
        if (!best) return Number.POSITIVE_INFINITY
        pairs.push(best)
        joined.push(best[1])
        open.delete(best[1])
    }
    // 3: each pair as the way that it stands for; 4: a spanning tree of that; 5: without ends that are no terminals.
    const within = new Map<number, Set<number>>()
    const note = (a: number, b: number) => within.set(a, (within.get(a) ?? new Set()).add(b))
    for (const [a, b] of pairs)
        for (let v = terminals[b]; v !== terminals[a]; v = from[a].before[v]) {
            note(v, from[a].before[v])
            note(from[a].before[v], v)
        }
    return prunedSpanningTree(within, terminals)
}

/** All links cost the same, so that any spanning tree is a least one. */
function prunedSpanningTree(within: Map<number, Set<number>>, terminals: readonly number[]): number {
    const root = terminals[0]
    const parent = new Map([[root, root]])
    for (const [v] of parent) for (const w of within.get(v) ?? []) if (!parent.has(w)) parent.set(w, v)
    const keep = new Set<number>([root])
    for (const terminal of terminals) for (let v = terminal; !keep.has(v); v = parent.get(v)!) keep.add(v)
    return keep.size - 1
}
