/**
 * A network without faults in virtual time: each server runs the real `Reservation`, a message takes the delay of its link.
 * One seed gives one run.
 *
 * Owns delivery, timers and what is advertised as free. Never decides anything, and never fails: that is the business of
 * sim/world.
 */

import type {
    BandwidthGraph,
    NetworkView,
    ReservationEffect,
    ReservationEvent,
    ReservationLimits,
} from "../../servers/routing/reservation/model.ts"
import { Reservation } from "../../servers/routing/reservation/reservation.ts"
import { Agenda } from "../../sim/world/agenda.ts"
import { Random } from "../../sim/world/random.ts"
import { leastDelays } from "../reference/plain-trees.ts"

/** Steps in which free bandwidth is advertised. */
const levels = 16

export interface ReserveNetworkOptions {
    graph: BandwidthGraph
    seed: number
    /** Of every link and direction; absent: what the graph has free. */
    linkKbps?: number
    limits?: Partial<ReservationLimits>
    /** How old what servers know of each other's free bandwidth may be. */
    advertiseMs?: number
}

type Effect<T extends ReservationEffect["type"]> = Extract<ReservationEffect, { type: T }>

interface Server {
    id: string
    reservation: Reservation
    /** Neighbours in the order of their links. */
    peers: Map<string, { edge: number; to: Server }>
    alarmMs: number
    /** Something may be held here that was not when it was last advertised. */
    isStale: boolean
}

export class ReserveNetwork {
    readonly agenda = new Agenda()
    readonly servers: Server[]
    /** Shortest delays from each server, 0.01 ms. */
    readonly delays: readonly (readonly number[])[]
    onSend: (from: string, effect: Effect<"send">) => void = () => {}
    onTrying: (effect: Effect<"trying">) => void = () => {}
    onOutcome: (rs: string, effect: Effect<"active" | "refused" | "degraded">) => void = () => {}
    private readonly capacityKbps: Int32Array
    /** What each direction has free as advertised; the graph has the smaller of both. */
    private readonly freeThere: Int32Array
    private readonly twin: Int32Array
    private readonly advertised: BandwidthGraph
    private toldMs = Number.NEGATIVE_INFINITY

    constructor(private readonly options: ReserveNetworkOptions) {
        const { graph, linkKbps, limits } = options
        const { ids, start, head } = graph
        const random = new Random(options.seed)
        this.capacityKbps = linkKbps === undefined ? graph.freeKbps : new Int32Array(head.length).fill(linkKbps)
        this.freeThere = this.capacityKbps.slice()
        this.advertised = { ...graph, freeKbps: this.capacityKbps.slice() }
        this.delays = ids.map((_, v) => leastDelays(graph, v).delay)
        this.twin = new Int32Array(head.length)
        this.servers = ids.map(id => ({
            id,
            reservation: new Reservation(id, this.viewOf(id), random.word(), {
                dspUnits: 1_000_000,
                attempts: 1_000_000,
                ...limits,
            }),
            peers: new Map(),
            alarmMs: Number.POSITIVE_INFINITY,
            isStale: false,
        }))
        for (let v = 0; v < ids.length; v++)
            for (let e = start[v]; e < start[v + 1]; e++) {
                this.servers[v].peers.set(ids[head[e]], { edge: e, to: this.servers[head[e]] })
                for (let back = start[head[e]]; back < start[head[e] + 1]; back++)
                    if (head[back] === v) this.twin[e] = back
            }
    }

    feed(server: Server, event: ReservationEvent): void {
        server.isStale = true
        for (const effect of server.reservation.step(event, this.agenda.nowMs)) this.perform(server, effect)
        this.alarm(server)
    }

    /** Bandwidth of all links and DSP units of all servers that are held now; 0: nothing was forgotten. */
    held(): number {
        let held = 0
        for (const { reservation, peers } of this.servers) {
            held += reservation.ledger.dspHeld()
            for (const peer of peers.keys()) held += reservation.ledger.held(peer)
        }
        return held
    }

    /** 0.01 ms; Infinity where there is no link. */
    linkDelay(from: string, to: string): number {
        const { graph } = this.options
        const edge = this.servers[graph.indexOf.get(from) ?? -1]?.peers.get(to)?.edge
        return edge === undefined ? Number.POSITIVE_INFINITY : graph.delay[edge]
    }

    private viewOf(self: string): NetworkView {
        const { indexOf } = this.options.graph
        const index = indexOf.get(self)!
        let names: string[] | undefined
        const edgeTo = (peer: string) => this.servers[index].peers.get(peer)?.edge
        return {
            neighbours: () => {
                names ??= [...this.servers[index].peers.keys()]
                return names
            },
            linkDelay: peer => {
                const edge = edgeTo(peer)
                return edge === undefined ? Number.POSITIVE_INFINITY : this.options.graph.delay[edge]
            },
            capacityKbps: peer => this.capacityKbps[edgeTo(peer) ?? -1] ?? 0,
            delay: (from, to) =>
                this.delays[indexOf.get(from) ?? -1]?.[indexOf.get(to) ?? -1] ?? Number.POSITIVE_INFINITY,
            graph: () => this.tell(),
        }
    }

    /** The link-state database as everyone has it now. */
    private tell(): BandwidthGraph {
        const { nowMs } = this.agenda
        if (nowMs < this.toldMs + (this.options.advertiseMs ?? 0)) return this.advertised
        this.toldMs = nowMs
        const { capacityKbps, freeThere, twin } = this
        const { freeKbps } = this.advertised
        for (const server of this.servers) {
            if (!server.isStale) continue
            server.isStale = false
            for (const [peer, { edge }] of server.peers) {
                const capacity = capacityKbps[edge]
                const level = Math.floor((levels * (capacity - server.reservation.ledger.held(peer))) / capacity)
                freeThere[edge] = Math.floor((capacity * level) / levels)
                freeKbps[edge] = freeKbps[twin[edge]] = Math.min(freeThere[edge], freeThere[twin[edge]])
            }
        }
        return this.advertised
    }

    private perform(server: Server, effect: ReservationEffect): void {
        if (effect.type === "send") {
            this.onSend(server.id, effect)
            const link = server.peers.get(effect.to)
            if (!link) throw new Error(`${server.id} sends to ${effect.to}, to which it has no link`)
            const { to } = link
            const event = { type: "message", from: server.id, message: effect.message } as const
            this.agenda.in(this.options.graph.delay[link.edge] / 100, () => this.feed(to, event))
        } else if (effect.type === "trying") this.onTrying(effect)
        else if (effect.type !== "tree") this.onOutcome(server.id, effect)
    }

    /** One pending timer a server: the earliest. */
    private alarm(server: Server): void {
        const nextMs = server.reservation.nextTickMs()
        if (nextMs >= server.alarmMs) return
        server.alarmMs = nextMs
        this.agenda.at(nextMs, () => {
            if (server.alarmMs !== nextMs) return
            server.alarmMs = Number.POSITIVE_INFINITY
            this.feed(server, { type: "tick" })
        })
    }
}
