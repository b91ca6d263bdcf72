/** Sessions over HTTP: list, book, look at, cancel, and what would become of one. */

import { Type } from "typebox"
import { sessionStates } from "../../../protocol/messages.ts"
import { sessionKbps } from "../../../protocol/servers.ts"
import type { App } from "../../http/app.ts"
import { sendProblem } from "../../http/problem.ts"
import type { SessionRow, Shortage, Unreached } from "../core/model.ts"
import { isGoingOn, nextRelease } from "../core/releases.ts"
import { whatIf } from "../core/what-if.ts"
import { getSession, listSessions, type SessionFilter } from "../store/queries.ts"
import { type Backend, command, identityOf, refusals, sendRefusal } from "./api.ts"
import { defaultPage, readCursor, writeCursor } from "./paging.ts"
import { problem } from "./problems.ts"
import * as schemas from "./schemas.ts"

export function sessionRoutes(app: App, backend: Backend): void {
    const tags = ["sessions"]

    app.get(
        "/v1/sessions",
        {
            config: { role: "member" },
            schema: {
                operationId: "listSessions",
                summary: "Sessions by start",
                tags,
                querystring: schemas.SessionQuery,
                response: { 200: schemas.Page(schemas.Session), ...refusals },
            },
        },
        async (request, reply) => {
            const { limit = defaultPage, cursor, state, endpoint, from, to } = request.query
            const place = cursor === undefined ? undefined : readCursor(cursor, ["number", "string"])
            if (cursor !== undefined && !place)
                return sendProblem(reply, problem("malformed", "cursor: not one of this list", "you"))
            const after = place && { start: place[0] as number, id: place[1] as string }
            const filter: SessionFilter = {}
            if (state !== undefined)
                filter.states = state === "live" ? sessionStates.filter(one => one !== "ended") : [state]
            if (endpoint !== undefined) filter.endpoint = endpoint
            if (from !== undefined) filter.from = from
            if (to !== undefined) filter.to = to
            const found = await listSessions(backend.store.db, filter, after, limit + 1)
            const items = found.slice(0, limit).map(row => sessionOf(backend, row))
            const last = items[items.length - 1]
            return found.length > limit ? { items, next: writeCursor([last.start, last.id]) } : { items }
        },
    )

    app.post(
        "/v1/sessions",
        {
            config: { role: "member" },
            schema: {
                operationId: "bookSession",
                summary: "Book a session of an endpoint with a group or another room",
                tags,
                headers: schemas.IdempotencyHeaders,
                body: schemas.BookSession,
                response: { 201: schemas.Session, ...refusals },
            },
        },
        async (request, reply) => {
            const { with: target, start = 0, minutes, title = "" } = request.body
            const booker = request.body.by ?? identityOf(request).endpoint
            if (!booker) return sendProblem(reply, problem("malformed", "body.by: is missing", "you"))
            const booking = { booker, with: target, start, minutes, title }
            const answer = await command(backend, request, { do: "book", booking })
            if (!answer.ok) return sendRefusal(reply, answer)
            const row = await getSession(backend.store.db, String(answer.fields.sid))
            if (!row) return sendProblem(reply, problem("failed", "the session cannot be read", "operator"))
            return reply.code(201).send(sessionOf(backend, row))
        },
    )

    app.get(
        "/v1/sessions/:id",
        {
            config: { role: "member" },
            schema: {
                operationId: "getSession",
                summary:
                    "One session with its members, its source routing server and why that one, and its reservation",
                tags,
                params: schemas.IdParams,
                response: { 200: schemas.SessionInFull, ...refusals },
            },
        },
        async (request, reply) => {
            const { id } = request.params
            const row = await getSession(backend.store.db, id)
            if (!row) return sendProblem(reply, problem("unknown-session", `no session ${id}`, "you"))
            const session = sessionOf(backend, row)
            const reservation = reservationOf(backend, row)
            return reservation ? { ...session, reservation } : session
        },
    )

    app.post(
        "/v1/sessions/can",
        {
            config: { role: "member" },
            schema: {
                operationId: "canSession",
                summary: "Dry run: who is busy, where it would start, and what is short; nothing is booked",
                tags,
                body: schemas.AskSession,
                response: { 200: schemas.Forecast, ...refusals },
            },
        },
        async (request, reply) => {
            const { members, start = 0, minutes = 30, kbps = sessionKbps } = request.body
            const { state, policy } = backend.engine
            const forecast = whatIf(state, { members, start, minutes, kbps }, backend.now(), policy)
            return "ok" in forecast ? sendRefusal(reply, forecast) : forecast
        },
    )

    app.get(
        "/v1/releases",
        {
            config: { role: "member" },
            schema: {
                operationId: "nextRelease",
                summary: "When the first session ends that uses a routing server's DSP units, or a link",
                tags,
                querystring: schemas.ReleaseQuery,
                response: { 200: schemas.Release, ...refusals },
            },
        },
        async request => {
            const { at, to } = request.query
            const next = nextRelease(backend.engine.state, at, to)
            return next === undefined ? {} : { next }
        },
    )

    const recording = "/v1/sessions/:id/recording"
    const record = (summary: string) => ({
        summary: `${summary}; a member only of what its endpoint has booked`,
        tags,
        params: schemas.IdParams,
        response: { 204: Type.Null(), ...refusals },
    })
    app.put(
        recording,
        {
            config: { role: "member" },
            schema: {
                ...record("Record a session at its source, from now or from its opening on; everybody in it sees it"),
                operationId: "recordSession",
                body: schemas.RecordSession,
            },
        },
        async (request, reply) => {
            const { format } = request.body
            const answer = await command(backend, request, { do: "record", sid: request.params.id, format })
            return answer.ok ? reply.code(204).send(null) : sendRefusal(reply, answer)
        },
    )
    app.delete(
        recording,
        {
            config: { role: "member" },
            schema: { ...record("Record it no longer"), operationId: "stopRecording" },
        },
        async (request, reply) => {
            const answer = await command(backend, request, { do: "record", sid: request.params.id, format: "" })
            return answer.ok ? reply.code(204).send(null) : sendRefusal(reply, answer)
        },
    )

    app.delete(
        "/v1/sessions/:id",
        {
            config: { role: "member" },
            schema: {
                operationId: "cancelSession",
                summary: "Cancel or end a session; a member only what its endpoint has booked",
                tags,
                params: schemas.IdParams,
                response: { 204: Type.Null({ description: "Ended" }), ...refusals },
            },
        },
        async (request, reply) => {
            const answer = await command(backend, request, { do: "cancel", sid: request.params.id })
            if (!answer.ok) return sendRefusal(reply, answer)
            return reply.code(204).send(null)
        },
    )
}

function sessionOf(backend: Backend, row: SessionRow): schemas.Session {
    const { id, title, start, end, state, adhoc, createdMs } = row
    const { live } = backend.engine.state
    const members = row.invitations.map(({ endpoint, name, status, server }) => {
        const attached = live.endpoints.get(endpoint)
        const at = server || (state !== "ended" && attached?.on === 1 ? attached.rs : "")
        return at ? { endpoint, name, status, server: at } : { endpoint, name, status }
    })
    const session: schemas.Session = {
        id,
        title,
        with: row.target,
        by: row.booker,
        start,
        end,
        state,
        adhoc,
        members,
        createdMs,
    }
    if (row.source) Object.assign(session, { source: row.source, sourceReason: row.sourceReason })
    if (row.recording) session.recording = row.recording
    if (state === "ended") Object.assign(session, { endedMs: row.endedMs, endReason: row.endReason })
    return session
}

/** Of a session that is going on. */
function reservationOf(backend: Backend, { id }: SessionRow): schemas.Reservation | undefined {
    const { durable, live } = backend.engine.state
    const session = durable.sessions.get(id)
    const known = live.reservations.get(id)
    if (!session || !isGoingOn(session)) return undefined
    const { told, history = [], unreached = new Map<string, Unreached>() } = known ?? {}
    return {
        state: told?.state ?? "none",
        ...(told && { epoch: told.ep, kbps: told.kbps, atMs: told.atMs }),
        tree: (told?.tree ?? []).map(({ rs, parent }) => ({ server: rs, parent })),
        short: shownShort(told?.short ?? []),
        unreached: [...unreached].map(([server, { dueMs, ...rest }]) => ({ server, ...rest, retryMs: dueMs })),
        history: history.map(({ ep, short, ...rest }) => ({ ...rest, epoch: ep, short: shownShort(short) })),
    }
}

function shownShort(short: Shortage[]): schemas.Reservation["short"] {
    return short.map(({ rs, ...rest }) => ({ server: rs, ...rest }))
}
