/**
 * The sessions that have members at this server: what the group server tells of them, their legs here, their tree.
 *
 * Owns who is in which session. Never decides whether someone may join (joins.ts does) and never mixes.
 */

import type { CodecName } from "../../../media/codec.ts"
import { limits } from "../../../protocol/limits.ts"
import type { Reason } from "../../../protocol/reasons.ts"
import { type ServerSession, sessionKbps } from "../../../protocol/servers.ts"
import type { Branch } from "../reservation/model.ts"
import { countLegs, dspUnitsOfMembers } from "./dsp.ts"
import { coreLimits, type Effect, type Leg, type Outcome, type Session, type State } from "./model.ts"
import { endPlain, plainName } from "./plain.ts"
import { reportJoined, reportLeft, reportReservation } from "./registration.ts"
import { freshSsrc } from "./ssrc.ts"
import { peopleBeyond, type Speaking, setTree, speakerIn, tellCounts } from "./tree.ts"

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
    const before = session?.known
    if (session) {
        session.known = known
        state.touched.add(sid)
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
        state.sessions.set(sid, { known, legs: new Map(), plain: new Map() })
    }
    if (known.key !== before?.key || String(known.mixers) !== String(before?.mixers))
        out.push({ type: "sessionKey", sid, key: known.key, mixers: known.mixers ?? [] })
    record(state.sessions.get(sid)!, state.self.id, out)
    reserve(state, sid, out)
    // Nothing could be reserved for this server: who is here talks to nobody.
    const unreached = unreachedHere(state, known)
    if (unreached)
        for (const ep of [...state.sessions.get(sid)!.legs.keys()])
            dismiss(state, sid, ep, unreached.reason, nowMs, out)
    return true
}

/** A session is recorded at its source. */
function record(session: Session, self: string, out: Effect[]): void {
    const { sid, rec, recAs = "wav", source } = session.known
    const format = rec === 1 && source === self ? recAs : undefined
    if (format === session.recording) return
    if (session.recording !== undefined) out.push({ type: "record", sid, format: undefined })
    session.recording = format
    if (format !== undefined) out.push({ type: "record", sid, format })
}

/** Why this server is left out of the session, as the group server says. */
export function unreachedHere(state: State, known: ServerSession) {
    return known.unreached?.find(({ rs }) => rs === state.self.id)
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
    endPlain(state, session, reason, out)
    if (session.recording !== undefined) out.push({ type: "record", sid, format: undefined })
    if (session.known.source === state.self.id) out.push({ type: "reserve", event: { type: "drop", sid } })
    state.sessions.delete(sid)
    state.speaking.delete(sid)
    if (session.known.key !== undefined) out.push({ type: "sessionKey", sid, key: undefined, mixers: [] })
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

const untold = { toldPeople: 0, toldRest: "{}", toldMs: Number.NEGATIVE_INFINITY, lossPercent: 0 }

/** The endpoint's leg: a new one, or the one that it has, at its present address. Either way its keys are new. */
export function addLeg(
    state: State,
    session: Session,
    ep: string,
    { ip, port, codec }: { ip: string; port: number; codec: CodecName },
    nowMs: number,
    out: Effect[],
): { leg: Leg; key: string } {
    const { sid } = session.known
    const before = session.legs.get(ep)
    const leg: Leg = before
        ? // It has forgotten what it was told.
          { ...before, ip, port, codec, toldRest: "{}", toldMs: Number.NEGATIVE_INFINITY }
        : { ssrc: freshSsrc(state), ip, port, codec, ...untold }
    const key = state.newKey()
    session.legs.set(ep, leg)
    countLegs(state, session)
    state.touched.add(sid)
    const attachment = state.attachments.get(ep)
    if (attachment) attachment.sid = sid
    out.push({ type: "addLeg", sid, ep, leg, key, muted: attachment?.muted ?? false })
    if (!before) {
        reportJoined(state, sid, ep, nowMs, out)
        out.push({ type: "log", level: "info", what: "joined", details: { sid, ep, ssrc: leg.ssrc, codec } })
    }
    return { leg, key }
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
    countLegs(state, session)
    state.touched.add(sid)
    state.ssrcs.delete(leg.ssrc)
    out.push({ type: "removeLeg", ssrc: leg.ssrc })
    reportLeft(state, sid, ep, reason, nowMs, out)
    out.push({ type: "log", level: "info", what: "left", details: { sid, ep, ...(reason && { reason }) } })
}

/** Takes an endpoint out and tells it. */
export function dismiss(state: State, sid: string, ep: string, reason: Reason, nowMs: number, out: Effect[]): void {
    if (!state.sessions.get(sid)?.legs.has(ep)) return
    bye(ep, sid, reason, out)
    removeLeg(state, sid, ep, reason, nowMs, out)
}

function peopleHere(session: Session | undefined): number {
    return session ? session.legs.size + session.plain.size : 0
}

/** People in the session, here and on the far sides of the tree's links. */
export function peopleIn(state: State, sid: string): number {
    return Math.min(peopleHere(state.sessions.get(sid)) + peopleBeyond(state.tree, sid), limits.sessionMembers)
}

export function onSpeaker(state: State, sid: string, speaking: Speaking): void {
    const { endpoint, peer } = speaking
    // A plain leg has no name that members could be told.
    const isNameless = endpoint !== undefined && plainName(endpoint) !== undefined
    if (isNameless || (endpoint === undefined && peer === undefined)) state.speaking.delete(sid)
    else state.speaking.set(sid, speaking)
    state.touched.add(sid)
}

export function onLegQuality(state: State, sid: string, ep: string, lossPercent: number): void {
    const leg = state.sessions.get(sid)?.legs.get(ep)
    if (!leg) return
    const shown = lossToTell(leg.lossPercent, lossPercent)
    if (shown === leg.lossPercent) return
    leg.lossPercent = shown
    state.touched.add(sid)
}

/** Not worth a word below 3 %, nor a change of less than 2. */
function lossToTell(before: number, now: number): number {
    if (now < (before > 0 ? 2 : 3)) return 0
    return before > 0 && Math.abs(now - before) < 2 ? before : Math.min(100, Math.round(now))
}

/** Tells neighbours and endpoints who there is, who speaks and the rest, where that has changed since they were told. */
export function tellRosters(state: State, nowMs: number, out: Effect[]): void {
    for (const sid of state.touched) {
        const session = state.sessions.get(sid)
        const speaking = state.speaking.get(sid)
        tellCounts(state.tree, sid, peopleHere(session), speaking, out)
        state.touched.delete(sid)
        if (!session) continue
        const people = peopleIn(state, sid)
        const speaker = speakerIn(state.tree, sid, speaking)
        const name = session.known.members.find(member => member.ep === speaker)?.name
        for (const [ep, leg] of session.legs) {
            const rest = {
                ...(name ? { speaker: name } : {}),
                ...(session.known.rec === 1 ? { rec: 1 } : {}),
                ...(leg.lossPercent > 0 ? { loss: leg.lossPercent } : {}),
            }
            const text = JSON.stringify(rest)
            if (leg.toldPeople === people) {
                if (leg.toldRest === text) continue
                // People take turns faster than a small device should have to redraw: a later tick tells it.
                if (nowMs - leg.toldMs < coreLimits.rosterIntervalMs) {
                    state.late.add(sid)
                    continue
                }
            }
            Object.assign(leg, { toldPeople: people, toldRest: text, toldMs: nowMs })
            const message = { sid, people, ...rest }
            out.push({ type: "toEndpoint", ep, verb: "roster", message, replaces: `roster ${sid}` })
        }
    }
}

/** The reserved tree at this server is another one now. */
export function onTree(
    state: State,
    event: { sid: string; branches: Branch[]; transit: boolean },
    out: Effect[],
): void {
    const { sid, branches, transit } = event
    setTree(state.tree, sid, branches, transit, out)
    state.touched.add(sid)
}

/** What has become of the reservation of a session that starts here. */
export function onReserved(state: State, outcome: Outcome, nowMs: number, out: Effect[]): void {
    const session = state.sessions.get(outcome.sid)
    if (!session || session.known.source !== state.self.id) return
    // While it is being repaired or improved it goes on as it was.
    if (outcome.type !== "trying" || !session.outcome) session.outcome = outcome
    if (outcome.type !== "trying" || outcome.kind !== "review") reportReservation(state, session, outcome, nowMs, out)
    const level = outcome.type === "refused" || outcome.type === "degraded" ? "warn" : "info"
    out.push({ type: "log", level, what: "reservation", details: { ...outcome } })
}

/** What this server, as the source, wants of the reservation: a tree to every server with members that can be had. */
function reserve(state: State, sid: string, out: Effect[]): void {
    const session = state.sessions.get(sid)
    if (!session) return
    const { known } = session
    const self = state.self.id
    if (known.source !== self || known.state === "scheduled") {
        session.outcome = undefined
        out.push({ type: "reserve", event: { type: "drop", sid } })
        return
    }
    const servers = new Set<string>()
    for (const { rs } of known.members) if (rs !== undefined) servers.add(rs)
    for (const { rs } of known.unreached ?? []) servers.delete(rs)
    const isHere = servers.delete(self) || peopleHere(session) > 0
    const destinations = [...servers].sort().map(rs => ({ rs, dspUnits: dspUnitsOfMembers }))
    const wish = { sid, version: known.n, destinations, bandwidthKbps: known.kbps ?? sessionKbps }
    out.push({ type: "reserve", event: { type: "wish", wish: { ...wish, dspUnits: isHere ? dspUnitsOfMembers : 0 } } })
}

function bye(ep: string, sid: string, reason: Reason, out: Effect[]): void {
    out.push({ type: "toEndpoint", ep, verb: "bye", message: { sid, reason } })
}
