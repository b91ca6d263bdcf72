/**
 * The topology as one routing server sees it: binds the choice of neighbours, the link-state database and the routing table
 * to links, measurements and the clock. [claims 3, 7-13, routing-spec 2, 3]
 *
 * Owns the order of events and the timers. Never decides: the cores do. Never opens a socket.
 */

import { EventEmitter } from "node:events"
import {
    type Ask,
    type AskAnswer,
    type AskControl,
    askShapes,
    type LinkStateControl,
    linkLimits,
    linkStateShapes,
} from "../../../protocol/link.ts"
import type { NeighbourPolicy, Peer } from "../../../protocol/servers.ts"
import { problemWith } from "../../../protocol/shape.ts"
import type { LinkSet } from "../link/link-set.ts"
import type { PathMeter } from "../measure/path-meter.ts"
import { NeighbourChoice } from "../neighbours/choice.ts"
import {
    type ChoiceEffect,
    type ChoiceEvent,
    type ChoiceLimits,
    choiceDefaults,
    type Distances,
} from "../neighbours/model.ts"
import type { Advertisement } from "../route/advertisement.ts"
import { explainRoute, type RouteExplanation } from "../route/explain.ts"
import { LinkState, type LinkStateEffect, type LinkStateLimits, linkStateDefaults } from "../route/link-state.ts"
import { type Route, type RouteChange, RoutingTable } from "../route/routing-table.ts"
import { inFrames } from "./batches.ts"
import { limitsOf, membersOf } from "./members.ts"
import { ownLinks } from "./own-links.ts"
import { type NeighbourTrace, tracesOf } from "./trace.ts"

export interface TopologyOptions {
    id: string
    ip: string
    boot: number
    links: LinkSet
    meter: PathMeter
    /** What reservations hold towards a neighbour. */
    heldKbps: (rs: string) => number
    log: (level: "info" | "warn", what: string, details: object) => void
    /** Differences from the defaults; the policy's limits come over them. */
    choice?: Partial<ChoiceLimits>
    linkState?: Partial<LinkStateLimits>
}

interface TopologyEvents {
    /** The link-state database has changed; the routing table has followed. */
    changed: []
    routes: [changes: RouteChange[]]
    runEnded: [accepted: string[]]
}

const measureMs = 200
/** A chosen neighbour whose link has not come up after this time is none. */
const linkWithinMs = 5000
/** A neighbour that was lost is looked for again and again, first soon, then less often. */
const lookAgainMs = { first: 1000, most: 60_000 }
const askGraceMs = 1000

export class Topology extends EventEmitter<TopologyEvents> {
    readonly counters = {
        routeChanges: 0,
        runs: 0,
        asksSent: 0,
        asksAnswered: 0,
        neighboursLost: 0,
        advertisements: 0,
        malformed: 0,
    }
    readonly #options: TopologyOptions
    readonly #limits: ChoiceLimits
    readonly #choice: NeighbourChoice
    readonly #state: LinkState
    /** [claim 8] For reading. */
    readonly table: RoutingTable
    readonly #retired = new Set<string>()
    /** Asks under way, with the time at which their link is let go. */
    readonly #asks = new Map<string, { distances: Distances; untilMs: number }>()
    readonly #lost = new Map<string, { attempt: number; atMs: number }>()
    readonly #unlinkedSinceMs = new Map<string, number>()
    readonly #queue: (() => void)[] = []
    #peers: readonly Peer[] = []
    #policy: NeighbourPolicy | undefined
    #applying = false
    #closed = false
    #measureTimer: NodeJS.Timeout | undefined
    #alarmTimer: NodeJS.Timeout | undefined
    #alarmMs = Number.POSITIVE_INFINITY

    constructor(options: TopologyOptions) {
        super()
        this.#options = options
        const { id, boot, links } = options
        this.#limits = { ...choiceDefaults, ...options.choice }
        this.#choice = new NeighbourChoice(id, this.#limits)
        this.#state = new LinkState(id, boot, { ...linkStateDefaults, ...options.linkState })
        this.table = new RoutingTable(id)
        links.on("linkUp", peer => this.#do(() => this.#onLinkUp(peer)))
        links.on("linkDown", peer => this.#do(() => this.#onLinkDown(peer)))
        links.on("opened", peer => this.#do(() => this.#sendAsk(peer)))
        // One that was never up as a neighbour's is gone too.
        links.on("closed", peer => this.#do(() => this.#choose({ type: "linkDown", peer })))
    }

    start(): void {
        this.#measureTimer = setInterval(() => this.#do(() => this.#onMeasureTimer()), measureMs)
        this.#do(() => this.#measure())
    }

    close(): void {
        this.#closed = true
        clearInterval(this.#measureTimer)
        clearTimeout(this.#alarmTimer)
    }

    // ---- from the group server ------------------------------------------------------------------------------------------

    /** All other routing servers, whole [claims 7, 10]. */
    setPeers(peers: readonly Peer[]): void {
        this.#do(() => {
            this.#peers = peers
            this.#options.links.setListed(peers)
            this.#tellMembers()
            for (const id of this.#lost.keys()) if (!this.#peer(id)) this.#lost.delete(id)
        })
    }

    /** [claim 9] Until the first one no dynamic neighbours are chosen. */
    setPolicy(policy: NeighbourPolicy): void {
        this.#do(() => {
            this.#policy = policy
            Object.assign(this.#limits, limitsOf(policy))
            this.#choose({ type: "policy", policy: { deny: policy.deny.map(([a, b]) => [a, b]) } })
            this.#tellMembers()
        })
    }

    // ---- from other routing servers -----------------------------------------------------------------------------------------

    /** False when the message is not one of the topology; else what is wrong with it, or "". */
    onControl(from: string, message: Record<string, unknown>): string | false {
        const kind = String(message.k)
        if (Object.hasOwn(askShapes, kind)) {
            const problem = problemWith(askShapes[kind as AskControl["k"]], message)
            if (!problem) this.#do(() => this.#onAskControl(from, message as unknown as AskControl))
            return problem
        }
        if (Object.hasOwn(linkStateShapes, kind)) {
            const problem = problemWith(linkStateShapes[kind as LinkStateControl["k"]], message)
            const { k: type, list } = message as unknown as LinkStateControl
            if (!problem && this.#options.links.isUp(from))
                this.#do(() => this.#route(this.#state.step({ type, from, list }, performance.now())))
            return problem
        }
        return false
    }

    // ---- what is known ----------------------------------------------------------------------------------------------------

    neighbourTrace(): NeighbourTrace[] {
        return tracesOf(this.#choice.trace(), rs => this.#options.links.isUp(rs))
    }

    routes(): Route[] {
        return this.table.all()
    }

    route(to: string): Route | undefined {
        return this.table.route(to)
    }

    /** Shortest delay to another server, 0.01 ms; Infinity when there is no path. */
    delayTo(to: string): number {
        return this.table.delayFrom(this.#options.id, to)
    }

    explainRoute(to: string): RouteExplanation {
        const { id, links } = this.#options
        const neighbours = this.#choice.neighbours().map(({ id: rs, kind }) => ({
            id: rs,
            kind,
            isUp: links.isUp(rs),
            isRetiring: this.#retired.has(rs),
        }))
        return explainRoute({
            self: id,
            to,
            advertisements: this.advertisements(),
            route: this.table.route(to),
            neighbours,
        })
    }

    /** The link-state database by origin. */
    advertisements(): Map<string, Advertisement> {
        return new Map([...this.#state.database].map(([origin, each]) => [origin, each.advertisement]))
    }

    /** Servers whose advertisements are known, this one included. */
    get databaseSize(): number {
        return this.#state.database.size
    }

    /** `origin boot.seq` of each advertisement: equal databases give equal lists. */
    databaseKeys(): string[] {
        return [...this.#state.database.values()]
            .map(({ advertisement: { origin, bootId, seq } }) => `${origin} ${bootId}.${seq}`)
            .sort()
    }

    // ---- events, one after the other ------------------------------------------------------------------------------------------

    #do(work: () => void): void {
        if (this.#closed) return
        this.#queue.push(work)
        if (this.#applying) return
        this.#applying = true
        for (let next = this.#queue.shift(); next && !this.#closed; next = this.#queue.shift()) {
            try {
                next()
            } catch (error) {
                // A broken invariant of ours; links and sessions go on.
                this.#options.log("warn", "topology event failed", { err: error })
            }
        }
        this.#applying = false
        this.#setAlarm()
    }

    #peer(id: string): Peer | undefined {
        return this.#peers.find(peer => peer.rs === id)
    }

    #tellMembers(): void {
        const list = membersOf(this.#options, this.#policy, this.#peers)
        this.#choose({ type: "members", list })
        const ids = [this.#options.id, ...this.#peers.map(peer => peer.rs)]
        this.#route(this.#state.step({ type: "members", ids }, performance.now()))
    }

    #onLinkUp(peer: string): void {
        this.#lost.delete(peer)
        this.#unlinkedSinceMs.delete(peer)
        this.#route(this.#state.step({ type: "neighbourUp", peer }, performance.now()))
        this.#measure()
        this.#choose({ type: "linkUp", peer })
    }

    /** The alternates are in use before anybody else is told. */
    #onLinkDown(peer: string): void {
        this.#route(this.#state.step({ type: "neighbourDown", peer }, performance.now()))
        this.#measure()
        if (this.#choice.neighbours().some(neighbour => neighbour.id === peer)) {
            this.counters.neighboursLost++
            this.#lookAgain(peer, 0)
        }
        this.#choose({ type: "linkDown", peer })
    }

    #onAskControl(from: string, message: AskControl) {
        switch (message.k) {
            case "ask":
                this.counters.asksAnswered++
                return this.#choose({ type: "asked", by: from, distances: received(message.distances) })
            case "answer": {
                const { reason } = message
                const [accepted, distances] = [message.accepted === 1, received(message.distances)]
                this.#choose({ type: "answered", by: from, accepted, reason, distances })
                this.#asks.delete(from)
                this.#options.links.letGo(from)
                return
            }
            case "release":
                return this.#choose({ type: "released", by: from })
            case "distances":
                return this.#choose({ type: "distances", from, distances: received(message.distances) })
        }
    }

    #onMeasureTimer(): void {
        const nowMs = performance.now()
        this.#measure()
        const { links } = this.#options
        for (const [id, ask] of this.#asks)
            if (nowMs >= ask.untilMs) {
                this.#asks.delete(id)
                links.letGo(id)
            }
        for (const { id, kind } of this.#choice.neighbours()) {
            if (kind === "static" || links.isUp(id)) {
                this.#unlinkedSinceMs.delete(id)
                continue
            }
            const sinceMs = this.#unlinkedSinceMs.get(id) ?? nowMs
            this.#unlinkedSinceMs.set(id, sinceMs)
            if (nowMs - sinceMs > linkWithinMs) this.#choose({ type: "linkDown", peer: id })
        }
        for (const [id, { attempt, atMs }] of this.#lost) if (nowMs >= atMs) this.#lookFor(id, attempt)
    }

    // ---- the choice of neighbours -----------------------------------------------------------------------------------------

    #choose(event: ChoiceEvent): void {
        const effects = this.#choice.step(event, performance.now())
        // Whoever is told that a link is a neighbour's, or is none any more, must know why first.
        const first = (effect: ChoiceEffect) => effect.type === "answer" || effect.type === "drop"
        for (const effect of effects.filter(first)) this.#perform(effect)
        for (const effect of effects) if (!first(effect)) this.#perform(effect)
    }

    #perform(effect: ChoiceEffect) {
        const { links } = this.#options
        switch (effect.type) {
            case "probe":
                this.#measurePath(effect.id, () => {})
                return
            case "ask":
                this.counters.asksSent++
                this.#asks.set(effect.id, {
                    distances: effect.distances,
                    untilMs: performance.now() + this.#limits.askTimeoutMs + askGraceMs,
                })
                links.open(effect.id)
                this.#sendAsk(effect.id)
                return
            case "answer": {
                const { to, accepted, reason, distances } = effect
                const answer: AskAnswer = {
                    ...{ k: "answer", accepted: accepted ? 1 : 0, reason },
                    distances: told(distances),
                }
                links.sendAside(to, answer)
                return
            }
            case "retire":
                this.#retired.add(effect.id)
                return this.#measure()
            case "drop":
                this.#retired.delete(effect.id)
                links.sendAside(effect.id, { k: "release" })
                return
            case "neighbours": {
                const neighbours = this.#choice.neighbours()
                for (const id of this.#retired) if (!neighbours.some(each => each.id === id)) this.#retired.delete(id)
                return links.setNeighbours(neighbours.map(({ id, kind }) => ({ rs: id, kept: kind === "static" })))
            }
            case "runEnded": {
                this.counters.runs++
                const distances = told(this.#choice.distances())
                for (const { id } of this.#choice.neighbours()) links.sendControl(id, { k: "distances", distances })
                this.emit("runEnded", effect.accepted)
                return
            }
        }
    }

    #sendAsk(id: string): void {
        const ask = this.#asks.get(id)
        if (!ask || !this.#options.links.isOpen(id)) return
        this.#options.links.sendAside(id, { k: "ask", distances: told(ask.distances) } satisfies Ask)
    }

    #measurePath(id: string, then: (answered: boolean) => void): void {
        const peer = this.#peer(id)
        if (peer?.mediaPort === undefined) {
            this.#queue.push(() => this.#choose({ type: "measured", id }))
            return
        }
        const target = { id, ip: peer.ip, mediaPort: peer.mediaPort }
        this.#options.meter.measure(target).then(
            report =>
                this.#do(() => {
                    this.#choose({ type: "measured", id, ...report })
                    then(report.path !== undefined)
                }),
            error => {
                this.#options.log("warn", "measurement failed", { peer: id, err: error })
                this.#do(() => this.#choose({ type: "measured", id }))
            },
        )
    }

    #lookAgain(id: string, attempt: number): void {
        const waitMs = Math.min(lookAgainMs.most, lookAgainMs.first * 2 ** Math.min(attempt, 10))
        this.#lost.set(id, { attempt, atMs: performance.now() + waitMs })
    }

    /** A lost neighbour that answers again is worth a new run; the next one by itself is minutes away. */
    #lookFor(id: string, attempt: number): void {
        this.#lost.set(id, { attempt, atMs: Number.POSITIVE_INFINITY })
        this.#measurePath(id, answered => {
            if (!this.#lost.has(id)) return
            // It may answer and be refused for good reasons, or decline: it is looked for less and less often.
            if (attempt < 8) this.#lookAgain(id, attempt + 1)
            else this.#lost.delete(id)
            if (answered) this.#choose({ type: "start" })
        })
    }

    // ---- link state and routes ----------------------------------------------------------------------------------------------

    #measure(): void {
        const { links, meter, heldKbps } = this.#options
        const own = ownLinks(links.snapshot(), this.#retired, {
            capacityKbps: rs => meter.capacityKbps(rs),
            hops: rs => meter.hops(rs),
            heldKbps,
        })
        this.#route(this.#state.step({ type: "measured", links: own }, performance.now()))
    }

    #route(effects: readonly LinkStateEffect[]): void {
        const changes: RouteChange[] = []
        let changed = false
        for (const effect of effects) {
            switch (effect.type) {
                case "changed":
                    this.counters.advertisements++
                    changes.push(...this.table.update(effect.origin, effect.advertisement))
                    changed = true
                    break
                case "send":
                    for (const frame of inFrames(effect.message)) this.#options.links.sendControl(effect.to, frame)
                    break
                case "malformed":
                    this.counters.malformed++
                    this.#options.log("warn", "link state malformed", { peer: effect.from, reason: effect.problem })
            }
        }
        if (!changed) return
        this.counters.routeChanges += changes.length
        if (changes.length > 0) this.emit("routes", changes)
        this.emit("changed")
        this.#choose({ type: "reachable", ids: this.table.reachable() })
    }

    /** One pending timer: the earliest that any core asks for. */
    #setAlarm(): void {
        if (this.#closed) return
        const nextMs = Math.min(this.#state.nextTickMs(), this.#choice.nextTickMs())
        if (nextMs === this.#alarmMs) return
        clearTimeout(this.#alarmTimer)
        this.#alarmMs = nextMs
        if (!Number.isFinite(nextMs)) return
        const waitMs = Math.max(1, nextMs - performance.now())
        this.#alarmTimer = setTimeout(() => {
            this.#alarmMs = Number.POSITIVE_INFINITY
            this.#do(() => {
                this.#route(this.#state.step({ type: "tick" }, performance.now()))
                this.#choose({ type: "tick" })
            })
        }, waitMs)
    }
}

/** Round trips as they cross the wire: 0.01 ms, the shortest ones. */
function told(distances: Distances): Ask["distances"] {
    return [...distances]
        .sort(([, a], [, b]) => a - b)
        .slice(0, linkLimits.distances)
        .map(([rs, rttMs]) => ({ rs, rtt: Math.min(4294967295, Math.max(0, Math.round(rttMs * 100))) }))
}

function received(distances: Ask["distances"]): Distances {
    return distances.map(({ rs, rtt }) => [rs, rtt / 100] as const)
}
