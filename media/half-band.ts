/**
 * The filter between 8 and 16 kHz: a half-band FIR of 47 taps, of which 24 beside the middle count, each twice.
 *
 * Owns the taps. Passes to 3 400 Hz, stops from 4 700 Hz on by 60 dB; holds sound back by 1.5 ms up and 1.4 ms down. `kernels/pcmu.ts`
 * applies them.
 */

const kaiserBeta = 6

/** The half of the taps that lies on one side, the one next to the middle first; with the other side they add up to 1. */
export function makeTaps(pairs: number): Float32Array {
    const made = new Float64Array(pairs)
    let sum = 0
    for (let k = 0; k < pairs; k++) {
        const distance = 2 * k + 1
        const window = bessel(kaiserBeta * Math.sqrt(1 - (distance / (2 * pairs)) ** 2)) / bessel(kaiserBeta)
        made[k] = ((k % 2 === 0 ? 1 : -1) * window) / distance
        sum += made[k]!
    }
    return Float32Array.from(made, tap => tap / (2 * sum))
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
