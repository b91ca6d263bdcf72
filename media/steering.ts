/**
 * Where the play-out of one stream should be, and how it gets there: as early as the network allows, without being heard.
 *
 * Owns when a stream begins to be heard, and for how long its delay has been too long or too short. Never touches sound: it has the
 * play-out jump, leave out or say again.
 */

import type { Arrivals } from "./arrivals.ts"
import { soundRate } from "./codec.ts"
import { leaveOutMost, type PlayOut, sayAgainMost } from "./play-out.ts"

const samplesPerMs = soundRate / 1000
/** A play-out this far from where it should be is put right at once, any less by little. */
const jumpSamples = leaveOutMost
const shrinkAfterSeconds = 0.5
const growAfterSeconds = 0.06
/** Changes of the delay need this much evidence, so that it does not swing to and fro about a boundary. */
const growHysteresisMs = 1
const shrinkHysteresisMs = 2
/** An excess below this is not worth a seam. */
const shrinkSamplesMin = 5 * samplesPerMs
/** From one seam to the next, and from one search for a place to the next. */
const seamSamples = 40 * samplesPerMs
/** When more than this many samples are to be left out, waiting is worse than a seam that can be heard. */
const hurrySamples = 25 * samplesPerMs
/** How much alike both sides of a seam in speech have to be, by how long it has been waited for a quiet moment. */
interface Likeness {
    afterSeconds: number
    least: number
    /** With `hurrySamples`; a single seam never adds so many. */
    leastInHurry?: number
}
const shrinkLikeness: Likeness[] = [
    { afterSeconds: 8, least: -1 },
    { afterSeconds: 4, least: 0.8, leastInHurry: -1 },
    { afterSeconds: 2, least: 0.95, leastInHurry: 0.7 },
]
const growLikeness: Likeness[] = [
    { afterSeconds: 3, least: -1 },
    { afterSeconds: 1.5, least: 0.7 },
    { afterSeconds: 0.3, least: 0.9 },
]

export interface SteeringOptions {
    /** Samples of one pull. */
    pullSamples: number
    /** Longest time that a packet is waited for after its fastest arrival. */
    maxMs: number
    /** A lost packet can be repaired from the next one: it is waited for that one too while so many are lost. */
    canRepair: boolean
}

export class Steering {
    private readonly pullsPerSecond: number
    /** What the sizes of packets and pulls have in common, and the size of packets that it was found for. */
    private grid = 1
    private gridPacketSamples = 0
    private excessPulls = 0
    private shortPulls = 0
    private sinceSeam = 0

    constructor(
        private readonly options: SteeringOptions,
        private readonly arrivals: Arrivals,
        private readonly playOut: PlayOut,
    ) {
        this.pullsPerSecond = soundRate / options.pullSamples
    }

    /** Play-out is ahead of where it should be: where nothing is there, to wait costs nothing more than the gap that there is anyway. */
    get isShort(): boolean {
        return this.shortPulls > 0
    }

    restart(): void {
        this.excessPulls = 0
        this.shortPulls = 0
    }

    /**
     * Before each pull: begins the stream when it is time, and moves the play-out to where it should be, at once when far off, else by
     * a pitch period or in a quiet moment.
     */
    steer(deadlineMs: number): void {
        const { playOut } = this
        this.sinceSeam += this.options.pullSamples
        if (!playOut.playing && !this.begin(deadlineMs)) return
        const plain = this.desired(deadlineMs, 0) - playOut.position
        if (Math.abs(plain) > jumpSamples) {
            playOut.jump(plain)
            this.restart()
            this.sinceSeam = 0
            return
        }
        const excess = this.desired(deadlineMs, -shrinkHysteresisMs) - playOut.position
        const short = playOut.position - this.desired(deadlineMs, growHysteresisMs)
        this.excessPulls = excess >= shrinkSamplesMin ? this.excessPulls + 1 : 0
        this.shortPulls = short > 0 ? this.shortPulls + 1 : 0
        if (playOut.isInGap) {
            // In a pause of the sender's nothing is heard of it: a clock that is off must not run away in an hour of it.
            if (playOut.isUnheard && (excess >= shrinkSamplesMin || short > 0)) playOut.skip(plain)
            return
        }
        if (this.sinceSeam < seamSamples) return
        const excessSeconds = this.excessPulls / this.pullsPerSecond - shrinkAfterSeconds
        const shortSeconds = this.shortPulls / this.pullsPerSecond - growAfterSeconds
        if (excessSeconds > 0) this.shrink(excess, excessSeconds)
        else if (shortSeconds > 0) this.grow(short, shortSeconds)
    }

    private begin(deadlineMs: number): boolean {
        if (!this.arrivals.started) return false
        const position = this.desired(deadlineMs, 0)
        // The newest packet starts at 0 or later; the stream begins with sample 0.
        if (position + this.options.pullSamples <= 0) return false
        this.playOut.begin(position)
        return true
    }

    private shrink(excess: number, waitedSeconds: number): void {
        const count = excess & ~1
        if (this.playOut.leaveOut(count, likenessNeeded(shrinkLikeness, waitedSeconds, count))) this.sinceSeam = 0
    }

    private grow(short: number, waitedSeconds: number): void {
        const count = Math.min(sayAgainMost, short + (short & 1))
        if (this.playOut.sayAgain(count, likenessNeeded(growLikeness, waitedSeconds, count))) this.sinceSeam = 0
    }

    /**
     * Where play-out should be at `deadlineMs`. By then every packet that starts at or before `come` has come. Packets lie on a
     * grid, pulls too: the worst of their phases decides how much of the last packet may be played already.
     */
    private desired(deadlineMs: number, allowanceMs: number): number {
        const { target, isLossy, packetSamples, newest } = this.arrivals
        const { canRepair, maxMs, pullSamples } = this.options
        const repairMs = isLossy && canRepair ? packetSamples / samplesPerMs : 0
        const waitMs = Math.min(maxMs, target.targetMs + repairMs)
        const comeMs = deadlineMs - target.minTransitMs - waitMs + allowanceMs
        const come = Math.floor(comeMs * samplesPerMs)
        if (packetSamples !== this.gridPacketSamples) this.findGrid(packetSamples)
        const phase = (((come - newest) % this.grid) + this.grid) % this.grid
        return come - phase - (pullSamples - this.grid)
    }

    private findGrid(packetSamples: number): void {
        this.gridPacketSamples = packetSamples
        let a = packetSamples
        let b = this.options.pullSamples
        while (b > 0) {
            const rest = a % b
            a = b
            b = rest
        }
        this.grid = a
    }
}

/** More than 1: it is too early for a seam in speech. */
function likenessNeeded(table: readonly Likeness[], waitedSeconds: number, samples: number): number {
    for (const { afterSeconds, least, leastInHurry = least } of table)
        if (waitedSeconds >= afterSeconds) return samples > hurrySamples ? leastInHurry : least
    return 2
}
