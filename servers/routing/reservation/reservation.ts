/**
 * The reservation of bandwidth and DSP units at one routing server, for all sessions that it has a part in [claims 14-22].
 *
 * A pure state machine: `step(event, nowMs)` returns effects. Binds source and node; time, randomness (a seed) and the view
 * of the network come in. Relies on the links' control channel being ordered and reliable (TLS) for speed, not for truth: what
 * is lost is made good by leases and new epochs. [routing-spec 4]
 */

import type { ReservationMessage } from "../../../protocol/reservation.ts"
import { type Attempt, viewOf } from "./attempt.ts"
import { Context } from "./context.ts"
import type { Ledger } from "./ledger.ts"
import {
    type AttemptView,
    type NetworkView,
    type ReservationEffect,
    type ReservationEvent,
    type ReservationLimits,
    reservationDefaults,
} from "./model.ts"
import { Node } from "./node.ts"
import { Source } from "./source.ts"

export class Reservation {
    readonly limits: ReservationLimits
    private readonly context: Context
    private readonly source: Source
    private readonly node: Node

    /** `seed`: 32 random bits. */
    constructor(self: string, view: NetworkView, seed: number, limits: Partial<ReservationLimits> = {}) {
        this.limits = { ...reservationDefaults, ...limits }
        this.context = new Context(self, view, this.limits, seed)
        this.source = new Source(this.context)
        this.node = new Node(this.context, this.source)
        this.source.node = this.node
    }

    /** What is held here. Who counts those in that are in a session (`holdPresent`) does so here; all else only reads. */
    get ledger(): Ledger {
        return this.context.ledger
    }

    step(event: ReservationEvent, nowMs: number): ReservationEffect[] {
        const { context } = this
        context.nowMs = nowMs
        context.out = []
        switch (event.type) {
            case "wish":
                this.source.wish(event.wish)
                break
            case "drop":
                this.source.drop(event.sid)
                break
            case "message":
                this.onMessage(event.from, event.message)
                break
            case "linkDown":
                this.node.onLinkDown(event.peer)
                break
            case "topology":
                this.source.topologyChanged()
                break
            case "tick":
                this.onTick()
                break
        }
        this.source.startWaiting()
        return context.out
    }

    /** When `step` with a tick has something to do next, or a little earlier. */
    nextTickMs(): number {
        return Math.min(this.context.due.nextMs(), this.source.nextMs())
    }

    /** Every attempt that this server has a part in, or those of one session. */
    attempts(sid?: string): AttemptView[] {
        const { attempts } = this.context
        const sessions = sid === undefined ? attempts.values() : [attempts.get(sid) ?? new Map<number, Attempt>()]
        const views: AttemptView[] = []
        for (const epochs of sessions) for (const attempt of epochs.values()) views.push(viewOf(attempt))
        return views
    }

    /** The parent in one attempt, undefined when there is none. For checkers that look after each event. */
    upstreamOf(sid: string, ep: number): string | undefined {
        return this.context.attempt(sid, ep)?.selected?.from
    }

    private onTick() {
        const { context } = this
        for (let attempt = context.due.take(context.nowMs); attempt; attempt = context.due.take(context.nowMs))
            this.node.onDue(attempt)
        this.source.tick()
        context.forgetTombstones()
    }

    private onMessage(from: string, message: ReservationMessage) {
        const { node } = this
        switch (message.t) {
            case "req":
                return node.onReq(from, message)
            case "resv":
                return node.onResv(from, message)
            case "rerr":
                return node.onRerr(from, message)
            case "prune":
                return node.onPrune(from, message.sid, message.ep)
            case "tear":
                return node.onTear(from, message.sid, message.ep)
            case "patherr":
                return node.onPathErr(from, message)
            case "conf":
            case "refresh":
                return node.onConf(from, message)
            case "rack":
                return node.onRack(from, message.sid, message.ep)
            case "alive":
                return node.onAlive(from, message)
        }
    }
}
