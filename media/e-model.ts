/**
 * How people would judge a call: the E-model of ITU-T G.107 with its default values, from delay and loss to a mean opinion
 * score. Owns the formulas; the impairments of codecs are those of G.113. An estimate, never a measurement.
 */

import type { CodecName } from "./codec.ts"

/** Basic rating with all defaults: R0 - Is. */
const ratingMost = 93.2
/** Equipment impairment without loss, and robustness against loss (G.113 appendix I; G.711 with concealment). */
const impairments: Record<CodecName, { ie: number; bpl: number }> = {
    pcmu: { ie: 0, bpl: 25.1 },
    // Not in G.113: wide-band with in-band repair is here no worse than G.711, and twice as robust as EVRC.
    opus: { ie: 0, bpl: 34 },
}

/** Idd of G.107 for an absolute one-way delay without echo, in ms. */
export function delayImpairment(oneWayMs: number): number {
    if (oneWayMs <= 100) return 0
    const x = Math.log2(oneWayMs / 100)
    return 25 * ((1 + x ** 6) ** (1 / 6) - 3 * (1 + (x / 3) ** 6) ** (1 / 6) + 2)
}

/** Ie-eff of G.107 for random loss (BurstR = 1). */
export function lossImpairment(codec: CodecName, lossPercent: number): number {
    const { ie, bpl } = impairments[codec]
    const loss = Math.max(0, Math.min(100, lossPercent))
    return ie + (95 - ie) * (loss / (loss + bpl))
}

/** The rating R, 0..100. */
export function rating(codec: CodecName, oneWayMs: number, lossPercent: number): number {
    const value = ratingMost - delayImpairment(oneWayMs) - lossImpairment(codec, lossPercent)
    return Math.max(0, Math.min(100, value))
}

/** Mean opinion score of a rating, 1..4.5 (G.107 annex B). */
export function opinionOf(r: number): number {
    if (r <= 0) return 1
    if (r >= 100) return 4.5
    return Math.max(1, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6)
}

/** `oneWayMs`: mouth to ear, that is network, jitter buffer and framing. */
export function opinion(codec: CodecName, oneWayMs: number, lossPercent: number): number {
    return opinionOf(rating(codec, oneWayMs, lossPercent))
}
