/**
 * The life of a session: scheduled -> opening (5 minutes before) -> open -> ended, driven by one deadline, and what
 * people and routing servers do to it on the way: cancel, decline, want, joined, left.
 *
 * Never sends: it changes the session, marks who must hear of it and writes it down.
 */

import { limits } from "../../../protocol/limits.ts"
import { type SessionState, sessionStates } from "../../../protocol/messages.ts"
import type { Reason } from "../../../protocol/reasons.ts"
import {
    type Answer,
    type Context,
    type Invitation,
    indexSession,
    type Policy,
    type SessionRow,
    type State,
} from "./model.ts"
import { audit, done, refuse } from "./outcome.ts"
import { peersDueMs } from "./peers.ts"
import { isGoingOn } from "./releases.ts"
import { forgetTold, releaseReservation } from "./reservation.ts"
import { touchSession } from "./touch.ts"
import { retryDue, retryDueMs } from "./unreached.ts"

/** The state that a session should be in at `nowMs` by its times alone. */
export function stateAt(session: SessionRow, nowMs: number): SessionState {
    if (session.state === "ended" || nowMs >= session.end * 1000) return "ended"
    if (nowMs >= session.start * 1000) return "open"
    if (nowMs >= (session.start - limits.openingSeconds) * 1000) return "opening"
    return "scheduled"
}

/** When the clock next changes something; undefined when it never does. */
export function nextDueMs(state: State, policy: Policy): number | undefined {
    let due: number | undefined
    const consider = (atMs: number) => {
        if (due === undefined || atMs < due) due = atMs
    }
    if (state.live.unheard) consider(state.live.unheard.dueMs)
    for (const session of state.durable.sessions.values()) {
        switch (session.state) {
            case "scheduled":
                consider((session.start - limits.openingSeconds) * 1000)
                break
            case "opening":
                consider(session.start * 1000)
                break
            case "open": {
                consider(session.end * 1000)
                const emptySinceMs = state.live.emptySinceMs.get(session.id)
                if (emptySinceMs !== undefined) consider(emptySinceMs + policy.emptyEndMs)
                break
            }
            case "ended":
                consider(session.endedMs + policy.endedMemoryMs)
                break
        }
    }
    for (const atMs of [peersDueMs(state), retryDueMs(state)]) if (atMs !== undefined) consider(atMs)
    return due
}

/** Brings every session to where the clock says it should be. */
export function tick(state: State, context: Context, policy: Policy): void {
    for (const session of state.durable.sessions.values()) {
        if (session.state === "ended") {
            if (context.nowMs >= session.endedMs + policy.endedMemoryMs) state.durable.sessions.delete(session.id)
            continue
        }
        advance(state, session, context)
        const emptySinceMs = state.live.emptySinceMs.get(session.id)
        if (emptySinceMs !== undefined && context.nowMs >= emptySinceMs + policy.emptyEndMs)
            end(state, session, "ended", "group", "everybody has left", context)
    }
    retryDue(state, context, policy)
}

/** Moves one session to the state of its times; a new booking for now goes through it too. */
export function advance(state: State, session: SessionRow, context: Context): void {
    const to = stateAt(session, context.nowMs)
    // A clock that is set back does not close what is open.
    if (sessionStates.indexOf(to) <= sessionStates.indexOf(session.state)) return
    if (to === "ended") {
        end(state, session, "ended", "group", "its time is over", context)
        return
    }
    audit(context, "group", to, session.id, "done", { from: session.state, start: session.start, end: session.end })
    session.state = to
    if (to === "open") watchEmpty(state, session, context)
    changed(state, session, context)
}

/** `cancel`: only the booker, or somebody who may act for everybody (`by` undefined). */
export function cancel(state: State, sid: string, by: string | undefined, actor: string, context: Context): Answer {
    const session = state.durable.sessions.get(sid)
    if (!session) return refuse("unknown-session", `no session ${sid}`, "you")
    if (by !== undefined && session.booker !== by)
        return refuse("not-allowed", "only who booked it can cancel it", "organiser")
    if (session.state === "ended") return done()
    end(state, session, "ended", actor, "cancelled", context)
    return done()
}

/** Whoever may cancel a session may have it recorded, from now on or from its opening on; everybody in it is told. */
export function record(
    state: State,
    { sid, format }: { sid: string; format: SessionRow["recording"] },
    by: string | undefined,
    actor: string,
    context: Context,
): Answer {
    const session = state.durable.sessions.get(sid)
    if (!session) return refuse("unknown-session", `no session ${sid}`, "you")
    if (by !== undefined && session.booker !== by)
        return refuse("not-allowed", "only who booked it can record it", "organiser")
    if (session.state === "ended") return refuse("ended", "the session is over", "nobody")
    if (session.recording === format) return done()
    audit(context, actor, "record", sid, "done", { format })
    session.recording = format
    changed(state, session, context)
    return done()
}

/** `decline`: the room is free again for others; the booker's own decline is a cancel. */
export function decline(state: State, sid: string, endpoint: string, context: Context): Answer {
    const found = memberOf(state, sid, endpoint)
    if ("ok" in found) return found
    const { session, invitation } = found
    if (invitation.status === "declined" || session.state === "ended") return done()
    if (session.booker === endpoint) return refuse("not-allowed", "you booked it: cancel it instead", "you")
    invitation.status = "declined"
    invitation.server = ""
    audit(context, `ep:${endpoint}`, "decline", sid, "done")
    watchEmpty(state, session, context)
    changed(state, session, context)
    return done()
}

/** `want`: a routing server has somebody who asks to join and does not know the session. */
export function want(state: State, server: string, sid: string, endpoint: string, context: Context): Answer {
    const found = memberOf(state, sid, endpoint)
    if ("ok" in found) return found
    const { session, invitation } = found
    if (invitation.status === "declined") return refuse("not-a-member", "it has declined", "organiser")
    if (session.state === "ended") return refuse("ended", "the session is over", "nobody")
    if (session.state === "scheduled")
        return refuse("not-open", "it opens 5 min before its start", "you", session.start - limits.openingSeconds)
    const attached = state.live.endpoints.get(endpoint)
    // Somebody who moves may ask at the new server before we hear that it has left the old one, but a repeat that was
    // under way for long must not undo a move: what the endpoint itself says of where it is decides.
    const stays = invitation.status === "joined" && attached?.on === 1 && attached.rs === invitation.server
    if (!stays) {
        if (invitation.status === "joined" && invitation.server !== server)
            leave(state, session, invitation, "group", `it asks to join at ${server}`, context)
        if (invitation.status !== "joined") invitation.server = server
    }
    // The server asks because it knows nothing of it, whatever it was told before.
    state.live.told.get(sid)?.servers.delete(server)
    state.touched.sessions.add(sid)
    context.writes.push({ table: "sessions", put: session })
    return done()
}

export function joined(state: State, server: string, sid: string, endpoint: string, context: Context): Answer {
    const found = memberOf(state, sid, endpoint)
    if ("ok" in found) return found
    const { session, invitation } = found
    if (session.state === "ended") return refuse("ended", "the session is over", "nobody")
    // A report that was under way for long: its room may be taken by another session by now.
    if (invitation.status === "declined") return refuse("not-a-member", "it has declined", "organiser")
    if (invitation.status === "joined" && invitation.server === server) return done()
    invitation.status = "joined"
    invitation.server = server
    audit(context, `rs:${server}`, "joined", sid, "done", { endpoint })
    watchEmpty(state, session, context)
    changed(state, session, context)
    return done()
}

export function left(
    state: State,
    server: string,
    sid: string,
    endpoint: string,
    reason: Reason | undefined,
    context: Context,
): Answer {
    const found = memberOf(state, sid, endpoint)
    if ("ok" in found) return found
    const { session, invitation } = found
    // Somebody who has moved on to another server did not leave by leaving the old one.
    if (invitation.status !== "joined" || invitation.server !== server || session.state === "ended") return done()
    leave(state, session, invitation, `rs:${server}`, reason ?? "", context)
    return done()
}

/** A routing server that is gone or has forgotten everything has nobody in any session. */
export function serverLost(state: State, server: string, why: string, context: Context): void {
    for (const session of state.durable.sessions.values()) {
        if (session.state === "ended") continue
        for (const invitation of session.invitations)
            if (invitation.status === "joined" && invitation.server === server)
                leave(state, session, invitation, "group", why, context)
        if (session.source === server) forgetTold(state, session.id)
        if (session.state !== "scheduled") state.touched.sessions.add(session.id)
    }
}

/**
 * An endpoint says that it is attached elsewhere: it is in no session at its old server any more. Its new server is told at
 * once, so that it knows the session by the time that the endpoint asks to join it there.
 */
export function movedOn(state: State, endpoint: string, server: string, context: Context): void {
    for (const session of state.sessionsOf.get(endpoint) ?? []) {
        const invitation = session.invitations.find(one => one.endpoint === endpoint)
        if (invitation?.status !== "joined" || invitation.server === server) continue
        leave(state, session, invitation, "group", `it has moved to ${server}`, context)
    }
}

/** Ends a session for everybody. */
export function end(
    state: State,
    session: SessionRow,
    reason: Reason,
    actor: string,
    why: string,
    context: Context,
): void {
    audit(context, actor, "end", session.id, reason, { why, from: session.state, start: session.start })
    const hadStarted = isGoingOn(session)
    session.state = "ended"
    session.endedMs = context.nowMs
    session.endReason = why
    state.live.emptySinceMs.delete(session.id)
    changed(state, session, context)
    // After it is touched: servers hear of the end before others try to get what it had.
    if (hadStarted) releaseReservation(state, session, context)
}

function leave(
    state: State,
    session: SessionRow,
    invitation: Invitation,
    actor: string,
    why: string,
    context: Context,
): void {
    audit(context, actor, "left", session.id, "done", { endpoint: invitation.endpoint, server: invitation.server, why })
    invitation.status = "left"
    invitation.server = ""
    watchEmpty(state, session, context)
    changed(state, session, context)
}

/** Keeps the time since when an open ad-hoc session that somebody has been in is empty. */
export function watchEmpty(state: State, session: SessionRow, context: Context): void {
    const statuses = session.invitations.map(invitation => invitation.status)
    const empty = session.state === "open" && statuses.includes("left") && !statuses.includes("joined")
    if (!session.adhoc || !empty) state.live.emptySinceMs.delete(session.id)
    else if (!state.live.emptySinceMs.has(session.id)) state.live.emptySinceMs.set(session.id, context.nowMs)
}

function memberOf(state: State, sid: string, endpoint: string) {
    const session = state.durable.sessions.get(sid)
    if (!session) return refuse("unknown-session", `no session ${sid}`, "you")
    const invitation = session.invitations.find(one => one.endpoint === endpoint)
    if (!invitation) return refuse("not-a-member", `${endpoint} is not invited`, "organiser")
    return { session, invitation }
}

export function changed(state: State, session: SessionRow, context: Context): void {
    indexSession(state, session)
    touchSession(state, session)
    context.writes.push({ table: "sessions", put: session })
}
