/**
 * Binds the reservation to the links, the topology and the clock of a running routing server.
 *
 * Owns frames, validation and the one timer. Never decides. All that one event causes for a neighbour leaves in one frame, before
 * anything else that it causes: what a neighbour is told of a tree comes after the tree.
 */

import {
    type ReservationMessage,
    type Reserve,
    reservationLimits,
    reservationShapes,
    reserveShape,
} from "../../protocol/reservation.ts"
import { problemWith } from "../../protocol/shape.ts"
import type { LinkSet } from "./link/link-set.ts"
import type { Ledger } from "./reservation/ledger.ts"
import {
    type AttemptView,
    type LedgerView,
    maxDelayFor,
    type ReservationEffect,
    type ReservationEvent,
    type Shortage,
} from "./reservation/model.ts"
import { Reservation } from "./reservation/reservation.ts"
import { findTree, type ServerTree } from "./reservation/server-tree.ts"
import { noPath, noWay } from "./reservation/shortages.ts"
import { TopologyView } from "./reservation/view.ts"
import type { Topology } from "./topology/topology.ts"

export interface ReserverParts {
    id: string
    dspUnits: number
    dspUnitsPerLink: number
    randomSeed: number
    links: LinkSet
    topology: Topology
    capacityKbps: (peer: string) => number
    /** What is to be done beside sending. */
    perform: (effect: Exclude<ReservationEffect, { type: "send" }>) => void
    log: (level: "info" | "warn", what: string, details: object) => void
}

/** A frame holds less than its limit: messages have no fixed size, and this is a generous guess of it. */
const frameBytes = 40_000

export class Reserver {
    readonly counters = { sent: 0, received: 0, frames: 0, malformed: 0 }
    readonly #parts: ReserverParts
    readonly #view: TopologyView
    readonly #core: Reservation
    readonly #queue: ReservationEvent[][] = []
    #applying = false
    #timer: NodeJS.Timeout | undefined
    #alarmMs = Number.POSITIVE_INFINITY
    #closed = false

    constructor(parts: ReserverParts) {
        this.#parts = parts
        const { id, links, topology, capacityKbps, dspUnits, dspUnitsPerLink } = parts
        this.#view = new TopologyView({
            self: id,
            table: topology.table,
            neighbours: () => links.up(),
            isUp: peer => links.isUp(peer),
            capacityKbps,
            database: () => topology.advertisements(),
        })
        this.#core = new Reservation(id, this.#view, parts.randomSeed, { dspUnits, dspUnitsPerLink })
        topology.on("changed", () => {
            this.#view.changed()
            this.step({ type: "topology" })
        })
        links.on("linkDown", peer => this.step({ type: "linkDown", peer }))
    }

    get ledger(): Ledger {
        return this.#core.ledger
    }

    /** All, or those of one session. */
    attempts(sid?: string): AttemptView[] {
        return this.#core.attempts(sid)
    }

    /** What is held, also of neighbours towards which nothing is. */
    holdings(): LedgerView {
        return this.ledger.view(this.#parts.links.up())
    }

    step(event: ReservationEvent): void {
        this.#take([event])
    }

    /** What is wrong with it, or "". What is right of it counts. */
    onControl(from: string, message: Record<string, unknown>): string {
        const problem = problemWith(reserveShape, message)
        if (problem) {
            this.counters.malformed++
            return problem
        }
        const events: ReservationEvent[] = []
        let wrong = ""
        for (const item of (message as unknown as Reserve).list) {
            const kind = String(item.t)
            const shape = Object.hasOwn(reservationShapes, kind) ? reservationShapes[item.t] : undefined
            const itemProblem = shape ? problemWith(shape, item, kind) : `unknown kind "${kind}"`
            if (itemProblem) {
                this.counters.malformed++
                wrong ||= itemProblem
            } else events.push({ type: "message", from, message: item })
        }
        this.counters.received += events.length
        if (events.length > 0) this.#take(events)
        return wrong
    }

    /** Whether a tree to these servers could be reserved now, as far as is known here; nothing is held. */
    dryRun(destinations: readonly string[], kbps: number): { tree: ServerTree; short: Shortage[] } {
        const { id } = this.#parts
        const { limits } = this.#core
        const lost = (rs: string) => !Number.isFinite(this.#view.delay(id, rs))
        const reachable = destinations.filter(rs => !lost(rs))
        const wanted = reachable.map(rs => ({ id: rs, maxDelay: maxDelayFor(this.#view.delay(id, rs), limits) }))
        const { tree, missing } = findTree(this.#view.graph(), { source: id, destinations: wanted, kbps })
        const short = [
            ...destinations.filter(lost).map(rs => noPath(rs, id)),
            ...missing.map(rs => noWay(rs, kbps, rs)),
        ]
        return { tree, short }
    }

    close(): void {
        this.#closed = true
        clearTimeout(this.#timer)
    }

    // ---- events, one after the other ------------------------------------------------------------------------------------------

    #take(events: ReservationEvent[]): void {
        if (this.#closed) return
        this.#queue.push(events)
        if (this.#applying) return
        this.#applying = true
        for (let next = this.#queue.shift(); next; next = this.#queue.shift()) this.#apply(next)
        this.#applying = false
        this.#setAlarm()
    }

    #apply(events: ReservationEvent[]): void {
        const outgoing = new Map<string, ReservationMessage[]>()
        const rest: Exclude<ReservationEffect, { type: "send" }>[] = []
        for (const event of events) {
            try {
                for (const effect of this.#core.step(event, performance.now())) {
                    if (effect.type !== "send") {
                        rest.push(effect)
                        continue
                    }
                    const messages = outgoing.get(effect.to)
                    if (messages) messages.push(effect.message)
                    else outgoing.set(effect.to, [effect.message])
                }
            } catch (error) {
                // A broken invariant of ours; the other sessions go on.
                this.#parts.log("warn", "reservation event failed", { event: event.type, err: error })
            }
        }
        for (const [peer, messages] of outgoing) this.#send(peer, messages)
        for (const effect of rest) this.#parts.perform(effect)
    }

    #send(peer: string, messages: ReservationMessage[]): void {
        let list: ReservationMessage[] = []
        let bytes = 0
        const flush = () => {
            if (list.length === 0) return
            this.counters.frames++
            this.counters.sent += list.length
            // A link that has just gone down says so by an event of its own.
            this.#parts.links.sendControl(peer, { k: "reserve", list } satisfies Reserve)
            list = []
            bytes = 0
        }
        for (const message of messages) {
            const size = sizeOf(message)
            if (list.length >= reservationLimits.messagesPerFrame || bytes + size > frameBytes) flush()
            list.push(message)
            bytes += size
        }
        flush()
    }

    /** One pending timer: the earliest that the core asks for. */
    #setAlarm(): void {
        if (this.#closed) return
        const nextMs = this.#core.nextTickMs()
        if (nextMs >= this.#alarmMs) return
        clearTimeout(this.#timer)
        this.#alarmMs = nextMs
        this.#timer = setTimeout(
            () => {
                this.#alarmMs = Number.POSITIVE_INFINITY
                this.step({ type: "tick" })
            },
            Math.max(0, nextMs - performance.now()),
        )
    }
}

/** Bytes that a message takes at the most, roughly. */
function sizeOf(message: ReservationMessage): number {
    if (message.t === "req") return 250 + 70 * message.dests.length + 70 * (message.tree?.length ?? 0)
    if (message.t === "resv") return 150 + 60 * message.dests.length
    if (message.t === "alive") return 150 + 26 * message.via.length
    return 200
}
