/**
 * Shortest-delay paths from one routing server to all others [claim 3], full and incremental.
 *
 * Owns distances and the tree of predecessors for one root. The graph belongs to the caller; after `costChanged` on an edge the
 * tree is right again at a cost that grows with what the change moved, not with the network.
 *
 * Full: Dijkstra with an indexed 4-ary heap. Incremental: after Ramalingam and Reps (J. Algorithms 21, 1996): a cheaper
 * edge is relaxed and the gain spread; a dearer tree edge cuts off its subtree, which is joined again at least cost.
 * The full run is the oracle of the incremental one in the tests.
 */

import { type Graph, unreachable } from "./graph.ts"

const none = -1

export class ShortestPaths {
    /** Cost from the root in units of 0.01 ms, `unreachable` when there is no path. */
    distance: Int32Array
    /** Predecessor on the way from the root, -1 at the root and where there is no path. */
    parent: Int32Array
    // The tree's children as doubly linked lists of siblings, so that a subtree can be walked and an edge moved in O(1).
    private firstChild = new Int32Array(0)
    private nextSibling = new Int32Array(0)
    private previousSibling = new Int32Array(0)
    private childrenKnown = false
    private heapSize = 0
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
        this.distance = new Int32Array(size)
        this.parent = new Int32Array(size)
        this.run()
    }

    /** Computes everything from nothing. */
    run(): void {
        this.distance.fill(unreachable)
        this.parent.fill(none)
        this.distance[this.root] = 0
        this.spreadFrom(this.root)
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

    /** Dijkstra from the root with plain predecessors; the hot loop, so the heap is written out in place. */
    private spreadFrom(root: number): void {
        const { rowStart, rowLength, head, cost } = this.graph
        const { distance, parent } = this
        const { vertex: heapVertex, key: heapKey, place: heapPlace } = this.graph.heap
        heapVertex[0] = root
        heapKey[0] = 0
        heapPlace[root] = 0
        let size = 1
        while (size > 0) {
            const v = heapVertex[0]
            const base = heapKey[0]
            heapPlace[v] = none
            size--
            if (size > 0) {
                // The last one sinks from the top. Which of four children is least cannot be predicted, so that it is
                // computed without a branch: `less` is -1 where the difference is negative, else 0.
                const last = heapVertex[size]
                const key = heapKey[size]
                heapKey[size] = unreachable
                heapKey[size + 1] = unreachable
                heapKey[size + 2] = unreachable
                let place = 0
                for (;;) {
                    const first = place * 4 + 1
                    if (first >= size) break
                    const key0 = heapKey[first]
                    const key2 = heapKey[first + 2]
                    let difference = (heapKey[first + 1] - key0) | 0
                    let less = difference >> 31
                    const lowKey = (key0 + (difference & less)) | 0
                    const low = (first - less) | 0
                    difference = (heapKey[first + 3] - key2) | 0
                    less = difference >> 31
                    const highKey = (key2 + (difference & less)) | 0
                    const high = (first + 2 - less) | 0
                    difference = (highKey - lowKey) | 0
                    less = difference >> 31
                    const bestKey = (lowKey + (difference & less)) | 0
                    const best = (low + ((high - low) & less)) | 0
                    if (bestKey >= key) break
                    const up = heapVertex[best]
                    heapVertex[place] = up
                    heapKey[place] = bestKey
                    heapPlace[up] = place
                    place = best
                }
                heapVertex[place] = last
                heapKey[place] = key
                heapPlace[last] = place
            }
            const start = rowStart[v]
            const end = start + rowLength[v]
            for (let e = start; e < end; e++) {
                const w = head[e]
                const candidate = (base + cost[e]) | 0
                if (candidate >= distance[w]) continue
                distance[w] = candidate
                parent[w] = v
                let place = heapPlace[w]
                if (place < 0) place = size++
                while (place > 0) {
                    const above = (place - 1) >> 2
                    const aboveKey = heapKey[above]
                    if (aboveKey <= candidate) break
                    const down = heapVertex[above]
                    heapVertex[place] = down
                    heapKey[place] = aboveKey
                    heapPlace[down] = place
                    place = above
                }
                heapVertex[place] = w
                heapKey[place] = candidate
                heapPlace[w] = place
            }
        }
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
            if (best !== unreachable) this.push(v, best)
            this.moved[this.movedCount++] = v
        }
        for (let i = 0; i < count; i++) isAffected[affected[i]] = 0
        this.drain()
    }

    private drain(): void {
        const { graph, distance } = this
        while (this.heapSize > 0) {
            const v = this.pop()
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
        if (this.graph.heap.place[v] === none && this.movedCount < this.moved.length) this.moved[this.movedCount++] = v
        this.distance[v] = candidate
        this.moveUnder(v, from)
        this.push(v, candidate)
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

    private push(v: number, key: number): void {
        const { vertex: heapVertex, key: heapKey, place: heapPlace } = this.graph.heap
        let place = heapPlace[v]
        if (place < 0) place = this.heapSize++
        while (place > 0) {
            const above = (place - 1) >> 2
            if (heapKey[above] <= key) break
            heapVertex[place] = heapVertex[above]
            heapKey[place] = heapKey[above]
            heapPlace[heapVertex[place]] = place
            place = above
        }
        heapVertex[place] = v
        heapKey[place] = key
        heapPlace[v] = place
    }

    private pop(): number {
        const { vertex: heapVertex, key: heapKey, place: heapPlace } = this.graph.heap
        const top = heapVertex[0]
        heapPlace[top] = none
        const size = --this.heapSize
        if (size > 0) {
            const last = heapVertex[size]
            const key = heapKey[size]
            let place = 0
            for (;;) {
                const first = place * 4 + 1
                if (first >= size) break
                let best = first
                const end = first + 4 < size ? first + 4 : size
                for (let child = first + 1; child < end; child++) if (heapKey[child] < heapKey[best]) best = child
                if (heapKey[best] >= key) break
                heapVertex[place] = heapVertex[best]
                heapKey[place] = heapKey[best]
                heapPlace[heapVertex[place]] = place
                place = best
            }
            heapVertex[place] = last
            heapKey[place] = key
            heapPlace[last] = place
        }
        return top
    }
}
