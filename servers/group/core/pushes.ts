/**
 * Turns what a batch of events has touched into messages: agendas to endpoints, sessions and peers to routing servers.
 * Each is whole and carries a version that only grows, also across restarts; what has not changed is not sent again.
 */

import { limits } from "../../../protocol/limits.ts"
import type { Peer, ServerSession } from "../../../protocol/servers.ts"
import { utf8Bytes } from "../../../protocol/text.ts"
import { agendaMessage, agendaOf } from "./agenda.ts"
import type { Context, Send, ServerRow, SessionRow, State } from "./model.ts"
import { audit, clip } from "./outcome.ts"
import { chooseSource } from "./source.ts"

/** Versions are promised to the store in blocks, so that a push costs no write of its own. */
const versionBlock = 4096
/** A server that comes back hears of sessions that ended at most this long ago. */
const recentEndMs = 3600_000

export function flush(state: State, context: Context): Send[] {
    const { touched } = state
    const sends: Send[] = []
    for (const server of touched.servers) reintroduce(state, server, context, sends)
    for (const sid of touched.sessions) pushSession(state, sid, context, sends)
    for (const server of touched.peers ? state.durable.servers.keys() : touched.servers)
        pushPeers(state, server, context, sends)
    for (const [endpoint, force] of touched.endpoints) pushAgenda(state, endpoint, force, context, sends)

    touched.servers.clear()
    touched.sessions.clear()
    touched.endpoints.clear()
    touched.peers = false
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
    ensureSource(state, session, servers, context)
    if (!session.source) return
    const body = sessionBody(state, session)
    const content = JSON.stringify(body)
    const online = [...new Set([...servers.keys(), session.source])].filter(id => state.live.servers.get(id)?.on === 1)
    // Servers that have no members any more must hear that, too.
    const receivers = new Set(content === told.content ? [] : told.servers)
    for (const server of online) if (content !== told.content || !told.servers.has(server)) receivers.add(server)
    state.live.told.set(sid, { content, servers: new Set(online) })
    if (receivers.size === 0) return
    const message: ServerSession = { sid, n: nextVersion(state, context), ...body }
    for (const server of receivers)
        sends.push({ kind: "rs", to: server, verb: "session", message: { ...message }, replaces: `session:${sid}` })
}

function endMessage(session: SessionRow, server: string): Send {
    const message = { sid: session.id, reason: "ended" }
    return { kind: "rs", to: server, verb: "end", message, replaces: `session:${session.id}` }
}

function sessionBody(state: State, session: SessionRow): Omit<ServerSession, "sid" | "n"> {
    const members: ServerSession["members"] = []
    for (const invitation of session.invitations) {
        if (invitation.status === "declined") continue
        const name = state.durable.endpoints.get(invitation.endpoint)?.name ?? invitation.name
        const rs = invitation.server || attachedTo(state, invitation.endpoint)
        const member = { ep: invitation.endpoint, name: clip(name, limits.nameBytes) }
        members.push(rs ? { ...member, rs } : member)
    }
    return { state: session.state, source: session.source, end: session.end, members }
}

function attachedTo(state: State, endpoint: string): string {
    const live = state.live.endpoints.get(endpoint)
    return live?.on === 1 && live.rs && state.durable.servers.has(live.rs) ? live.rs : ""
}

/** How many members each routing server has. */
function memberServers(state: State, session: SessionRow): Map<string, number> {
    const servers = new Map<string, number>()
    for (const invitation of session.invitations) {
        if (invitation.status === "declined") continue
        const server = invitation.server || attachedTo(state, invitation.endpoint)
        if (server) servers.set(server, (servers.get(server) ?? 0) + 1)
    }
    return servers
}

/** Keeps the source while people use it and it lives; chooses again when it is gone or while nobody has joined. */
function ensureSource(state: State, session: SessionRow, servers: Map<string, number>, context: Context): void {
    const inUse = session.invitations.some(invitation => invitation.status === "joined")
    if (session.source && !isGone(state, session.source) && inUse && servers.has(session.source)) return
    const choice = chooseSource(servers, state.live.servers)
    if (!choice || choice.source === session.source) return
    const inputs = { was: session.source, reason: choice.reason, ...choice.inputs }
    audit(context, "group", "source", session.id, choice.source, inputs)
    session.source = choice.source
    session.sourceReason = choice.reason
    context.writes.push({ table: "sessions", put: session })
}

/** A server that has not been heard of since this process started is not gone: its retained state is on its way. */
function isGone(state: State, server: string): boolean {
    return !state.durable.servers.has(server) || state.live.servers.get(server)?.on === 0
}

function pushPeers(state: State, server: string, context: Context, sends: Send[]): void {
    if (state.live.servers.get(server)?.on !== 1) return
    const statics = new Set<string>()
    for (const { a, b } of state.durable.neighbours) {
        if (a === server) statics.add(b)
        if (b === server) statics.add(a)
    }
    const others = [...state.durable.servers.values()].filter(row => row.id !== server && row.ip)
    // Should they not all fit one message, the configured neighbours and the living are in it.
    const rank = (row: ServerRow) => (statics.has(row.id) ? 0 : state.live.servers.get(row.id)?.on === 1 ? 1 : 2)
    others.sort((a, b) => rank(a) - rank(b) || (a.id < b.id ? -1 : 1))
    const list: Peer[] = []
    let bytes = utf8Bytes(JSON.stringify({ n: 4294967295, list: [] }))
    for (const { id, ip, linkPort, fingerprint } of others) {
        const peer: Peer = { rs: id, ip, linkPort, fingerprint, static: statics.has(id) ? 1 : 0 }
        bytes += utf8Bytes(JSON.stringify(peer)) + 1
        if (bytes > limits.brokerMessageBytes) break
        list.push(peer)
    }
    const message = { n: nextVersion(state, context), list }
    sends.push({ kind: "rs", to: server, verb: "peers", message, replaces: "peers" })
}
