/**
 * Protection of what a session's links carry, end to end between the servers that process it [claim 4]: each sends under a key
 * of its own, and who receives finds out by trying whose stream it is. Transit servers between them have no key.
 *
 * Owns the senders and receivers of one session at this server. Never derives keys (`session-keys.ts`).
 */

import { SrtpReceiver, type SrtpRefusal, SrtpSender } from "../../../media/srtp.ts"
import type { SessionKeys } from "./interface.ts"

/** Streams of one server that are kept apart: it begins another whenever a link of it begins anew. */
const streamsMost = 256
/** Strangers' packets that are tried against all keys, each so many ms: trying is the one thing here that costs. */
const tryEachMs = 10
const knownMost = 4096

export class LinkProtection {
    private own: Uint8Array
    private receivers = new Map<string, { master: Uint8Array; receiver: SrtpReceiver }>()
    /** Which of them a stream was found to be. */
    private readonly known = new Map<number, SrtpReceiver>()
    private triedAtMs = Number.NEGATIVE_INFINITY

    constructor(keys: SessionKeys) {
        this.own = keys.own
        this.update(keys)
    }

    /** Whether the key that this server sends under is the same as before. */
    update({ own, others }: SessionKeys): boolean {
        const receivers = new Map<string, { master: Uint8Array; receiver: SrtpReceiver }>()
        for (const { rs, master } of others) {
            const before = this.receivers.get(rs)
            const isSame = before !== undefined && isEqual(before.master, master)
            receivers.set(rs, isSame ? before : { master, receiver: new SrtpReceiver(master, true, streamsMost) })
        }
        for (const [ssrc, receiver] of this.known)
            if (![...receivers.values()].some(one => one.receiver === receiver)) this.known.delete(ssrc)
        this.receivers = receivers
        const isSame = isEqual(this.own, own)
        this.own = own
        return isSame
    }

    /** For one link. Streams of one server differ by their SSRC, so no two ever meet under one key stream. */
    newSender(): SrtpSender {
        return new SrtpSender(this.own, true)
    }

    unprotect(packet: Buffer, nowMs: number): number | SrtpRefusal {
        if (packet.length < 12) return "malformed"
        const ssrc = packet.readUInt32BE(8)
        const known = this.known.get(ssrc)
        if (known) return known.unprotect(packet)
        if (nowMs - this.triedAtMs < tryEachMs) return "forged"
        this.triedAtMs = nowMs
        for (const { receiver } of this.receivers.values()) {
            const taken = receiver.unprotect(packet)
            if (taken === "forged") continue
            if (typeof taken === "number" && this.known.size < knownMost) this.known.set(ssrc, receiver)
            return taken
        }
        return "forged"
    }
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
    return a.length === b.length && a.every((byte, i) => byte === b[i])
}
