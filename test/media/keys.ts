/**
 * Keys of tests, and packets protected under them: what an endpoint or a neighbour's server would send.
 * Nothing here is secret.
 */

import { type LegKeys, readLegKeys } from "../../media/leg-keys.ts"
import {
    masterBytes,
    SrtpReceiver,
    SrtpSender,
    srtcpTrailerBytes,
    srtpCarriedTagBytes,
    srtpTagBytes,
} from "../../media/srtp.ts"
import type { SessionKeys } from "../../servers/routing/media/plane.ts"

/** The text of a leg's keys; another for each number. */
export function legKeyText(number = 1): string {
    return Buffer.alloc(60, number).toString("base64")
}

export function legKeys(number = 1): LegKeys {
    return readLegKeys(legKeyText(number))!
}

function masterOf(rs: string): Buffer {
    return Buffer.alloc(masterBytes, rs)
}

/** What `rs` is given of a session that it shares with `others`. */
export function sessionKeys(rs: string, others: readonly string[]): SessionKeys {
    return { own: masterOf(rs), others: others.filter(id => id !== rs).map(id => ({ rs: id, master: masterOf(id) })) }
}

/** Protects plain packets one after the other, each under a sequence number of its own. */
export class Protector {
    private readonly sender: SrtpSender
    private readonly tagBytes: number
    private sequence = 0

    private constructor(master: Uint8Array, carries: boolean) {
        this.sender = new SrtpSender(master, carries)
        this.tagBytes = carries ? srtpCarriedTagBytes : srtpTagBytes
    }

    static ofEndpoint(keys: LegKeys = legKeys()): Protector {
        return new Protector(keys.toServer, false)
    }

    /** What a server sends on a link. */
    static ofServer(rs: string): Protector {
        return new Protector(masterOf(rs), true)
    }

    /** As if so many packets had been lost. */
    skip(packets: number): void {
        this.sequence += packets
    }

    of(plain: Uint8Array): Buffer {
        const packet = Buffer.alloc(plain.length + this.tagBytes)
        packet.set(plain)
        packet.writeUInt16BE(this.sequence++ & 0xffff, 2)
        return packet.subarray(0, this.sender.protect(packet, plain.length))
    }

    report(plain: Uint8Array): Buffer {
        const packet = Buffer.alloc(plain.length + srtcpTrailerBytes)
        packet.set(plain)
        return packet.subarray(0, this.sender.protectRtcp(packet, plain.length))
    }
}

/** What the endpoint hears. */
export function endpointReceiver(keys: LegKeys = legKeys()): SrtpReceiver {
    return new SrtpReceiver(keys.toEndpoint)
}
