/**
 * Twice the sample rate and half of it, for live sound: a half-band FIR filter of 47 taps, of which 24 beside the middle count.
 *
 * Owns the taps and, for each stream, what the filter has yet to let go of. Passes to 3 400 Hz, stops from 4 700 Hz on by 60 dB; holds sound back by 1.5 ms up and 1.4 ms down. Of what goes up, every second sample is the one that came in: what goes
 * down again in the same phase comes out as it was, and PCMU that is decoded and encoded again is not worn.
 */

const pairs = 12
const kaiserBeta = 6
const history = 2 * pairs - 1
/** Longest piece of one call, in samples of the lower rate: 200 ms at 8 kHz. */
const longest = 1600

const [t0, t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11] = makeTaps() as unknown as number[] as Taps
type Taps = [number, number, number, number, number, number, number, number, number, number, number, number]
/** Shared by all streams: one call at a time, and each leaves only its history behind. */
const work = new Float64Array(history + longest)
const middles = new Float64Array(history + longest)
const betweens = new Float64Array(longest)

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

/**
 * Fills `betweens` with what lies in the middle of 24 samples of `work` each, the first from 0 on, the next from 1 on. Written out
 * and added in pairs of pairs: half of what a PCMU stream costs is this sum, and a processor waits for each addition that needs
 * the one before it.
 */
function interpolate(count: number): void {
    for (let i = 0; i < count; i++) {
        const inner =
            t0 * (work[i + 11]! + work[i + 12]!) +
            t1 * (work[i + 10]! + work[i + 13]!) +
            (t2 * (work[i + 9]! + work[i + 14]!) + t3 * (work[i + 8]! + work[i + 15]!))
        const middle =
            t4 * (work[i + 7]! + work[i + 16]!) +
            t5 * (work[i + 6]! + work[i + 17]!) +
            (t6 * (work[i + 5]! + work[i + 18]!) + t7 * (work[i + 4]! + work[i + 19]!))
        const outer =
            t8 * (work[i + 3]! + work[i + 20]!) +
            t9 * (work[i + 2]! + work[i + 21]!) +
            (t10 * (work[i + 1]! + work[i + 22]!) + t11 * (work[i]! + work[i + 23]!))
        betweens[i] = inner + middle + outer
    }
}

function toInt16(value: number): number {
    const rounded = Math.round(value)
    return rounded > 32767 ? 32767 : rounded < -32768 ? -32768 : rounded
}

export class Doubler {
    private readonly past = new Int16Array(history)

    /** Turns `count` samples of `from` into twice as many in `to`. */
    process(from: Int16Array, count: number, to: Int16Array): void {
        const { past } = this
        for (let i = 0; i < history; i++) work[i] = past[i]!
        for (let i = 0; i < count; i++) work[history + i] = from[i]!
        interpolate(count)
        for (let i = 0; i < count; i++) {
            to[2 * i] = work[i + pairs - 1]!
            to[2 * i + 1] = toInt16(betweens[i]!)
        }
        for (let i = 0; i < history; i++) past[i] = work[count + i]!
    }

    reset(): void {
        this.past.fill(0)
    }
}

export class Halver {
    /** Every second sample, and those between. */
    private readonly past = new Int16Array(history)
    private readonly pastMiddles = new Int16Array(history)

    /** Turns twice `count` samples of `from` into `count` in `to`. */
    process(from: Int16Array, count: number, to: Int16Array): void {
        const { past, pastMiddles } = this
        for (let i = 0; i < history; i++) {
            work[i] = past[i]!
            middles[i] = pastMiddles[i]!
        }
        for (let i = 0; i < count; i++) {
            middles[history + i] = from[2 * i]!
            work[history + i] = from[2 * i + 1]!
        }
        interpolate(count)
        for (let i = 0; i < count; i++) to[i] = toInt16((middles[i + pairs]! + betweens[i]!) / 2)
        for (let i = 0; i < history; i++) {
            past[i] = work[count + i]!
            pastMiddles[i] = middles[count + i]!
        }
    }

    /** Begins anew, as if `before` had just gone through; silence when there is none. */
    restart(before?: Int16Array): void {
        const { past, pastMiddles } = this
        const first = before ? before.length - 2 * history : -1
        for (let i = 0; i < history; i++) {
            pastMiddles[i] = first < 0 ? 0 : before![first + 2 * i]!
            past[i] = first < 0 ? 0 : before![first + 2 * i + 1]!
        }
    }
}
