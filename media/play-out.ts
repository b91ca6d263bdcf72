/**
 * The sound of one stream as it is played: packets wait here, encoded, and are decoded in order just before their sound is needed, so
 * that a lost one can still be repaired from the one after it.
 *
 * Owns what was played lately, what is decoded and not played yet, what fills gaps, and the seams where sound is left out or said
 * again. Never decides where play-out should be (`steering.ts`), never knows time. Media times are samples at 16 kHz since the
 * stream's first packet.
 */

import { type Decoder, soundRate } from "./codec.ts"
import { Concealment, concealmentPastSeconds } from "./concealment.ts"
import { fadeOutOf } from "./level.ts"
import { PacketStore } from "./packet-store.ts"
import { findPeriod, leaveOut, type Period, sayAgain } from "./time-scale.ts"

const samplesPerMs = soundRate / 1000
/** Longest packet of any codec. */
const packetSamplesMax = 200 * samplesPerMs
/** A packet may be this far ahead of the play-out, and the first of a stream this much behind others of it. */
const aheadSamplesMax = 1000 * samplesPerMs
const reorderSamples = 100 * samplesPerMs
const quietPower = 180 * 180 // about -45 dBov

const periodMin = 2.5 * samplesPerMs
const periodMax = 15 * samplesPerMs
const spanSamples = 10 * samplesPerMs
/** So much can be left out in a quiet moment, and said again. */
export const leaveOutMost = 120 * samplesPerMs
export const sayAgainMost = 20 * samplesPerMs
const trailSamples = 5 * samplesPerMs
const fadeOut = fadeOutOf(trailSamples)

/** Played sound that is kept: for concealment, and to say it again. */
const pastSamples = Math.max(Math.ceil(concealmentPastSeconds * soundRate), sayAgainMost) + spanSamples
/** Before a seam in quiet so much is decoded, and the packet that it ends in to its end; a pull needs less. */
const aheadSamples = leaveOutMost + spanSamples + packetSamplesMax
/** Shared by all: one decodes at a time, and nothing is left in it. */
const decoded = new Int16Array(packetSamplesMax)
/** What most packets hold: 20 ms. */
const decodedFrame = decoded.subarray(0, 20 * samplesPerMs)
const period: Period = { lag: 0, likeness: 0 }
const ending = new Concealment(soundRate)

export class PlayOut {
    /** The stream has begun to be heard; before, there is silence, or the end of the stream before it. */
    playing = false
    /** Samples made up where sound was missing, and those of lost packets that the next packet held once more. */
    concealedSamples = 0
    repairedSamples = 0
    /** How often the play-out was moved by a seam, and by a jump. */
    adjustments = 0
    jumps = 0

    /** What has been played lately, then from `head` to `tail` what has been decoded and not played. */
    private readonly sound = new Int16Array(2 * pastSamples + aheadSamples)
    private head = pastSamples
    private tail = pastSamples
    /** Media time of `tail`. */
    private reached = 0
    private readonly store = new PacketStore()
    /** Of the packet decoded last, or of the last one that is known to be lost. */
    private playedSequence = 0
    private readonly gap = new Concealment(soundRate)
    /** The codec fills the present gap. */
    private gapIsByCodec = false

    /** Nothing can be decoded without a decoder, so nothing may be put. */
    constructor(
        private readonly decoder: Decoder | undefined,
        private readonly pullSamples: number,
    ) {}

    /** Media time of the next sample to play. */
    get position(): number {
        return this.reached - (this.tail - this.head)
    }

    /** A packet that ends after this media time is too far ahead. */
    get endMost(): number {
        return (this.playing ? this.position : 0) + aheadSamplesMax
    }

    /** The next pull would have to make sound up. */
    get isDry(): boolean {
        return !this.playing || (this.store.count === 0 && this.tail - this.head < this.pullSamples)
    }

    /** Something stands in for sound that is missing. */
    get isInGap(): boolean {
        return this.gap.active
    }

    /** It has faded: whatever happens to the play-out is not heard. */
    get isUnheard(): boolean {
        return this.tail === this.head && this.gap.hasFaded(this.gapIsByCodec)
    }

    /** Another stream comes; what was heard of the one before is carried on until it begins. */
    restart(): void {
        this.playing = false
        this.playedSequence = 0
        this.store.clear()
        this.decoder?.reset()
    }

    /** Keeps a packet, `samples` of sound from `start` on, until its time. False: that is over. */
    put(sequence: number, start: number, samples: number, packet: Uint8Array, offset: number, bytes: number): boolean {
        const isLate = this.playing ? start + samples <= this.reached : start < -reorderSamples
        return !isLate && this.store.put(sequence, start, samples, packet, offset, bytes)
    }

    /** The stream is heard from the media time `position` on. It may begin in the middle of a sound. */
    begin(position: number): void {
        this.playing = true
        this.reached = position
        this.tail = this.head
        if (!this.gap.active) this.beginGap(false)
    }

    /** Takes the next pull into `samples`. Where no packet waits at all, the stream goes on unheard, or is held back by as much. */
    take(samples: Int16Array, holdsBack: boolean): void {
        const count = this.pullSamples
        if (this.playing) while (this.tail - this.head < count) this.extend(holdsBack)
        else while (this.tail - this.head < count) this.conceal(count, false)
        const { sound, head } = this
        // A view of it would be one more object for each pull.
        for (let i = 0; i < count; i++) samples[i] = sound[head + i]!
        this.head += count
        if (this.head > 2 * pastSamples) this.compact()
    }

    /** Writes 5 ms that lead what was played last to silence, and silence after it; the stream itself goes on unheard. */
    trail(samples: Int16Array): void {
        samples.fill(0)
        ending.begin(this.sound, this.head)
        ending.fill(samples, 0, trailSamples)
        for (let i = 0; i < trailSamples; i++) samples[i] = Math.round(samples[i]! * fadeOut[i]!)
    }

    /** Moves the play-out while it is unheard. */
    skip(samples: number): void {
        this.reached += samples
    }

    /** Goes on elsewhere at once: what was decoded is dropped, and what comes next is joined to what was played last. */
    jump(samples: number): void {
        const position = this.position + samples
        this.tail = this.head
        this.reached = position
        this.jumps++
        if (!this.gap.active) this.gap.begin(this.sound, this.tail)
    }

    /**
     * Leaves out `count` samples of silence, an even number, or of speech a pitch period whose two ends are `least` alike (-1 to 1;
     * more: no seam in speech). False: there was nowhere to look for one.
     */
    leaveOut(count: number, least: number): boolean {
        if (this.decodeAhead(count + spanSamples) && this.isQuiet(this.head, count + spanSamples)) {
            this.seam(leaveOut(this.sound, this.head, count, spanSamples / 2))
            return true
        }
        const longest = Math.min(periodMax, count)
        if (least > 1 || !this.decodeAhead(longest + spanSamples)) return false
        findPeriod(this.sound, this.head, 1, periodMin, longest, spanSamples, period)
        if (period.likeness >= least) this.seam(leaveOut(this.sound, this.head, period.lag, spanSamples))
        return true
    }

    /** Says `count` samples of silence again, at most `sayAgainMost`, or of speech a pitch period: as in `leaveOut`. */
    sayAgain(count: number, least: number): boolean {
        if (!this.decodeAhead(spanSamples)) return false
        if (this.isQuiet(this.head - count, count + spanSamples)) {
            this.seam(sayAgain(this.sound, this.head, count, Math.min(count, spanSamples / 2)))
            return true
        }
        if (least > 1) return false
        findPeriod(this.sound, this.head, -1, periodMin, periodMax, spanSamples, period)
        if (period.likeness >= least)
            this.seam(sayAgain(this.sound, this.head, period.lag, Math.min(period.lag, spanSamples)))
        return true
    }

    private seam(head: number): void {
        this.head = head
        this.adjustments++
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
        const { sound } = this
        const most = quietPower * count
        let sum = 0
        for (let i = from; i < from + count && sum < most; i++) sum += sound[i]! * sound[i]!
        return sum < most
    }

    /** Makes the decoded sound longer: by the next packet, by what stands for a missing one, or by silence. */
    private extend(holdsBack: boolean): void {
        const { store } = this
        const slot = store.first()
        if (slot < 0) {
            this.conceal(Number.POSITIVE_INFINITY, !holdsBack)
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
        const skip = this.reached - store.start(slot)
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
        let count = Math.min(most, this.pullSamples - (tail - this.head))
        if (advance && this.reached + count <= 0) {
            sound.fill(0, tail, tail + count)
            this.tail += count
            this.reached += count
            return
        }
        if (!gap.active) this.beginGap(this.playing)
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
