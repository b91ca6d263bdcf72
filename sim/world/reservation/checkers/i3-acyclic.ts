/**
 * I3: the parent graph of each (session, epoch) is acyclic at all times.
 *
 * A cycle can only close at the server that takes a new parent: after each event the way up is walked from there.
 */

import type { ReservationEffect, ReservationEvent } from "../../../../servers/routing/reservation/model.ts"
import { type Checker, keepAlives, Violation } from "../checker.ts"
import type { SimulatedServer } from "../server.ts"
import type { World } from "../world.ts"

export class AcyclicChecker implements Checker {
    readonly name = "I3"
    readonly counts = { waysWalked: 0 }

    constructor(private readonly world: World) {}

    afterStep(server: SimulatedServer, event: ReservationEvent, effects: readonly ReservationEffect[]): void {
        let sid = ""
        let ep = 0
        if (event.type === "message" && !keepAlives.has(event.message.t)) {
            ;({ sid, ep } = event.message)
            this.walk(server, sid, ep)
        }
        for (const effect of effects) {
            if (effect.type !== "send") continue
            const { message } = effect
            if ((message.t !== "req" && message.t !== "resv") || (message.sid === sid && message.ep === ep)) continue
            ;({ sid, ep } = message)
            this.walk(server, sid, ep)
        }
    }

    private walk(start: SimulatedServer, sid: string, ep: number): void {
        this.counts.waysWalked++
        let server = start
        for (let steps = 0; ; steps++) {
            const upstream = server.isAlive ? server.reservation.upstreamOf(sid, ep) : undefined
            if (upstream === undefined) return
            server = this.world.serverOf.get(upstream)!
            if (server === start || steps > this.world.servers.length)
                throw new Violation(
                    this.name,
                    `the parents of ${start.id} in ${sid}/${ep} lead in a circle: ${this.circle(start, sid, ep)}`,
                )
        }
    }

    private circle(start: SimulatedServer, sid: string, ep: number): string {
        const way = [start.id]
        for (let server = start; way.length < 40; ) {
            const upstream = server.reservation.upstreamOf(sid, ep)
            if (upstream === undefined) break
            way.push(upstream)
            if (upstream === start.id) break
            server = this.world.serverOf.get(upstream)!
        }
        return way.join(" < ")
    }
}
