/**
 * Transit [claim 4]: sessions that pass through this server without being processed. A packet that comes from a neighbour
 * under a label leaves to other neighbours under the labels that they have handed out, unread; no DSP units are used.
 *
 * Owns the entries and their labels. Never looks into a packet and never decides which sessions pass through.
 */

import { failure, type Outcome, success } from "../../../media/outcome.ts"
import type { TransitCounters, TransitEntry } from "../data/statistics.ts"

/** One link of a session's tree at this server. */
export interface TransitBranch {
    peer: string
    /** What packets from the peer carry: a label that this server has handed out. */
    labelIn: number
    /** What packets to the peer carry: a label that the peer has handed out. */
    labelOut: number
}

interface Entry {
    sid: string
    out: { peer: string; label: number }[]
    packets: number
    notSent: number
}

export type TransitRefusal = "malformed" | "taken" | "too-many"

export const transitLimits = { sessions: 4096, branches: 64 }
const u32 = 4294967295

export class Transit {
    readonly counters: TransitCounters = { packets: 0, copies: 0, notSent: 0 }
    readonly #send: (peer: string, label: number, packet: Buffer) => boolean
    /** By the neighbour that a packet comes from, then by its label. */
    readonly #entries = new Map<string, Map<number, Entry>>()
    readonly #sessions = new Map<string, readonly TransitBranch[]>()

    /** `send` may write the label into the packet, which the next copy does again; false: the link is not up. */
    constructor(send: (peer: string, label: number, packet: Buffer) => boolean) {
        this.#send = send
    }

    /** The session passes through over exactly these links from now on, each to all others. None: it no longer does. */
    set(sid: string, branches: readonly TransitBranch[]): Outcome<void, TransitRefusal> {
        const wrong = this.#problemWith(sid, branches)
        if (wrong) return failure(wrong.reason, wrong.what, wrong.reason === "too-many" ? "operator" : "maker")
        this.remove(sid)
        if (branches.length === 0) return success(undefined)
        this.#sessions.set(sid, branches)
        for (const { peer, labelIn } of branches) {
            const labels = this.#entries.get(peer) ?? new Map<number, Entry>()
            const out = branches
                .filter(other => other.peer !== peer)
                .map(other => ({ peer: other.peer, label: other.labelOut }))
            labels.set(labelIn, { sid, out, packets: 0, notSent: 0 })
            this.#entries.set(peer, labels)
        }
        return success(undefined)
    }

    remove(sid: string): boolean {
        for (const { peer, labelIn } of this.#sessions.get(sid) ?? []) {
            const labels = this.#entries.get(peer)
            labels?.delete(labelIn)
            if (labels?.size === 0) this.#entries.delete(peer)
        }
        return this.#sessions.delete(sid)
    }

    /** False when no session passes through under this label. */
    forward(peer: string, label: number, packet: Buffer): boolean {
        const entry = this.#entries.get(peer)?.get(label)
        if (!entry) return false
        entry.packets++
        this.counters.packets++
        const { out } = entry
        for (let i = 0; i < out.length; i++) {
            if (this.#send(out[i].peer, out[i].label, packet)) this.counters.copies++
            else {
                this.counters.notSent++
                entry.notSent++
            }
        }
        return true
    }

    list(): TransitEntry[] {
        return [...this.#entries].flatMap(([from, labels]) =>
            [...labels].map(([labelIn, { sid, out, packets, notSent }]) => {
                return { sid, from, labelIn, out, packets, notSent }
            }),
        )
    }

    #problemWith(
        sid: string,
        branches: readonly TransitBranch[],
    ): { reason: TransitRefusal; what: string } | undefined {
        if (!sid || branches.length === 1) return { reason: "malformed", what: "transit needs a session and two links" }
        if (branches.length > transitLimits.branches)
            return { reason: "too-many", what: `more than ${transitLimits.branches} links of one session` }
        if (!this.#sessions.has(sid) && this.#sessions.size >= transitLimits.sessions)
            return { reason: "too-many", what: `${transitLimits.sessions} sessions pass through already` }
        const peers = new Set<string>()
        for (const { peer, labelIn, labelOut } of branches) {
            if (!peer || peers.has(peer)) return { reason: "malformed", what: `link to "${peer}" stands twice` }
            peers.add(peer)
            for (const label of [labelIn, labelOut])
                if (!Number.isInteger(label) || label < 0 || label > u32)
                    return { reason: "malformed", what: `label ${label} is not in 0..2^32-1` }
            const holder = this.#entries.get(peer)?.get(labelIn)
            if (holder && holder.sid !== sid)
                return { reason: "taken", what: `label ${labelIn} of ${peer} belongs to another session` }
        }
        return undefined
    }
}
