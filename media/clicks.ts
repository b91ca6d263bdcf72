/**
 * Finds what the ear takes for a fault in recorded sound: clicks, jumps in a wave, and gaps.
 *
 * Owns the decision. Sound is predicted from the sample before (linear prediction, order 16); a click is where the prediction
 * fails as nowhere else near: the pulses of a voice and the noise of an "s" fail as well, but again and again. A gap is sound
 * that stops and comes back as if cut with scissors. Nothing is said of the first and last 10 ms, which have no surroundings. Pure; meant for tests and measurements, a second of sound takes some 10 ms.
 */

import { predictionOrder as order, predictionOf } from "./prediction.ts"

export interface Click {
    kind: "click" | "gap"
    /** From the beginning of the sound. */
    atMs: number
    /** Of a click: how much the sample differs from what was to be expected. Of a gap: its length in samples. */
    size: number
    /** Of a click: this by that of the largest other within 25 ms. */
    contrast: number
}

export interface ClickOptions {
    rate?: number
    /** Smallest click in sample units that counts: below, nobody hears it. Default 200 (-44 dBov). */
    sizeMin?: number
    /** Default 3.2. */
    contrastMin?: number
}

const blockMs = 10
const windowMs = 30
/** What belongs to the click itself: its echo in the predictor, and the ringing of a codec's filter. */
const ownMs = 2
const nearMs = 25
/** Silence of at least this length between two sounds that both end at once. */
const gapMs = 2
const gapMsMax = 500
const edgeMs = 3
/** Speech that stops by itself has faded in the last half millisecond; what was cut off has not. */
const cutMs = 0.5
const cutShare = 0.35
/** Root of the mean power beside a gap, and how much softer the gap must be. */
const gapSoundMin = 300
const gapDepth = 50
const mergeMs = 5

export function findClicks(samples: Int16Array, options: ClickOptions = {}): Click[] {
    const { rate = 16000, sizeMin = 200, contrastMin = 3.2 } = options
    const residual = residualOf(samples, rate)
    const clicks = [...gapsIn(samples, rate), ...outliersIn(residual, rate, sizeMin, contrastMin)]
    clicks.sort((a, b) => a.atMs - b.atMs)
    return clicks.filter((click, index) => index === 0 || click.atMs - clicks[index - 1]!.atMs > mergeMs)
}

/** How far each sample is from its prediction. */
function residualOf(samples: Int16Array, rate: number): Float64Array {
    const block = Math.round((rate * blockMs) / 1000)
    const width = Math.round((rate * windowMs) / 1000)
    const residual = new Float64Array(samples.length)
    const windowed = new Float64Array(width)
    const weights = new Float64Array(order)
    for (let start = 0; start < samples.length; start += block) {
        const from = start + Math.floor((block - width) / 2)
        for (let i = 0; i < width; i++)
            windowed[i] = (samples[from + i] ?? 0) * (0.5 - 0.5 * Math.cos((2 * Math.PI * (i + 0.5)) / width))
        predictionOf(windowed, weights)
        for (let at = start; at < Math.min(samples.length, start + block); at++) {
            let predicted = 0
            for (let k = 0; k < order; k++) predicted += weights[k]! * (samples[at - 1 - k] ?? 0)
            residual[at] = Math.abs(samples[at]! - predicted)
        }
    }
    return residual
}

function outliersIn(residual: Float64Array, rate: number, sizeMin: number, contrastMin: number): Click[] {
    // Maxima of half milliseconds are enough to look around with.
    const cell = Math.round(rate / 2000)
    const cells = new Float64Array(Math.ceil(residual.length / cell))
    for (let i = 0; i < residual.length; i++) {
        const index = Math.floor(i / cell)
        cells[index] = Math.max(cells[index]!, residual[i]!)
    }
    const own = 2 * ownMs
    const near = 2 * nearMs
    const found: Click[] = []
    for (let index = 2 * blockMs; index < cells.length - 2 * blockMs; index++) {
        const size = cells[index]!
        if (size < sizeMin) continue
        let isPeak = true
        let other = 1
        for (let at = Math.max(0, index - near); at <= Math.min(cells.length - 1, index + near); at++) {
            if (Math.abs(at - index) <= own) isPeak &&= cells[at]! <= size
            else other = Math.max(other, cells[at]!)
        }
        if (isPeak && size >= contrastMin * other)
            found.push({ kind: "click", atMs: index / 2, size, contrast: size / other })
    }
    return found
}

function gapsIn(samples: Int16Array, rate: number): Click[] {
    const edge = Math.round((rate * edgeMs) / 1000)
    const cut = Math.round((rate * cutMs) / 1000)
    const shortest = Math.round((rate * gapMs) / 1000)
    const longest = Math.round((rate * gapMsMax) / 1000)
    const found: Click[] = []
    let start = 0
    for (let at = 1; at <= samples.length; at++) {
        if (at < samples.length && Math.abs(samples[at]! - samples[start]!) <= 1) continue
        const length = at - start
        if (length >= shortest && length <= longest && start >= edge && at + edge <= samples.length) {
            const before = loudness(samples, start - edge, edge)
            const after = loudness(samples, at, edge)
            const within = loudness(samples, start, length)
            const softer = Math.min(before, after)
            const cutBefore = loudness(samples, start - cut, cut) > cutShare * before
            const cutAfter = loudness(samples, at, cut) > cutShare * after
            if (cutBefore && cutAfter && softer >= gapSoundMin && softer > gapDepth * within)
                found.push({ kind: "gap", atMs: (start * 1000) / rate, size: length, contrast: softer / (within + 1) })
        }
        start = at
    }
    return found
}

/** Root of the mean power. */
function loudness(samples: Int16Array, from: number, count: number): number {
    let sum = 0
    for (let i = from; i < from + count; i++) sum += samples[i]! * samples[i]!
    return Math.sqrt(sum / count)
}
