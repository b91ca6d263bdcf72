/**
 * Turns what a batch of events has touched into messages: agendas to endpoints, sessions, peers and policy to routing servers.
 * Each is whole and carries a version that only grows, also across restarts; what has not changed is not sent again.
 */

import { limits } from "../../../protocol/limits.ts"
import { type ServerSession, serverLimits } from "../../../protocol/servers.ts"
import { clip } from "../../text.ts"
import { agendaMessage, agendaOf } from "./agenda.ts"
import { attachedTo, memberServers } from "./members.ts"
import type { Context, Send, SessionRow, State } from "./model.ts"
import { policyMessage } from "./neighbour-policy.ts"
import { pushPeers } from "./peers.ts"
import { ensureSource } from "./source.ts"
import { unreachedMessage } from "./unreached.ts"

/** Versions are promised to the store in blocks, so that a push costs no write of its own. */
const versionBlock = 4096
/** A server that comes back hears of sessions that ended at most this long ago. */
const recentEndMs = 3600_000

export function flush(state: State, context: Context): Send[] {
    const { touched } = state
    const sends: Send[] = []
    for (const server of touched.servers) reintroduce(state, server, context, sends)
    for (const sid of touched.sessions) pushSession(state, sid, context, sends)
    pushPolicies(state, context, sends)
    sends.push(...pushPeers(state, touched.servers, context.nowMs, () => nextVersion(state, context)))
    for (const [endpoint, force] of touched.endpoints) pushAgenda(state, endpoint, force, context, sends)

    touched.servers.clear()
    touched.sessions.clear()
    touched.endpoints.clear()
    touched.places.clear()
    touched.peers = false
    touched.policy = false
    return sends
}

function nextVersion(state: State, context: Context): number {
    state.version++
    if (state.version > state.durable.reservedVersions) {
        state.durable.reservedVersions = state.version + versionBlock
        context.writes.push({ table: "versions", reserve: state.durable.reservedVersions })
    }
    return state.version
}

/** Before the peers: whoever chooses among them must know the policy. */
function pushPolicies(state: State, context: Context, sends: Send[]): void {
    const { touched } = state
    const receivers = touched.policy ? state.durable.servers.keys() : new Set([...touched.servers, ...touched.places])
    for (const server of receivers)
        if (state.live.servers.get(server)?.on === 1)
            sends.push(policyMessage(state, server, nextVersion(state, context)))
}

function pushAgenda(state: State, endpoint: string, force: boolean, context: Context, sends: Send[]): void {
    // One that is away gets its agenda after its next hello.
    if (!state.durable.endpoints.has(endpoint) || state.live.endpoints.get(endpoint)?.on !== 1) {
        state.live.agendas.delete(endpoint)
        return
    }
    const content = agendaOf(state, endpoint)
    const text = JSON.stringify(content)
    if (!force && state.live.agendas.get(endpoint) === text) return
    state.live.agendas.set(endpoint, text)
    const message = { ...agendaMessage(content, nextVersion(state, context), context.nowMs) }
    sends.push({ kind: "ep", to: endpoint, verb: "agenda", message, replaces: "agenda" })
}

/** A server that has just come (back) gets everything, whatever it was told before. */
function reintroduce(state: State, server: string, context: Context, sends: Send[]): void {
    for (const session of state.durable.sessions.values()) {
        if (session.state === "opening" || session.state === "open") {
            state.live.told.get(session.id)?.servers.delete(server)
            state.touched.sessions.add(session.id)
        } else if (session.state === "ended" && context.nowMs - session.endedMs < recentEndMs) {
            const here = session.source === server || session.invitations.some(one => one.server === server)
            if (here) sends.push(endMessage(session, server))
        }
    }
}

function pushSession(state: State, sid: string, context: Context, sends: Send[]): void {
    const session = state.durable.sessions.get(sid)
    if (!session || session.state === "scheduled") return
    const told = state.live.told.get(sid) ?? { content: "", servers: new Set<string>() }
    if (session.state === "ended") {
        for (const server of new Set([...told.servers, ...memberServers(state, session).keys()]))
            sends.push(endMessage(session, server))
        state.live.told.delete(sid)
        return
    }

    const servers = memberServers(state, session)
    ensureSource(state, session, context)
    if (!session.source) return
    const body = sessionBody(state, session, servers)
    const mixers = mixersOf(state, session, servers)
    const content = JSON.stringify({ ...body, mixers })
    const online = [...new Set([...servers.keys(), session.source, ...mixers])].filter(
        id => state.live.servers.get(id)?.on === 1,
    )
    // Servers that have no members any more must hear that, too.
    const receivers = new Set(content === told.content ? [] : told.servers)
    for (const server of online) if (content !== told.content || !told.servers.has(server)) receivers.add(server)
    state.live.told.set(sid, { content, servers: new Set(online) })
    if (receivers.size === 0) return
    const message: ServerSession = { sid, n: nextVersion(state, context), ...body }
    for (const server of receivers) {
        const whole = mixers.includes(server) ? { ...message, mixers } : { ...message }
        sends.push({ kind: "rs", to: server, verb: "session", message: whole, replaces: `session:${sid}` })
    }
}

/** The servers that process the session: with members, unless they are left out, and where the tree branches [claim 4]. */
function mixersOf(state: State, session: SessionRow, servers: Map<string, number>): string[] {
    const reservation = state.live.reservations.get(session.id)
    const mixers = new Set([session.source])
    for (const server of servers.keys()) if (!reservation?.unreached.has(server)) mixers.add(server)
    const links = new Map<string, number>()
    for (const { rs, parent } of reservation?.held ?? [])
        for (const end of [rs, parent]) links.set(end, (links.get(end) ?? 0) + 1)
    for (const [server, count] of links)
        if (count > 2 && state.durable.servers.has(server) && mixers.size < serverLimits.mixers) mixers.add(server)
    return [...mixers].sort()
}

function endMessage(session: SessionRow, server: string): Send {
    const message = { sid: session.id, reason: "ended" }
    return { kind: "rs", to: server, verb: "end", message, replaces: `session:${session.id}` }
}

function sessionBody(
    state: State,
    session: SessionRow,
    servers: Map<string, number>,
): Omit<ServerSession, "sid" | "n"> {
    const members: ServerSession["members"] = []
    for (const invitation of session.invitations) {
        if (invitation.status === "declined") continue
        const name = state.durable.endpoints.get(invitation.endpoint)?.name ?? invitation.name
        const rs = invitation.server || attachedTo(state, invitation.endpoint)
        const member = { ep: invitation.endpoint, name: clip(name, limits.nameBytes) }
        members.push(rs ? { ...member, rs } : member)
    }
    const unreached = unreachedMessage(state, session, servers)
    const recording = session.recording ? { rec: 1, recAs: session.recording } : {}
    const body = { state: session.state, source: session.source, end: session.end, members, ...recording }
    return unreached.length > 0 ? { ...body, unreached } : body
}
