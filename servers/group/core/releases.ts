/**
 * When what a session lacks is given back: the earliest end of another session that is going on and uses the same routing
 * server's DSP units, or the same link. The next feasible time of a refusal comes from here. Reads only.
 */

import { memberServers } from "./members.ts"
import type { SessionRow, State, TreeLink } from "./model.ts"

/** Unix seconds; undefined when no session but `except` uses it. `to`: the link between the two, else the units of `at`. */
export function nextRelease(state: State, at: string, to?: string, except?: string): number | undefined {
    let earliest: number | undefined
    for (const session of state.durable.sessions.values()) {
        if (session.id === except || !isGoingOn(session)) continue
        const uses = to === undefined ? usesUnits(state, session, at) : usesLink(state, session, at, to)
        if (uses && (earliest === undefined || session.end < earliest)) earliest = session.end
    }
    return earliest
}

export function isGoingOn(session: SessionRow): boolean {
    return session.state === "opening" || session.state === "open"
}

/** Whether it has, or is reserving, DSP units there. */
export function usesUnits(state: State, session: SessionRow, server: string): boolean {
    if (state.live.reservations.get(session.id)?.unreached.has(server)) return false
    return memberServers(state, session).has(server)
}

/** In either direction: a session holds both. */
export function usesLink(state: State, session: SessionRow, a: string, b: string): boolean {
    return heldTree(state, session).some(({ rs, parent }) => (rs === a && parent === b) || (rs === b && parent === a))
}

/** Whether its tree passes there, with members or in transit. */
export function passes(state: State, session: SessionRow, server: string): boolean {
    return heldTree(state, session).some(({ rs, parent }) => rs === server || parent === server)
}

function heldTree(state: State, session: SessionRow): TreeLink[] {
    return state.live.reservations.get(session.id)?.held ?? []
}
