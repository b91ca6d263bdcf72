/**
 * Where searches for shortest paths run: an indexed 4-ary heap of vertices by key, and Dijkstra's search in it [claim 3].
 *
 * Owns the heap and what a running search has found so far. Nothing lasts: between searches the heap is empty, and one
 * space serves all graphs of a process, since searches never run at the same time. Knows nothing of mending a tree.
 *
 * The arrays are constants of the functions that use them, and these are small enough for V8 to take into `search`: their
 * addresses and lengths then stand in the machine code. Of arrays that are fields of an object V8 reads both again in every
 * turn of a loop, and checks each time that it still is an array of integers; that made a full run a quarter longer.
 * `| 0` says that a sum has 32 bits, which V8 need not check then.
 */

import { type Graph, unreachable } from "./graph.ts"

const none = -1

export interface SearchSpace {
    /** Vertices that it has room for. */
    readonly room: number
    /** Computes distance and predecessor of every vertex from nothing; vertices that cannot be reached have `unreachable` and -1. */
    search(graph: Graph, root: number, found: { distance: Int32Array; parent: Int32Array }): void
    /** Puts a vertex into the heap, or moves it up when it is there with a larger key. */
    push(v: number, key: number): void
    /** Takes the vertex of least key out of a heap that is not empty. */
    pop(): number
    isEmpty(): boolean
    /** Whether a vertex stands in the heap. */
    holds(v: number): boolean
}

/**
 * Large enough for every network that Parley is made for. A space that is made later serves as well, but only the first
 * one's arrays are constants to V8. What is not used costs no memory.
 */
let space = searchSpace(65_536)

/** The space for graphs of up to `room` vertices. */
export function searchSpaceFor(room: number): SearchSpace {
    if (space.room < room) space = searchSpace(room * 2)
    return space
}

function searchSpace(room: number): SearchSpace {
    const distance = new Int32Array(room)
    const parent = new Int32Array(room)
    const heapVertex = new Int32Array(room)
    // Three more: children that do not exist are kept at `unreachable`.
    const heapKey = new Int32Array(room + 3)
    /** Where a vertex stands in the heap, -1 when it does not. */
    const heapPlace = new Int32Array(room).fill(none)
    let size = 0

    function push(v: number, key: number): void {
        let place = heapPlace[v]
        if (place < 0) place = size++
        while (place > 0) {
            const above = ((place - 1) | 0) >> 2
            const aboveKey = heapKey[above]
            if (aboveKey <= key) break
            const down = heapVertex[above]
            heapVertex[place] = down
            heapKey[place] = aboveKey
            heapPlace[down] = place
            place = above
        }
        heapVertex[place] = v
        heapKey[place] = key
        heapPlace[v] = place
    }

    function pop(): number {
        const top = heapVertex[0]
        heapPlace[top] = none
        size--
        if (size > 0) sinkLast(size)
        return top
    }

    /** The vertex at `last`, where the heap ends now, sinks from the top. */
    function sinkLast(last: number): void {
        const v = heapVertex[last]
        const key = heapKey[last]
        heapKey[last] = unreachable
        heapKey[last + 1] = unreachable
        heapKey[last + 2] = unreachable
        let place = 0
        for (;;) {
            const first = ((place << 2) + 1) | 0
            if (first >= last) break
            // Which of four children is least cannot be predicted, so that it is computed without a branch: `less` is
            // -1 where the difference is negative, else 0.
            const third = (first + 2) | 0
            const key0 = heapKey[first]
            const key2 = heapKey[third]
            let difference = (heapKey[(first + 1) | 0] - key0) | 0
            let less = difference >> 31
            const lowKey = (key0 + (difference & less)) | 0
            const low = (first - less) | 0
            difference = (heapKey[(first + 3) | 0] - key2) | 0
            less = difference >> 31
            const highKey = (key2 + (difference & less)) | 0
            const high = (third - less) | 0
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
        heapVertex[place] = v
        heapKey[place] = key
        heapPlace[v] = place
    }

    /** Offers every end of the edges `start .. end` of `v`, which is `base` away, the way through it. */
    function relax(v: number, base: number, start: number, end: number, head: Int32Array, cost: Int32Array): void {
        for (let e = start; e < end; e = (e + 1) | 0) {
            const w = head[e]
            const candidate = (base + cost[e]) | 0
            if (candidate >= distance[w]) continue
            distance[w] = candidate
            parent[w] = v
            push(w, candidate)
        }
    }

    function clear(root: number, vertices: number): void {
        distance.fill(unreachable, 0, vertices)
        parent.fill(none, 0, vertices)
        distance[root] = 0
        push(root, 0)
    }

    const leastKey = () => heapKey[0]

    return {
        room,
        push,
        pop,
        isEmpty: () => size === 0,
        holds: v => heapPlace[v] !== none,
        search({ rowStart, rowLength, head, cost }, root, found) {
            const vertices = found.distance.length
            clear(root, vertices)
            while (size > 0) {
                const base = leastKey()
                const v = pop()
                const start = rowStart[v]
                relax(v, base, start, start + rowLength[v], head, cost)
            }
            found.distance.set(distance.subarray(0, vertices))
            found.parent.set(parent.subarray(0, vertices))
        },
    }
}
