/**
 * I5: DSP units obey I1 and I2: at least none and at most all are held, the sessions' shares add up, and after quiescence each session
 * holds at each server exactly what its members and its mixed links need, nothing where it has no tree.
 */

import type { ReservationEffect, ReservationEvent } from "../../../../servers/routing/reservation/model.ts"
import { type Checker, Violation } from "../checker.ts"
import type { GroupServer, Session } from "../group-server.ts"
import type { SimulatedServer } from "../server.ts"
import type { World } from "../world.ts"

export class DspChecker implements Checker {
    readonly name = "I5"

    constructor(
        private readonly world: World,
        private readonly group: GroupServer,
    ) {}

    afterStep(server: SimulatedServer, event: ReservationEvent, effects: readonly ReservationEffect[]): void {
        if (effects.length === 0 && event.type === "topology") return
        const held = server.reservation.ledger.dspHeld()
        const { dspUnits } = server.limits
        if (held < 0 || held > dspUnits)
            throw new Violation(this.name, `${server.id} holds ${held} of ${dspUnits} DSP units`)
    }

    onChanged(server: SimulatedServer): void {
        const { ledger } = server.reservation
        let sum = 0
        for (const { sid } of this.group.sessions) sum += ledger.dspOf(sid)
        if (sum !== ledger.dspHeld())
            throw new Violation(
                this.name,
                `${server.id} holds ${ledger.dspHeld()} DSP units, and ${sum} for all sessions together`,
            )
    }

    onSettled(): void {
        for (const session of this.group.sessions)
            for (const server of this.world.servers) if (server.isAlive) this.isExact(session, server)
    }

    onEnd(): void {
        for (const server of this.world.servers)
            if (server.isAlive && server.reservation.ledger.dspHeld() !== 0)
                throw new Violation(
                    this.name,
                    `${server.id} still holds ${server.reservation.ledger.dspHeld()} DSP units, and every session is over`,
                )
    }

    private isExact({ sid, phase, members }: Session, server: SimulatedServer): void {
        const held = server.reservation.ledger.dspOf(sid)
        let needed = 0
        if (phase === "active") {
            const attempt = server.reservation.attempts().find(attempt => attempt.sid === sid)
            const links = (attempt?.children.length ?? 0) + (attempt?.upstream === undefined ? 0 : 1)
            // A member's server mixes, and one where the tree branches: it has more links than one from end to end.
            const mixes = members.has(server) || links > 2
            needed = (members.get(server) ?? 0) + (mixes ? links * server.limits.dspUnitsPerLink : 0)
        }
        if (held !== needed)
            throw new Violation(
                this.name,
                `${server.id} holds ${held} DSP units for ${sid} (${phase}), which needs ${needed} there`,
            )
    }
}
