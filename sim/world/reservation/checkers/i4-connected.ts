/**
 * I4: at ACTIVE every destination is connected to the source over links that are held in both directions, with its DSP units held.
 *
 * What the source cannot know of yet is no fault of it: an instant is skipped when a server or link of the tree has failed so lately
 * that the news cannot have come: detection, way to the source, and where messages get lost until the destination is silent.
 * Both are counted, so that a rule that never applied can be seen.
 */

import { reservationLimits } from "../../../../protocol/reservation.ts"
import type { AttemptView } from "../../../../servers/routing/reservation/model.ts"
import { type Checker, type DeliveredWish, type Report, Violation } from "../checker.ts"
import type { SimulatedServer } from "../server.ts"
import { detectMostMs, type World } from "../world.ts"

export class ConnectedChecker implements Checker {
    readonly name = "I4"
    readonly counts = { connectedChecked: 0, connectedSkipped: 0 }
    private readonly wishes = new Map<string, DeliveredWish>()

    constructor(private readonly world: World) {}

    onWish(wish: DeliveredWish): void {
        this.wishes.set(wish.sid, wish)
    }

    onReport(source: SimulatedServer, report: Report): void {
        if (report.type !== "active") return
        const { sid, ep, tree } = report
        const wish = this.wishes.get(sid)
        // It is the tree of a source that has been replaced, and has not heard of it.
        if (!wish || wish.source !== source) return
        const reached = new Set(tree.map(({ rs }) => rs))
        for (const { rs } of wish.destinations)
            if (!reached.has(rs)) throw new Violation(this.name, `${source.id} calls ${sid}/${ep} active without ${rs}`)
        if (this.hasFailedLately(source, tree)) {
            this.counts.connectedSkipped++
            return
        }
        this.counts.connectedChecked++
        if (Math.floor(ep / reservationLimits.epochsPerVersion) > wish.version)
            throw new Violation(this.name, `${source.id} calls ${sid}/${ep} active, of a version that nobody wished`)
        this.holdsDsp(source, sid, ep, wish.dspUnits)
        for (const { rs, dspUnits } of wish.destinations) {
            this.holdsDsp(this.world.serverOf.get(rs)!, sid, ep, dspUnits)
            this.isConnected(source, rs, wish, ep)
        }
    }

    private holdsDsp(server: SimulatedServer, sid: string, ep: number, units: number): void {
        const held = server.isAlive ? server.reservation.ledger.dspOf(sid) : 0
        if (held < units)
            throw new Violation(
                this.name,
                `${sid}/${ep} is called active, but ${server.id} holds ${held} of ${units} DSP units`,
            )
    }

    private isConnected(source: SimulatedServer, rs: string, { sid, bandwidthKbps }: DeliveredWish, ep: number): void {
        const fault = (what: string) =>
            new Violation(
                this.name,
                `${sid}/${ep} is called active, but ${rs} is not connected to ${source.id}: ${what}`,
            )
        let child = this.world.serverOf.get(rs)!
        for (let steps = 0; child !== source; steps++) {
            const parentId = viewOf(child, sid, ep)?.upstream
            if (parentId === undefined) throw fault(`${child.id} has no parent`)
            if (steps > this.world.servers.length) throw fault("its parents lead in a circle")
            const parent = this.world.serverOf.get(parentId)!
            if (!viewOf(parent, sid, ep)?.children.includes(child.id))
                throw fault(`${parentId} has no child ${child.id}`)
            for (const [one, other] of [
                [child, parent],
                [parent, child],
            ]) {
                const held = one.reservation.ledger.sessionHeld(other.id, sid)
                if (held < bandwidthKbps)
                    throw fault(`${one.id} holds ${held} of ${bandwidthKbps} kbit/s towards ${other.id}`)
            }
            child = parent
        }
    }

    private hasFailedLately(source: SimulatedServer, tree: { rs: string; parent: string }[]): boolean {
        const { world } = this
        let wayMs = 0
        for (const { rs, parent } of tree)
            wayMs += world.serverOf.get(rs)!.directions.get(parent)!.link.delayMs + world.scenario.jitterMs
        const { profile, latestMs } = world.scenario
        const unknownMs = profile === "harsh" ? source.limits.silentMs + source.limits.refreshMs + latestMs : 0
        const sinceMs = world.agenda.nowMs - detectMostMs - wayMs - unknownMs
        return tree.some(({ rs, parent }) => {
            const child = world.serverOf.get(rs)!
            return child.crashedMs >= sinceMs || child.directions.get(parent)!.link.brokenMs >= sinceMs
        })
    }
}

function viewOf(server: SimulatedServer, sid: string, ep: number): AttemptView | undefined {
    return server.isAlive
        ? server.reservation.attempts().find(attempt => attempt.sid === sid && attempt.ep === ep)
        : undefined
}
