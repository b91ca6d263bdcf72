/**
 * The network of routing servers as a graph on typed arrays: vertices are dense integers, links are pairs of directed edges.
 *
 * Owns adjacency and edge costs. Knows nothing of identifiers, link-state advertisements or paths.
 * Compressed sparse rows with room to grow: a cost changes in place, a new link takes a free slot of its row, and a row
 * that is full moves to the end of the arrays with twice the room.
 */

/**
 * Cost of an edge that cannot be used, and distance of what cannot be reached. Costs are integers below 2^30, so that
 * the sum of a distance and a cost is a 32-bit integer and the hot loop needs no floating point.
 */
export const unreachable = 0x3fffffff
/** Largest cost of a usable edge, 0.01 ms: ten seconds. A path of 1 000 such edges is still below `unreachable`. */
export const maximumCost = 1_000_000

export class Graph {
    /** Row `v` of edges is `rowStart[v] .. rowStart[v] + rowLength[v]`. */
    rowStart: Int32Array
    rowLength: Int32Array
    private rowCapacity: Int32Array
    /** Where edge `e` leads. */
    head: Int32Array
    /** Cost of edge `e` in units of 0.01 ms, `unreachable` when it cannot be used. */
    cost: Int32Array
    /** The edge in the other direction. */
    twin: Int32Array
    vertices: number
    /** Directed edges in use. */
    edges = 0
    /** First slot that no row has. */
    private end = 0

    constructor(vertices: number) {
        this.vertices = vertices
        this.rowStart = new Int32Array(vertices)
        this.rowLength = new Int32Array(vertices)
        this.rowCapacity = new Int32Array(vertices)
        this.head = new Int32Array(0)
        this.cost = new Int32Array(0)
        this.twin = new Int32Array(0)
    }

    /** How many vertices the arrays have room for; what others keep for each vertex has this length. */
    get room(): number {
        return this.rowLength.length
    }

    /** Slots without an edge, which lie between the rows that a search reads. */
    get freeSlots(): number {
        return this.end - this.edges
    }

    /** Adds a vertex without links and returns it. */
    addVertex(): number {
        if (this.vertices === this.room) {
            const room = Math.max(16, this.room * 2)
            this.rowStart = grown(this.rowStart, room)
            this.rowLength = grown(this.rowLength, room)
            this.rowCapacity = grown(this.rowCapacity, room)
        }
        return this.vertices++
    }

    /** The edge from `from` to `to`, or -1. Linear in the degree. */
    edge(from: number, to: number): number {
        const end = this.rowStart[from] + this.rowLength[from]
        for (let e = this.rowStart[from]; e < end; e++) if (this.head[e] === to) return e
        return -1
    }

    /**
     * Adds the link between two vertices that have none, with a cost for each direction, and returns the edge `a` -> `b`.
     * Edge numbers found earlier are void afterwards.
     */
    addLink(a: number, b: number, costThere: number, costBack: number): number {
        if (a === b) throw new RangeError("a link joins two vertices")
        for (const v of [a, b])
            if (this.rowLength[v] === this.rowCapacity[v]) this.moveRow(v, Math.max(4, this.rowCapacity[v] * 2))
        const there = this.rowStart[a] + this.rowLength[a]++
        const back = this.rowStart[b] + this.rowLength[b]++
        this.head[there] = b
        this.head[back] = a
        this.cost[there] = costThere
        this.cost[back] = costBack
        this.twin[there] = back
        this.twin[back] = there
        this.edges += 2
        return there
    }

    /**
     * Gives back all free slots, so that a search touches as little memory as can be. Worth it after many additions; edge
     * numbers found earlier are void afterwards.
     */
    compact(): void {
        const { head, cost, twin } = this
        const places = new Int32Array(head.length)
        const rowStart = new Int32Array(this.room)
        let end = 0
        for (let v = 0; v < this.vertices; v++) {
            rowStart[v] = end
            for (let i = 0; i < this.rowLength[v]; i++) places[this.rowStart[v] + i] = end++
        }
        this.head = new Int32Array(end)
        this.cost = new Int32Array(end)
        this.twin = new Int32Array(end)
        for (let v = 0; v < this.vertices; v++)
            for (let i = 0; i < this.rowLength[v]; i++) {
                const e = this.rowStart[v] + i
                this.head[places[e]] = head[e]
                this.cost[places[e]] = cost[e]
                this.twin[places[e]] = places[twin[e]]
            }
        this.rowStart = rowStart
        this.rowCapacity.set(this.rowLength)
        this.end = end
    }

    private moveRow(v: number, capacity: number): void {
        if (this.end + capacity > this.head.length) {
            const slots = Math.max(64, this.head.length * 2, this.end + capacity)
            this.head = grown(this.head, slots)
            this.cost = grown(this.cost, slots)
            this.twin = grown(this.twin, slots)
        }
        const from = this.rowStart[v]
        const to = this.end
        for (let i = 0; i < this.rowLength[v]; i++) {
            this.head[to + i] = this.head[from + i]
            this.cost[to + i] = this.cost[from + i]
            this.twin[to + i] = this.twin[from + i]
            this.twin[this.twin[to + i]] = to + i
        }
        this.rowStart[v] = to
        this.rowCapacity[v] = capacity
        this.end += capacity
    }
}

function grown(array: Int32Array, length: number): Int32Array {
    const larger = new Int32Array(length)
    larger.set(array)
    return larger
}
