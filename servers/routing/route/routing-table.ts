/**
 * The routing table of one routing server [claim 8]: for every other server the next hop on the path of shortest delay
 * [claim 3], and a loop-free alternate that can be used the moment the next hop is lost.
 *
 * Owns the graph made of the link-state database, the shortest paths from this server and from each of its neighbours,
 * and the damping of routes. Fed with changes of advertisements; never sends and never measures. [routing-spec 3]
 *
 * Damping keeps a route on its next hop until another one is better by a share and a floor. That cannot make a loop: the
 * old next hop is kept only while it is closer to the destination than this server is, so that every hop comes closer.
 */

import type { Advertisement } from "./advertisement.ts"
import { Graph, maximumCost, unreachable } from "./graph.ts"
import { ShortestPaths } from "./shortest-paths.ts"

export interface RouteDamping {
    /** A route moves only for a gain above this share of its present delay ... */
    gainShare: number
    /** ... and above this many 0.01 ms. */
    gainFloor: number
}

export const routeDampingDefaults: RouteDamping = { gainShare: 0.1, gainFloor: 500 }

export interface Route {
    destination: string
    nextHop: string
    /** Along the next hop, one way, 0.01 ms. */
    delay: number
    /** Links on the way. */
    hops: number
    /** A neighbour that is closer to the destination than this server and is not the next hop. */
    alternate?: string
}

export type RouteChange = { destination: string; before?: Route; after?: Route }

const none = -1

export class RoutingTable {
    private readonly graph: Graph
    private readonly vertexOf = new Map<string, number>()
    private readonly idOf: string[] = []
    private readonly advertisements = new Map<string, Advertisement>()
    private own: ShortestPaths
    /** Shortest paths from each neighbour, by its vertex. */
    private readonly fromNeighbour = new Map<number, ShortestPaths>()
    private readonly routes = new Map<number, Route>()
    private readonly stale = new Set<number>()
    private allStale = false

    constructor(
        readonly self: string,
        private readonly damping: RouteDamping = routeDampingDefaults,
    ) {
        this.graph = new Graph(0)
        this.vertex(self)
        this.own = new ShortestPaths(this.graph, 0)
    }

    /** Takes in a changed advertisement; `undefined` when it was dropped. Returns the routes that moved. */
    update(origin: string, advertisement: Advertisement | undefined): RouteChange[] {
        const before = this.advertisements.get(origin)
        if (advertisement) this.advertisements.set(origin, advertisement)
        else this.advertisements.delete(origin)
        const touched = new Set<string>()
        for (const link of before?.links ?? []) touched.add(link.to)
        for (const link of advertisement?.links ?? []) touched.add(link.to)
        for (const other of touched) this.weigh(origin, other)
        return this.settle()
    }

    route(destination: string): Route | undefined {
        const v = this.vertexOf.get(destination)
        return v === undefined ? undefined : this.routes.get(v)
    }

    all(): Route[] {
        return [...this.routes.values()].sort((a, b) => (a.destination < b.destination ? -1 : 1))
    }

    /** Shortest delay from a neighbour or from this server itself to a destination, 0.01 ms; Infinity when there is none. */
    delayFrom(from: string, destination: string): number {
        const v = this.vertexOf.get(destination)
        const root = this.vertexOf.get(from)
        if (v === undefined || root === undefined) return Number.POSITIVE_INFINITY
        const paths = root === 0 ? this.own : this.fromNeighbour.get(root)
        return finite(paths?.distance[v] ?? unreachable)
    }

    /** Cost of the link to a neighbour as both ends list it, 0.01 ms; Infinity when it does not count. */
    linkDelay(neighbour: string): number {
        const v = this.vertexOf.get(neighbour)
        const e = v === undefined ? none : this.graph.edge(0, v)
        return finite(e === none ? unreachable : this.graph.cost[e])
    }

    /** Identifiers of all servers that can be reached, this one included. */
    reachable(): string[] {
        return this.idOf.filter((_, v) => this.own.distance[v] !== unreachable)
    }

    /** The servers on the shortest-delay path to a destination, both ends included; empty when there is none. */
    path(destination: string): string[] {
        const v = this.vertexOf.get(destination)
        if (v === undefined || this.own.distance[v] === unreachable) return []
        const path: string[] = []
        for (let step = v; step !== none; step = this.own.parent[step]) path.unshift(this.idOf[step])
        return path
    }

    /** Brings both directions of the link between two servers in step with what their advertisements say. */
    private weigh(a: string, b: string): void {
        const there = this.advertisements.get(a)?.links.find(link => link.to === b)
        const back = this.advertisements.get(b)?.links.find(link => link.to === a)
        // A link counts only if both ends list it: one of them knows first when it is gone.
        const counts = there !== undefined && back !== undefined
        if (!counts && !(this.vertexOf.has(a) && this.vertexOf.has(b))) return
        const va = this.vertex(a)
        const vb = this.vertex(b)
        let e = this.graph.edge(va, vb)
        if (e === none) {
            if (!counts) return
            e = this.graph.addLink(va, vb, unreachable, unreachable)
        }
        this.setCost(va, e, counts ? Math.min(there.delay, maximumCost) : unreachable)
        this.setCost(vb, this.graph.twin[e], counts ? Math.min(back.delay, maximumCost) : unreachable)
        if (va === 0) this.watchNeighbour(vb, counts)
        if (vb === 0) this.watchNeighbour(va, counts)
    }

    private setCost(from: number, e: number, cost: number): void {
        const old = this.graph.cost[e]
        if (old === cost) return
        this.graph.cost[e] = cost
        this.note(this.own, this.own.costChanged(from, e, old))
        for (const paths of this.fromNeighbour.values()) this.note(paths, paths.costChanged(from, e, old))
        // The cost of an own link enters each route through it, whether or not a shortest path moved.
        if (from === 0) this.allStale = true
    }

    private note(paths: ShortestPaths, changed: boolean): void {
        if (!changed) return
        for (let i = 0; i < paths.movedCount; i++) this.stale.add(paths.moved[i])
        if (paths.movedCount === paths.moved.length) this.allStale = true
    }

    private watchNeighbour(v: number, isNeighbour: boolean): void {
        if (isNeighbour === this.fromNeighbour.has(v)) return
        if (isNeighbour) this.fromNeighbour.set(v, new ShortestPaths(this.graph, v))
        else this.fromNeighbour.delete(v)
        this.allStale = true
    }

    private vertex(id: string): number {
        const known = this.vertexOf.get(id)
        if (known !== undefined) return known
        const room = this.graph.room
        const v = this.graph.addVertex()
        this.vertexOf.set(id, v)
        this.idOf[v] = id
        // The arrays of the shortest paths have the size of the graph's: when that grew they are made anew.
        if (this.graph.room !== room && this.own) {
            this.own = new ShortestPaths(this.graph, 0)
            for (const root of this.fromNeighbour.keys())
                this.fromNeighbour.set(root, new ShortestPaths(this.graph, root))
            this.allStale = true
        }
        return v
    }

    /** Decides the routes to all destinations that a change may have touched. */
    private settle(): RouteChange[] {
        const changes: RouteChange[] = []
        const decide = (v: number) => {
            if (v === 0) return
            const before = this.routes.get(v)
            const after = this.decide(v, before)
            if (after) this.routes.set(v, after)
            else this.routes.delete(v)
            if (before?.nextHop !== after?.nextHop) changes.push({ destination: this.idOf[v], before, after })
        }
        if (this.allStale) for (let v = 1; v < this.graph.vertices; v++) decide(v)
        else for (const v of this.stale) decide(v)
        this.stale.clear()
        this.allStale = false
        // Links are added seldom, and every search has to reach over the slots without one. A quarter is let pass, since
        // compacting at each addition would make a full load quadratic.
        if (this.graph.freeSlots > this.graph.edges / 4) this.graph.compact()
        return changes
    }

    private decide(v: number, before: Route | undefined): Route | undefined {
        const shortest = this.own.distance[v]
        if (shortest === unreachable) return undefined
        let best = none
        let bestDelay = unreachable
        let kept = none
        let keptDelay = unreachable
        const keptVertex = before ? (this.vertexOf.get(before.nextHop) ?? none) : none
        for (const [neighbour, paths] of this.fromNeighbour) {
            const e = this.graph.edge(0, neighbour)
            const delay = this.graph.cost[e] + paths.distance[v]
            if (delay < bestDelay || (delay === bestDelay && this.idOf[neighbour] < this.idOf[best])) {
                best = neighbour
                bestDelay = delay
            }
            if (neighbour === keptVertex && paths.distance[v] < shortest) {
                kept = neighbour
                keptDelay = delay
            }
        }
        if (best === none) return undefined
        const gain = keptDelay - bestDelay
        const move = kept === none || (gain > keptDelay * this.damping.gainShare && gain > this.damping.gainFloor)
        const next = move ? best : kept
        let alternate: string | undefined
        let alternateDelay = unreachable
        for (const [neighbour, paths] of this.fromNeighbour) {
            if (neighbour === next || paths.distance[v] >= shortest) continue
            const delay = this.graph.cost[this.graph.edge(0, neighbour)] + paths.distance[v]
            if (delay < alternateDelay) {
                alternate = this.idOf[neighbour]
                alternateDelay = delay
            }
        }
        const paths = this.fromNeighbour.get(next)
        return {
            destination: this.idOf[v],
            nextHop: this.idOf[next],
            delay: move ? bestDelay : keptDelay,
            hops: 1 + (paths ? hopsTo(paths, v) : 0),
            alternate,
        }
    }
}

/** As the outside sees it: what cannot be reached is infinitely far. */
function finite(cost: number): number {
    return cost >= unreachable ? Number.POSITIVE_INFINITY : cost
}

function hopsTo(paths: ShortestPaths, v: number): number {
    let hops = 0
    for (let step = paths.parent[v]; step !== none; step = paths.parent[step]) hops++
    return hops
}
