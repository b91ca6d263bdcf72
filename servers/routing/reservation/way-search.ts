/**
 * Ways from a tree to a vertex outside of it: those of fewest links whose delay stays within a bound, found layer by layer.
 *
 * Layer h holds for each vertex the least delay from the tree's root at which h new links reach it, as far as that is less
 * than what fewer links need. The first layer that reaches a target within its bound is the answer, so that it is exact.
 * Owns its scratch space, which one search after the other uses. Knows nothing of sessions.
 */

import { unreachable } from "../route/graph.ts"
import type { BandwidthGraph } from "./model.ts"

const none = -1

export class WaySearch {
    vertices = 0
    /** Links that may be used: row `v` is `start[v] .. start[v + 1]`. */
    private start = new Int32Array(1)
    private head = new Int32Array(0)
    private delay = new Int32Array(0)
    /** Largest delay, 0.01 ms, at which each vertex may be entered; -1: never. Set by the caller before each run. */
    bound = new Int32Array(0)
    /** 1 for the vertices that a run looks for. Set by the caller. */
    target = new Uint8Array(0)
    /** After a run: least delay found for each vertex, 0.01 ms. */
    best = new Int32Array(0)
    /** Newest label of each vertex. */
    private labelOf = new Int32Array(0)
    private labelVertex = new Int32Array(256)
    private labelDelay = new Int32Array(256)
    private labelBefore = new Int32Array(256)

    /** Takes the links of a graph that have enough bandwidth. Clears what was set before. */
    load(graph: BandwidthGraph, bandwidthKbps: number, avoid?: (from: number, to: number) => boolean): void {
        const vertices = graph.ids.length
        if (this.best.length < vertices) {
            const room = Math.max(64, vertices, this.best.length * 2)
            this.start = new Int32Array(room + 1)
            this.bound = new Int32Array(room)
            this.target = new Uint8Array(room)
            this.best = new Int32Array(room)
            this.labelOf = new Int32Array(room)
        }
        if (this.head.length < graph.head.length) {
            this.head = new Int32Array(graph.head.length * 2)
            this.delay = new Int32Array(graph.head.length * 2)
        }
        this.vertices = vertices
        const { start, head, delay } = this
        let count = 0
        for (let v = 0; v < vertices; v++) {
            const end = graph.start[v + 1]
            for (let e = graph.start[v]; e < end; e++) {
                if (graph.freeKbps[e] < bandwidthKbps || avoid?.(v, graph.head[e])) continue
                head[count] = graph.head[e]
                delay[count++] = graph.delay[e]
            }
            start[v + 1] = count
        }
        this.target.fill(0, 0, vertices)
    }

    /** Links that may be used from a vertex. */
    degree(v: number): number {
        return this.start[v + 1] - this.start[v]
    }

    /** The vertex that the `i`th usable link of `v` leads to. */
    neighbour(v: number, i: number): number {
        return this.head[this.start[v] + i]
    }

    /**
     * Looks for the nearest target from `count` vertices, each with its delay from the root. Returns the label where the
     * way ends, or -1: of the targets that the fewest links reach, the one with the least delay, then with the lowest number.
     */
    run(from: Int32Array, count: number, delayOf: Int32Array, mostLinks: number): number {
        const { start, head, delay, bound, target, best, labelOf } = this
        best.fill(unreachable, 0, this.vertices)
        labelOf.fill(none, 0, this.vertices)
        this.ensure(count)
        for (let i = 0; i < count; i++) {
            const v = from[i]
            best[v] = delayOf[v]
            this.labelVertex[i] = v
            this.labelDelay[i] = delayOf[v]
            this.labelBefore[i] = none
            labelOf[v] = i
        }
        let first = 0
        let labels = count
        let found = none
        for (let layer = 0; layer < mostLinks && first < labels; layer++) {
            const end = labels
            this.ensure(end + this.vertices)
            const { labelVertex, labelDelay, labelBefore } = this
            for (let label = first; label < end; label++) {
                const v = labelVertex[label]
                const base = labelDelay[label]
                const rowEnd = start[v + 1]
                for (let e = start[v]; e < rowEnd; e++) {
                    const w = head[e]
                    const reached = base + delay[e]
                    if (reached >= best[w] || reached > bound[w]) continue
                    best[w] = reached
                    let place = labelOf[w]
                    if (place < end) {
                        place = labels++
                        labelOf[w] = place
                        labelVertex[place] = w
                    }
                    labelDelay[place] = reached
                    labelBefore[place] = label
                    if (target[w] === 0) continue
                    if (found === none || reached < labelDelay[found]) found = place
                    else if (reached === labelDelay[found] && w < labelVertex[found]) found = place
                }
            }
            if (found !== none) break
            first = end
        }
        return found
    }

    /** The newest label of a vertex: where the way of least delay ends when there were no targets; -1 when there is none. */
    labelAt(v: number): number {
        return this.labelOf[v]
    }

    vertexOf(label: number): number {
        return this.labelVertex[label]
    }

    delayOf(label: number): number {
        return this.labelDelay[label]
    }

    /** The label before on the way, -1 at its start. */
    before(label: number): number {
        return this.labelBefore[label]
    }

    private ensure(labels: number): void {
        if (labels <= this.labelVertex.length) return
        const room = labels * 2
        this.labelVertex = grown(this.labelVertex, room)
        this.labelDelay = grown(this.labelDelay, room)
        this.labelBefore = grown(this.labelBefore, room)
    }
}

function grown(array: Int32Array, length: number) {
    const larger = new Int32Array(length)
    larger.set(array)
    return larger
}
