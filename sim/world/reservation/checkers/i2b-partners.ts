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

type Alone = Map<string, number>

export class PartnersChecker implements Checker {
    readonly name = "I2b"
    /** Holds without a partner, since when. */
    private alone: Alone = new Map()
    /** As at the last sample. */
    private readonly views: AttemptView[][]

    constructor(private readonly world: World) {
        this.views = world.servers.map(() => [])
    }

    onSample(): void {
        this.look(false)
    }

    onSettled(): void {
        this.look(true)
    }

    private look(settled: boolean): void {
        const { world, views } = this
        const before = this.alone
        this.alone = new Map()
        for (const server of world.servers)
            for (const view of server.isAlive ? views[server.index] : [])
                this.hasPartners(server, view, before, settled)
    }

    private hasPartners(server: SimulatedServer, view: AttemptView, before: Alone, settled: boolean): void {
        const { sid, ep, upstream, children } = view
        const { ledger } = server.reservation
        for (const child of children)
            if (this.viewOf(child, sid, ep)?.upstream !== server.id && ledger.sessionHeld(child, sid) > 0)
                this.isMissing(server, view, child, "that is no child of it", before, settled)
        if (upstream === undefined || this.viewOf(upstream, sid, ep)?.children.includes(server.id)) return
        // A hold that another epoch explains is not this one's.
        if (ledger.sessionHeld(upstream, sid) > 0 && !this.isHeldByAnother(this.views[server.index], view))
            this.isMissing(server, view, upstream, "that has no such child", before, settled)
    }

    private isMissing(
        server: SimulatedServer,
        { sid, ep }: AttemptView,
        peer: string,
        what: string,
        before: Alone,
        settled: boolean,
    ): void {
        const { nowMs } = this.world.agenda
        const key = `${server.id} ${peer} ${sid} ${ep} ${what}`
        const sinceMs = before.get(key) ?? nowMs
        this.alone.set(key, sinceMs)
        if (!settled && nowMs - sinceMs <= this.graceMs(server)) return
        const long = `${((nowMs - sinceMs) / 1000).toFixed(1)} s`
        throw new Violation(this.name, `${server.id} holds its link to ${peer} for ${sid}/${ep}, but ${what} (${long})`)
    }

    /** Ledger against attempts of the same server: no time passes between them, so there is no grace. */
    onChanged(server: SimulatedServer): void {
        const views = server.reservation.attempts()
        this.views[server.index] = views
        const { ledger } = server.reservation
        for (const { sid } of this.world.scenario.sessions)
            for (const peer of server.directions.keys()) {
                if (ledger.sessionHeld(peer, sid) === 0) continue
                if (views.some(view => view.sid === sid && (view.upstream === peer || view.children.includes(peer))))
                    continue
                throw new Violation(
                    this.name,
                    `${server.id} holds its link to ${peer} for ${sid}, which has no attempt there`,
                )
            }
    }

    private graceMs(server: SimulatedServer): number {
        return server.limits.leaseMs + this.world.scenario.latestMs + 2 * sampleMs
    }

    private viewOf(id: string, sid: string, ep: number): AttemptView | undefined {
        const server = this.world.serverOf.get(id)
        if (!server?.isAlive) return undefined
        for (const view of this.views[server.index]) if (view.ep === ep && view.sid === sid) return view
        return undefined
    }

    private isHeldByAnother(views: AttemptView[], { sid, ep, upstream }: AttemptView): boolean {
        return views.some(
            view =>
                view.sid === sid &&
                view.ep !== ep &&
                (view.upstream === upstream || (upstream !== undefined && view.children.includes(upstream))),
        )
    }
}
