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
    sinceMs: number
    untilMs: number
}

export class AnsweredChecker implements Checker {
    readonly name = "I7"
    readonly counts = { answersChecked: 0, answerMsMost: 0 }
    /** Sources that have called a session active, and may have a tree of it to repair. */
    private readonly active = new Map<string, SimulatedServer>()
    private readonly pending = new Map<string, Pending>()
    private readonly wishes = new Map<string, DeliveredWish>()

    constructor(private readonly world: World) {}

    onWish(wish: DeliveredWish): void {
        const { sid, source } = wish
        const { nowMs } = this.world.agenda
        const mostMs = this.active.get(sid) === source ? answerMostMs(source.limits) : setupMostMs(source.limits)
        this.wishes.set(sid, wish)
        this.pending.set(sid, { wish, sinceMs: nowMs, untilMs: nowMs + mostMs + 2 * sampleMs })
    }

    onDrop(sid: string, source: SimulatedServer): void {
        if (this.pending.get(sid)?.wish.source === source) this.pending.delete(sid)
        if (this.active.get(sid) === source) this.active.delete(sid)
    }

    onCrash(server: SimulatedServer): void {
        for (const [sid, source] of this.active) if (source === server) this.active.delete(sid)
        for (const [sid, { wish }] of this.pending) if (wish.source === server) this.pending.delete(sid)
    }

    onReport(server: SimulatedServer, report: Report): void {
        const { sid, ep } = report
        if (report.type === "active") this.active.set(sid, server)
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
        const pending = this.pending.get(sid)
        if (pending?.wish.source !== server) return
        this.counts.answersChecked++
        this.counts.answerMsMost = Math.max(this.counts.answerMsMost, this.world.agenda.nowMs - pending.sinceMs)
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

/** Each attempt takes the setup limit and, once confirmed, the time for the answers; between two of them the source waits. */
export function setupMostMs(limits: ReservationLimits): number {
    const attempts = limits.guidedAttempts + limits.windowAttempts
    return attempts * (2 * limits.setupMostMs + limits.retryMaxMs + limits.setupMostMs / 4)
}

/** As long as a wish may take that finds a tree that breaks: the repair has attempts and waits of its own. */
export function answerMostMs(limits: ReservationLimits): number {
    let repairMs = 0
    for (let attempt = 0; attempt < limits.repairAttempts; attempt++)
        repairMs += 2 * limits.setupMostMs + Math.min(limits.repairMostMs, limits.repairFirstMs * 2 ** attempt)
    return Math.max(setupMostMs(limits), repairMs)
}
