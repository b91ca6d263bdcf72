/**
 * What is played where a packet is missing: the last pitch period again, fading out within 60 ms.
 *
 * Owns the recent past of one stream's sound and the state of the present gap. Never knows packets or time. Silence stays
 * silence: a sender may stop sending when nobody speaks, and that is no loss.
 */

const longestLagSeconds = 0.015
const shortestLagSeconds = 0.0025
const fullSeconds = 0.01
const fadedSeconds = 0.06
const crossFadeSeconds = 0.004
/** Peak below which the past counts as silence: the two smallest steps of G.711. */
const silentPeak = 16

export class Concealment {
    private readonly past: Int16Array
    private readonly matchSamples: number
    private readonly crossFadeSamples: number
    private readonly fullSamples: number
    private readonly fadedSamples: number
    /** Samples made in the present gap; 0 outside of one. */
    private made = 0
    private lag = 0
    private silent = true

    constructor(private readonly rate: number) {
        this.matchSamples = Math.round(rate * 0.02)
        this.past = new Int16Array(this.matchSamples + Math.ceil(rate * longestLagSeconds))
        this.crossFadeSamples = Math.round(rate * crossFadeSeconds)
        this.fullSamples = Math.round(rate * fullSeconds)
        this.fadedSamples = Math.round(rate * fadedSeconds)
    }

    /** True while a gap is being filled. */
    get active(): boolean {
        return this.made > 0
    }

    reset(): void {
        this.past.fill(0)
        this.made = 0
    }

    /** Takes real sound at `samples[from..to)`; after a gap its beginning is blended with what was made up. */
    accept(samples: Int16Array, from: number, to: number): void {
        if (this.made > 0) {
            const blend = Math.min(this.crossFadeSamples, to - from)
            for (let i = 0; i < blend; i++) {
                const made = this.next()
                samples[from + i] = Math.round(made + ((samples[from + i]! - made) * (i + 1)) / (blend + 1))
            }
            this.made = 0
        }
        const past = this.past
        const count = Math.min(to - from, past.length)
        past.copyWithin(0, count)
        for (let i = 0; i < count; i++) past[past.length - count + i] = samples[to - count + i]!
    }

    /** Fills `samples[from..to)`. Returns how many of them stand for sound that is missed: none in silence or once faded. */
    fill(samples: Int16Array, from: number, to: number): number {
        if (this.made === 0) this.begin()
        let missed = 0
        for (let i = from; i < to; i++) {
            if (!this.silent && this.made < this.fadedSamples) missed++
            samples[i] = this.next()
        }
        return missed
    }

    private begin(): void {
        const past = this.past
        const end = past.length
        let peak = 0
        for (let i = end - this.matchSamples; i < end; i++) peak = Math.max(peak, Math.abs(past[i]!))
        this.silent = peak <= silentPeak
        this.lag = this.silent ? 1 : this.bestLag()
    }

    /** The shift at which the past resembles itself most: a pitch period where there is one. */
    private bestLag(): number {
        const past = this.past
        const end = past.length
        const span = this.matchSamples >> 1
        const shortest = Math.max(1, Math.round(this.rate * shortestLagSeconds))
        const longest = Math.floor(this.rate * longestLagSeconds)
        let best = longest
        let bestScore = -Infinity
        for (let lag = shortest; lag <= longest; lag++) {
            let cross = 0
            let energy = 1
            for (let i = end - span; i < end; i++) {
                cross += past[i]! * past[i - lag]!
                energy += past[i - lag]! * past[i - lag]!
            }
            const score = cross / Math.sqrt(energy)
            if (score > bestScore) {
                bestScore = score
                best = lag
            }
        }
        return best
    }

    private next(): number {
        const made = this.made++
        if (this.silent || made >= this.fadedSamples) return 0
        const sample = this.past[this.past.length - this.lag + (made % this.lag)]!
        if (made < this.fullSamples) return sample
        return Math.round((sample * (this.fadedSamples - made)) / (this.fadedSamples - this.fullSamples))
    }
}
