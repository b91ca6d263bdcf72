/**
 * One two-way stream of a session at this server: a local endpoint's leg, or a link of the session's tree.
 *
 * Owns the jitter buffer of what comes in, the loudness of it, and the RTP numbers of what goes out. Never touches sockets:
 * a finished packet is handed to the `emit` it was made with. Allocates nothing per packet.
 */

import { encodePcmu, pcmuPayloadType, pcmuSilence } from "../../../media/g711.ts"
import { JitterBuffer, type PushOutcome } from "../../../media/jitter-buffer.ts"
import { power, powerToDb } from "../../../media/level.ts"
import { type RtpHeader, rtpHeaderBytes, writeRtp } from "../../../media/rtp.ts"

/** Rate of the mix. PCMU needs no more; wide-band codecs will raise it to 16 kHz. */
export const mixRate = 8000
export const tickMs = 20
export const frameSamples = (mixRate * tickMs) / 1000

/** Below this mean power (-72 dBov) a frame is silence and is not mixed. */
const silentPower = 64
/** Smoothed power falls by this factor a tick: about 200 ms to 1/4. */
const decay = 0.87
/** A packet may wait in the socket for a moment; its buffer is written again only after so many ticks. */
const buffers = 4
/** Silence that is still sent on a link, so that the far side knows the pause for one; then one packet each so often. */
const hangoverTicks = 10
const keepaliveTicks = 25

const jitterFloorMs = 3
const jitterMaxMs = 200

export type ChannelKind = "leg" | "link"

export class Channel {
    readonly jitter = new JitterBuffer({
        rate: mixRate,
        pullSamples: frameSamples,
        floorMs: jitterFloorMs,
        maxMs: jitterMaxMs,
    })
    /** Sound of the present tick. */
    readonly frame = new Int16Array(frameSamples)
    /** Power of the present frame, and smoothed: up at once, down slowly. */
    power = 0
    loudness = 0
    /** The frame is not silence. */
    active = false
    /** It is among the loudest of this tick, and of the one before. */
    chosen = false
    wasChosen = false
    sent = 0
    lastHeardMs = -1

    private readonly packets = Array.from({ length: buffers }, () => Buffer.alloc(rtpHeaderBytes + frameSamples))
    private nextPacket = 0
    private sequence: number
    private silentTicks = keepaliveTicks

    /** `start` is a random number that the RTP numbers begin from (RFC 3550). */
    constructor(
        readonly kind: ChannelKind,
        private readonly ssrc: number,
        private readonly start: number,
        private readonly emit: (packet: Buffer) => void,
    ) {
        this.sequence = start & 0xffff
    }

    receive(packet: Uint8Array, header: RtpHeader, nowMs: number, excusedMs = 0): PushOutcome {
        this.lastHeardMs = nowMs
        return this.jitter.push(packet, header, nowMs, excusedMs)
    }

    /** Takes the sound of the tick that is due at `deadlineMs` out of the jitter buffer. */
    pull(deadlineMs: number): void {
        this.jitter.pull(this.frame, deadlineMs)
        this.power = power(this.frame)
        this.active = this.power > silentPower
        this.loudness = Math.max(this.active ? this.power : 0, this.loudness * decay)
        if (this.loudness < 1) this.loudness = 0
    }

    get levelDb(): number {
        return powerToDb(this.loudness)
    }

    /**
     * Sends one frame of already encoded sound, or of silence when `payload` is undefined. Legs get every frame, so that an
     * endpoint's clock and firewall see a steady stream; links get pauses.
     */
    send(payload: Uint8Array | undefined, tick: number): void {
        const pausedBefore = this.silentTicks > hangoverTicks
        this.silentTicks = payload ? 0 : this.silentTicks + 1
        const pause =
            this.kind === "link" && this.silentTicks > hangoverTicks && this.silentTicks % keepaliveTicks !== 0
        if (pause) return
        const packet = this.packets[this.nextPacket]!
        this.nextPacket = (this.nextPacket + 1) % buffers
        const marker = this.sent === 0 || (payload !== undefined && pausedBefore)
        // Timestamps come from the tick's number, not from what was sent: pauses and skipped ticks keep their length.
        writeRtp(packet, marker, pcmuPayloadType, this.sequence, this.start + tick * frameSamples, this.ssrc)
        this.sequence = (this.sequence + 1) & 0xffff
        if (payload) packet.set(payload, rtpHeaderBytes)
        else packet.fill(pcmuSilence, rtpHeaderBytes)
        this.sent++
        this.emit(packet)
    }
}

/** Encodes one frame of the mix. */
export function encodeFrame(samples: Int16Array, payload: Uint8Array): void {
    encodePcmu(samples, frameSamples, payload, 0)
}
