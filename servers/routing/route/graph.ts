/**
 * The network of routing servers as a graph on typed arrays: vertices are dense integers, links are pairs of directed edges.
 *
 * Owns adjacency and edge costs. Knows nothing of identifiers, link-state advertisements or paths.
 * Compressed sparse rows with a few free slots a row: a cost changes in place, a new link takes a free slot, and only a
 * row that is full makes the arrays be laid out anew.
 */

/** Cost of an edge that cannot be used. Path costs are sums of at most 2^21 edges below 2^32, exact in a double. */
export const unreachable = Number.POSITIVE_INFINITY

const freeSlots = 2

export class Graph {
    /** Row `v` of edges is `rowStart[v] .. rowStart[v] + rowLength[v]`. */
    rowStart: Int32Array
    rowLength: Int32Array
    private rowCapacity: Int32Array
    /** Where edge `e` leads. */
    head: Int32Array
    /** Cost of edge `e` in units of 0.01 ms, `unreachable` when it cannot be used. */
    cost: Float64Array
    /** The edge in the other direction. */
    twin: Int32Array
    vertices: number
    /** Directed edges in use. */
    edges = 0

    constructor(vertices: number, degreeHint = 8) {
        this.vertices = vertices
        this.rowStart = new Int32Array(vertices + 1)
        this.rowLength = new Int32Array(vertices)
        this.rowCapacity = new Int32Array(vertices).fill(degreeHint)
        for (let v = 0; v < vertices; v++) this.rowStart[v + 1] = this.rowStart[v] + degreeHint
        const slots = this.rowStart[vertices]
        this.head = new Int32Array(slots)
        this.cost = new Float64Array(slots)
        this.twin = new Int32Array(slots)
    }

    /** Adds a vertex without links and returns it. */
    addVertex(): number {
        if (this.vertices === this.rowLength.length) this.layOut(Math.max(16, this.vertices * 2))
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
        while (this.rowLength[a] === this.rowCapacity[a] || this.rowLength[b] === this.rowCapacity[b]) {
            const full = this.rowLength[a] === this.rowCapacity[a] ? a : b
            this.rowCapacity[full] = this.rowCapacity[full] * 2 + freeSlots
            this.layOut(this.rowLength.length)
        }
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

    /** Gives back the free slots, so that a run touches as little memory as can be. Worth it after many additions. */
    compact(): void {
        for (let v = 0; v < this.rowLength.length; v++) this.rowCapacity[v] = this.rowLength[v]
        this.layOut(this.rowLength.length)
    }

    /** Moves every row into fresh arrays with the present capacities and room for `rows` vertices. */
    private layOut(rows: number): void {
        const old = {
            rowStart: this.rowStart,
            rowLength: this.rowLength,
            head: this.head,
            cost: this.cost,
            twin: this.twin,
        }
        const rowCapacity = new Int32Array(rows)
        rowCapacity.set(this.rowCapacity)
        const rowStart = new Int32Array(rows + 1)
        for (let v = 0; v < rows; v++) rowStart[v + 1] = rowStart[v] + rowCapacity[v]
        const slots = rowStart[rows]
        this.head = new Int32Array(slots)
        this.cost = new Float64Array(slots)
        this.twin = new Int32Array(slots)
        const moved = new Int32Array(old.head.length)
        for (let v = 0; v < old.rowLength.length; v++)
            for (let i = 0; i < old.rowLength[v]; i++) moved[old.rowStart[v] + i] = rowStart[v] + i
        for (let v = 0; v < old.rowLength.length; v++)
            for (let i = 0; i < old.rowLength[v]; i++) {
                const from = old.rowStart[v] + i
                const to = rowStart[v] + i
                this.head[to] = old.head[from]
                this.cost[to] = old.cost[from]
                this.twin[to] = moved[old.twin[from]]
            }
        const rowLength = new Int32Array(rows)
        rowLength.set(old.rowLength)
        this.rowStart = rowStart
        this.rowLength = rowLength
        this.rowCapacity = rowCapacity
    }
}
