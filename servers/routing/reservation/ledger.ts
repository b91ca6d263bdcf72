/**
 * What is held at this server: bandwidth towards each neighbour, and DSP units [claims 14, 16, 18, 20].
 *
 * Owns the sums. Epochs of one session share what they hold: the second one costs nothing where it takes the same link, so
 * that a tree can be made before the old one is broken. Never holds more than there is.
 */

import type { LedgerView } from "./model.ts"

interface LinkAccount {
    heldKbps: number
    /** By session, then by epoch. */
    sessions: Map<string, Map<number, number>>
}

/** Two parts, because epochs differ in their links and agree on the members. */
interface DspShare {
    members: number
    links: number
}

interface DspAccount {
    /** Units of the members who are in the session here now. */
    present: number
    epochs: Map<number, DspShare>
    total: number
}

export class Ledger {
    private readonly links = new Map<string, LinkAccount>()
    private readonly dsp = new Map<string, DspAccount>()
    private dspTotal = 0

    /** `capacityKbps`: what may be held towards a neighbour, now. */
    constructor(
        private readonly capacityKbps: (peer: string) => number,
        readonly dspUnits: number,
    ) {}

    // ---- bandwidth ------------------------------------------------------------------------------------------------------

    held(peer: string): number {
        return this.links.get(peer)?.heldKbps ?? 0
    }

    /** What one session holds towards a neighbour, over all of its epochs. */
    sessionHeld(peer: string, sid: string): number {
        return most(this.links.get(peer)?.sessions.get(sid))
    }

    /** What the session could hold towards a neighbour: at least what it holds there already, also when the capacity has fallen. */
    free(peer: string, sid: string): number {
        const own = this.sessionHeld(peer, sid)
        return own + Math.max(0, this.capacityKbps(peer) - this.held(peer))
    }

    /** False, and nothing changed, when there is not enough. */
    hold(peer: string, sid: string, ep: number, kbps: number): boolean {
        if (this.free(peer, sid) < kbps) return false
        const account = this.links.get(peer) ?? { heldKbps: 0, sessions: new Map<string, Map<number, number>>() }
        const epochs = account.sessions.get(sid) ?? new Map<number, number>()
        const before = most(epochs)
        epochs.set(ep, kbps)
        account.sessions.set(sid, epochs)
        account.heldKbps += most(epochs) - before
        this.links.set(peer, account)
        return true
    }

    /** Harmless when nothing is held. */
    release(peer: string, sid: string, ep: number): void {
        const account = this.links.get(peer)
        const epochs = account?.sessions.get(sid)
        if (!account || !epochs?.has(ep)) return
        const before = most(epochs)
        epochs.delete(ep)
        account.heldKbps += most(epochs) - before
        if (epochs.size === 0) account.sessions.delete(sid)
        if (account.sessions.size === 0) this.links.delete(peer)
    }

    /** The link is gone, and all that was held on it. */
    dropLink(peer: string): void {
        this.links.delete(peer)
    }

    // ---- DSP units ----------------------------------------------------------------------------------------------------------

    dspHeld(): number {
        return this.dspTotal
    }

    dspFree(): number {
        return this.dspUnits - this.dspTotal
    }

    /** What one session holds, over all of its epochs and members. */
    dspOf(sid: string): number {
        return this.dsp.get(sid)?.total ?? 0
    }

    /** What one session would hold with an epoch that needs this as well. */
    dspWith(sid: string, members: number, links: number): number {
        const account = this.dsp.get(sid)
        // No epoch is 0.
        return totalOf(account?.present ?? 0, new Map(account?.epochs).set(0, { members, links }))
    }

    /** Sets what an epoch needs for its members and its links. False, and nothing changed, when there is not enough. */
    holdDsp(sid: string, ep: number, members: number, links: number): boolean {
        const account = this.dsp.get(sid)
        const epochs = new Map(account?.epochs)
        epochs.set(ep, { members, links })
        return this.settle(sid, account?.present ?? 0, epochs, false)
    }

    releaseDsp(sid: string, ep: number): void {
        const account = this.dsp.get(sid)
        if (!account?.epochs.has(ep)) return
        const epochs = new Map(account.epochs)
        epochs.delete(ep)
        this.settle(sid, account.present, epochs, true)
    }

    /** Sets what those who are in the session now need. False, and nothing changed, when there is not enough. */
    holdPresent(sid: string, units: number): boolean {
        const account = this.dsp.get(sid)
        return this.settle(sid, units, account?.epochs ?? new Map(), units <= (account?.present ?? 0))
    }

    /** Units missing for `units` of members in the session, 0 when they fit. */
    shortForPresent(sid: string, units: number): number {
        const account = this.dsp.get(sid)
        const total = totalOf(units, account?.epochs ?? new Map())
        return Math.max(0, this.dspTotal - (account?.total ?? 0) + total - this.dspUnits)
    }

    private settle(sid: string, present: number, epochs: Map<number, DspShare>, always: boolean): boolean {
        const before = this.dsp.get(sid)?.total ?? 0
        const total = totalOf(present, epochs)
        if (!always && total > before && this.dspTotal - before + total > this.dspUnits) return false
        this.dspTotal += total - before
        if (total === 0 && epochs.size === 0) this.dsp.delete(sid)
        else this.dsp.set(sid, { present, epochs, total })
        return true
    }

    // ---- for people -----------------------------------------------------------------------------------------------------------

    /** `peers`: neighbours to list even when nothing is held towards them. */
    view(peers: readonly string[] = []): LedgerView {
        const all = [...new Set([...peers, ...this.links.keys()])].sort()
        const linksOf = new Map<string, string[]>()
        for (const sid of this.dsp.keys()) linksOf.set(sid, [])
        for (const [peer, { sessions }] of this.links)
            for (const sid of sessions.keys()) linksOf.set(sid, [...(linksOf.get(sid) ?? []), peer])
        return {
            links: all.map(peer => ({ peer, capacityKbps: this.capacityKbps(peer), heldKbps: this.held(peer) })),
            dspUnits: this.dspUnits,
            dspHeld: this.dspTotal,
            sessions: [...linksOf].map(([sid, links]) => ({ sid, dspHeld: this.dspOf(sid), links: links.sort() })),
        }
    }
}

function most(epochs: Map<number, number> | undefined): number {
    let kbps = 0
    if (epochs) for (const each of epochs.values()) if (each > kbps) kbps = each
    return kbps
}

function totalOf(present: number, epochs: ReadonlyMap<number, DspShare>): number {
    let members = present
    let links = 0
    for (const share of epochs.values()) {
        members = Math.max(members, share.members)
        links = Math.max(links, share.links)
    }
    return members + links
}
