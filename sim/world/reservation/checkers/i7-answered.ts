/**
 * I7: every wish ends, as active or refused, within the limit that follows from the attempts that a source may make; and what is
 * refused says what is short.
 */

import { reservationLimits } from "../../../../protocol/reservation.ts"
import type { ReservationLimits } from "../../../../servers/routing/reservation/model.ts"
import { type Checker, type DeliveredWish, type Report, sampleMs, Violation } from "../checker.ts"
import type { SimulatedServer } from "../server.ts"
import type { World } from "../world.ts"

interface Pending {
    wish: DeliveredWish
    untilMs: number
}

export class AnsweredChecker implements Checker {
    readonly name = "I7"
    readonly counts = { answersChecked: 0 }
    private readonly pending = new Map<string, Pending>()
    private readonly wishes = new Map<string, DeliveredWish>()

    constructor(private readonly world: World) {}

    onWish(wish: DeliveredWish): void {
        const untilMs = this.world.agenda.nowMs + answerMostMs(wish.source.limits) + 2 * sampleMs
        this.wishes.set(wish.sid, wish)
        this.pending.set(wish.sid, { wish, untilMs })
    }

    onDrop(sid: string, source: SimulatedServer): void {
        if (this.pending.get(sid)?.wish.source === source) this.pending.delete(sid)
    }

    onCrash(server: SimulatedServer): void {
        for (const [sid, { wish }] of this.pending) if (wish.source === server) this.pending.delete(sid)
    }

    onReport(server: SimulatedServer, report: Report): void {
        const { sid, ep } = report
        const wish = this.wishes.get(sid)
        if (!wish || wish.source !== server) return
        if (report.type !== "active") {
            if (report.short.length === 0)
                throw new Violation(this.name, `${server.id} says that ${sid}/${ep} is ${report.type}, and not why`)
            // A source that crashed and is wished again, or a wish on its way, may have other destinations.
            if (Math.floor(ep / reservationLimits.epochsPerVersion) !== wish.version) return
            for (const { rs } of report.short)
                if (rs !== server.id && !wish.destinations.some(destination => destination.rs === rs))
                    throw new Violation(
                        this.name,
                        `${server.id} says that ${sid}/${ep} is ${report.type} for ${rs}, no destination of it`,
                    )
        } else {
            const reached = new Set(report.tree.map(({ rs }) => rs))
            if (!wish.destinations.every(({ rs }) => reached.has(rs))) return
        }
        if (this.pending.get(sid)?.wish.source !== server) return
        this.counts.answersChecked++
        this.pending.delete(sid)
    }

    onSample(): void {
        const { nowMs } = this.world.agenda
        for (const [sid, { wish, untilMs }] of this.pending)
            if (nowMs > untilMs)
                throw new Violation(
                    this.name,
                    `${wish.source.id} has not answered version ${wish.version} of ${sid} in time`,
                )
    }
}

/**
 * A wish may find a broken tree: then the repair's attempts and waits bound it. Each attempt takes the setup limit and, once
 * confirmed, the answers' share of it.
 */
export function answerMostMs(limits: ReservationLimits): number {
    const attempts = limits.guidedAttempts + limits.windowAttempts
    const setupMs = attempts * (2 * limits.setupMostMs + limits.retryMaxMs + limits.setupMostMs / 4)
    let repairMs = 0
    for (let attempt = 0; attempt < limits.repairAttempts; attempt++)
        repairMs += 2 * limits.setupMostMs + Math.min(limits.repairMostMs, limits.repairFirstMs * 2 ** attempt)
    return Math.max(setupMs, repairMs)
}
