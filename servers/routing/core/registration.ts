/**
 * What this server says to the group server: its hello, what it wants to know, who has joined and left.
 *
 * Owns the requests without an answer. They are repeated under the same id until they are answered; a newer report on
 * the same endpoint and session takes the place of the older one, so that the last word is always the true one.
 */

import { protocolVersion } from "../../../protocol/messages.ts"
import type { Reason } from "../../../protocol/reasons.ts"
import { type Distances, type ReservationReport, serverLimits, sessionKbps } from "../../../protocol/servers.ts"
import { coreLimits, type Effect, type GroupRequest, type Outcome, type Session, type State } from "./model.ts"
import { forgetVersions } from "./servers.ts"

type Outgoing = { verb: GroupRequest["verb"]; key: string; fields: object }

export function connected(state: State, nowMs: number, out: Effect[]): void {
    state.registration.connected = true
    hello(state, nowMs, out)
}

export function disconnected(state: State): void {
    state.registration.connected = false
    state.registration.registered = false
}

/** The group server's birth and Will. A new boot has to be greeted again; its versions may start anew. */
export function groupState(state: State, group: { boot: number; on: number }, nowMs: number, out: Effect[]): void {
    const { registration } = state
    const before = registration.group
    // The Will of an earlier life may come after the birth of the next one.
    if (group.on === 0 && before?.on === 1 && before.boot !== group.boot) return
    registration.group = group
    if (group.on === 0) {
        registration.registered = false
        out.push({ type: "log", level: "warn", what: "group server is away", details: { boot: group.boot } })
        return
    }
    // The first state that we read comes with our subscription, and the hello of this connection is under way.
    if (before === undefined || (before.on === 1 && before.boot === group.boot)) return
    if (before.boot !== group.boot) {
        forgetVersions(state)
        for (const session of state.sessions.values()) session.known.n = 0
    }
    if (registration.connected) hello(state, nowMs, out)
}

export function want(state: State, sid: string, ep: string, nowMs: number, out: Effect[]): number {
    return request(state, { verb: "want", key: `want ${ep}`, fields: { sid, ep } }, nowMs, out)
}

export function reportJoined(state: State, sid: string, ep: string, nowMs: number, out: Effect[]): void {
    request(state, { verb: "joined", key: `report ${ep} ${sid}`, fields: { sid, ep } }, nowMs, out)
}

/** Delays of this server's routing table; the next report takes the place of one without an answer. */
export function reportDistances(state: State, list: Distances["list"], nowMs: number, out: Effect[]): void {
    if (state.registration.registered)
        request(state, { verb: "distances", key: "distances", fields: { list } }, nowMs, out)
}

export function reportLeft(
    state: State,
    sid: string,
    ep: string,
    reason: Reason | undefined,
    nowMs: number,
    out: Effect[],
): void {
    const fields = reason === undefined ? { sid, ep } : { sid, ep, reason }
    request(state, { verb: "left", key: `report ${ep} ${sid}`, fields }, nowMs, out)
}

/** What has become of the reservation of a session that starts here [claims 14, 15]. */
export function reportReservation(
    state: State,
    session: Session,
    outcome: Outcome,
    nowMs: number,
    out: Effect[],
): void {
    const { sid, kbps = sessionKbps } = session.known
    const fields: Omit<ReservationReport, "id"> = {
        ...{ sid, ep: outcome.ep, state: outcome.type === "trying" ? "reserving" : outcome.type, kbps },
        tree: outcome.type === "active" ? outcome.tree.slice(0, serverLimits.treeServers) : [],
        short: "short" in outcome ? outcome.short : [],
    }
    request(state, { verb: "reservation", key: `reservation ${sid}`, fields }, nowMs, out)
}

/** Takes the request that `re` answers off the list. */
export function answered(state: State, re: number): GroupRequest | undefined {
    const found = state.requests.get(re)
    state.requests.delete(re)
    return found
}

/** The group server has taken our hello: it may be new, so it hears again who is here. */
export function registered(state: State, groupNowMs: number | undefined, nowMs: number, out: Effect[]): void {
    const { registration } = state
    registration.registered = true
    if (groupNowMs !== undefined) registration.offsetMs = groupNowMs - nowMs
    out.push({ type: "log", level: "info", what: "registered with the group server", details: {} })
    // Reservations are told as they stand now.
    for (const [id, { verb }] of state.requests) if (verb === "reservation") state.requests.delete(id)
    for (const pending of [...state.requests.values()]) send(pending, nowMs, out)
    for (const [sid, session] of state.sessions) {
        for (const ep of session.legs.keys()) reportJoined(state, sid, ep, nowMs, out)
        if (session.outcome) reportReservation(state, session, session.outcome, nowMs, out)
    }
}

export function repeatRequests(state: State, nowMs: number, out: Effect[]): void {
    const { registration } = state
    if (!registration.connected || registration.group?.on === 0) return
    for (const pending of state.requests.values()) {
        if (pending.verb !== "hello" && !registration.registered) continue
        if (nowMs - pending.sentMs >= coreLimits.repeatRequestMs) send(pending, nowMs, out)
    }
}

/** A refused hello is tried again later: the operator may enrol us meanwhile. */
export function helloRefused(state: State, what: string, nowMs: number, out: Effect[]): void {
    out.push({ type: "log", level: "warn", what: "the group server refuses us", details: { reason: what } })
    const id = request(state, helloOf(state), nowMs, [])
    const pending = state.requests.get(id)
    if (pending) pending.sentMs = nowMs + coreLimits.repeatHelloMs - coreLimits.repeatRequestMs
}

function hello(state: State, nowMs: number, out: Effect[]): void {
    state.registration.registered = false
    request(state, helloOf(state), nowMs, out)
}

function helloOf(state: State): Outgoing {
    const { boot, ip, linkPort, mediaPort, fingerprint, dspUnits, place } = state.self
    const fields = { v: protocolVersion, boot, ip, linkPort, mediaPort, fingerprint, dspUnits, ...place }
    return { verb: "hello", key: "hello", fields }
}

function request(state: State, outgoing: Outgoing, nowMs: number, out: Effect[]): number {
    const { verb, key, fields } = outgoing
    for (const [id, pending] of state.requests) if (pending.key === key) state.requests.delete(id)
    for (const [id, pending] of state.requests) {
        if (state.requests.size < coreLimits.reports) break
        if (pending.verb !== "hello") state.requests.delete(id)
    }
    const id = state.nextRequestId
    state.nextRequestId = id >= 4294967295 ? 1 : id + 1
    const pending: GroupRequest = { verb, message: { id, ...fields }, sentMs: nowMs, key }
    state.requests.set(id, pending)
    // What cannot be sent now is sent once we are registered.
    if (state.registration.connected) send(pending, nowMs, out)
    return id
}

function send(pending: GroupRequest, nowMs: number, out: Effect[]): void {
    pending.sentMs = nowMs
    out.push({ type: "toGroup", verb: pending.verb, message: pending.message })
}
