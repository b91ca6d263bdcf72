/**
 * What is played where a packet is missing and its codec has nothing to offer: the voice goes on as it was, fading out within
 * 60 ms. Also joins sound to what was made up before it.
 *
 * A voice is taken for pulses through a filter (linear prediction): the filter rings on from the last sample that was heard, so
 * that there is no seam, and the pulses of the last pitch period are given to it again and again.
 *
 * Owns the state of the present gap, and a copy of the sound before it. Never knows packets or time. Silence stays silence: a
 * sender may stop sending when nobody speaks, and that is no loss. Costs nothing while there is no gap.
 */

import { predictionOrder as order, predictionOf } from "./prediction.ts"

const longestLagSeconds = 0.015
const shortestLagSeconds = 0.0025
const fullSeconds = 0.01
const fadedSeconds = 0.06
/** A codec's own concealment knows better, and may go on for longer. */
const codecFullSeconds = 0.06
const codecFadedSeconds = 0.1
const crossFadeSeconds = 0.008
const matchSeconds = 0.02
/** A filter that is sharper than its window could tell rings for too long: white noise of this share, and each pole drawn in. */
const noiseShare = 1e-5
const bandwidthFactor = 0.998
/** Step of the first search; at 16 kHz it leaves what lies below 4 kHz, and a voice's pitch lies far below. */
const coarse = 2
/** Peak below which the past counts as silence: the two smallest steps of G.711. */
const silentPeak = 16

/** How much sound before a gap is looked at. */
export const concealmentPastSeconds = matchSeconds + longestLagSeconds

export class Concealment {
    private readonly past: Int16Array
    private readonly matchSamples: number
    private readonly crossFadeSamples: number
    /** What has to be given to the filter, again and again, for the sound of the last `lag` samples. */
    private readonly pulses: Float64Array
    private readonly weights = new Float64Array(order)
    /** What the filter gave last, the newest first. */
    private readonly ringing = new Float64Array(order)
    private readonly windowed: Float64Array
    private lag = 0
    /** Samples made in the present gap. */
    private made = 0
    /** A gap is being filled. */
    active = false
    /** The sound before the gap was none: the gap is silence too. */
    silent = true

    constructor(private readonly rate: number) {
        this.matchSamples = Math.round(rate * matchSeconds)
        this.past = new Int16Array(this.matchSamples + Math.ceil(rate * longestLagSeconds))
        this.pulses = new Float64Array(Math.ceil(rate * longestLagSeconds))
        this.windowed = new Float64Array(this.matchSamples)
        this.crossFadeSamples = Math.round(rate * crossFadeSeconds)
    }

    /** Real sound shorter than this cannot be joined to what was made up. */
    get joinSamples(): number {
        return this.crossFadeSamples
    }

    /** A gap begins after `sound[..end)`, which is at least `concealmentPastSeconds` long. */
    begin(sound: Int16Array, end: number): void {
        const { past } = this
        for (let i = 0; i < past.length; i++) past[i] = sound[end - past.length + i]!
        let peak = 0
        for (let i = past.length - this.matchSamples; i < past.length; i++) peak = Math.max(peak, Math.abs(past[i]!))
        this.active = true
        this.made = 0
        this.silent = peak <= silentPeak
        this.lag = 0
    }

    end(): void {
        this.active = false
    }

    /** Nothing more will be heard of this gap, whoever fills it. */
    hasFaded(byCodec: boolean): boolean {
        return this.silent || this.made >= (byCodec ? codecFadedSeconds : fadedSeconds) * this.rate
    }

    /** Fills `sound[from..to)`. Returns how many of them stand for sound that is missed: none in silence or once faded. */
    fill(sound: Int16Array, from: number, to: number): number {
        let missed = 0
        for (let i = from; i < to; i++) {
            if (!this.hasFaded(false)) missed++
            sound[i] = this.next()
        }
        return missed
    }

    /** `sound[from..to)` was made up by the codec: fades it out when it has been going on for long. */
    shape(sound: Int16Array, from: number, to: number): number {
        const full = codecFullSeconds * this.rate
        const faded = codecFadedSeconds * this.rate
        for (let i = from; i < to; i++) {
            if (this.made > full) sound[i] = Math.round(sound[i]! * Math.max(0, (faded - this.made) / (faded - full)))
            this.made++
        }
        return to - from
    }

    /** The gap is over: blends the beginning of the real sound at `sound[from..to)` with what would have been made up, be it silence. */
    join(sound: Int16Array, from: number, to: number): void {
        this.active = false
        const blend = Math.min(this.crossFadeSamples, to - from)
        for (let i = 0; i < blend; i++) {
            const made = this.next()
            sound[from + i] = Math.round(made + ((sound[from + i]! - made) * (i + 1)) / (blend + 1))
        }
    }

    private next(): number {
        const made = this.made++
        const full = fullSeconds * this.rate
        const faded = fadedSeconds * this.rate
        if (this.silent || made >= faded) return 0
        if (this.lag === 0) this.listen()
        const { weights, ringing } = this
        let sample = this.pulses[made % this.lag]!
        for (let k = 0; k < order; k++) sample += weights[k]! * ringing[k]!
        sample = Math.max(-32768, Math.min(32767, sample))
        for (let k = order - 1; k > 0; k--) ringing[k] = ringing[k - 1]!
        ringing[0] = sample
        return Math.round(made > full ? sample * ((faded - made) / (faded - full)) : sample)
    }

    /** Takes the sound before the gap apart. */
    private listen(): void {
        const { past, windowed, weights, pulses, ringing } = this
        const end = past.length
        // What is newest counts most, but must not end like a cut.
        const rise = windowed.length - (windowed.length >> 3)
        const first = end - windowed.length
        for (let i = 0; i < windowed.length; i++) {
            const share = i < rise ? (i + 0.5) / rise : (windowed.length - i - 0.5) / (windowed.length - rise)
            windowed[i] = past[first + i]! * (0.5 - 0.5 * Math.cos(Math.PI * share))
        }
        predictionOf(windowed, weights, noiseShare)
        for (let k = 0, factor = bandwidthFactor; k < order; k++, factor *= bandwidthFactor) weights[k]! *= factor
        this.lag = this.bestLag()
        for (let i = 0; i < this.lag; i++) {
            const at = end - this.lag + i
            let predicted = 0
            for (let k = 0; k < order; k++) predicted += weights[k]! * past[at - 1 - k]!
            pulses[i] = past[at]! - predicted
        }
        for (let k = 0; k < order; k++) ringing[k] = past[end - 1 - k]!
    }

    /** The shift at which the past resembles itself most: a pitch period where there is one. Looked for coarsely, then closely. */
    private bestLag(): number {
        const shortest = Math.max(1, Math.round(this.rate * shortestLagSeconds))
        const longest = Math.floor(this.rate * longestLagSeconds)
        const near = this.bestOf(shortest, longest, coarse)
        return this.bestOf(Math.max(shortest, near - coarse), Math.min(longest, near + coarse), 1)
    }

    /** The best of every `step`th lag, by every `step`th sample. */
    private bestOf(shortest: number, longest: number, step: number): number {
        const { past } = this
        const end = past.length
        const span = this.matchSamples >> 1
        let best = longest
        let bestScore = -Infinity
        for (let lag = shortest; lag <= longest; lag += step) {
            let cross = 0
            let energy = 1
            for (let i = end - span; i < end; i += step) {
                const other = past[i - lag]!
                cross += past[i]! * other
                energy += other * other
            }
            const score = cross / Math.sqrt(energy)
            if (score > bestScore) {
                bestScore = score
                best = lag
            }
        }
        return best
    }
}
