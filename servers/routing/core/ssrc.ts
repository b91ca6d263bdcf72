/**
 * Numbers of legs (SSRC, RFC 3550). Owns nothing; those in use stand in the state.
 */

import type { State } from "./model.ts"

/** A number that names one leg at this server. Mulberry32 over a seed that comes in from outside. */
export function freshSsrc(state: State): number {
    for (;;) {
        state.randomSeed = (state.randomSeed + 0x6d2b79f5) >>> 0
        let mixed = state.randomSeed
        mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
        mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
        const ssrc = (mixed ^ (mixed >>> 14)) >>> 0
        if (ssrc === 0 || state.ssrcs.has(ssrc)) continue
        state.ssrcs.add(ssrc)
        return ssrc
    }
}
