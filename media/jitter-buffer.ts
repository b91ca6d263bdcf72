/**
 * The jitter buffer of one received stream: packets in as they come, sound out at a steady pace, as early as the network allows.
 *
 * Owns order, duplicates, loss, play-out delay and what is played in gaps. Packets wait encoded and are decoded in order just
 * before a pull needs them, so a lost one can still be repaired from the one after it. Pure: the time comes as an argument, and
 * once a stream runs nothing is allocated but a view of each pull. Never opens a socket. Numbers that wrap are extended at the door; media times
 * inside are samples at 16 kHz since the stream's first packet.
 */

import { type Codec, type Decoder, soundRate } from "./codec.ts"
import { Concealment, concealmentPastSeconds } from "./concealment.ts"
import { DelayTarget } from "./delay-target.ts"
import { fadeOutOf } from "./level.ts"
import { PacketStore } from "./packet-store.ts"
import { type RtpHeader, sequenceDistance, timestampDistance } from "./rtp.ts"
import { findPeriod, leaveOut, type Period, sayAgain } from "./time-scale.ts"

export interface JitterBufferOptions {
    codec: Codec
    /** Samples (16 kHz) of one `pull`, always the same. */
    pullSamples: number
    /** Smallest and largest time that a packet is waited for after its fastest arrival. */
    floorMs: number
    maxMs: number
}

export type PushOutcome = "accepted" | "late" | "duplicate" | "strange" | "wrong-size"

export interface JitterBufferStatistics {
    received: number
    /** Packets that never came. */
    lost: number
    /** Packets that came after their time. */
    late: number
    duplicates: number
    /** Samples made up where sound was missing. */
    concealedSamples: number
    /** Samples of lost packets that the next packet held once more. */
    repairedSamples: number
    /** Interarrival jitter of RFC 3550. */
    jitterMs: number
    /** From a packet's fastest arrival to its play-out. */
    delayMs: number
    restarts: number
    /** How often the delay was changed by a pitch period or in a quiet moment, and by a jump. */
    adjustments: number
    jumps: number
}

const samplesPerMs = soundRate / 1000
/** Longest packet of any codec. */
const packetSamplesMax = 200 * samplesPerMs
const seenSize = 1024
/** A jump this far in numbers, or in transit, is believed only when a second packet confirms it. */
const strangeSequence = 1000
const strangeTransitMs = 1000
/** A packet may be this far ahead of the play-out, and the first of a stream this much behind others of it. */
const aheadSamplesMax = 1000 * samplesPerMs
const reorderSamples = 100 * samplesPerMs
/** A play-out this far from where it should be is put right at once, any less by little. */
const jumpSamples = 120 * samplesPerMs
const shrinkAfterSeconds = 0.5
const growAfterSeconds = 0.06
/** Changes of the delay need this much evidence, so that it does not swing to and fro about a boundary. */
const growHysteresisMs = 1
const shrinkHysteresisMs = 2
/**
 * Where packets can be repaired from the next one, it is waited for that one too while so many are lost; smoothed over about 5 s,
 * so three within a second begin it, and 7 s without any end it.
 */
const lossSmoothing = 1 / 256
const repairAbove = 0.01
const repairBelow = 0.003
const quietPower = 180 * 180 // about -45 dBov

/** An excess below this is not worth a seam. */
const shrinkSamplesMin = 5 * samplesPerMs
const periodMin = 2.5 * samplesPerMs
const periodMax = 15 * samplesPerMs
const spanSamples = 10 * samplesPerMs
/** From one seam to the next, and from one search for a place to the next. */
const seamSamples = 40 * samplesPerMs
/**
 * How much alike both sides of a seam in speech have to be, by how long it has been waited for a quiet moment. When more than this
 * many samples are to be put right, waiting is worse than a seam that can be heard.
 */
const hurrySamples = 25 * samplesPerMs
const shrinkLikeness = [
    { afterSeconds: 8, least: -1, leastInHurry: -1 },
    { afterSeconds: 4, least: 0.8, leastInHurry: -1 },
    { afterSeconds: 2, least: 0.95, leastInHurry: 0.7 },
]
const growLikeness = [
    { afterSeconds: 3, least: -1, leastInHurry: -1 },
    { afterSeconds: 1.5, least: 0.7, leastInHurry: -1 },
    { afterSeconds: 0.3, least: 0.9, leastInHurry: 0.7 },
]
/** Said again in a quiet moment. */
const quietStepMax = 20 * samplesPerMs
const trailSamples = 5 * samplesPerMs
const fadeOut = fadeOutOf(trailSamples)

/** Played sound that is kept: for concealment, and to say it again. */
const pastSamples = Math.max(Math.ceil(concealmentPastSeconds * soundRate), quietStepMax) + spanSamples
/** Before a seam in quiet so much is decoded, and the packet that it ends in to its end; a pull needs less. */
const aheadSamples = jumpSamples + spanSamples + packetSamplesMax
/** Shared by all buffers: one decodes at a time, and nothing is left in it. */
const decoded = new Int16Array(packetSamplesMax)
/** What most packets hold: 20 ms. */
const decodedFrame = decoded.subarray(0, 20 * samplesPerMs)
const period: Period = { lag: 0, likeness: 0 }
const ending = new Concealment(soundRate)

export class JitterBuffer {
    /** What has been played lately, then from `head` to `tail` what has been decoded and not played. */
    private readonly sound = new Int16Array(2 * pastSamples + aheadSamples)
    private head = pastSamples
    private tail = pastSamples
    /** Media time of `tail`. */
    private reached = 0
    /** Nothing can be decoded without a decoder: everything is refused. */
    private readonly decoder: Decoder | undefined
    private readonly samplesPerTick: number
    private readonly store = new PacketStore()
    private readonly seen = new Float64Array(seenSize)
    private readonly gap = new Concealment(soundRate)
    /** The codec fills the present gap. */
    private gapIsByCodec = false
    private readonly target: DelayTarget

    private started = false
    private playing = false
    private ssrc = 0
    private firstSequence = 0
    private newestSequence = 0
    private newestTimestamp = 0
    /** Extended timestamp of the newest packet; the first packet of a stream has 0. */
    private newestTicks = 0
    private newest = 0
    private packetSamples = 0
    private grid = 1
    /** Of the packet decoded last, or of the last one that is known to be lost. */
    private playedSequence = 0
    private strangeSequenceNext = -1
    private strangeSsrc = 0
    private lastTransitMs = 0
    private lossShare = 0
    private waitsForRepair = false
    private excessPulls = 0
    private shortPulls = 0
    private sinceSeam = 0

    private received = 0
    private receivedHere = 0
    private lostBefore = 0
    private late = 0
    private duplicates = 0
    private concealedSamples = 0
    private repairedSamples = 0
    private jitterMs = 0
    private delayMs = 0
    private restarts = 0
    private adjustments = 0
    private jumps = 0

    constructor(private readonly options: JitterBufferOptions) {
        this.decoder = options.codec.createDecoder()
        this.samplesPerTick = soundRate / options.codec.clockRate
        this.target = new DelayTarget(options.floorMs, options.maxMs)
    }

    /** False: there was no decoder left for it, and nothing will be heard. */
    get canDecode(): boolean {
        return this.decoder !== undefined
    }

    /** Gives the decoder back. Nothing may be pushed or pulled afterwards. */
    free(): void {
        this.decoder?.free()
    }

    /**
     * A packet whose header was read into `header` arrived at `nowMs`. `excusedMs`: so late is the receiver itself with its next
     * pull, for which this packet is still in time.
     */
    push(packet: Uint8Array, header: RtpHeader, nowMs: number, excusedMs = 0): PushOutcome {
        const { payloadOffset, payloadBytes } = header
        const samples = this.decoder ? this.options.codec.samplesOf(packet, payloadOffset, payloadBytes) : 0
        if (samples === 0) return "wrong-size"
        if (!this.started || header.ssrc !== this.ssrc) this.restart(header, samples)

        const ahead = sequenceDistance(header.sequence, this.newestSequence & 0xffff)
        const sequence = this.newestSequence + ahead
        const ticks = this.newestTicks + timestampDistance(header.timestamp, this.newestTimestamp)
        const start = Math.round(ticks * this.samplesPerTick)
        const transitMs = nowMs - start / samplesPerMs
        if (this.isStrange(ahead, start, samples, transitMs)) {
            if (header.sequence !== this.strangeSequenceNext || header.ssrc !== this.strangeSsrc) {
                this.strangeSequenceNext = (header.sequence + 1) & 0xffff
                this.strangeSsrc = header.ssrc
                return "strange"
            }
            this.restart(header, samples)
            return this.push(packet, header, nowMs, excusedMs)
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
            if (samples !== this.packetSamples) this.notePacketSize(samples)
        }
        const isLate = this.playing ? start + samples <= this.reached : start < -reorderSamples
        if (isLate || !this.store.put(sequence, start, samples, packet, payloadOffset, payloadBytes)) {
            this.late++
            return "late"
        }
        return "accepted"
    }

    /** Takes the next `pullSamples` of sound into `samples` at `deadlineMs`. Silence before the stream has begun. */
    pull(samples: Int16Array, deadlineMs: number): void {
        const count = this.options.pullSamples
        if (this.started && (this.playing || this.begin(deadlineMs))) {
            this.steer(deadlineMs)
            const position = this.position
            while (this.tail - this.head < count) this.extend()
            this.delayMs = deadlineMs - this.target.minTransitMs - position / samplesPerMs
        } else while (this.tail - this.head < count) this.conceal(count, false)
        const { sound, head } = this
        samples.set(sound.subarray(head, head + count))
        this.head += count
        this.sinceSeam += count
        if (this.head > 2 * pastSamples) this.compact()
    }

    /** The next pull would have to make sound up. */
    get isDry(): boolean {
        return !this.playing || (this.store.count === 0 && this.tail - this.head < this.options.pullSamples)
    }

    /** Writes 5 ms that lead what was played last to silence, and silence after it; the stream itself goes on unheard. */
    trail(samples: Int16Array): void {
        samples.fill(0)
        ending.begin(this.sound, this.head)
        ending.fill(samples, 0, trailSamples)
        for (let i = 0; i < trailSamples; i++) samples[i] = Math.round(samples[i]! * fadeOut[i]!)
    }

    statistics(): JitterBufferStatistics {
        return {
            received: this.received,
            lost: this.lostBefore + this.lostHere(),
            late: this.late,
            duplicates: this.duplicates,
            concealedSamples: this.concealedSamples,
            repairedSamples: this.repairedSamples,
            jitterMs: this.jitterMs,
            delayMs: this.playing ? Math.max(0, this.delayMs) : 0,
            restarts: this.restarts,
            adjustments: this.adjustments,
            jumps: this.jumps,
        }
    }

    /** Media time of the next sample to play. */
    private get position(): number {
        return this.reached - (this.tail - this.head)
    }

    private lostHere(): number {
        return this.started ? Math.max(0, this.newestSequence - this.firstSequence + 1 - this.receivedHere) : 0
    }

    private restart(header: RtpHeader, samples: number): void {
        if (this.started) {
            this.lostBefore += this.lostHere()
            this.restarts++
        }
        this.started = true
        this.playing = false
        this.ssrc = header.ssrc
        // Sequence numbers start high enough that a packet from before the first one never gets a negative number.
        this.firstSequence = header.sequence + 65536
        this.newestSequence = this.firstSequence
        this.playedSequence = 0
        this.newestTimestamp = header.timestamp
        this.newestTicks = 0
        this.newest = 0
        this.receivedHere = 0
        this.strangeSequenceNext = -1
        this.excessPulls = 0
        this.shortPulls = 0
        this.lossShare = 0
        this.waitsForRepair = false
        this.seen.fill(-1)
        this.store.clear()
        this.target.reset()
        this.decoder?.reset()
        this.notePacketSize(samples)
    }

    private isStrange(ahead: number, start: number, samples: number, transitMs: number): boolean {
        if (this.receivedHere === 0) return false
        if (Math.abs(ahead) > strangeSequence) return true
        if (Math.abs(transitMs - this.target.minTransitMs) > strangeTransitMs) return true
        return start + samples > (this.playing ? this.position : 0) + aheadSamplesMax
    }

    private noteLoss(packets: number): void {
        // Those that are only late come with a negative distance later on; they would have been repaired as well.
        const lost = Math.min(packets, 1 / lossSmoothing / 4)
        this.lossShare += lost * lossSmoothing - this.lossShare * lossSmoothing
        if (this.lossShare > repairAbove) this.waitsForRepair = this.options.codec.canRepair
        else if (this.lossShare < repairBelow) this.waitsForRepair = false
    }

    private notePacketSize(samples: number): void {
        this.packetSamples = samples
        let a = samples
        let b = this.options.pullSamples
        while (b > 0) {
            const rest = a % b
            a = b
            b = rest
        }
        this.grid = a
    }

    /**
     * Where play-out should be at `deadlineMs`. By then every packet that starts at or before `come` has come. Packets lie on a
     * grid, pulls too: the worst of their phases decides how much of the last packet may be played already.
     */
    private desired(deadlineMs: number, allowanceMs: number): number {
        const repairMs = this.waitsForRepair ? this.packetSamples / samplesPerMs : 0
        const waitMs = Math.min(this.options.maxMs, this.target.targetMs + repairMs)
        const comeMs = deadlineMs - this.target.minTransitMs - waitMs + allowanceMs
        const come = Math.floor(comeMs * samplesPerMs)
        const phase = (((come - this.newest) % this.grid) + this.grid) % this.grid
        return come - phase - (this.options.pullSamples - this.grid)
    }

    private begin(deadlineMs: number): boolean {
        const position = this.desired(deadlineMs, 0)
        // `newest` is 0 or more; the stream begins with sample 0.
        if (position + this.options.pullSamples <= 0) return false
        this.playing = true
        this.reached = position
        this.tail = this.head
        // It may begin in the middle of a sound.
        if (!this.gap.active) this.beginGap(false)
        return true
    }

    /** Moves the play-out to where it should be: at once when far off, else by a pitch period or in a quiet moment. */
    private steer(deadlineMs: number): void {
        const plain = this.desired(deadlineMs, 0) - this.position
        if (Math.abs(plain) > jumpSamples) {
            this.jump(plain)
            return
        }
        const pullsPerSecond = soundRate / this.options.pullSamples
        const excess = this.desired(deadlineMs, -shrinkHysteresisMs) - this.position
        const short = this.position - this.desired(deadlineMs, growHysteresisMs)
        this.excessPulls = excess >= shrinkSamplesMin ? this.excessPulls + 1 : 0
        this.shortPulls = short > 0 ? this.shortPulls + 1 : 0
        if (this.gap.active) {
            // In a pause of the sender's nothing is heard of it: a clock that is off must not run away in an hour of it.
            const isUnheard = this.tail === this.head && this.gap.hasFaded(this.gapIsByCodec)
            if (isUnheard && (excess >= shrinkSamplesMin || short > 0)) this.reached += plain
            return
        }
        if (this.sinceSeam < seamSamples) return
        if (this.excessPulls > shrinkAfterSeconds * pullsPerSecond)
            this.shrink(excess, this.excessPulls / pullsPerSecond - shrinkAfterSeconds)
        else if (this.shortPulls > growAfterSeconds * pullsPerSecond)
            this.grow(short, this.shortPulls / pullsPerSecond - growAfterSeconds)
    }

    private shrink(excess: number, waitedSeconds: number): void {
        const count = excess & ~1
        // Silence may be left out whole; of speech, only a pitch period at a time.
        if (this.decodeAhead(count + spanSamples) && this.isQuiet(this.head, count + spanSamples)) {
            this.seam(leaveOut(this.sound, this.head, count, spanSamples / 2))
            return
        }
        const least = likenessNeeded(shrinkLikeness, waitedSeconds, count)
        const longest = Math.min(periodMax, count)
        if (least > 1 || !this.decodeAhead(longest + spanSamples)) return
        findPeriod(this.sound, this.head, 1, periodMin, longest, spanSamples, period)
        if (period.likeness >= least) this.seam(leaveOut(this.sound, this.head, period.lag, spanSamples))
        else this.sinceSeam = 0
    }

    private grow(short: number, waitedSeconds: number): void {
        const count = Math.min(quietStepMax, short + (short & 1))
        const fade = Math.min(count, spanSamples / 2)
        if (!this.decodeAhead(spanSamples)) return
        if (this.isQuiet(this.head - count, count + spanSamples)) {
            this.seam(sayAgain(this.sound, this.head, count, fade))
            return
        }
        const least = likenessNeeded(growLikeness, waitedSeconds, count)
        if (least > 1) return
        findPeriod(this.sound, this.head, -1, periodMin, periodMax, spanSamples, period)
        if (period.likeness >= least)
            this.seam(sayAgain(this.sound, this.head, period.lag, Math.min(period.lag, spanSamples)))
        else this.sinceSeam = 0
    }

    private seam(head: number): void {
        this.head = head
        this.sinceSeam = 0
        this.adjustments++
    }

    /** Goes on elsewhere at once: what was decoded is dropped, and what comes next is joined to what was played last. */
    private jump(samples: number): void {
        const position = this.position + samples
        this.tail = this.head
        this.reached = position
        this.excessPulls = 0
        this.shortPulls = 0
        this.sinceSeam = 0
        this.jumps++
        if (!this.gap.active) this.gap.begin(this.sound, this.tail)
    }

    /** Decodes until so many samples are ready. False when a packet is missing before. */
    private decodeAhead(count: number): boolean {
        while (this.tail - this.head < count) {
            const slot = this.store.first()
            if (slot < 0 || this.store.start(slot) > this.reached || !this.decodeFirst(slot)) return false
        }
        return true
    }

    private isQuiet(from: number, count: number): boolean {
        let sum = 0
        for (let i = from; i < from + count; i++) sum += this.sound[i]! * this.sound[i]!
        return sum < quietPower * count
    }

    /** Makes the decoded sound longer: by the next packet, by what stands for a missing one, or by silence. */
    private extend(): void {
        const { store } = this
        const slot = store.first()
        if (slot < 0) {
            // Too early and nothing there: to wait costs nothing more than the gap that there is anyway.
            this.conceal(Number.POSITIVE_INFINITY, this.shortPulls === 0)
            return
        }
        const missing = store.start(slot) - this.reached
        if (missing <= 0) {
            if (!this.decodeFirst(slot)) this.conceal(Number.POSITIVE_INFINITY, true)
            return
        }
        const isLoss = store.sequence(slot) > this.playedSequence + 1
        if (!isLoss || missing > store.samples(slot) || !this.repair(slot, missing)) this.conceal(missing, true)
    }

    /** Decodes the first packet that waits, all of it or what is still to be played. False when nothing came of it. */
    private decodeFirst(slot: number): boolean {
        const { store } = this
        const start = store.start(slot)
        const skip = this.reached - start
        // What is left of it may be too little to be joined to what stands in for the rest.
        const isStale = skip > 0 && skip + this.gap.joinSamples > store.samples(slot)
        const count = isStale ? 0 : this.decoder!.decode(store.payload(slot), 0, store.bytes(slot), decoded)
        // After a pause of the sender's, nothing is missing: a fresh word is not touched.
        const isFresh = skip <= 0 && this.gap.silent && store.sequence(slot) === this.playedSequence + 1
        this.playedSequence = store.sequence(slot)
        store.drop(slot)
        if (isStale) return true
        if (count <= skip) return false
        this.append(skip, count, this.gap.active && !isFresh && (skip > 0 || !this.gapIsByCodec))
        return true
    }

    /** Plays the frame before the first packet that waits, from that packet; `missing` samples of it are still to be played. */
    private repair(slot: number, missing: number): boolean {
        const { store } = this
        const count = this.decoder!.recover(store.payload(slot), 0, store.bytes(slot), decoded)
        if (count < missing) return false
        this.playedSequence = store.sequence(slot) - 1
        this.repairedSamples += missing
        this.append(count - missing, count, this.gap.active)
        return true
    }

    /** Takes over `decoded[from..to)`. */
    private append(from: number, to: number, isSeam: boolean): void {
        const { sound, tail } = this
        if (from === 0 && to === decodedFrame.length) sound.set(decodedFrame, tail)
        else for (let i = from; i < to; i++) sound[tail + i - from] = decoded[i]!
        this.tail += to - from
        this.reached += to - from
        // What a codec makes up is not known beyond the last sample of it: the end of it is carried on.
        if (isSeam && this.gapIsByCodec) this.gap.begin(sound, tail)
        if (isSeam) this.gap.join(sound, tail, this.tail)
        else this.gap.end()
    }

    /**
     * Fills up what the present pull needs, or more: a codec makes up 10 ms or nothing. `most` samples are missing. With `advance`
     * the media time goes on, else the stream is held back by as much.
     */
    private conceal(most: number, advance: boolean): void {
        const { sound, gap, tail } = this
        let count = Math.min(most, this.options.pullSamples - (tail - this.head))
        if (advance && this.reached + count <= 0) {
            sound.fill(0, tail, tail + count)
            this.tail += count
            this.reached += count
            return
        }
        if (!gap.active) this.beginGap(this.started && this.playing)
        let made = 0
        if (this.gapIsByCodec && !gap.hasFaded(true)) {
            made = this.decoder!.conceal(Number.isFinite(most) ? most : count, decoded)
            this.gapIsByCodec = made > 0
        }
        if (made > 0) {
            count = Math.min(made, most)
            for (let i = 0; i < count; i++) sound[tail + i] = decoded[i]!
            this.concealedSamples += gap.shape(sound, tail, tail + count)
        } else if (this.gapIsByCodec) sound.fill(0, tail, tail + count)
        else this.concealedSamples += gap.fill(sound, tail, tail + count)
        this.tail += count
        if (advance) this.reached += count
    }

    private beginGap(isByCodec: boolean): void {
        this.gap.begin(this.sound, this.tail)
        this.gapIsByCodec = isByCodec
    }

    private compact(): void {
        const from = this.head - pastSamples
        this.sound.copyWithin(0, from, this.tail)
        this.head -= from
        this.tail -= from
    }
}

/** More than 1: it is too early for a seam in speech. */
function likenessNeeded(table: typeof shrinkLikeness, waitedSeconds: number, samples: number): number {
    for (const { afterSeconds, least, leastInHurry } of table)
        if (waitedSeconds >= afterSeconds) return samples > hurrySamples ? leastInHurry : least
    return 2
}
