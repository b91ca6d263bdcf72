/**
 * Linear prediction: the weights with which a sample follows from those before it (Levinson and Durbin).
 * Owns scratch space. Pure otherwise; allocates nothing.
 */

export const predictionOrder = 16

const r = new Float64Array(predictionOrder + 1)
const before = new Float64Array(predictionOrder)

/** Writes into `weights` what predicts a sample of `windowed` best; `weights[0]` is that of the sample just before. */
export function predictionOf(windowed: Float64Array, weights: Float64Array, noiseShare = 1e-7): void {
    for (let lag = 0; lag <= predictionOrder; lag++) {
        let sum = 0
        for (let i = lag; i < windowed.length; i++) sum += windowed[i]! * windowed[i - lag]!
        r[lag] = sum
    }
    let error = r[0]! * (1 + noiseShare) + 1
    weights.fill(0)
    for (let i = 0; i < predictionOrder; i++) {
        let sum = r[i + 1]!
        for (let k = 0; k < i; k++) sum -= weights[k]! * r[i - k]!
        const reflection = sum / error
        before.set(weights)
        weights[i] = reflection
        for (let k = 0; k < i; k++) weights[k] = before[k]! - reflection * before[i - 1 - k]!
        error *= 1 - reflection * reflection
        if (error <= 0) break
    }
}
