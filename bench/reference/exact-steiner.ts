/**
 * The fewest links that join given vertices, exactly: Dreyfus and Wagner (Networks 1, 1971). Its time grows with 3 to the
 * number of terminals; for small cases only.
 */

import { fewestLinks, type PlainGraph } from "./plain-graph.ts"

const mostTerminals = 12

/** Infinity when no tree joins them. */
export function exactSteinerLinks(graph: PlainGraph, terminals: readonly number[]): number {
    if (terminals.length > mostTerminals) throw new RangeError(`at most ${mostTerminals} terminals`)
    if (terminals.length < 2) return 0
    const vertices = graph.length
    const distance = graph.map((_, v) => fewestLinks(graph, v).links)
    const root = terminals[terminals.length - 1]
    const others = terminals.slice(0, -1)
    const sets = 1 << others.length
    /** least[set * vertices + v]: links of a tree that joins the set of terminals and v. */
    const least = new Float64Array(sets * vertices).fill(Number.POSITIVE_INFINITY)
    others.forEach((terminal, i) => {
        for (let v = 0; v < vertices; v++) least[(1 << i) * vertices + v] = distance[terminal][v]
    })
    const split = new Float64Array(vertices)
    for (let set = 1; set < sets; set++) {
        if ((set & (set - 1)) === 0) continue
        // Two trees that meet at v, each with a part of the set ...
        for (let v = 0; v < vertices; v++) {
            let best = Number.POSITIVE_INFINITY
            for (let part = (set - 1) & set; part > set - part; part = (part - 1) & set)
                best = Math.min(best, least[part * vertices + v] + least[(set - part) * vertices + v])
            split[v] = best
        }
        // ... and a way on from there.
        for (let v = 0; v < vertices; v++) {
            let best = split[v]
            for (let u = 0; u < vertices; u++) best = Math.min(best, split[u] + distance[u][v])
            least[set * vertices + v] = best
        }
    }
    return least[(sets - 1) * vertices + root]
}
