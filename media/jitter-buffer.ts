/**
 * The jitter buffer of one received stream: packets in as they come, sound out at a steady pace, as early as the network allows.
 *
 * Owns order, duplicates, loss, play-out delay and what is played in gaps. Samples lie in a ring by their timestamp, so packets
 * of any size and order fit. Pure: the time comes as an argument, and no packet or pull allocates. Never opens a socket.
 * Numbers that wrap are extended at the door; inside there are only growing ones.
 */

import { Concealment } from "./concealment.ts"
import { DelayTarget } from "./delay-target.ts"
import { decodePcmu } from "./g711.ts"
import { type RtpHeader, sequenceDistance, timestampDistance } from "./rtp.ts"

export interface JitterBufferOptions {
    /** Samples a second. */
    rate: number
    /** Samples of one `pull`, always the same. */
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
    /** Interarrival jitter of RFC 3550. */
    jitterMs: number
    /** From a packet's fastest arrival to its play-out. */
    delayMs: number
    restarts: number
}

/** Longest packet, 60 ms at 8 kHz; all others are refused. */
const packetSamplesMax = 480
const seenSize = 1024
/** A jump this far in numbers, or in transit, is believed only when a second packet confirms it. */
const strangeSequence = 1000
const strangeTransitMs = 1000
/** A play-out this far from where it should be is put right at once, any less in quiet moments. */
const hardSeconds = 0.12
const shrinkAfterSeconds = 0.5
const shrinkPatienceSeconds = 2
const growAfterSeconds = 0.06
const growPatienceSeconds = 0.3
/** Changes of the delay need this much evidence, so that it does not swing to and fro about a boundary. */
const growHysteresisMs = 1
const shrinkHysteresisMs = 2
const quietPower = 180 * 180 // about -45 dBov

export class JitterBuffer {
    private readonly ring: Int16Array
    private readonly present: Uint8Array
    private readonly mask: number
    private readonly scratch = new Int16Array(packetSamplesMax)
    private readonly seen = new Float64Array(seenSize)
    private readonly concealment: Concealment
    private readonly target: DelayTarget
    private readonly crossFadeSamples: number
    /** How far before its first packet a stream may begin, because packets overtook each other. */
    private readonly reorderSamples: number

    private started = false
    private playing = false
    private ssrc = 0
    private firstSequence = 0
    private newestSequence = 0
    private newestTimestamp = 0
    /** Extended timestamp of the newest packet; the first packet of a stream has 0. */
    private newest = 0
    private packetSamples = 0
    private grid = 1
    /** Extended timestamp of the next sample to play. */
    private position = 0
    private strangeSequenceNext = -1
    private strangeSsrc = 0
    private lastTransitMs = 0
    private excessPulls = 0
    private shortPulls = 0

    private received = 0
    private receivedHere = 0
    private lostBefore = 0
    private late = 0
    private duplicates = 0
    private concealedSamples = 0
    private jitterMs = 0
    private delayMs = 0
    private restarts = 0

    constructor(private readonly options: JitterBufferOptions) {
        const size = 2 ** Math.ceil(Math.log2(options.rate + packetSamplesMax))
        this.ring = new Int16Array(size)
        this.present = new Uint8Array(size)
        this.mask = size - 1
        this.concealment = new Concealment(options.rate)
        this.target = new DelayTarget(options.floorMs, options.maxMs)
        this.reorderSamples = options.rate / 10
        this.crossFadeSamples = Math.min(options.pullSamples, Math.round(options.rate * 0.005))
    }

    /**
     * A packet whose header was read into `header` arrived at `nowMs`. `excusedMs`: so late is the receiver itself with its next
     * pull, for which this packet is still in time.
     */
    push(packet: Uint8Array, header: RtpHeader, nowMs: number, excusedMs = 0): PushOutcome {
        const samples = header.payloadBytes
        if (samples < 1 || samples > packetSamplesMax) return "wrong-size"
        if (!this.started || header.ssrc !== this.ssrc) this.restart(header, samples)

        const ahead = sequenceDistance(header.sequence, this.newestSequence & 0xffff)
        const sequence = this.newestSequence + ahead
        const start = this.newest + timestampDistance(header.timestamp, this.newestTimestamp)
        const transitMs = nowMs - (start * 1000) / this.options.rate
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
            this.newestSequence = sequence
            this.newest = start
            this.newestTimestamp = header.timestamp
            if (samples !== this.packetSamples) this.notePacketSize(samples)
        }
        return this.store(packet, header.payloadOffset, samples, start)
    }

    /** Takes the next `pullSamples` of sound into `samples` at `deadlineMs`. Silence before the stream has begun. */
    pull(samples: Int16Array, deadlineMs: number): void {
        const count = this.options.pullSamples
        if (!this.started || (!this.playing && !this.begin(deadlineMs))) {
            samples.fill(0, 0, count)
            return
        }
        const from = this.position
        const hadNext = this.present[from & this.mask] === 1
        this.steer(deadlineMs)
        // Too early and nothing there: to wait costs nothing more than the gap that there is anyway.
        if (this.shortPulls > 0 && !hadNext && this.position === from) {
            this.concealedSamples += this.concealment.fill(samples, 0, count)
            return
        }
        this.delayMs = deadlineMs - this.target.minTransitMs - (this.position * 1000) / this.options.rate
        this.take(samples, count)
        if (this.position !== from && hadNext) this.blend(samples, from)
        this.keep(samples, count)
    }

    statistics(): JitterBufferStatistics {
        return {
            received: this.received,
            lost: this.lostBefore + this.lostHere(),
            late: this.late,
            duplicates: this.duplicates,
            concealedSamples: this.concealedSamples,
            jitterMs: this.jitterMs,
            delayMs: this.playing ? Math.max(0, this.delayMs) : 0,
            restarts: this.restarts,
        }
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
        this.newestTimestamp = header.timestamp
        this.newest = 0
        this.receivedHere = 0
        this.strangeSequenceNext = -1
        this.excessPulls = 0
        this.shortPulls = 0
        this.seen.fill(-1)
        this.present.fill(0)
        this.target.reset()
        this.notePacketSize(samples)
    }

    private isStrange(ahead: number, start: number, samples: number, transitMs: number): boolean {
        if (this.receivedHere === 0) return false
        if (Math.abs(ahead) > strangeSequence) return true
        if (Math.abs(transitMs - this.target.minTransitMs) > strangeTransitMs) return true
        const base = this.playing ? this.position : 0
        return start + samples > base + this.ring.length - this.reorderSamples
    }

    private notePacketSize(samples: number): void {
        this.packetSamples = samples
        let a = samples
        let b = this.options.pullSamples
        while (b > 0) [a, b] = [b, a % b]
        this.grid = a
    }

    private store(packet: Uint8Array, offset: number, samples: number, start: number): PushOutcome {
        const first = this.playing ? Math.max(start, this.position) : start
        const end = start + samples
        if (end <= first || (!this.playing && start < -this.reorderSamples)) {
            this.late++
            return "late"
        }
        decodePcmu(packet, offset, samples, this.scratch)
        for (let at = first; at < end; at++) {
            this.ring[at & this.mask] = this.scratch[at - start]!
            this.present[at & this.mask] = 1
        }
        return "accepted"
    }

    /**
     * Where play-out should be at `deadlineMs`. By then every packet that starts at or before `reached` has come. Packets lie on
     * a grid, pulls too: the worst of their phases decides how much of the last packet may be played already.
     */
    private desired(deadlineMs: number, allowanceMs: number): number {
        const { rate, pullSamples } = this.options
        const reachedMs = deadlineMs - this.target.minTransitMs - this.target.targetMs + allowanceMs
        const reached = Math.floor((reachedMs * rate) / 1000)
        const phase = (((reached - this.newest) % this.grid) + this.grid) % this.grid
        return reached - phase - (pullSamples - this.grid)
    }

    private begin(deadlineMs: number): boolean {
        const position = this.desired(deadlineMs, 0)
        // `newest` is 0 or more; the stream begins with sample 0.
        if (position + this.options.pullSamples <= 0) return false
        this.playing = true
        this.concealment.reset()
        this.forget(-this.reorderSamples, position)
        this.position = position
        return true
    }

    /** Moves the play-out to where it should be: at once when far off, else by little in a quiet moment. */
    private steer(deadlineMs: number): void {
        const { rate, pullSamples } = this.options
        const pullsPerSecond = rate / pullSamples
        const plain = this.desired(deadlineMs, 0) - this.position
        if (Math.abs(plain) > hardSeconds * rate) {
            this.move(plain, false)
            return
        }
        const excess = this.desired(deadlineMs, -shrinkHysteresisMs) - this.position
        const short = this.position - this.desired(deadlineMs, growHysteresisMs)
        this.excessPulls = excess >= this.grid ? this.excessPulls + 1 : 0
        this.shortPulls = short >= this.grid ? this.shortPulls + 1 : 0
        if (this.excessPulls > shrinkAfterSeconds * pullsPerSecond) {
            const patient = this.excessPulls < (shrinkAfterSeconds + shrinkPatienceSeconds) * pullsPerSecond
            // Silence may be left out whole; of speech, only a little at a time.
            if (this.isQuiet(this.position, excess + pullSamples)) this.move(excess - (excess % this.grid))
            else {
                const step = Math.min(excess, pullSamples)
                if (!patient) this.move(step - (step % this.grid))
            }
        } else if (this.shortPulls > growAfterSeconds * pullsPerSecond) {
            const patient = this.shortPulls < (growAfterSeconds + growPatienceSeconds) * pullsPerSecond
            const step = Math.min(short, pullSamples)
            if (!patient || this.isQuiet(this.position - step, pullSamples)) this.move(-(step - (step % this.grid)))
        }
    }

    /** Skips ahead by `samples`, or (negative) plays so many `again`: the ring still holds what was played. */
    private move(samples: number, again = true): void {
        if (samples > 0) this.forget(this.position, this.position + samples)
        else if (again)
            for (let at = this.position + samples; at < this.position; at++) this.present[at & this.mask] = 1
        this.position += samples
        this.excessPulls = 0
        this.shortPulls = 0
    }

    private forget(from: number, to: number): void {
        for (let at = Math.max(from, to - this.ring.length); at < to; at++) this.present[at & this.mask] = 0
    }

    private isQuiet(from: number, count: number): boolean {
        let sum = 0
        for (let at = from; at < from + count; at++) sum += this.ring[at & this.mask]! ** 2
        return sum < quietPower * count
    }

    /** Copies `count` samples out, with made-up ones where none came. */
    private take(samples: Int16Array, count: number): void {
        let at = 0
        while (at < count) {
            const here = this.present[(this.position + at) & this.mask]!
            let end = at + 1
            while (end < count && this.present[(this.position + end) & this.mask] === here) end++
            if (here) {
                for (let i = at; i < end; i++) samples[i] = this.ring[(this.position + i) & this.mask]!
                this.concealment.accept(samples, at, end)
            } else if (this.position + end <= 0) samples.fill(0, at, end)
            else this.concealedSamples += this.concealment.fill(samples, at, end)
            at = end
        }
    }

    /** After a move: fades over from what would have followed at `from`. */
    private blend(samples: Int16Array, from: number): void {
        const count = this.crossFadeSamples
        for (let i = 0; i < count; i++) {
            const old = this.ring[(from + i) & this.mask]!
            samples[i] = Math.round(old + ((samples[i]! - old) * (i + 1)) / (count + 1))
        }
    }

    private keep(samples: Int16Array, count: number): void {
        for (let i = 0; i < count; i++) {
            this.ring[(this.position + i) & this.mask] = samples[i]!
            this.present[(this.position + i) & this.mask] = 0
        }
        this.position += count
    }
}
