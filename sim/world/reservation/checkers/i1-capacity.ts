/** I1: towards each neighbour at least nothing and at most the capacity is held, and the sessions' shares add up to what is held. */

import type { ReservationEffect, ReservationEvent } from "../../../../servers/routing/reservation/model.ts"
import { type Checker, keepAlives, Violation } from "../checker.ts"
import type { SimulatedServer } from "../server.ts"
import type { World } from "../world.ts"

export class CapacityChecker implements Checker {
    readonly name = "I1"
    private readonly sids: string[]

    constructor(world: World) {
        this.sids = world.scenario.sessions.map(({ sid }) => sid)
    }

    afterStep(server: SimulatedServer, event: ReservationEvent, effects: readonly ReservationEffect[]): void {
        if (effects.length === 0 && (event.type === "topology" || event.type === "tick")) return
        if (event.type === "message" && keepAlives.has(event.message.t)) return
        const { ledger } = server.reservation
        for (const [peer, { isUp, link }] of server.directions)
            this.isWithin(server, peer, ledger.held(peer), isUp, link.capacityKbps)
    }

    onChanged(server: SimulatedServer): void {
        const { ledger } = server.reservation
        for (const [peer, { isUp, link }] of server.directions) {
            let sum = 0
            for (const sid of this.sids) sum += ledger.sessionHeld(peer, sid)
            const held = ledger.held(peer)
            if (sum !== held)
                throw new Violation(
                    this.name,
                    `${server.id} holds ${held} kbit/s towards ${peer}, and ${sum} for all sessions together`,
                )
            this.isWithin(server, peer, held, isUp, link.capacityKbps)
        }
    }

    private isWithin(server: SimulatedServer, peer: string, held: number, isUp: boolean, capacityKbps: number): void {
        if (held >= 0 && held <= (isUp ? capacityKbps : 0)) return
        const most = isUp ? `of ${capacityKbps}` : "on a link that is down"
        throw new Violation(this.name, `${server.id} holds ${held} kbit/s towards ${peer} ${most}`)
    }
}
