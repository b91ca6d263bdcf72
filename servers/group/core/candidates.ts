/**
 * Which routing servers an endpoint should probe, best guess first: the one it used last, then the least loaded, and
 * always the two least loaded ones. The endpoint decides by its own measurement.
 */

import { limits } from "../../../protocol/limits.ts"
import type { Candidate } from "../../../protocol/messages.ts"
import type { EndpointRow, State } from "./model.ts"

/** Kept for the least loaded servers, whatever history or place says. */
const leastLoaded = 2

export function candidatesFor(state: State, endpoint: EndpointRow): Candidate[] {
    const byLoad: Candidate[] = []
    for (const row of state.durable.servers.values()) {
        const live = state.live.servers.get(row.id)
        if (live?.on !== 1 || !row.ip) continue
        byLoad.push({ rs: row.id, ip: row.ip, port: row.mediaPort, load: live.load ?? 0 })
    }
    byLoad.sort((a, b) => a.load - b.load || (a.rs < b.rs ? -1 : 1))

    const byGuess = [...byLoad].sort((a, b) => familiarity(endpoint, b) - familiarity(endpoint, a))
    const chosen = byGuess.slice(0, limits.candidates)
    const rest = byLoad.slice(0, leastLoaded).filter(candidate => !chosen.includes(candidate))
    return [...chosen.slice(0, limits.candidates - rest.length), ...rest]
}

/** Larger is a better guess. What an endpoint measured best before is likely the nearest still. */
function familiarity(endpoint: EndpointRow, candidate: Candidate): number {
    return endpoint.lastServer === candidate.rs ? 1 : 0
}
