/**
 * Why a route is what it is [claims 3, 8]: the way it takes with the delay of each link, the alternate, and of each neighbour
 * that was not chosen why not, in words.
 *
 * Pure: computed anew from the advertisements, so that it also is a second opinion on the routing table. Never decides.
 */

import type { Advertisement } from "./advertisement.ts"
import { Graph, maximumCost, unreachable } from "./graph.ts"
import { type Route, type RouteDamping, routeDampingDefaults } from "./routing-table.ts"
import { ShortestPaths } from "./shortest-paths.ts"

export interface ExplainedNeighbour {
    id: string
    kind: string
    isUp: boolean
    /** Its link is about to be dropped. */
    isRetiring: boolean
}

export interface RouteQuestion {
    self: string
    to: string
    advertisements: ReadonlyMap<string, Advertisement>
    /** What the routing table has. */
    route: Route | undefined
    neighbours: readonly ExplainedNeighbour[]
    damping?: RouteDamping
}

export interface ExplainedHop {
    from: string
    to: string
    /** One way. */
    delayMs: number
    jitterMs: number
    lossPercent: number
}

export type NotChosenReason =
    | "down"
    | "not-counted"
    | "no-path"
    | "retiring"
    | "slower"
    | "as-fast"
    /** Slower, and its own way leads back here or is no shorter than ours: no alternate either. */
    | "not-loop-free"
    | "damping"

export interface NotChosen {
    neighbour: string
    reason: NotChosenReason
    /** Delay to the destination by way of it, one way; absent when there is none. */
    delayMs?: number
    isAlternate: boolean
    text: string
}

export interface RouteExplanation {
    from: string
    to: string
    reached: boolean
    delayMs?: number
    nextHop?: string
    alternate?: string
    hops: ExplainedHop[]
    notChosen: NotChosen[]
    /** Why the next hop is what it is, in one line. */
    text: string
}

const ms = (cost: number) => Math.round(cost) / 100

export function explainRoute(question: RouteQuestion): RouteExplanation {
    const { self, to, route } = question
    const map = new DelayMap(question.advertisements, [self, to])
    const fromSelf = map.from(self)
    const shortest = fromSelf.delay(to)
    const views = question.neighbours.map(neighbour => viewOf(question, map, neighbour, shortest))
    if (self === to)
        return { from: self, to, reached: true, delayMs: 0, hops: [], notChosen: [], text: "it is this server itself" }
    if (!route) {
        const known = question.advertisements.has(to)
        const text = known
            ? `no path: ${to} is known, but no chain of links that both ends list leads to it`
            : `no path: nothing was heard of ${to}`
        return { from: self, to, reached: false, hops: [], notChosen: views.map(view => notChosen(view, to)), text }
    }
    const chosen = views.find(view => view.id === route.nextHop)
    const ids = [self, ...map.from(route.nextHop).path(to)]
    const hops = ids.slice(1).map((id, i) => map.hop(ids[i], id))
    return {
        from: self,
        to,
        reached: true,
        delayMs: ms(route.delay),
        nextHop: route.nextHop,
        ...(route.alternate === undefined ? {} : { alternate: route.alternate }),
        hops,
        notChosen: views
            .filter(view => view !== chosen)
            .map(view => notChosen(view, to, route, question.damping ?? routeDampingDefaults)),
        text: whyChosen(route, shortest),
    }
}

interface View extends ExplainedNeighbour {
    /** To the destination by way of it. */
    via: number
    /** From it to the destination. */
    rest: number
    /** Of the link to it. */
    link: number
    /** From this server, whatever the next hop. */
    shortest: number
}

function viewOf(question: RouteQuestion, map: DelayMap, neighbour: ExplainedNeighbour, shortest: number): View {
    const link = map.cost(question.self, neighbour.id)
    const rest = map.from(neighbour.id).delay(question.to)
    return { ...neighbour, link, rest, via: link + rest, shortest }
}

function whyChosen(route: Route, shortest: number): string {
    const where = route.nextHop === route.destination ? "directly" : `by way of ${route.nextHop}`
    const delay = `${ms(route.delay)} ms`
    return route.delay <= shortest
        ? `${where}: the shortest delay there is, ${delay}`
        : `${where}: ${delay}; there is a way of ${ms(shortest)} ms, not better by enough to move the route`
}

function notChosen(view: View, to: string, route?: Route, damping?: RouteDamping): NotChosen {
    const isAlternate = route?.alternate === view.id
    const told = (reason: NotChosenReason, text: string): NotChosen => ({
        neighbour: view.id,
        reason,
        ...(Number.isFinite(view.via) ? { delayMs: ms(view.via) } : {}),
        isAlternate,
        text,
    })
    if (!view.isUp) return told("down", "the link to it is down")
    if (!Number.isFinite(view.link)) return told("not-counted", "its link counts only once both ends have told of it")
    if (!Number.isFinite(view.rest)) return told("no-path", `it knows no way to ${to}`)
    if (view.isRetiring || view.link >= maximumCost)
        return told("retiring", "the link to it is being given up; nothing new is sent over it")
    const against = route ? `${ms(view.via)} ms by way of it, ${ms(route.delay)} ms as chosen` : `${ms(view.via)} ms`
    const spare = isAlternate ? "; it takes over at once when the next hop is lost" : ""
    if (route && damping && view.via < route.delay) {
        const need = `a route moves only for more than ${damping.gainShare * 100} % and ${ms(damping.gainFloor)} ms`
        return told("damping", `${against}: better, but ${need}${spare}`)
    }
    if (view.rest >= view.shortest)
        return told(
            "not-loop-free",
            `${against}; its own way takes ${ms(view.rest)} ms, which is not less than ours of ${ms(view.shortest)} ms, ` +
                "so that packets could come back: no alternate either",
        )
    if (route && view.via === route.delay) return told("as-fast", `${against}: no better${spare}`)
    return told("slower", `${against}: slower${spare}`)
}

/** The delays of all links that count, and the shortest paths over them. */
class DelayMap {
    readonly #graph = new Graph(0)
    readonly #vertexOf = new Map<string, number>()
    readonly #idOf: string[] = []
    readonly #paths = new Map<string, PathsFrom>()
    readonly #advertisements: ReadonlyMap<string, Advertisement>

    constructor(advertisements: ReadonlyMap<string, Advertisement>, ids: readonly string[]) {
        this.#advertisements = advertisements
        for (const id of [...ids, ...advertisements.keys()]) this.#vertex(id)
        for (const [origin, { links }] of advertisements)
            for (const { to } of links) {
                const [there, back] = [this.#link(origin, to), this.#link(to, origin)]
                // A link counts only if both ends list it; each is met twice.
                if (there && back && origin < to)
                    this.#graph.addLink(
                        this.#vertex(origin),
                        this.#vertex(to),
                        Math.min(there.delay, maximumCost),
                        Math.min(back.delay, maximumCost),
                    )
            }
    }

    /** Infinity when the link does not count. */
    cost(from: string, to: string): number {
        const there = this.#link(from, to)
        return there && this.#link(to, from) ? Math.min(there.delay, maximumCost) : Number.POSITIVE_INFINITY
    }

    hop(from: string, to: string): ExplainedHop {
        const link = this.#link(from, to)
        const { delay = 0, jitter = 0, loss = 0 } = link ?? {}
        return { from, to, delayMs: ms(delay), jitterMs: ms(jitter), lossPercent: loss / 100 }
    }

    from(id: string): PathsFrom {
        const known = this.#paths.get(id)
        if (known) return known
        const vertex = this.#vertexOf.get(id)
        const paths = vertex === undefined ? undefined : new ShortestPaths(this.#graph, vertex)
        const made: PathsFrom = {
            delay: to => {
                const cost = paths?.distance[this.#vertexOf.get(to) ?? -1] ?? unreachable
                return cost >= unreachable ? Number.POSITIVE_INFINITY : cost
            },
            path: to => {
                const ids: string[] = []
                const start = this.#vertexOf.get(to)
                if (!paths || start === undefined || paths.distance[start] >= unreachable) return ids
                for (let step = start; step >= 0; step = paths.parent[step]) ids.unshift(this.#idOf[step])
                return ids
            },
        }
        this.#paths.set(id, made)
        return made
    }

    #link(from: string, to: string) {
        return this.#advertisements.get(from)?.links.find(link => link.to === to)
    }

    #vertex(id: string): number {
        const known = this.#vertexOf.get(id)
        if (known !== undefined) return known
        const vertex = this.#graph.addVertex()
        this.#vertexOf.set(id, vertex)
        this.#idOf[vertex] = id
        return vertex
    }
}

interface PathsFrom {
    /** Infinity when there is no path. */
    delay(to: string): number
    /** Both ends included; empty when there is none. */
    path(to: string): string[]
}
