/**
 * The report of this server's delays to the group server, which places sessions by it: what is in it, and when it is worth
 * telling again. Pure; time comes in. [routing-spec 6; `distances` in protocol/servers.ts]
 */

import { type Distances, serverLimits } from "../../../protocol/servers.ts"
import type { Route } from "../route/routing-table.ts"

type Report = Distances["list"]

/** A delay is told again when it moved by more than this share and this many 0.01 ms. */
const changeShare = 0.1
const changeFloor = 200

/** First the servers that share a session with this one, then the nearest. */
export function delayReport(routes: readonly Route[], inSessions: ReadonlySet<string>): Report {
    const rank = (route: Route) => (inSessions.has(route.destination) ? 0 : 1)
    return [...routes]
        .sort((a, b) => rank(a) - rank(b) || a.delay - b.delay || (a.destination < b.destination ? -1 : 1))
        .slice(0, serverLimits.distances)
        .map(({ destination, delay }) => ({ rs: destination, delay }))
}

export class DelayReporter {
    #told: Report | undefined
    #toldMs = Number.NEGATIVE_INFINITY

    /** The group server has forgotten what it was told. */
    reset(): void {
        this.#told = undefined
    }

    /** Whether `now` is to be told; then it counts as told. */
    isDue(now: Report, nowMs: number): boolean {
        if (nowMs - this.#toldMs < serverLimits.distancesIntervalMs) return false
        if (this.#told ? !hasChanged(this.#told, now) : now.length === 0) return false
        this.#told = now
        this.#toldMs = nowMs
        return true
    }
}

function hasChanged(before: Report, now: Report): boolean {
    if (before.length !== now.length) return true
    const delays = new Map(before.map(({ rs, delay }) => [rs, delay]))
    return now.some(({ rs, delay }) => {
        const told = delays.get(rs)
        return told === undefined || Math.abs(delay - told) > Math.max(changeShare * told, changeFloor)
    })
}
