/**
 * When endpoints are taken: overlaps with a wanted time, and the nearest time at which all of them are free.
 * Times are half-open intervals of Unix seconds: a session may start in the second in which another one ends.
 */

import type { SessionRow, State } from "./model.ts"

export interface Clash {
    session: SessionRow
    endpoint: string
}

/**
 * Who of `endpoints` is taken in [start, end), and the nearest start from which a session of the same length fits all
 * of them; `next` is undefined when that is after `latest`.
 */
export function fit(
    state: State,
    endpoints: string[],
    start: number,
    end: number,
    latest: number,
): { clashes: Clash[]; next: number | undefined } {
    const all: Clash[] = []
    for (const endpoint of endpoints)
        for (const session of state.sessionsOf.get(endpoint) ?? []) all.push({ session, endpoint })
    const clashes = all.filter(({ session }) => session.start < end && start < session.end)
    if (clashes.length === 0) return { clashes, next: start }

    // In order of start, one pass finds the first gap that is long enough.
    all.sort((a, b) => a.session.start - b.session.start)
    const length = end - start
    let next = start
    for (const { session } of all) {
        if (session.end <= next) continue
        if (session.start >= next + length) break
        next = session.end
    }
    return { clashes, next: next <= latest ? next : undefined }
}
