/**
 * One routing server of the world: the real link-state database, routing table and reservation, as the adapter of
 * `servers/routing` holds them in a process. A crash makes all three anew.
 *
 * Owns what a server remembers. How its effects reach the others is the world's business.
 */

import type { Branch, ReservationLimits } from "../../../servers/routing/reservation/model.ts"
import { reservationDefaults } from "../../../servers/routing/reservation/model.ts"
import { Reservation } from "../../../servers/routing/reservation/reservation.ts"
import { TopologyView } from "../../../servers/routing/reservation/view.ts"
import type { Advertisement } from "../../../servers/routing/route/advertisement.ts"
import { LinkState } from "../../../servers/routing/route/link-state.ts"
import { RoutingTable } from "../../../servers/routing/route/routing-table.ts"
import type { Direction } from "./link.ts"
import type { WorldMessage } from "./world.ts"

/** What media of a session do here, as the last `tree` effect said. */
export interface Media {
    ep: number
    branches: Branch[]
    transit: boolean
}

export class SimulatedServer {
    isAlive = false
    bootId = 0
    crashedMs = Number.NEGATIVE_INFINITY
    state!: LinkState
    table!: RoutingTable
    view!: TopologyView
    reservation!: Reservation
    /** The link-state database, by origin. */
    advertisements = new Map<string, Advertisement>()
    readonly limits: ReservationLimits
    /** Towards each neighbour, up or not. */
    readonly directions = new Map<string, Direction<WorldMessage>>()
    readonly media = new Map<string, Media>()
    /** Counts events upon which what is held or who is whose parent may be others: all but keep-alives. */
    changes = 0
    /** When its next timers are due, as the agenda knows; Infinity: not asked for. */
    stateAlarmMs = Number.POSITIVE_INFINITY
    reservationAlarmMs = Number.POSITIVE_INFINITY
    /** What is free on its links may have to be told. */
    willMeasure = false

    constructor(
        readonly index: number,
        readonly id: string,
        limits: Partial<ReservationLimits>,
        private readonly seed: number,
    ) {
        this.limits = { ...reservationDefaults, ...limits }
    }

    /** Comes to life, knowing nothing. */
    boot(): void {
        this.isAlive = true
        this.bootId++
        this.state = new LinkState(this.id, this.bootId)
        this.table = new RoutingTable(this.id)
        const { table } = this
        const advertisements = new Map<string, Advertisement>()
        this.advertisements = advertisements
        this.view = new TopologyView({
            self: this.id,
            neighbours: () => this.neighbours(),
            isUp: peer => this.isUp(peer),
            capacityKbps: peer => this.directions.get(peer)?.link.capacityKbps ?? 0,
            table,
            database: () => advertisements,
        })
        this.reservation = new Reservation(this.id, this.view, this.seed + this.bootId, this.limits)
        this.media.clear()
        this.changes++
        this.stateAlarmMs = Number.POSITIVE_INFINITY
        this.reservationAlarmMs = Number.POSITIVE_INFINITY
        this.willMeasure = false
    }

    neighbours(): string[] {
        const peers: string[] = []
        for (const [peer, { isUp }] of this.directions) if (isUp) peers.push(peer)
        return peers
    }

    /** The link-state database has changed for one origin. */
    learn(origin: string, advertisement: Advertisement | undefined): void {
        if (advertisement) this.advertisements.set(origin, advertisement)
        else this.advertisements.delete(origin)
        this.table.update(origin, advertisement)
    }

    isUp(peer: string): boolean {
        return this.directions.get(peer)?.isUp === true
    }
}
