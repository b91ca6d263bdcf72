/**
 * Notes who must hear of a change. The messages themselves are made once per batch of events, in `pushes.ts`.
 */

import type { SessionRow, State } from "./model.ts"

/** `force`: send also when nothing has changed, because it may have missed the last one. */
export function touchEndpoint(state: State, endpoint: string, force = false): void {
    state.touched.endpoints.set(endpoint, force || state.touched.endpoints.get(endpoint) === true)
}

/** The session has changed: its servers and its members hear of it. */
export function touchSession(state: State, session: SessionRow): void {
    state.touched.sessions.add(session.id)
    for (const invitation of session.invitations) touchEndpoint(state, invitation.endpoint)
}
