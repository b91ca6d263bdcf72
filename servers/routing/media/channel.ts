/**
 * One two-way stream of a session at this server: a local endpoint's leg, or a link of the session's tree.
 *
 * Owns the jitter buffer of what comes in, the loudness of it, and the RTP numbers of what goes out. Never touches sockets:
 * a finished packet is handed to the `emit` it was made with. Allocates nothing per packet of a fixed length.
 */

import { Beginnings } from "../../../media/beginnings.ts"
import { type Codec, soundRate, unknownLossPercent } from "../../../media/codec.ts"
import { framePower } from "../../../media/frames.ts"
import { JitterBuffer, type PushOutcome } from "../../../media/jitter-buffer.ts"
import { powerToDb } from "../../../media/level.ts"
import { Pause } from "../../../media/pause.ts"
import { type RtpHeader, rtpHeaderBytes, writeRtp } from "../../../media/rtp.ts"
import type { SrtpSender } from "../../../media/srtp.ts"
import type { EncodedMix } from "./encodes.ts"

export const tickMs = 20
export const frameSamples = (soundRate * tickMs) / 1000

/** Below this mean power (-72 dBov) a frame is silence and is not mixed. */
const silentPower = 64
/** So long is sound mixed, from its last loud frame on: encoders and filters hold some of it back. */
const endTicks = 2
/** Smoothed power falls by this factor a tick: about 200 ms to 1/4. */
const decay = 0.87

const jitterFloorMs = 3
const jitterMaxMs = 200

const unheard = new Int16Array(frameSamples)

export type ChannelKind = "leg" | "link"

export class Channel {
    readonly jitter: JitterBuffer
    /** Sound of the present tick. */
    readonly frame = new Int16Array(frameSamples)
    /** Power of the present frame, and smoothed: up at once, down slowly. */
    power = 0
    loudness = 0
    /** Smoothed over about 200 ms both ways: how much of the talking is theirs. */
    presence = 0
    /** The frame, or the one before it, is not silence: a word is carried to its very end. */
    active = false
    wasActive = false
    /** It is among the loudest of this tick, and of the one before. */
    chosen = false
    wasChosen = false
    /** It was among them until now, and is heard once more while it fades. */
    fading = false
    /** Which encoded mix its far side hears at present; undefined: silence. */
    hears: EncodedMix | undefined
    /** The encoder that makes a mix for it alone, while it is one of the loudest. */
    own: EncodedMix | undefined
    sent = 0
    lastHeardMs = -1
    /** Whether sound may be sent: not to an address that has not shown that it wants any. */
    open = true
    /** How much of what is sent its far side misses. */
    lossPercent = unknownLossPercent
    /** Nothing that comes from it is heard, whatever its packets hold. */
    muted = false
    /** Nothing is sent on it any more; what is still under way to us is heard to its end. */
    leaving = false
    /** Protects what is sent. A channel made with room for a tag sends nothing without it. */
    sender: SrtpSender | undefined

    private readonly packet: Beginnings
    private sequence: number
    private readonly pause = new Pause()
    private readonly ticksOfTick: number
    private wasMuted = false
    private soundTicks = 0

    /** `start` is a random number that the RTP numbers begin from (RFC 3550). `tagBytes`: room for what protects; 0: it goes plain. */
    constructor(
        readonly kind: ChannelKind,
        readonly codec: Codec,
        readonly ssrc: number,
        private readonly start: number,
        private readonly emit: (packet: Buffer) => void,
        private readonly tagBytes = 0,
        readonly payloadType = codec.payloadType,
    ) {
        this.jitter = new JitterBuffer({ codec, pullSamples: frameSamples, floorMs: jitterFloorMs, maxMs: jitterMaxMs })
        // The first wrap of the sequence number must be one that a receiver can tell (RFC 3711, 3.3.1).
        this.sequence = start & 0x7fff
        this.ticksOfTick = (codec.clockRate * tickMs) / 1000
        const bytes = codec.isFixedSize ? codec.silence.length : codec.payloadBytesMax
        this.packet = packetOf(rtpHeaderBytes + bytes + tagBytes)
    }

    /** Gives back what is held outside of JavaScript's memory. */
    free(): void {
        this.jitter.free()
    }

    receive(packet: Uint8Array, header: RtpHeader, nowMs: number, excusedMs = 0): PushOutcome {
        const outcome = this.jitter.push(packet, header, nowMs, excusedMs)
        if (outcome !== "wrong-size") this.lastHeardMs = nowMs
        return outcome
    }

    /** Takes the sound of the tick that is due at `deadlineMs` out of the jitter buffer. */
    pull(deadlineMs: number): void {
        // Muted in the middle of a word: what was heard last fades, nothing of what comes is let through.
        const isCut = this.muted && !this.wasMuted && this.wasChosen
        if (isCut) this.jitter.trail(this.frame)
        this.jitter.pull(isCut ? unheard : this.frame, deadlineMs)
        if (this.muted && !isCut) this.frame.fill(0)
        this.wasMuted = this.muted
        this.power = framePower(this.frame)
        this.wasActive = this.active
        this.soundTicks = this.power > silentPower ? endTicks : Math.max(0, this.soundTicks - 1)
        this.active = this.soundTicks > 0
        this.loudness = this.muted ? this.power : Math.max(this.power, this.loudness * decay)
        if (this.loudness < 1) this.loudness = 0
        this.presence += (this.power - this.presence) * 0.1
    }

    get levelDb(): number {
        return powerToDb(this.loudness)
    }

    /**
     * Sends one frame of already encoded sound, or of silence when there is no `mix`. Legs get every frame, so that an endpoint's
     * clock and firewall see a steady stream; links get pauses.
     */
    send(mix: EncodedMix | undefined, tick: number): void {
        this.hears = mix
        if (!this.open || this.leaving || (this.tagBytes > 0 && !this.sender)) return
        const isDue = this.pause.isDue(mix === undefined)
        if (this.kind === "link" && !isDue) return
        const packet = this.packet.whole
        const marker = this.sent === 0 || this.pause.hasEnded
        const { payloadType } = this
        const { silence } = this.codec
        // Timestamps come from the tick's number, not from what was sent: pauses and skipped ticks keep their length.
        writeRtp(packet, marker, payloadType, this.sequence, this.start + tick * this.ticksOfTick, this.ssrc)
        this.sequence = (this.sequence + 1) & 0xffff
        const payload = mix ? mix.payload : silence
        packet.set(payload, rtpHeaderBytes)
        this.sent++
        let length = rtpHeaderBytes + payload.length
        if (this.sender) length = this.sender.protect(packet, length)
        if (length === 0) return
        this.emit(this.packet.first(length))
    }
}

const packets: (Beginnings | undefined)[] = []

/** Shared by all channels with packets of up to this length: whoever is given one has taken it when they return. */
function packetOf(bytesMost: number): Beginnings {
    const packet = packets[bytesMost] ?? new Beginnings(Buffer.alloc(bytesMost))
    packets[bytesMost] = packet
    return packet
}
