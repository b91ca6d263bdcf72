/**
 * What has arrived of one stream: packets are numbered, judged and counted at the door, before anybody looks at what they hold.
 *
 * Owns the numbers (those that wrap are extended here), which packet is a duplicate or no part of the stream, when a stream begins
 * anew, and how late and how lossy its network is. Never keeps a packet and never knows what is played. Media times are
 * samples at 16 kHz since the stream's first packet.
 */

import { soundRate } from "./codec.ts"
import { DelayTarget } from "./delay-target.ts"
import { type RtpHeader, sequenceDistance, timestampDistance } from "./rtp.ts"

/** "first": accepted, and the stream begins with it, be it anew. "strange": not believed before another confirms it. */
export type Arrival = "accepted" | "first" | "duplicate" | "strange"

const samplesPerMs = soundRate / 1000
const seenSize = 1024
/** A jump this far in numbers, or in transit, is believed only when a second packet confirms it. */
const strangeSequence = 1000
const strangeTransitMs = 1000
/** Smoothed over about 5 s: three lost packets within a second make a network lossy, and 7 s without any end it. */
const lossSmoothing = 1 / 256
const lossyAbove = 0.01
const lossyBelow = 0.003

export class Arrivals {
    /** How long packets have to be waited for. */
    readonly target: DelayTarget
    /** Of the packet that was accepted last: its extended number and the media time that it starts at. */
    sequence = 0
    start = 0
    /** Where the newest packet starts, and how long it is. */
    newest = 0
    packetSamples = 0
    /** So many packets are being lost that it is worth to wait for what repairs them. */
    isLossy = false
    duplicates = 0
    /** Interarrival jitter of RFC 3550. */
    jitterMs = 0
    received = 0
    restarts = 0
    started = false

    private readonly samplesPerTick: number
    private readonly seen = new Float64Array(seenSize)
    private ssrc = 0
    private firstSequence = 0
    private newestSequence = 0
    private newestTimestamp = 0
    /** Extended timestamp of the newest packet; the first packet of a stream has 0. */
    private newestTicks = 0
    private strangeSequenceNext = -1
    private strangeSsrc = 0
    private lastTransitMs = 0
    private lossShare = 0
    /** Of the present stream, and packets lost of those before it. */
    private receivedHere = 0
    private lostBefore = 0

    constructor(clockRate: number, floorMs: number, maxMs: number) {
        this.samplesPerTick = soundRate / clockRate
        this.target = new DelayTarget(floorMs, maxMs)
    }

    /** Packets that never came. */
    get lost(): number {
        return this.lostBefore + this.lostHere()
    }

    /**
     * A packet of `samples` has arrived at `nowMs`, for which the receiver itself was late by `excusedMs`. One that ends after the
     * media time `endMost` would be too far ahead of what is played.
     */
    take(header: RtpHeader, samples: number, nowMs: number, excusedMs: number, endMost: number): Arrival {
        if (!this.started || header.ssrc !== this.ssrc) this.restart(header, samples)
        const ahead = sequenceDistance(header.sequence, this.newestSequence & 0xffff)
        const sequence = this.newestSequence + ahead
        const ticks = this.newestTicks + timestampDistance(header.timestamp, this.newestTimestamp)
        const start = Math.round(ticks * this.samplesPerTick)
        const transitMs = nowMs - start / samplesPerMs
        const isStrange = start + samples > endMost || this.isStrange(ahead, transitMs)
        // To a stream of which nothing has come, nothing is strange.
        if (isStrange && this.receivedHere > 0) {
            if (header.sequence !== this.strangeSequenceNext || header.ssrc !== this.strangeSsrc) {
                this.strangeSequenceNext = (header.sequence + 1) & 0xffff
                this.strangeSsrc = header.ssrc
                return "strange"
            }
            this.restart(header, samples)
            return this.take(header, samples, nowMs, excusedMs, endMost)
        }
        this.strangeSequenceNext = -1
        if (this.seen[sequence & (seenSize - 1)] === sequence) {
            this.duplicates++
            return "duplicate"
        }
        this.seen[sequence & (seenSize - 1)] = sequence
        if (sequence < this.firstSequence) this.firstSequence = sequence
        this.received++
        this.receivedHere++
        const networkMs = transitMs - excusedMs
        if (this.receivedHere > 1) this.jitterMs += (Math.abs(networkMs - this.lastTransitMs) - this.jitterMs) / 16
        this.lastTransitMs = networkMs
        this.target.note(transitMs, nowMs, excusedMs)
        if (ahead > 0) {
            this.noteLoss(ahead - 1)
            this.newestSequence = sequence
            this.newestTicks = ticks
            this.newest = start
            this.newestTimestamp = header.timestamp
            this.packetSamples = samples
        }
        this.sequence = sequence
        this.start = start
        return this.receivedHere === 1 ? "first" : "accepted"
    }

    private restart(header: RtpHeader, samples: number): void {
        if (this.started) {
            this.lostBefore += this.lostHere()
            this.restarts++
        }
        this.started = true
        this.ssrc = header.ssrc
        // Sequence numbers start high enough that a packet from before the first one never gets a negative number.
        this.firstSequence = header.sequence + 65536
        this.newestSequence = this.firstSequence
        this.newestTimestamp = header.timestamp
        this.newestTicks = 0
        this.newest = 0
        this.packetSamples = samples
        this.receivedHere = 0
        this.strangeSequenceNext = -1
        this.lossShare = 0
        this.isLossy = false
        this.seen.fill(-1)
        this.target.reset()
    }

    private isStrange(ahead: number, transitMs: number): boolean {
        return Math.abs(ahead) > strangeSequence || Math.abs(transitMs - this.target.minTransitMs) > strangeTransitMs
    }

    private lostHere(): number {
        return this.started ? Math.max(0, this.newestSequence - this.firstSequence + 1 - this.receivedHere) : 0
    }

    private noteLoss(packets: number): void {
        // Those that are only late come with a negative distance later on; they would have been repaired as well.
        const lost = Math.min(packets, 1 / lossSmoothing / 4)
        this.lossShare += lost * lossSmoothing - this.lossShare * lossSmoothing
        if (this.lossShare > lossyAbove) this.isLossy = true
        else if (this.lossShare < lossyBelow) this.isLossy = false
    }
}
