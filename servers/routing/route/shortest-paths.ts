/**
 * Shortest-delay paths from one routing server to all others [claim 3], full and incremental.
 *
 * Owns distances and the tree of predecessors for one root. The graph belongs to the caller; after `costChanged` on an edge the
 * tree is right again at a cost that grows with what the change moved, not with the network.
 *
 * Full: Dijkstra's search in the search space. Incremental: after Ramalingam and Reps (J. Algorithms 21, 1996): a cheaper
 * edge is relaxed and the gain spread; a dearer tree edge cuts off its subtree, which is joined again at least cost.
 * The full run is the oracle of the incremental one in the tests.
 */

import { type Graph, unreachable } from "./graph.ts"
import { type SearchSpace, searchSpaceFor } from "./search-space.ts"

const none = -1

export class ShortestPaths {
    /** Cost from the root in units of 0.01 ms, `unreachable` when there is no path. */
    readonly distance: Int32Array
    /** Predecessor on the way from the root, -1 at the root and where there is no path. */
    readonly parent: Int32Array
    // The tree's children as doubly linked lists of siblings, so that a subtree can be walked and an edge moved in O(1).
    private firstChild = new Int32Array(0)
    private nextSibling = new Int32Array(0)
    private previousSibling = new Int32Array(0)
    private childrenKnown = false
    private readonly space: SearchSpace
    private affected = new Int32Array(0)
    private isAffected = new Uint8Array(0)
    /** Vertices whose distance or predecessor the last `costChanged` set; for callers that keep tables in step. */
    moved = new Int32Array(0)
    movedCount = 0

    constructor(
        private readonly graph: Graph,
        readonly root: number,
    ) {
        const size = graph.room
        this.space = searchSpaceFor(size)
        this.distance = new Int32Array(size)
        this.parent = new Int32Array(size)
        this.run()
    }

    /** Computes everything from nothing. */
    run(): void {
        this.space.search(this.graph, this.root, this)
        // Only a tree edge that becomes dearer needs the children, so that a full run does not pay for them.
        this.childrenKnown = false
    }

    private linkChildren(): void {
        const size = this.distance.length
        if (this.firstChild.length !== size) {
            this.firstChild = new Int32Array(size)
            this.nextSibling = new Int32Array(size)
            this.previousSibling = new Int32Array(size)
            this.affected = new Int32Array(size)
            this.isAffected = new Uint8Array(size)
            this.moved = new Int32Array(size)
        }
        this.firstChild.fill(none)
        for (let v = 0; v < this.graph.vertices; v++) if (this.parent[v] !== none) this.adopt(this.parent[v], v)
        this.childrenKnown = true
    }

    /**
     * Mends the tree after the cost of edge `e`, which leaves `from`, was changed in the graph from `oldCost`.
     * Returns whether any distance or predecessor moved; which ones stand in `moved[0 .. movedCount]`.
     */
    costChanged(from: number, e: number, oldCost: number): boolean {
        const { graph, distance } = this
        const cost = graph.cost[e]
        this.movedCount = 0
        if (!this.childrenKnown) this.linkChildren()
        const to = graph.head[e]
        if (cost < oldCost) {
            const candidate = distance[from] + cost
            if (candidate >= distance[to]) return false
            this.improve(to, from, candidate)
            this.drain()
            return true
        }
        if (cost === oldCost || this.parent[to] !== from) return false
        this.rejoin(to)
        return true
    }

    /** The subtree below `top`, whose tree edge became dearer, leaves the tree and comes back at least cost. */
    private rejoin(top: number): void {
        const { graph, distance, affected, isAffected } = this
        let count = 0
        affected[count++] = top
        isAffected[top] = 1
        for (let i = 0; i < count; i++)
            for (let child = this.firstChild[affected[i]]; child !== none; child = this.nextSibling[child]) {
                affected[count++] = child
                isAffected[child] = 1
            }
        for (let i = 0; i < count; i++) {
            const v = affected[i]
            let best = unreachable
            let bestFrom = none
            const start = graph.rowStart[v]
            const end = start + graph.rowLength[v]
            for (let e = start; e < end; e++) {
                const u = graph.head[e]
                if (isAffected[u]) continue
                const candidate = distance[u] + graph.cost[graph.twin[e]]
                if (candidate < best) {
                    best = candidate
                    bestFrom = u
                }
            }
            distance[v] = best
            this.moveUnder(v, bestFrom)
            if (best !== unreachable) this.space.push(v, best)
            this.moved[this.movedCount++] = v
        }
        for (let i = 0; i < count; i++) isAffected[affected[i]] = 0
        this.drain()
    }

    private drain(): void {
        const { graph, distance, space } = this
        while (!space.isEmpty()) {
            const v = space.pop()
            const base = distance[v]
            const start = graph.rowStart[v]
            const end = start + graph.rowLength[v]
            for (let e = start; e < end; e++) {
                const w = graph.head[e]
                const candidate = base + graph.cost[e]
                if (candidate < distance[w]) this.improve(w, v, candidate)
            }
        }
    }

    private improve(v: number, from: number, candidate: number): void {
        // A vertex may be noted twice in one change; the list is bounded by dropping the note, never the work.
        if (!this.space.holds(v) && this.movedCount < this.moved.length) this.moved[this.movedCount++] = v
        this.distance[v] = candidate
        this.moveUnder(v, from)
        this.space.push(v, candidate)
    }

    private moveUnder(v: number, newParent: number): void {
        const oldParent = this.parent[v]
        if (oldParent === newParent) return
        if (oldParent !== none) {
            const next = this.nextSibling[v]
            const previous = this.previousSibling[v]
            if (previous !== none) this.nextSibling[previous] = next
            else this.firstChild[oldParent] = next
            if (next !== none) this.previousSibling[next] = previous
        }
        this.parent[v] = newParent
        if (newParent !== none) this.adopt(newParent, v)
    }

    private adopt(parent: number, v: number): void {
        const first = this.firstChild[parent]
        this.nextSibling[v] = first
        this.previousSibling[v] = none
        if (first !== none) this.previousSibling[first] = v
        this.firstChild[parent] = v
    }
}
