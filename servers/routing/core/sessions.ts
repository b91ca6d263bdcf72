/**
 * The sessions that have members at this server: what the group server tells of them, their legs here, their tree.
 *
 * Owns who is in which session. Never decides whether someone may join (joins.ts does) and never mixes.
 */

import { limits } from "../../../protocol/limits.ts"
import type { Reason } from "../../../protocol/reasons.ts"
import type { ServerSession } from "../../../protocol/servers.ts"
import { coreLimits, type Effect, type Leg, type Session, type State } from "./model.ts"
import { reportJoined, reportLeft } from "./registration.ts"
import { peopleBeyond, setTree, tellCounts } from "./tree.ts"

/** False when it is old news, or the session is over with it. */
export function learn(state: State, known: ServerSession, nowMs: number, out: Effect[]): boolean {
    const { sid } = known
    const session = state.sessions.get(sid)
    if (known.n < (session?.known.n ?? 0)) return false
    if (known.n <= (state.ended.get(sid) ?? -1)) return false
    if (known.state === "ended") {
        end(state, sid, "ended", nowMs, out)
        return false
    }
    if (session) {
        session.known = known
        for (const ep of [...session.legs.keys()]) {
            if (known.members.some(member => member.ep === ep)) continue
            bye(ep, sid, "not-a-member", out)
            removeLeg(state, sid, ep, "not-a-member", nowMs, out)
        }
    } else {
        if (state.sessions.size >= coreLimits.sessions) {
            const details = { sid, sessions: coreLimits.sessions }
            out.push({ type: "log", level: "warn", what: "too many sessions", details })
            return false
        }
        state.ended.delete(sid)
        state.sessions.set(sid, { known, legs: new Map() })
    }
    plant(state, sid, out)
    return true
}

export function end(state: State, sid: string, reason: Reason, nowMs: number, out: Effect[]): void {
    const session = state.sessions.get(sid)
    state.ended.delete(sid)
    state.ended.set(sid, session?.known.n ?? 0)
    for (const oldest of state.ended.keys()) {
        if (state.ended.size <= coreLimits.endedSessions) break
        state.ended.delete(oldest)
    }
    if (!session) return
    for (const ep of [...session.legs.keys()]) {
        bye(ep, sid, reason, out)
        removeLeg(state, sid, ep, reason, nowMs, out)
    }
    setTree(state.tree, sid, [], out)
    state.sessions.delete(sid)
    out.push({ type: "log", level: "info", what: "session over", details: { sid, reason } })
}

/** The group server is long away or has forgotten it. */
export function endOverdue(state: State, nowMs: number, out: Effect[]): void {
    const { offsetMs } = state.registration
    if (offsetMs === undefined) return
    const nowSeconds = (nowMs + offsetMs) / 1000
    for (const [sid, session] of [...state.sessions])
        if (session.known.end + coreLimits.overdueSeconds < nowSeconds) end(state, sid, "ended", nowMs, out)
}

/** The endpoint's leg: a new one, or the one that it has, at its present address. */
export function addLeg(
    state: State,
    session: Session,
    ep: string,
    ip: string,
    port: number,
    nowMs: number,
    out: Effect[],
): Leg {
    const { sid } = session.known
    const before = session.legs.get(ep)
    const leg: Leg = before ? { ...before, ip, port } : { ssrc: freshSsrc(state), ip, port, toldPeople: 0 }
    session.legs.set(ep, leg)
    const attachment = state.attachments.get(ep)
    if (attachment) attachment.sid = sid
    out.push({ type: "addLeg", sid, ep, ssrc: leg.ssrc, ip, port })
    if (!before) {
        plant(state, sid, out)
        reportJoined(state, sid, ep, nowMs, out)
        out.push({ type: "log", level: "info", what: "joined", details: { sid, ep, ssrc: leg.ssrc } })
    }
    return leg
}

/** Harmless when the endpoint has no leg there. */
export function removeLeg(
    state: State,
    sid: string,
    ep: string,
    reason: Reason | undefined,
    nowMs: number,
    out: Effect[],
): void {
    const attachment = state.attachments.get(ep)
    if (attachment?.sid === sid) attachment.sid = undefined
    const session = state.sessions.get(sid)
    const leg = session?.legs.get(ep)
    if (!session || !leg) return
    session.legs.delete(ep)
    state.ssrcs.delete(leg.ssrc)
    out.push({ type: "removeLeg", ssrc: leg.ssrc })
    reportLeft(state, sid, ep, reason, nowMs, out)
    plant(state, sid, out)
    out.push({ type: "log", level: "info", what: "left", details: { sid, ep, ...(reason && { reason }) } })
}

/** Takes an endpoint out and tells it. */
export function dismiss(state: State, sid: string, ep: string, reason: Reason, nowMs: number, out: Effect[]): void {
    if (!state.sessions.get(sid)?.legs.has(ep)) return
    bye(ep, sid, reason, out)
    removeLeg(state, sid, ep, reason, nowMs, out)
}

/** People in the session, here and on the far sides of the tree's links. */
export function peopleIn(state: State, sid: string): number {
    const here = state.sessions.get(sid)?.legs.size ?? 0
    return Math.min(here + peopleBeyond(state.tree, sid), limits.sessionMembers)
}

/** Tells neighbours and endpoints how many people there are, where that has changed since they were told. */
export function tellPeople(state: State, out: Effect[]): void {
    for (const [sid, session] of state.sessions) {
        tellCounts(state.tree, sid, session.legs.size, out)
        const people = peopleIn(state, sid)
        for (const [ep, leg] of session.legs) {
            if (leg.toldPeople === people) continue
            leg.toldPeople = people
            const message = { sid, people }
            out.push({ type: "toEndpoint", ep, verb: "roster", message, replaces: `roster ${sid}` })
        }
    }
}

/**
 * The session's tree at this server: from the source to every member server directly. The seam of the reservation, which
 * will call `setTree` with the neighbours it has reserved instead.
 */
function plant(state: State, sid: string, out: Effect[]): void {
    const session = state.sessions.get(sid)
    if (!session) return
    const { source, members } = session.known
    const self = state.self.id
    const servers = new Set<string>()
    for (const { rs } of members) if (rs !== undefined) servers.add(rs)
    if (session.legs.size > 0) servers.add(self)
    const isMine = session.known.state !== "scheduled" && (source === self || servers.has(self))
    servers.delete(self)
    setTree(state.tree, sid, isMine ? (source === self ? [...servers] : [source]) : [], out)
}

function bye(ep: string, sid: string, reason: Reason, out: Effect[]): void {
    out.push({ type: "toEndpoint", ep, verb: "bye", message: { sid, reason } })
}

/** A number that names one leg at this server. Mulberry32 over a seed that comes in from outside. */
function freshSsrc(state: State): number {
    for (;;) {
        state.randomSeed = (state.randomSeed + 0x6d2b79f5) >>> 0
        let mixed = state.randomSeed
        mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
        mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
        const ssrc = (mixed ^ (mixed >>> 14)) >>> 0
        if (ssrc === 0 || state.ssrcs.has(ssrc)) continue
        state.ssrcs.add(ssrc)
        return ssrc
    }
}
