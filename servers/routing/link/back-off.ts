/**
 * How long to wait before the next attempt: doubles, is capped, and is spread so that many who lost the same server do
 * not return in the same instant. Owns the formula only.
 */

export interface BackOffLimits {
    firstMs: number
    maxMs: number
}

/** `attempt` counts failures from 0; `random` is 0..1. */
export function backOffMs(attempt: number, random: number, limits: BackOffLimits): number {
    const full = Math.min(limits.maxMs, limits.firstMs * 2 ** Math.min(attempt, 20))
    return full / 2 + (full / 2) * random
}
