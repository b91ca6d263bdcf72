/**
 * Twice the sample rate and half of it, for live sound: a half-band FIR filter of 47 taps, of which 24 beside the middle count.
 *
 * Owns the taps and, for each stream, what the filter has yet to let go of. Passes to 3 400 Hz, stops from 4 700 Hz on by 60 dB; holds sound back by 1.5 ms up and 1.4 ms down. Of what goes up, every second sample is the one that came in: what goes
 * down again in the same phase comes out as it was, and PCMU that is decoded and encoded again is not worn.
 */

const pairs = 12
const kaiserBeta = 6
const historyUp = 2 * pairs - 1
const historyDown = 4 * pairs - 3
/** Longest piece of one call, in samples of the lower rate: 60 ms at 8 kHz. */
const longest = 480

const taps = makeTaps()
/** Shared by all streams: one call at a time, and each leaves only its history behind. */
const work = new Float64Array(historyDown + 2 * longest)

function makeTaps(): Float64Array {
    const made = new Float64Array(pairs)
    let sum = 0
    for (let k = 0; k < pairs; k++) {
        const distance = 2 * k + 1
        const window = bessel(kaiserBeta * Math.sqrt(1 - (distance / (2 * pairs)) ** 2)) / bessel(kaiserBeta)
        made[k] = ((k % 2 === 0 ? 1 : -1) * window) / distance
        sum += made[k]!
    }
    // Both halves together pass a constant unchanged.
    for (let k = 0; k < pairs; k++) made[k]! /= 2 * sum
    return made
}

/** The modified Bessel function of the first kind and order 0, for Kaiser's window. */
function bessel(x: number): number {
    let sum = 1
    let term = 1
    for (let k = 1; k < 40; k++) {
        term *= (x / (2 * k)) ** 2
        sum += term
    }
    return sum
}

function toInt16(value: number): number {
    const rounded = Math.round(value)
    return rounded > 32767 ? 32767 : rounded < -32768 ? -32768 : rounded
}

export class Doubler {
    private readonly history = new Int16Array(historyUp)

    /** Turns `count` samples of `from` into twice as many in `to`. */
    process(from: Int16Array, count: number, to: Int16Array): void {
        const { history } = this
        for (let i = 0; i < historyUp; i++) work[i] = history[i]!
        for (let i = 0; i < count; i++) work[historyUp + i] = from[i]!
        for (let i = 0; i < count; i++) {
            const before = i + pairs - 1
            let sum = 0
            for (let k = 0; k < pairs; k++) sum += taps[k]! * (work[before - k]! + work[before + 1 + k]!)
            to[2 * i] = work[before]!
            to[2 * i + 1] = toInt16(sum)
        }
        for (let i = 0; i < historyUp; i++) history[i] = work[count + i]!
    }

    reset(): void {
        this.history.fill(0)
    }
}

export class Halver {
    private readonly history = new Int16Array(historyDown)

    /** Turns twice `count` samples of `from` into `count` in `to`. */
    process(from: Int16Array, count: number, to: Int16Array): void {
        const { history } = this
        for (let i = 0; i < historyDown; i++) work[i] = history[i]!
        for (let i = 0; i < 2 * count; i++) work[historyDown + i] = from[i]!
        for (let i = 0; i < count; i++) {
            const middle = 2 * i + 2 * pairs - 1
            let sum = work[middle]!
            for (let k = 0; k < pairs; k++) sum += taps[k]! * (work[middle - 2 * k - 1]! + work[middle + 2 * k + 1]!)
            to[i] = toInt16(sum / 2)
        }
        for (let i = 0; i < historyDown; i++) history[i] = work[2 * count + i]!
    }

    /** Begins anew, as if `before` had just gone through; silence when there is none. */
    restart(before?: Int16Array): void {
        const { history } = this
        if (!before || before.length < historyDown) history.fill(0)
        else for (let i = 0; i < historyDown; i++) history[i] = before[before.length - historyDown + i]!
    }
}
