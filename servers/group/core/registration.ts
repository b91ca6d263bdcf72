/**
 * Who is there: hellos of endpoints and routing servers, and their retained states with the Wills.
 */

import { isDeepStrictEqual } from "node:util"
import {
    type Crash,
    crashShape,
    type EndpointState,
    endpointStateShape,
    type Hello,
    protocolVersion,
} from "../../../protocol/messages.ts"
import { type ServerHello, type ServerState, serverStateShape } from "../../../protocol/servers.ts"
import { problemWith } from "../../../protocol/shape.ts"
import { ipv4ToInt } from "../../../protocol/text.ts"
import { forgetAnswers } from "./answered.ts"
import { movedOn, serverLost } from "./lifecycle.ts"
import type { Answer, Context, EndpointRow, Policy, ServerRow, State } from "./model.ts"
import { audit, done, refuse } from "./outcome.ts"
import { pick } from "./pick.ts"
import { announcedPlace } from "./place.ts"
import { touchEndpoint } from "./touch.ts"
import { retryLinked, retryOnline } from "./unreached.ts"

/** The latest, of an endpoint. */
const crashesKept = 8
/** Choices of an endpoint that are remembered. */
const historyKept = 4

/** What an endpoint may ask for by `need`. */
export const features: readonly string[] = ["agenda", "book"]

export function helloEndpoint(state: State, row: EndpointRow, hello: Hello, context: Context): Answer {
    const missing = (hello.need ?? []).find(feature => !features.includes(feature))
    const problem = hello.v !== protocolVersion ? `protocol version ${hello.v}` : missing ? `feature ${missing}` : ""
    if (problem) {
        audit(context, `ep:${row.id}`, "hello", row.id, "unsupported", { ...hello })
        return refuse("unsupported", `${problem}: not known to this server`, "operator")
    }
    if (row.board !== hello.board || row.firmware !== hello.fw || row.boot !== hello.boot) {
        audit(context, `ep:${row.id}`, "hello", row.id, "done", { ...hello, bootBefore: row.boot })
        if (hello.boot < row.boot) forgetAnswers(state, `ep:${row.id}`, context)
        if (hello.crash && row.boot !== hello.boot) crashed(row, hello.crash, hello.fw, context)
        Object.assign(row, { board: hello.board, firmware: hello.fw, boot: hello.boot })
        context.writes.push({ table: "endpoints", put: row })
    }
    const live = state.live.endpoints.get(row.id)
    if (live?.on !== 1 || live.boot !== hello.boot) {
        state.live.endpoints.set(row.id, { boot: hello.boot, on: 1 })
        touchLiveSessions(state, row.id)
    }
    touchEndpoint(state, row.id, true)
    return done({ nowMs: context.nowMs, name: row.name })
}

/** Once for each life: a hello that was not answered is repeated. */
function crashed(row: EndpointRow, told: Crash, firmware: string, context: Context): void {
    const crash = { ...pick(crashShape, told), atMs: context.nowMs, firmware: row.firmware }
    // A program that is replaced ends without a word as well.
    if (crash.kind === "panic" && row.firmware !== firmware) return
    audit(context, `ep:${row.id}`, "crash", row.id, crash.kind, { ...crash })
    row.crashes = [crash, ...row.crashes].slice(0, crashesKept)
}

export function helloServer(
    state: State,
    row: ServerRow,
    hello: ServerHello,
    context: Context,
    policy: Policy,
): Answer {
    if (hello.v !== protocolVersion) return refuse("unsupported", `protocol version ${hello.v}`, "operator")
    if (ipv4ToInt(hello.ip) < 0) return refuse("malformed", "message.ip: not an IPv4 address", "operator")
    if (!/^[0-9a-f]{64}$/i.test(hello.fingerprint))
        return refuse("malformed", "message.fingerprint: 64 hex digits are needed", "operator")

    const announced = announcedPlace(hello)
    if (!announced.ok) return refuse("malformed", announced.what, "operator")

    const { ip, linkPort, mediaPort, fingerprint, dspUnits, boot } = hello
    const { place } = announced
    const listed = (one: Partial<ServerRow>) => JSON.stringify([one.ip, one.linkPort, one.mediaPort, one.fingerprint])
    const moved =
        listed(row) !== listed({ ip, linkPort, mediaPort, fingerprint }) || !isDeepStrictEqual(row.announced, place)
    if (moved) state.touched.peers = true
    if (moved || row.boot !== boot || row.dspUnits !== dspUnits) {
        audit(context, `rs:${row.id}`, "hello", row.id, "done", { ...hello, bootBefore: row.boot })
        if (row.boot !== boot) {
            state.live.distances.delete(row.id)
            serverLost(state, row.id, "its routing server has restarted", context)
        }
        Object.assign(row, { ip, linkPort, mediaPort, fingerprint, dspUnits, boot, announced: place })
        context.writes.push({ table: "servers", put: row })
    }
    const live = state.live.servers.get(row.id)
    if (live?.on !== 1 || live.boot !== boot) {
        state.live.servers.set(row.id, { boot, on: 1, dspUnits, dspFree: dspUnits })
        retryOnline(state, row.id, context, policy)
    }
    state.touched.servers.add(row.id)
    return done({ nowMs: context.nowMs })
}

/** What is wrong with the state, or "". Retained: it comes with our subscription, after which everything is told anew. */
export function endpointState(state: State, id: string, next: unknown, retained: boolean, context: Context): string {
    const problem = problemWith(endpointStateShape, next, "state")
    if (problem) return problem
    const row = state.durable.endpoints.get(id)
    if (!row) return "state: not an enrolled endpoint"
    const now: EndpointState = pick(endpointStateShape, next)
    const before = state.live.endpoints.get(id)
    if (isOldWill(before, now)) return ""
    state.live.endpoints.set(id, now)

    const server = now.on === 1 ? (now.rs ?? "") : ""
    if (server && server !== row.history[0] && state.durable.servers.has(server)) {
        row.history = [server, ...row.history.filter(one => one !== server)].slice(0, historyKept)
        context.writes.push({ table: "endpoints", put: row })
    }
    const serverBefore = before?.on === 1 ? (before.rs ?? "") : ""
    if (server !== serverBefore) {
        forgetWanted(state, id, server, context)
        if (server) movedOn(state, id, server, context)
        touchLiveSessions(state, id)
    }
    if (now.on === 1 && retained) touchEndpoint(state, id, true)
    return ""
}

export function serverState(
    state: State,
    id: string,
    next: unknown,
    retained: boolean,
    context: Context,
    policy: Policy,
): string {
    const problem = problemWith(serverStateShape, next, "state")
    if (problem) return problem
    const row = state.durable.servers.get(id)
    if (!row) return "state: not an enrolled routing server"
    const now: ServerState = pick(serverStateShape, next)
    const before = state.live.servers.get(id)
    if (isOldWill(before, now)) return ""
    state.live.servers.set(id, now)

    const wasOn = before?.on === 1
    if (now.on === 0 || (before && before.boot !== now.boot)) state.live.distances.delete(id)
    if (now.on === 0 && (wasOn || before === undefined)) {
        if (wasOn) audit(context, `rs:${id}`, "offline", id, "done", { boot: now.boot })
        serverLost(state, id, "its routing server is offline", context)
    } else if (now.on === 1) {
        // Its hello may still be on its way; what it held in its former life is void already.
        if (row.boot !== 0 && row.boot !== now.boot && before?.boot !== now.boot)
            serverLost(state, id, "its routing server has restarted", context)
        if (retained || !wasOn) state.touched.servers.add(id)
        if (!wasOn || before.boot !== now.boot) retryOnline(state, id, context, policy)
        else if (hasNewLink(before, now)) retryLinked(state, context, policy)
    }
    return ""
}

function hasNewLink(before: ServerState, now: ServerState): boolean {
    const wasUp = new Set((before.links ?? []).flatMap(({ rs, up }) => (up === 1 ? rs : [])))
    return (now.links ?? []).some(({ rs, up }) => up === 1 && !wasUp.has(rs))
}

/** The Will of an earlier connection may come after the birth of the next one; its boot counter tells. */
function isOldWill(before: { boot: number; on: number } | undefined, now: { boot: number; on: number }): boolean {
    return now.on === 0 && before?.on === 1 && before.boot !== now.boot
}

/** It has moved: where it asked to join before does not count any more. */
function forgetWanted(state: State, endpoint: string, server: string, context: Context): void {
    for (const session of state.sessionsOf.get(endpoint) ?? []) {
        const invitation = session.invitations.find(one => one.endpoint === endpoint)
        if (!invitation?.server || invitation.status === "joined" || invitation.server === server) continue
        invitation.server = ""
        context.writes.push({ table: "sessions", put: session })
    }
}

function touchLiveSessions(state: State, endpoint: string): void {
    for (const session of state.sessionsOf.get(endpoint) ?? [])
        if (session.state !== "scheduled") state.touched.sessions.add(session.id)
}
