/**
 * The member servers that a session goes on without, because nothing could be reserved for them: who is left out and why,
 * when they may fit, and when they are tried again. They are tried again when a session that uses what they lack ends, when
 * the network has changed, and after a while in any case.
 *
 * Owns `unreached` of a session's reservation. Never chooses the source: that is in `source.ts`.
 */

import type { ServerSession } from "../../../protocol/servers.ts"
import { clip } from "../../text.ts"
import { joinedServers, memberServers } from "./members.ts"
import type { Context, Policy, SessionReservation, SessionRow, Shortage, State, Unreached } from "./model.ts"
import { audit } from "./outcome.ts"
import { isGoingOn, nextRelease, passes, usesLink, usesUnits } from "./releases.ts"

/** Bytes of `what` in a session's message. */
const whatBytes = 64
/** A destination needs one unit for each member and one for its link to the tree. */
const unitsOfLink = 1

/** What could not be had is left out; a source that is short of its own units makes room for another one. */
export function leaveOut(
    state: State,
    session: SessionRow,
    reservation: SessionReservation,
    short: Shortage[],
    context: Context,
    policy: Policy,
): void {
    const servers = memberServers(state, session)
    let changed = false
    for (const shortage of short) {
        const { rs } = shortage
        if (!servers.has(rs)) continue
        if (rs === session.source && !reservation.shortSources.has(rs)) {
            reservation.shortSources.add(rs)
            changed = true
            if (mayBeDestination(state, session, reservation, servers)) continue
        }
        changed = put(state, session, reservation, shortage, context, policy) || changed
    }
    // The same wish again would be refused again, so it has to wait.
    if (!changed) reservation.againMs ??= context.nowMs + policy.retryMs
    state.touched.sessions.add(session.id)
}

/** False when it was left out already: then it keeps its time. */
function put(
    state: State,
    session: SessionRow,
    reservation: SessionReservation,
    shortage: Shortage,
    context: Context,
    policy: Policy,
): boolean {
    const { rs, reason, what, at, to } = shortage
    const before = reservation.unreached.get(rs)
    const tooLarge = reason === "no-dsp" && isTooLarge(state, session, rs)
    // Nothing that ends makes room for a session that is larger than the server.
    const usesOfLink = reason === "no-bandwidth" && to !== undefined
    const next =
        reason === "no-dsp" && !tooLarge
            ? nextRelease(state, at, undefined, session.id)
            : usesOfLink
              ? nextRelease(state, at, to, session.id)
              : undefined
    const unreached: Unreached = {
        reason,
        what: clip(what, whatBytes),
        who: tooLarge ? "organiser" : "operator",
        at,
        sinceMs: before?.sinceMs ?? context.nowMs,
        dueMs: before?.dueMs ?? context.nowMs + policy.retryMs,
    }
    if (to !== undefined) unreached.to = to
    if (next !== undefined) unreached.next = next
    reservation.unreached.set(rs, unreached)
    if (before) return false
    const { sinceMs: _since, dueMs: _due, ...inputs } = unreached
    audit(context, "group", "unreached", session.id, reason, { server: rs, source: session.source, ...inputs })
    return true
}

/** More than all units of the server: no other session is in the way. */
function isTooLarge(state: State, session: SessionRow, server: string): boolean {
    const units = unitsAt(state, server)
    return units !== undefined && unitsNeeded(memberServers(state, session), server) > units
}

function unitsAt(state: State, server: string): number | undefined {
    const units = state.live.servers.get(server)?.dspUnits ?? state.durable.servers.get(server)?.dspUnits
    return units === undefined || units === 0 ? undefined : units
}

function unitsNeeded(servers: Map<string, number>, server: string): number {
    return (servers.get(server) ?? 0) + (servers.size > 1 ? unitsOfLink : 0)
}

/**
 * A source pays for every link of its own, a destination mostly for one: it is left out only when it has not even that, or
 * nobody else can be the source.
 */
function mayBeDestination(
    state: State,
    session: SessionRow,
    { unreached, shortSources }: SessionReservation,
    servers: Map<string, number>,
): boolean {
    const other = [...servers.keys()].some(
        id => !unreached.has(id) && !shortSources.has(id) && state.live.servers.get(id)?.on === 1,
    )
    const needed = unitsNeeded(servers, session.source) - (joinedServers(session).get(session.source) ?? 0)
    return other && (state.live.servers.get(session.source)?.dspFree ?? 0) >= needed
}

/** For the servers of the session. Its source is never among them: whoever is there can meet. */
export function unreachedMessage(
    state: State,
    session: SessionRow,
    servers: Map<string, number>,
): NonNullable<ServerSession["unreached"]> {
    const list: NonNullable<ServerSession["unreached"]> = []
    for (const [rs, { reason, what, who, next }] of state.live.reservations.get(session.id)?.unreached ?? []) {
        if (rs === session.source || !servers.has(rs)) continue
        list.push(next === undefined ? { rs, reason, what, who } : { rs, reason, what, who, next })
    }
    return list.sort((a, b) => (a.rs < b.rs ? -1 : 1))
}

/** From another source the ways are others; what is short at a server itself stays short. */
export function forgetWays(reservation: SessionReservation): void {
    for (const [rs, { at }] of reservation.unreached) if (at !== rs) reservation.unreached.delete(rs)
}

/** When the next of them is tried again. */
export function retryDueMs(state: State): number | undefined {
    let due: number | undefined
    for (const { unreached, againMs } of state.live.reservations.values())
        for (const atMs of [
            ...[...unreached.values()].map(one => one.dueMs),
            ...(againMs === undefined ? [] : [againMs]),
        ])
            if (due === undefined || atMs < due) due = atMs
    return due
}

/** Part of a tick. Those that would follow within moments are tried in the same go: each go is an attempt of the source. */
export function retryDue(state: State, context: Context, policy: Policy): void {
    for (const [sid, reservation] of state.live.reservations) {
        const { unreached, againMs } = reservation
        const due = againMs !== undefined && context.nowMs >= againMs
        if (!due && ![...unreached.values()].some(one => context.nowMs >= one.dueMs)) continue
        const soonMs = context.nowMs + policy.retryLeastMs
        tryAgain(state, sid, one => one.dueMs <= soonMs, "its time has come", context)
    }
}

/** `ended` uses nothing any more. Must come before what is known of its reservation is forgotten. */
export function retryFreed(state: State, ended: SessionRow, context: Context): void {
    const frees = ({ at, to }: Unreached, server: string) =>
        usesUnits(state, ended, server) ||
        passes(state, ended, server) ||
        (to === undefined ? usesUnits(state, ended, at) : usesLink(state, ended, at, to))
    for (const [sid, { unreached, shortSources }] of state.live.reservations) {
        if (sid === ended.id) continue
        for (const server of shortSources) if (usesUnits(state, ended, server)) shortSources.delete(server)
        if ([...unreached].some(([server, one]) => frees(one, server)))
            tryAgain(state, sid, frees, `session ${ended.id} has ended`, context)
    }
}

/** A server that has come online has all its units; links come back with it, a moment later. */
export function retryOnline(state: State, server: string, context: Context, policy: Policy): void {
    for (const { shortSources } of state.live.reservations.values()) shortSources.delete(server)
    const concerned = ({ at, to }: Unreached, rs: string) => rs === server || at === server || to === server
    bringForward(state, concerned, context, policy)
}

/** A link has come up: whoever lacked a way may have one. */
export function retryLinked(state: State, context: Context, policy: Policy): void {
    bringForward(state, ({ reason }) => reason !== "no-dsp", context, policy)
}

function bringForward(
    state: State,
    concerned: (one: Unreached, server: string) => boolean,
    context: Context,
    policy: Policy,
): void {
    for (const { unreached } of state.live.reservations.values())
        for (const [server, one] of unreached)
            if (concerned(one, server)) one.dueMs = Math.min(one.dueMs, one.sinceMs + policy.retryLeastMs)
    retryDue(state, context, policy)
}

function tryAgain(
    state: State,
    sid: string,
    concerned: (one: Unreached, server: string) => boolean,
    why: string,
    context: Context,
): void {
    const reservation = state.live.reservations.get(sid)
    const session = state.durable.sessions.get(sid)
    if (!reservation) return
    if (!session || !isGoingOn(session)) {
        state.live.reservations.delete(sid)
        return
    }
    const tried: string[] = []
    for (const [server, one] of reservation.unreached) {
        if (!concerned(one, server)) continue
        reservation.unreached.delete(server)
        tried.push(server)
    }
    delete reservation.againMs
    audit(context, "group", "retry", sid, "done", { servers: tried, why })
    // Also when nothing changes for it: the source takes each message as a new wish.
    state.live.told.get(sid)?.servers.delete(session.source)
    state.touched.sessions.add(sid)
}
