/** How long somebody hears nothing of a sound that never pauses by itself. Pure. */

import { soundRate } from "../../media/codec.ts"
import type { Stretch } from "../../media/measure.ts"

/** Of the pauses that end after `fromMs`: sound softer than a hundredth of full scale, in pieces of 5 ms. */
export function longestPauseMs({ atMs, samples }: Stretch, fromMs: number): number {
    const piece = soundRate / 200
    let longest = 0
    let since: number | undefined
    for (let at = 0; at + piece <= samples.length; at += piece) {
        const nowMs = atMs + (at * 1000) / soundRate
        let peak = 0
        for (let i = at; i < at + piece; i++) peak = Math.max(peak, Math.abs(samples[i]))
        if (peak < 328) since ??= nowMs
        else {
            if (since !== undefined && nowMs > fromMs) longest = Math.max(longest, nowMs - since)
            since = undefined
        }
    }
    if (since !== undefined) throw new Error("speech did not come back")
    return longest
}
