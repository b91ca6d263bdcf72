/**
 * Another sample rate for a whole piece of sound: a windowed-sinc low-pass, read at the new instants.
 *
 * Owns the filter. Meant for files that are loaded once, never for live packets.
 */

const zeroCrossings = 16
/** Of the lower of the two half rates: leaves room for the filter's slope. */
const cutoff = 0.94

/** `samples` (any range) at `fromRate`, as seen at `toRate`. */
export function resample(samples: Float32Array, fromRate: number, toRate: number): Float32Array {
    if (fromRate === toRate) return samples
    const ratio = fromRate / toRate
    const scale = cutoff * Math.min(1, 1 / ratio)
    const reach = Math.ceil(zeroCrossings / scale)
    const target = new Float32Array(Math.floor(samples.length / ratio))
    const phases = new Map<number, Float32Array>()
    for (let i = 0; i < target.length; i++) {
        const at = i * ratio
        const center = Math.floor(at)
        // Rates are integers, so the fractions repeat; 1/4096 of a sample is fine enough to share them.
        const phase = Math.round((at - center) * 4096)
        let taps = phases.get(phase)
        if (!taps) {
            taps = tapsAt(phase / 4096, reach, scale)
            phases.set(phase, taps)
        }
        let sum = 0
        for (let tap = 0; tap < taps.length; tap++) {
            const index = center - reach + 1 + tap
            if (index >= 0 && index < samples.length) sum += samples[index]! * taps[tap]!
        }
        target[i] = sum
    }
    return target
}

/** The filter's weights for an instant `fraction` after a sample, normalised to pass a constant unchanged. */
function tapsAt(fraction: number, reach: number, scale: number): Float32Array {
    const taps = new Float32Array(2 * reach)
    let sum = 0
    for (let tap = 0; tap < taps.length; tap++) {
        const distance = tap - reach + 1 - fraction
        const x = Math.PI * distance * scale
        const sinc = Math.abs(x) < 1e-9 ? 1 : Math.sin(x) / x
        const inWindow = Math.abs(distance) < reach
        const window = inWindow ? 0.5 + 0.5 * Math.cos((Math.PI * distance) / reach) : 0
        taps[tap] = sinc * window
        sum += taps[tap]!
    }
    for (let tap = 0; tap < taps.length; tap++) taps[tap]! /= sum
    return taps
}
