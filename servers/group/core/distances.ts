/**
 * Takes the routing servers' reports of their shortest-path delays to others. Sessions that nobody has joined yet are looked
 * at again: a better source may be known now.
 */

import type { Distances } from "../../../protocol/servers.ts"
import type { Answer, State } from "./model.ts"
import { done } from "./outcome.ts"

export function takeDistances(state: State, from: string, report: Distances): Answer {
    const delays = new Map<string, number>()
    for (const { rs, delay } of report.list) if (rs !== from && state.durable.servers.has(rs)) delays.set(rs, delay)
    state.live.distances.set(from, delays)
    // Sessions that servers were told of are those that are opening or open.
    for (const [sid, { servers }] of state.live.told) {
        const invitations = servers.has(from) ? state.durable.sessions.get(sid)?.invitations : undefined
        if (invitations?.every(one => one.status !== "joined")) state.touched.sessions.add(sid)
    }
    return done()
}
