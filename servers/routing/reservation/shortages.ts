/**
 * What can be short, in the words that people are told: which link, which server, how much.
 *
 * Owns the texts and which of two says more. Never looks anything up.
 */

import type { Shortage } from "./model.ts"

type Reason = Shortage["reason"]

/** As `what` crosses the wire. */
const whatCharacters = 64

export function noPath(rs: string, at: string): Shortage {
    return shortage(rs, "no-path", `no path to ${rs}`, at)
}

/** No way to `rs` has so much free, as far as is known; which link it is on is not. */
export function noWay(rs: string, kbps: number, at: string): Shortage {
    return shortage(rs, "no-bandwidth", `no way with ${kbps} kbit/s to ${rs}`, at)
}

export function noUnitsAt(rs: string, needed: number): Shortage {
    return shortage(rs, "no-dsp", `${needed} DSP units for ${rs}`, rs)
}

/** [claim 14] The source's own. */
export function noUnitsHere(self: string, needed: number, free: number): Shortage {
    return shortage(self, "no-dsp", `${needed} DSP units needed at ${self}, ${free} free`, self)
}

export function noAnswer(rs: string): Shortage {
    return shortage(rs, "unavailable", `no answer from ${rs} in time`, rs)
}

/** `rs` cannot be had because of the link from `at` to `to`. */
export function shortOnLink(rs: string, kbps: number, at: string, to: string, reason: Reason): Shortage {
    const what = reason === "no-bandwidth" ? `${kbps} kbit/s from ${at} to ${to}` : `from ${at} to ${to}`
    return { ...shortage(rs, reason, what, at), to }
}

/** Nothing was said, at least not of which link: it may have been full, or the answer too late [claim 17]. */
export function isVague({ reason, to }: Shortage): boolean {
    return to === undefined && (reason === "no-bandwidth" || reason === "unavailable")
}

/** A guided attempt knows the link that was full; the window's silence does not. */
export function moreExact(one: Shortage, before: readonly Shortage[]): Shortage {
    return isVague(one) ? (before.find(({ rs, to }) => rs === one.rs && to !== undefined) ?? one) : one
}

function shortage(rs: string, reason: Reason, what: string, at: string): Shortage {
    return { rs, reason, what: what.slice(0, whatCharacters), at }
}
