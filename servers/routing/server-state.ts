/**
 * The retained state of this server: when it is worth telling again. Owns the rule; time comes in.
 */

import type { ServerState } from "../../protocol/servers.ts"

const soonestMs = 1000
const latestMs = 10_000
/** [routing-spec 3] A delay has changed when it moved by more than a tenth and 2 ms (here in 0.01 ms). */
const delayShare = 0.1
const delayStep = 200

export class StateTeller {
    #told: ServerState | undefined
    #toldMs = 0

    /** A new connection: the state must be told whatever it is. */
    reset() {
        this.#told = undefined
    }

    /** Whether `now` is to be told; then it counts as told. */
    isDue(now: ServerState, nowMs: number): boolean {
        const before = this.#told
        const sinceMs = nowMs - this.#toldMs
        const due = before === undefined || sinceMs >= latestMs || (sinceMs >= soonestMs && hasChanged(before, now))
        if (!due) return false
        this.#told = now
        this.#toldMs = nowMs
        return true
    }
}

function hasChanged(before: ServerState, now: ServerState): boolean {
    const { links: linksBefore = [], ...restBefore } = before
    const { links = [], ...rest } = now
    if (JSON.stringify(rest) !== JSON.stringify(restBefore) || links.length !== linksBefore.length) return true
    return links.some((link, index) => {
        const other = linksBefore[index]
        if (link.rs !== other.rs || link.up !== other.up || (link.delay === 0) !== (other.delay === 0)) return true
        return Math.abs(link.delay - other.delay) > Math.max(delayShare * other.delay, delayStep)
    })
}
