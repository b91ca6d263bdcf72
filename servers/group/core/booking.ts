/**
 * Booking: who is invited, whether the time is allowed, whether everybody is free, and the session that comes of it.
 *
 * Two bookings that want the same room at the same time come here one after the other, so exactly one wins. Remembering
 * answers (so that a repeated request books once) is in `answered.ts`.
 */

import { limits } from "../../../protocol/limits.ts"
import { clip } from "../../text.ts"
import { fit } from "./calendar.ts"
import { advance, changed } from "./lifecycle.ts"
import type {
    Answer,
    BookRequest,
    Context,
    EndpointRow,
    Invitation,
    Policy,
    Refusal,
    SessionRow,
    State,
} from "./model.ts"
import { audit, done, problemWithText, refuse } from "./outcome.ts"

export function book(state: State, request: BookRequest, actor: string, context: Context, policy: Policy): Answer {
    const answer = decide(state, request, context, policy)
    const outcome = answer.ok ? "done" : answer.reason
    const details = answer.ok ? answer.fields : { what: answer.what, next: answer.next }
    audit(context, actor, "book", request.with, outcome, { ...request, ...details })
    return answer
}

function decide(state: State, request: BookRequest, context: Context, policy: Policy): Answer {
    const nowSeconds = Math.floor(context.nowMs / 1000)
    const booker = state.durable.endpoints.get(request.booker)
    if (!booker) return refuse("unknown-endpoint", `no endpoint ${request.booker}`, "operator")

    const problem = problemWithText(request.title, limits.titleBytes, "title")
    if (problem) return refuse("malformed", problem, "maker")
    const span = spanOf(request, nowSeconds, policy)
    if ("ok" in span) return span
    const { adhoc, start, end, latest } = span

    const invited = whoIsInvited(state, booker, request.with)
    if (!Array.isArray(invited)) return invited
    if (invited.length > limits.sessionMembers)
        return refuse("too-many", `${invited.length} members, at most ${limits.sessionMembers}`, "organiser")
    if (bookedBy(state, booker.id) >= limits.sessionsPerEndpoint)
        return refuse("too-many", `${limits.sessionsPerEndpoint} sessions booked already`, "you")

    const ids = invited.map(endpoint => endpoint.id)
    const { clashes, next } = fit(state, ids, start, end, latest)
    if (clashes.length > 0) {
        const names = new Set(clashes.map(clash => state.durable.endpoints.get(clash.endpoint)?.name ?? clash.endpoint))
        return refuse("busy", [...names].join(", "), "you", next)
    }

    const session: SessionRow = {
        id: context.newId(),
        title: request.title || titleFor(state, request.with),
        target: request.with,
        booker: booker.id,
        start,
        end,
        state: "scheduled",
        adhoc,
        source: "",
        sourceReason: "",
        createdMs: context.nowMs,
        endedMs: 0,
        endReason: "",
        recording: "",
        invitations: invited.map(invitationFor),
    }
    state.durable.sessions.set(session.id, session)
    changed(state, session, context)
    advance(state, session, context)
    return done({ sid: session.id, start, end })
}

export interface Span {
    /** Unix seconds. */
    start: number
    end: number
    /** The last start that a booking may have. */
    latest: number
    adhoc: boolean
}

/** When a session would be; `start` 0 is now. */
export function spanOf(wanted: { start: number; minutes: number }, nowSeconds: number, policy: Policy): Span | Refusal {
    if (wanted.minutes > limits.sessionMinutesMax)
        return refuse("too-long", `at most ${limits.sessionMinutesMax} minutes`, "you")
    if (wanted.minutes < limits.sessionMinutesMin)
        return refuse("malformed", `minutes: at least ${limits.sessionMinutesMin}`, "you")
    const adhoc = wanted.start === 0
    const start = adhoc ? nowSeconds : wanted.start
    const latest = nowSeconds + limits.bookAheadDays * 86400
    if (start < nowSeconds - policy.pastGraceSeconds)
        return refuse("in-the-past", "the start is in the past", "you", nowSeconds)
    if (start > latest) return refuse("too-far", `at most ${limits.bookAheadDays} days ahead`, "you")
    return { start, end: start + wanted.minutes * 60, latest, adhoc }
}

/** The booker and the members of what it calls, each once; or why there is nobody. */
function whoIsInvited(state: State, booker: EndpointRow, target: string): EndpointRow[] | Answer {
    const room = state.durable.endpoints.get(target)
    const group = state.durable.groups.get(target)
    if (!room && !group) return refuse("unknown-group", `no group or room ${target}`, "you")
    if (room && room.id === booker.id) return refuse("not-allowed", "a room cannot call itself", "you")

    const members = new Set([booker.id, ...(group ? group.members : [target])])
    const endpoints = [...members].flatMap(id => state.durable.endpoints.get(id) ?? [])
    if (endpoints.length < 2) return refuse("not-allowed", `nobody else is in ${group?.name ?? target}`, "operator")
    return endpoints
}

function bookedBy(state: State, booker: string): number {
    let count = 0
    for (const session of state.durable.sessions.values())
        if (session.booker === booker && session.state !== "ended") count++
    return count
}

function titleFor(state: State, target: string): string {
    const name = state.durable.groups.get(target)?.name ?? state.durable.endpoints.get(target)?.name ?? target
    return clip(name, limits.titleBytes)
}

function invitationFor(endpoint: EndpointRow): Invitation {
    return { endpoint: endpoint.id, name: endpoint.name, status: "invited", server: "" }
}
