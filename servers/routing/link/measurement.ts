/**
 * What a link is like: one-way delay (half of the round trip), smoothed; jitter; loss of the peer's hellos.
 *
 * Owns the figures. Never decides on them and never sees a clock: round trips and hello numbers come in.
 * [routing-spec 3] Delays are smoothed by EWMA 1/6 (minimum and median filters lag and lose) and told as integers of
 * 0.01 ms.
 */

const smoothing = 1 / 6
/** RFC 3550 6.4.1: gain of the jitter estimate. */
const jitterGain = 1 / 16
/** Round trips longer than this are mistakes, not paths. */
const longestRoundTripUs = 10_000_000
/** Hellos over which loss is told: 12.8 s. */
const lossWindow = 128

export class Measurement {
    #delayUs = 0
    #lastUs = 0
    #jitterUs = 0
    #samples = 0
    readonly #heard = new Uint8Array(lossWindow)
    #firstHello = 0
    #highestHello = 0

    roundTrip(roundTripUs: number): void {
        if (!(roundTripUs >= 0 && roundTripUs <= longestRoundTripUs)) return
        const delayUs = roundTripUs / 2
        if (this.#samples === 0) {
            this.#delayUs = delayUs
        } else {
            this.#delayUs += (delayUs - this.#delayUs) * smoothing
            this.#jitterUs += (Math.abs(delayUs - this.#lastUs) - this.#jitterUs) * jitterGain
        }
        this.#lastUs = delayUs
        this.#samples++
    }

    /** Hellos are numbered from 1 without gaps by the sender. */
    hello(number: number): void {
        if (this.#firstHello === 0) {
            this.#firstHello = number
            this.#highestHello = number - 1
        }
        if (number + lossWindow <= this.#highestHello || number < this.#firstHello) return
        const skipped = Math.min(number - this.#highestHello - 1, lossWindow)
        for (let i = 0; i < skipped; i++) this.#heard[(number - 1 - i) % lossWindow] = 0
        this.#heard[number % lossWindow] = 1
        this.#highestHello = Math.max(this.#highestHello, number)
    }

    /** Smoothed one-way delay in 0.01 ms, or undefined before the first round trip. */
    delay(): number | undefined {
        return this.#samples === 0 ? undefined : Math.round(this.#delayUs / 10)
    }

    /** Smoothed difference of one-way delay from one measurement to the next, in 0.01 ms. */
    jitter(): number {
        return Math.round(this.#jitterUs / 10)
    }

    /** Hellos lost of the last 128 that were sent, per mille. */
    lossPermille(): number {
        const expected = Math.min(lossWindow, this.#highestHello - this.#firstHello + 1)
        if (this.#firstHello === 0 || expected <= 0) return 0
        let heard = 0
        for (let i = 0; i < expected; i++) heard += this.#heard[(this.#highestHello - i) % lossWindow]
        return Math.round(((expected - heard) * 1000) / expected)
    }
}
