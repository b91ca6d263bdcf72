/**
 * What the parts of the reservation at one server share: its ledger, its attempts, labels, tombstones, time and effects.
 *
 * Owns the bookkeeping that source and node have in common. Never decides.
 */

import type { ReservationMessage } from "../../../protocol/reservation.ts"
import { type Attempt, dueMsOf, isTransit } from "./attempt.ts"
import { DueList } from "./due-list.ts"
import { Ledger } from "./ledger.ts"
import type { Branch, NetworkView, ReservationEffect, ReservationLimits } from "./model.ts"

const u32 = 4294967295

export class Context {
    nowMs = 0
    out: ReservationEffect[] = []
    readonly ledger: Ledger
    /** By session, then by epoch. */
    readonly attempts = new Map<string, Map<number, Attempt>>()
    readonly due = new DueList<Attempt>()
    /** Attempts that are over, with the time until when a late request must not revive them [S3]. Oldest first. */
    private readonly tombstones = new Map<string, number>()
    private count = 0
    /** Labels that this server wants packets under: by session, then by neighbour. Epochs share them, so that media go on. */
    private readonly labels = new Map<string, Map<string, number>>()
    private nextLabel = 1
    /** Media of each session as they were last set. */
    private readonly planted = new Map<string, string>()

    constructor(
        readonly self: string,
        readonly view: NetworkView,
        readonly limits: ReservationLimits,
        private seed: number,
    ) {
        this.ledger = new Ledger(peer => view.capacityKbps(peer), limits.dspUnits)
    }

    send(to: string, message: ReservationMessage): void {
        this.out.push({ type: "send", to, message })
    }

    /** 0 <= number < 1. Mulberry32 over the seed that came in from outside. */
    random(): number {
        this.seed = (this.seed + 0x6d2b79f5) >>> 0
        let mixed = this.seed
        mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
        mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
        return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
    }

    // ---- attempts -----------------------------------------------------------------------------------------------------------

    attempt(sid: string, ep: number): Attempt | undefined {
        return this.attempts.get(sid)?.get(ep)
    }

    get isFull(): boolean {
        return this.count >= this.limits.attempts
    }

    add(attempt: Attempt): void {
        const epochs = this.attempts.get(attempt.sid)
        if (epochs) epochs.set(attempt.ep, attempt)
        else this.attempts.set(attempt.sid, new Map([[attempt.ep, attempt]]))
        this.count++
    }

    /** The attempt's times have changed. */
    schedule(attempt: Attempt): void {
        this.due.set(attempt, dueMsOf(attempt))
    }

    isBuried(sid: string, ep: number): boolean {
        return this.tombstones.has(tombstoneOf(sid, ep))
    }

    /** Releases all that the attempt holds here, and forgets it but for a tombstone. */
    bury(attempt: Attempt): void {
        const { sid, ep } = attempt
        if (attempt.upHeld && attempt.selected) this.ledger.release(attempt.selected.from, sid, ep)
        for (const peer of attempt.children.keys()) this.ledger.release(peer, sid, ep)
        this.ledger.releaseDsp(sid, ep)
        this.due.forget(attempt)
        const epochs = this.attempts.get(sid)
        if (epochs?.delete(ep)) this.count--
        this.tombstones.set(tombstoneOf(sid, ep), this.nowMs + this.limits.tombstoneMs)
        if (epochs?.size === 0) this.attempts.delete(sid)
        this.plant(sid)
        if (!this.attempts.has(sid)) this.labels.delete(sid)
    }

    /** Each attempt, also when some are buried meanwhile. */
    each(act: (attempt: Attempt) => void): void {
        for (const epochs of [...this.attempts.values()])
            for (const attempt of [...epochs.values()]) if (epochs.get(attempt.ep) === attempt) act(attempt)
    }

    forgetTombstones(): void {
        for (const [key, untilMs] of this.tombstones) {
            if (untilMs > this.nowMs) return
            this.tombstones.delete(key)
        }
    }

    // ---- media ----------------------------------------------------------------------------------------------------------------

    labelFor(sid: string, peer: string): number {
        const labels = this.labels.get(sid) ?? new Map<string, number>()
        const known = labels.get(peer)
        if (known !== undefined) return known
        const label = this.nextLabel
        this.nextLabel = label === u32 ? 1 : label + 1
        labels.set(peer, label)
        this.labels.set(sid, labels)
        return label
    }

    /** Sets the media of a session to what its best attempt has here, where that has changed. */
    plant(sid: string): void {
        const attempt = this.best(sid)
        const branches = attempt ? this.branchesOf(attempt) : []
        const transit = attempt !== undefined && isTransit(attempt)
        const ep = attempt?.ep ?? 0
        const text = branches.length > 0 ? `${transit} ${branches.map(branchText).join()}` : ""
        if ((this.planted.get(sid) ?? "") === text) return
        if (text) this.planted.set(sid, text)
        else this.planted.delete(sid)
        this.out.push({ type: "tree", sid, ep, branches, transit })
    }

    /** The newest one that is active and whole; before there is one, the newest that is confirmed. */
    private best(sid: string): Attempt | undefined {
        let best: Attempt | undefined
        let bestRank = 0
        for (const attempt of this.attempts.get(sid)?.values() ?? []) {
            if (attempt.state !== "committed") continue
            const isWhole = attempt.role === "source" || attempt.selected !== undefined
            const rank = !isWhole ? 1 : attempt.active ? 3 : 2
            if (rank < bestRank || (rank === bestRank && attempt.ep < (best?.ep ?? 0))) continue
            best = attempt
            bestRank = rank
        }
        return best
    }

    private branchesOf(attempt: Attempt): Branch[] {
        const { sid } = attempt
        const branches: Branch[] = []
        if (attempt.selected && attempt.upHeld && attempt.labelUp !== undefined) {
            const peer = attempt.selected.from
            branches.push({ peer, labelIn: this.labelFor(sid, peer), labelOut: attempt.labelUp })
        }
        for (const [peer, { labelOut }] of attempt.children)
            branches.push({ peer, labelIn: this.labelFor(sid, peer), labelOut })
        return branches
    }
}

function tombstoneOf(sid: string, ep: number): string {
    return `${sid} ${ep}`
}

function branchText({ peer, labelIn, labelOut }: Branch): string {
    return `${peer} ${labelIn} ${labelOut}`
}
