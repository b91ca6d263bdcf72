/**
 * One leg that is held: who its endpoint is, where it is and under which keys, with the channel and the reports of it.
 *
 * Owns what changes when its endpoint joins again. A class, not a copy of the request, because every packet reads it.
 */

import { randomInt } from "node:crypto"
import { hostname } from "node:os"
import type { CodecName } from "../../../media/codec.ts"
import { codecs } from "../../../media/codecs.ts"
import { rtpHeaderBytes } from "../../../media/rtp.ts"
import { RtpReports } from "../../../media/rtp-reports.ts"
import { SrtpReceiver, SrtpSender, srtpTagBytes } from "../../../media/srtp.ts"
import { Channel } from "./channel.ts"
import type { Leg, PlainSource } from "./interface.ts"

const u32 = 4294967295

export interface HeldLegEnvironment {
    send(packet: Buffer, ip: string, port: number): void
    /** The present tick's time on the wall. */
    unixMs(): number
}

export class HeldLeg implements Leg {
    readonly session: string
    readonly endpoint: string
    readonly ssrc: number
    readonly codec: CodecName
    readonly plain: PlainSource | undefined
    readonly channel: Channel
    readonly reports: RtpReports
    remoteIp: string
    remotePort: number
    keys: Leg["keys"]
    /** Of what the endpoint sends; a plain leg has none. */
    receiver: SrtpReceiver | undefined
    /** When its endpoint joined last. */
    sinceMs: number
    reportTick = 0

    constructor(leg: Leg, codec: CodecName, nowMs: number, environment: HeldLegEnvironment) {
        this.session = leg.session
        this.endpoint = leg.endpoint
        this.ssrc = leg.ssrc
        this.codec = codec
        this.plain = leg.plain
        this.remoteIp = leg.remoteIp
        this.remotePort = leg.remotePort
        this.keys = leg.keys
        this.receiver = leg.keys && new SrtpReceiver(leg.keys.toServer)
        this.sinceMs = nowMs
        const kind = codecs[codec]
        this.reports = new RtpReports(codec, kind.clockRate, `parley@${hostname()}`)
        const tagBytes = leg.plain ? 0 : srtpTagBytes
        const emit = (packet: Buffer) => {
            const payloadBytes = packet.length - rtpHeaderBytes - tagBytes
            this.reports.sent(this.channel.ssrc, packet.readUInt32BE(4), payloadBytes, environment.unixMs())
            environment.send(packet, this.remoteIp, this.remotePort)
        }
        const numbers = [randomInt(1, u32), randomInt(u32)] as const
        this.channel = new Channel("leg", kind, ...numbers, emit, tagBytes, leg.plain?.payloadType)
        if (leg.keys) this.channel.sender = new SrtpSender(leg.keys.toEndpoint)
        // Anybody may name an address when they join. Only a packet from there proves that it wants to hear us; until
        // then nothing is sent, so that nobody can turn our sound on somebody else.
        this.channel.open = leg.plain !== undefined && leg.remotePort !== 0
    }

    /** The endpoint has joined again: perhaps from elsewhere, perhaps under new keys. */
    goOn(leg: Leg, nowMs: number): void {
        this.sinceMs = nowMs
        // The same keys again must go on where they are: no index is ever used twice.
        if (leg.keys && !isSameKeys(leg, this)) {
            this.keys = leg.keys
            this.receiver = new SrtpReceiver(leg.keys.toServer)
            this.channel.sender = new SrtpSender(leg.keys.toEndpoint)
        }
        if (this.plain || (this.remoteIp === leg.remoteIp && this.remotePort === leg.remotePort)) return
        this.remoteIp = leg.remoteIp
        this.remotePort = leg.remotePort
        this.channel.open = false
    }
}

function isSameKeys(a: Leg, b: Leg): boolean {
    if (!a.keys || !b.keys) return a.keys === b.keys
    const [one, other] = [Buffer.from(a.keys.toServer), Buffer.from(a.keys.toEndpoint)]
    return one.equals(b.keys.toServer) && other.equals(b.keys.toEndpoint)
}
