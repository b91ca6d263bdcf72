/**
 * I2b: every held link has a live child that names this parent, and every child's hold a live parent that has this child.
 *
 * Without condition at quiescence. While it runs a partner may be missing for as long as the lease that covers the hold, and the
 * time a message is late at most: a server learns only by its lease that the other one has gone without a word.
 */

import type { AttemptView } from "../../../../servers/routing/reservation/model.ts"
import { type Checker, sampleMs, Violation } from "../checker.ts"
import type { SimulatedServer } from "../server.ts"
import type { World } from "../world.ts"

export class PartnersChecker implements Checker {
    readonly name = "I2b"
    /** Holds without a partner, since when. */
    private alone = new Map<string, number>()
    private readonly views: AttemptView[][] = []

    constructor(private readonly world: World) {}

    onSample(): void {
        this.look(false)
    }

    onSettled(): void {
        this.look(true)
    }

    private look(settled: boolean): void {
        const { world, views } = this
        const { nowMs } = world.agenda
        const before = this.alone
        const alone = new Map<string, number>()
        for (const server of world.servers) views[server.index] = server.isAlive ? server.reservation.attempts() : []
        for (const server of world.servers)
            for (const view of views[server.index]) {
                const { sid, ep, upstream, children } = view
                const missing = (peer: string, what: string) => {
                    const key = `${server.id} ${peer} ${sid} ${ep} ${what}`
                    const sinceMs = before.get(key) ?? nowMs
                    alone.set(key, sinceMs)
                    if (!settled && nowMs - sinceMs <= this.graceMs(server)) return
                    const long = `${((nowMs - sinceMs) / 1000).toFixed(1)} s`
                    throw new Violation(
                        this.name,
                        `${server.id} holds its link to ${peer} for ${sid}/${ep}, but ${what} (${long})`,
                    )
                }
                const holds = (peer: string) => server.reservation.ledger.sessionHeld(peer, sid) > 0
                for (const child of children) {
                    const partner = this.viewOf(child, sid, ep)
                    if (partner?.upstream !== server.id && holds(child)) missing(child, "that is no child of it")
                }
                if (upstream !== undefined && holds(upstream)) {
                    const partner = this.viewOf(upstream, sid, ep)
                    // A hold that an older epoch explains is not this one's.
                    if (!partner?.children.includes(server.id) && !this.isChildInAnother(views[server.index], view))
                        missing(upstream, "that has no such child")
                }
            }
        this.alone = alone
        this.everyHoldHasAnAttempt()
    }

    /** Ledger against attempts of the same server: no time passes between them, so there is no grace. */
    private everyHoldHasAnAttempt(): void {
        for (const server of this.world.servers) {
            if (!server.isAlive) continue
            for (const { sid } of this.world.scenario.sessions)
                for (const peer of server.directions.keys()) {
                    if (server.reservation.ledger.sessionHeld(peer, sid) === 0) continue
                    const has = this.views[server.index].some(
                        view => view.sid === sid && (view.upstream === peer || view.children.includes(peer)),
                    )
                    if (!has)
                        throw new Violation(
                            this.name,
                            `${server.id} holds its link to ${peer} for ${sid}, which has no attempt there`,
                        )
                }
        }
    }

    private graceMs(server: SimulatedServer): number {
        return server.limits.leaseMs + this.world.scenario.latestMs + 2 * sampleMs
    }

    private viewOf(id: string, sid: string, ep: number): AttemptView | undefined {
        const server = this.world.serverOf.get(id)
        return server && this.views[server.index].find(view => view.sid === sid && view.ep === ep)
    }

    private isChildInAnother(views: AttemptView[], { sid, ep, upstream }: AttemptView): boolean {
        return views.some(
            view =>
                view.sid === sid &&
                view.ep !== ep &&
                (view.upstream === upstream || (upstream !== undefined && view.children.includes(upstream))),
        )
    }
}
