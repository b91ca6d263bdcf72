/**
 * What was said against what was heard: how long it took and how much of it arrived, by cross-correlation. Also how clean a
 * tone is.
 *
 * Owns the measurement. Works in windows, so that one jump of the delay in between neither hides nor spoils the rest, and
 * leaves windows out in which nothing was said. Pure; recordings carry their times (see `Stretch`).
 */

import { soundRate } from "./codec.ts"
import { crossCorrelation } from "./fft.ts"
import { power, powerToDb } from "./level.ts"
import { failure, type Outcome, success } from "./outcome.ts"

/** Sound without a gap; `atMs` is when its first sample was spoken or played, on one clock for both sides. */
export interface Stretch {
    atMs: number
    samples: Int16Array
}

export interface MeasureOptions {
    /** Default 16 kHz. */
    rate?: number
    /** Largest delay that is looked for. Default 1000. */
    maxDelayMs?: number
    windowMs?: number
    /** Windows in which less was said are left out. Default -50 dBov. */
    speechDb?: number
}

export interface MeasuredWindow {
    /** When the window was spoken. */
    atMs: number
    delayMs: number
    correlation: number
}

export interface Measurement {
    /** Median, 95th percentile (over time spoken) and largest of the windows. */
    delayMs: number
    delayP95Ms: number
    delayMaxMs: number
    /** Of all that was said with all that was heard, each window at its own delay; 1 is perfect. */
    correlation: number
    /** The worst window. */
    correlationMin: number
    /** Heard over said. */
    gain: number
    windows: MeasuredWindow[]
}

export type MeasureRefusal = "too-short" | "nothing-said" | "nothing-heard"

/** Compares what was said with what was heard. The parts of `said` after which nothing was recorded any more are left out. */
export function measure(
    said: Stretch,
    heard: Stretch,
    options: MeasureOptions = {},
): Outcome<Measurement, MeasureRefusal> {
    const { rate = soundRate, maxDelayMs = 1000, windowMs = 250, speechDb = -50 } = options
    const windowSamples = Math.round((windowMs * rate) / 1000)
    const lags = Math.round((maxDelayMs * rate) / 1000) + 1
    // Where `said` begins on the time axis of `heard`; a fraction of a sample is put back into the delay at the end.
    const exact = ((said.atMs - heard.atMs) * rate) / 1000
    const offset = Math.round(exact)
    const fractionMs = ((offset - exact) * 1000) / rate

    let spoken = 0
    let inside = 0
    let cross = 0
    let saidEnergy = 0
    let heardEnergy = 0
    const windows: MeasuredWindow[] = []
    for (let start = 0; start + windowSamples <= said.samples.length; start += windowSamples) {
        const word = said.samples.subarray(start, start + windowSamples)
        if (powerToDb(power(word)) < speechDb) continue
        spoken++
        const from = start + offset
        if (from < 0 || from + windowSamples + lags - 1 > heard.samples.length) continue
        inside++
        const area = heard.samples.subarray(from, from + windowSamples + lags - 1)
        const best = bestLag(word, area, lags)
        cross += best.cross
        saidEnergy += best.wordEnergy
        heardEnergy += best.areaEnergy
        windows.push({
            atMs: said.atMs + (start * 1000) / rate,
            delayMs: (best.lag * 1000) / rate + fractionMs,
            correlation: best.correlation,
        })
    }
    if (spoken === 0) return failure("nothing-said", "there is no speech in what was said", "you")
    if (inside === 0) return failure("too-short", "nothing was recorded while and after it was said", "you")
    if (heardEnergy === 0) return failure("nothing-heard", "nothing but silence was heard", "nobody")

    const sure = windows.filter(window => window.correlation > 0.5)
    const delays = (sure.length > 0 ? sure : windows).map(window => window.delayMs).sort((a, b) => a - b)
    return success({
        delayMs: quantile(delays, 0.5),
        delayP95Ms: quantile(delays, 0.95),
        delayMaxMs: delays[delays.length - 1]!,
        correlation: cross / Math.sqrt(saidEnergy * heardEnergy),
        correlationMin: Math.min(...windows.map(window => window.correlation)),
        gain: Math.sqrt(heardEnergy / saidEnergy),
        windows,
    })
}

/** The lag in 0..lags-1 at which `area` resembles `word` most, by normalised correlation. */
function bestLag(word: Int16Array, area: Int16Array, lags: number) {
    const products = crossCorrelation(word, area, lags)
    let wordEnergy = 0
    for (let i = 0; i < word.length; i++) wordEnergy += word[i]! * word[i]!
    let areaEnergy = 0
    for (let i = 0; i < word.length; i++) areaEnergy += area[i]! * area[i]!
    let best = { lag: 0, correlation: 0, cross: 0, wordEnergy, areaEnergy }
    for (let lag = 0; lag < lags; lag++) {
        if (areaEnergy > 0) {
            const correlation = products[lag]! / Math.sqrt(wordEnergy * areaEnergy)
            if (correlation > best.correlation)
                best = { lag, correlation, cross: products[lag]!, wordEnergy, areaEnergy }
        }
        if (lag + word.length < area.length) areaEnergy += area[lag + word.length]! ** 2 - area[lag]! ** 2
    }
    return best
}

function quantile(sorted: number[], share: number): number {
    return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(sorted.length * share) - 1))]!
}

const toneWindowMs = 250

/**
 * How much louder a steady tone of `hertz` is than everything else in `samples`, in dB: the median of windows of 250 ms, each with
 * the tone of the amplitude and phase that fit it best. -Infinity when there is no whole window.
 */
export function toneSnrDb(samples: Int16Array, hertz: number, rate: number = soundRate): number {
    const width = Math.round((rate * toneWindowMs) / 1000)
    const ratios: number[] = []
    for (let from = 0; from + width <= samples.length; from += width)
        ratios.push(toneSnrOf(samples.subarray(from, from + width), (2 * Math.PI * hertz) / rate))
    if (ratios.length === 0) return -Infinity
    ratios.sort((a, b) => a - b)
    return quantile(ratios, 0.5)
}

/** `turn`: of the tone's phase, per sample. A window holds so many periods that sine and cosine are independent. */
function toneSnrOf(window: Int16Array, turn: number): number {
    let sine = 0
    let cosine = 0
    let mean = 0
    for (let i = 0; i < window.length; i++) {
        sine += window[i]! * Math.sin(turn * i)
        cosine += window[i]! * Math.cos(turn * i)
        mean += window[i]!
    }
    sine *= 2 / window.length
    cosine *= 2 / window.length
    mean /= window.length
    let tone = 0
    let rest = 1e-9
    for (let i = 0; i < window.length; i++) {
        const fitted = sine * Math.sin(turn * i) + cosine * Math.cos(turn * i)
        tone += fitted * fitted
        rest += (window[i]! - mean - fitted) ** 2
    }
    return 10 * Math.log10(tone / rest)
}
