/**
 * I9: a tree that a fault has broken is whole again within 5 s, as long as the remaining network allows it (feasible.ts); and a
 * source does not give it up while it does.
 *
 * The 5 s count only while a tree was possible at every look: each look that finds none starts them anew. Not judged in the
 * harsh profile: over links that lose single messages for good an attempt fails by chance, and TLS does not lose any.
 */

import { reservationLimits } from "../../../../protocol/reservation.ts"
import { type Checker, type DeliveredWish, type Report, Violation } from "../checker.ts"
import { isFeasible } from "../feasible.ts"
import type { Link } from "../link.ts"
import type { SimulatedServer } from "../server.ts"
import type { World, WorldMessage } from "../world.ts"

const repairMostMs = 5000

interface Broken {
    brokenMs: number
    /** A tree was possible at every look since; Infinity: not at the last one. */
    possibleMs: number
    looks: number
}

type Tree = { rs: string; parent: string }[]

export class RepairedChecker implements Checker {
    readonly name = "I9"
    readonly counts = { broken: 0, repairs: 0, repairsPossible: 0, repairMsTotal: 0, repairMsMost: 0, givenUp: 0 }
    private readonly wishes = new Map<string, DeliveredWish>()
    /** Wishes that are not answered. */
    private readonly open = new Set<string>()
    private readonly trees = new Map<string, Tree>()
    private readonly broken = new Map<string, Broken>()

    constructor(private readonly world: World) {}

    onWish(wish: DeliveredWish) {
        const { sid } = wish
        if (this.wishes.get(sid)?.source !== wish.source) this.forget(sid)
        this.wishes.set(sid, wish)
        this.open.add(sid)
        const broken = this.broken.get(sid)
        // Other destinations, and a budget of their own.
        if (broken) broken.possibleMs = Number.POSITIVE_INFINITY
    }

    onDrop(sid: string, source: SimulatedServer) {
        if (this.wishes.get(sid)?.source !== source) return
        this.forget(sid)
        this.wishes.delete(sid)
        this.open.delete(sid)
    }

    onCrash(server: SimulatedServer) {
        for (const [sid, { source }] of this.wishes)
            if (source === server) {
                this.forget(sid)
                this.wishes.delete(sid)
                this.open.delete(sid)
            }
    }

    onBreak(link: Link<WorldMessage>) {
        const ids = [link.a.id, link.b.id]
        for (const [sid, tree] of this.trees)
            if (tree.some(({ rs, parent }) => ids.includes(rs) && ids.includes(parent))) this.isBroken(sid)
    }

    onReport(source: SimulatedServer, report: Report) {
        const { sid } = report
        const wish = this.wishes.get(sid)
        if (wish?.source !== source) return
        const { nowMs } = this.world.agenda
        const broken = this.broken.get(sid)
        if (report.type !== "active") {
            // An answer to an earlier wish says nothing of this one.
            if (Math.floor(report.ep / reservationLimits.epochsPerVersion) !== wish.version) return
            this.open.delete(sid)
            if (broken && broken.possibleMs <= broken.brokenMs && broken.looks > 0) this.look(sid, broken, true)
            if (broken) this.counts.givenUp++
            this.forget(sid)
            return
        }
        const reached = new Set(report.tree.map(({ rs }) => rs))
        if (wish.destinations.every(({ rs }) => reached.has(rs))) this.open.delete(sid)
        this.trees.set(sid, report.tree)
        const isWhole = report.tree.every(
            ({ rs, parent }) => this.world.serverOf.get(rs)?.directions.get(parent)?.link.isUsable,
        )
        if (!isWhole) return this.isBroken(sid)
        if (!broken) return
        const tookMs = nowMs - broken.brokenMs
        this.counts.repairs++
        if (broken.possibleMs <= broken.brokenMs && broken.looks > 0) {
            this.counts.repairsPossible++
            this.counts.repairMsTotal += tookMs
            this.counts.repairMsMost = Math.max(this.counts.repairMsMost, tookMs)
        }
        this.broken.delete(sid)
    }

    onSample() {
        for (const [sid, broken] of this.broken) this.look(sid, broken, false)
    }

    private look(sid: string, broken: Broken, givesUp: boolean) {
        const wish = this.wishes.get(sid)
        if (!wish || this.world.scenario.profile === "harsh") return
        const { nowMs } = this.world.agenda
        broken.looks++
        if (!isFeasible(this.world, wish, this.rivals(sid))) {
            broken.possibleMs = Number.POSITIVE_INFINITY
            return
        }
        if (broken.possibleMs === Number.POSITIVE_INFINITY) broken.possibleMs = nowMs
        if (givesUp && broken.possibleMs <= broken.brokenMs)
            throw new Violation(
                this.name,
                `${wish.source.id} gives up ${sid} ${ms(nowMs - broken.brokenMs)} after a fault, and a tree was possible all the time`,
            )
        if (nowMs - broken.possibleMs > repairMostMs)
            throw new Violation(
                this.name,
                `${sid} from ${wish.source.id} is broken for ${ms(nowMs - broken.brokenMs)}, and a tree was possible for ${ms(nowMs - broken.possibleMs)}`,
            )
    }

    private isBroken(sid: string) {
        if (this.broken.has(sid)) return
        const { nowMs } = this.world.agenda
        const broken = { brokenMs: nowMs, possibleMs: nowMs, looks: 0 }
        this.counts.broken++
        this.broken.set(sid, broken)
        this.look(sid, broken, false)
    }

    private rivals(sid: string): DeliveredWish[] {
        const rivals: DeliveredWish[] = []
        for (const [other, wish] of this.wishes)
            if (other !== sid && (this.open.has(other) || this.broken.has(other))) rivals.push(wish)
        return rivals
    }

    private forget(sid: string) {
        this.trees.delete(sid)
        this.broken.delete(sid)
    }
}

function ms(milliseconds: number): string {
    return `${(milliseconds / 1000).toFixed(2)} s`
}
