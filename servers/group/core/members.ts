/**
 * At which routing servers a session has members. Reads only.
 */

import type { SessionRow, State } from "./model.ts"

/** The server that an endpoint says it is attached to, or "". */
export function attachedTo(state: State, endpoint: string): string {
    const live = state.live.endpoints.get(endpoint)
    return live?.on === 1 && live.rs && state.durable.servers.has(live.rs) ? live.rs : ""
}

/** How many members each routing server has: those that have joined there, or asked to, or are attached there. */
export function memberServers(state: State, session: SessionRow): Map<string, number> {
    const servers = new Map<string, number>()
    for (const invitation of session.invitations) {
        if (invitation.status === "declined") continue
        const server = invitation.server || attachedTo(state, invitation.endpoint)
        if (server) servers.set(server, (servers.get(server) ?? 0) + 1)
    }
    return servers
}

/** How many of them have joined there, and hold their DSP units already. */
export function joinedServers(session: SessionRow): Map<string, number> {
    const servers = new Map<string, number>()
    for (const { status, server } of session.invitations)
        if (status === "joined") servers.set(server, (servers.get(server) ?? 0) + 1)
    return servers
}
