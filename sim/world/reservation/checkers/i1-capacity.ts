/** I1: towards each neighbour at least nothing and at most the capacity is held, and the sessions' shares add up to what is held. */

import type { ReservationEffect, ReservationEvent } from "../../../../servers/routing/reservation/model.ts"
import { type Checker, Violation } from "../checker.ts"
import type { SimulatedServer } from "../server.ts"
import type { World } from "../world.ts"

/** Messages that only keep alive what is held. */
const quiet = new Set(["refresh", "rack", "alive", "patherr"])

export class CapacityChecker implements Checker {
    readonly name = "I1"
    private readonly sids: string[]

    constructor(private readonly world: World) {
        this.sids = world.scenario.sessions.map(({ sid }) => sid)
    }

    afterStep(server: SimulatedServer, event: ReservationEvent, effects: readonly ReservationEffect[]): void {
        if (effects.length === 0 && (event.type === "topology" || event.type === "tick")) return
        if (event.type === "message" && quiet.has(event.message.t)) return
        const { ledger } = server.reservation
        for (const [peer, { isUp, link }] of server.directions) {
            const held = ledger.held(peer)
            if (held >= 0 && held <= (isUp ? link.capacityKbps : 0)) continue
            const most = isUp ? `of ${link.capacityKbps}` : "on a link that is down"
            throw new Violation(this.name, `${server.id} holds ${held} kbit/s towards ${peer} ${most}`)
        }
    }

    onSample(): void {
        for (const server of this.world.servers) {
            if (!server.isAlive) continue
            const { ledger } = server.reservation
            for (const [peer, { link }] of server.directions) {
                let sum = 0
                for (const sid of this.sids) sum += ledger.sessionHeld(peer, sid)
                const held = ledger.held(peer)
                if (sum !== held)
                    throw new Violation(
                        this.name,
                        `${server.id} holds ${held} kbit/s towards ${peer}, and ${sum} for all sessions together`,
                    )
                if (held > link.capacityKbps)
                    throw new Violation(
                        this.name,
                        `${server.id} holds ${held} kbit/s of ${link.capacityKbps} towards ${peer}`,
                    )
            }
        }
    }
}
