/**
 * What the source routing server of a session tells of its reservation: kept while the session is going on, with a short
 * history, for people and for the next feasible times of others.
 *
 * Owns `told`, `held` and `history` of a session's reservation. Who is left out for it is decided in `unreached.ts`.
 */

import { isDeepStrictEqual } from "node:util"
import type { ReservationReport } from "../../../protocol/servers.ts"
import { isIdentifier } from "../../../protocol/text.ts"
import type { Answer, Context, Policy, ReservationTold, SessionReservation, SessionRow, State } from "./model.ts"
import { audit, done, problemWithText, refuse } from "./outcome.ts"
import { isGoingOn } from "./releases.ts"
import { leaveOut, retryFreed } from "./unreached.ts"

const whatBytes = 64

export function takeReservation(
    state: State,
    from: string,
    report: ReservationReport,
    context: Context,
    policy: Policy,
): Answer {
    const session = state.durable.sessions.get(report.sid)
    if (!session) return refuse("unknown-session", `no session ${report.sid}`, "you")
    if (session.state === "ended") return refuse("ended", "the session is over", "nobody")
    const problem = problemWithReport(from, report)
    if (problem) return refuse("malformed", problem, "maker")
    // Another server is the source now: what the former one says is old news.
    if (session.source !== from || !isGoingOn(session)) return done()

    const { ep, state: stands, kbps, tree, short } = report
    const told: ReservationTold = { ep, state: stands, kbps, tree, short, atMs: context.nowMs }
    const reservation = reservationOf(state, session.id)
    const before = reservation.told
    // An older epoch is old news, unless it goes on because what was tried after it has come to nothing.
    const isOld = before !== undefined && ep < before.ep && stands !== "active"
    if (isOld || (before && isDeepStrictEqual({ ...before, atMs: told.atMs }, told))) return done()
    reservation.told = told
    // Where the tree branches there is something to be mixed, and a key is needed.
    state.touched.sessions.add(session.id)
    if (stands === "active") reservation.held = tree
    if (stands === "refused") reservation.held = []
    reservation.history.push({ atMs: told.atMs, source: from, ep, state: stands, servers: tree.length, short })
    while (reservation.history.length > policy.reservationHistory) reservation.history.shift()
    const was = before ? { ep: before.ep, state: before.state } : undefined
    audit(context, `rs:${from}`, "reservation", session.id, stands, { ep, kbps, tree, short, ...(was && { was }) })

    if (stands === "refused" || stands === "degraded") leaveOut(state, session, reservation, short, context, policy)
    else delete reservation.againMs
    return done()
}

export function reservationOf(state: State, sid: string): SessionReservation {
    const known = state.live.reservations.get(sid)
    if (known) return known
    const fresh: SessionReservation = { held: [], history: [], unreached: new Map(), shortSources: new Set() }
    state.live.reservations.set(sid, fresh)
    return fresh
}

/** The source has lost what it had reserved, or is another one. */
export function forgetTold(state: State, sid: string): void {
    const reservation = state.live.reservations.get(sid)
    if (!reservation) return
    delete reservation.told
    delete reservation.againMs
    reservation.held = []
}

/** The session is over: what it used is free for others. */
export function releaseReservation(state: State, session: SessionRow, context: Context): void {
    retryFreed(state, session, context)
    state.live.reservations.delete(session.id)
}

function problemWithReport(source: string, { tree, short }: ReservationReport): string {
    for (const { rs, at, to, what } of short) {
        if (![rs, at, to ?? at].every(isIdentifier)) return "message.short: not the names of routing servers"
        const problem = problemWithText(what, whatBytes, "message.short.what")
        if (problem) return problem
    }
    return problemWithTree(source, tree)
}

/** Each server once, each with a way up to the source. */
function problemWithTree(source: string, tree: ReservationReport["tree"]): string {
    const parents = new Map<string, string>()
    for (const { rs, parent } of tree) {
        if (!isIdentifier(rs) || !isIdentifier(parent)) return "message.tree: not the names of routing servers"
        if (rs === source || parents.has(rs)) return `message.tree: ${rs} stands in it twice`
        parents.set(rs, parent)
    }
    const reached = new Set([source])
    for (const rs of parents.keys()) {
        const way = new Set<string>()
        for (let at: string | undefined = rs; at === undefined || !reached.has(at); at = parents.get(at)) {
            if (at === undefined || way.has(at)) return `message.tree: ${rs} has no way to ${source}`
            way.add(at)
        }
        for (const server of way) reached.add(server)
    }
    return ""
}
