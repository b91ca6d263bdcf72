/**
 * What is played where a packet is missing and its codec has nothing to offer: the last pitch period again, fading out within
 * 60 ms. Also joins sound to what was made up before it.
 *
 * Owns the state of the present gap, and a copy of the sound before it. Never knows packets or time. Silence stays silence: a
 * sender may stop sending when nobody speaks, and that is no loss. Costs nothing while there is no gap.
 */

const longestLagSeconds = 0.015
const shortestLagSeconds = 0.0025
const fullSeconds = 0.01
const fadedSeconds = 0.06
/** A codec's own concealment knows better, and may go on for longer. */
const codecFullSeconds = 0.06
const codecFadedSeconds = 0.1
const crossFadeSeconds = 0.004
const leadSeconds = 0.0015
const matchSeconds = 0.02
/** Step of the first search; at 16 kHz it leaves what lies below 4 kHz, and a voice's pitch lies far below. */
const coarse = 2
/** Peak below which the past counts as silence: the two smallest steps of G.711. */
const silentPeak = 16

/** How much sound before a gap is looked at. */
export const concealmentPastSeconds = matchSeconds + longestLagSeconds

export class Concealment {
    private readonly past: Int16Array
    private readonly leadSamples: number
    private readonly matchSamples: number
    private readonly crossFadeSamples: number
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
        this.leadSamples = Math.round(rate * leadSeconds)
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

    /** The gap is over: blends the beginning of the real sound at `sound[from..to)` with what would have been made up. */
    join(sound: Int16Array, from: number, to: number): void {
        this.active = false
        if (this.silent) return
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
        if (this.lag === 0) this.lag = this.bestLag()
        const { past, lag, leadSamples } = this
        const at = made % lag
        let sample = past[past.length - lag + at]!
        // The end of a period and what came before its beginning differ a little: the difference is let go of over 1.5 ms.
        if (at < leadSamples) {
            const step = past[past.length - 1]! - past[past.length - lag - 1]!
            sample += step * (1 - (at + 1) / (leadSamples + 1))
        }
        if (made > full) sample *= (faded - made) / (faded - full)
        return Math.max(-32768, Math.min(32767, Math.round(sample)))
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
