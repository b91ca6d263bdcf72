/**
 * Loudness of 16-bit sound in dBov (RFC 6464: 0 is the loudest possible, -127 is silence).
 * Owns the scale, and how sound is faded. Never smooths, never remembers.
 */

export const silenceDb = -127

/** Mean power of `count` samples from `offset` on, in squared sample units. */
export function power(samples: Int16Array, offset = 0, count = samples.length - offset): number {
    let sum = 0
    for (let i = offset; i < offset + count; i++) sum += samples[i]! * samples[i]!
    return count > 0 ? sum / count : 0
}

/** `power` in dBov, -127..0. */
export function powerToDb(meanPower: number): number {
    if (meanPower <= 0) return silenceDb
    return Math.max(silenceDb, Math.min(0, 10 * Math.log10(meanPower / (32768 * 32768))))
}

/** Level of a whole stretch in dBov. */
export function levelDb(samples: Int16Array): number {
    return powerToDb(power(samples))
}

/** Factors that lead from 1 to 0 in `count` steps, without a kink at either end. */
export function fadeOutOf(count: number): Float64Array {
    return Float64Array.from({ length: count }, (_, i) => 0.5 + 0.5 * Math.cos((Math.PI * (i + 1)) / (count + 1)))
}
