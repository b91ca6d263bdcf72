/** Routing servers over HTTP: list, enrol, place, delete. */

import { Type } from "typebox"
import type { App } from "../../http/app.ts"
import { sendProblem } from "../../http/problem.ts"
import type { PlaceChange, ServerRow } from "../core/model.ts"
import { placeOf } from "../core/place.ts"
import { type Backend, command, identityOf, refusals, sendRefusal } from "./api.ts"
import { defaultPage, pageById } from "./paging.ts"
import { halfPosition, positionIn, shownPlace } from "./places.ts"
import { problem } from "./problems.ts"
import * as schemas from "./schemas.ts"
import { RecentSecrets } from "./secrets.ts"

export function routingServerRoutes(app: App, backend: Backend): void {
    const secrets = new RecentSecrets()
    const tags = ["routing servers"]

    app.get(
        "/v1/routing-servers",
        {
            config: { role: "operator" },
            schema: {
                operationId: "listRoutingServers",
                summary: "All routing servers with their present state",
                tags,
                querystring: schemas.PageQuery,
                response: { 200: schemas.Page(schemas.RoutingServer), ...refusals },
            },
        },
        async (request, reply) => {
            const { limit = defaultPage, cursor } = request.query
            const page = pageById(backend.engine.state.durable.servers.values(), cursor, limit)
            if (!page) return sendProblem(reply, problem("malformed", "cursor: not one of this list", "you"))
            return { ...page, items: page.items.map(row => serverOf(backend, row)) }
        },
    )

    app.post(
        "/v1/routing-servers",
        {
            config: { role: "admin" },
            schema: {
                operationId: "enrolRoutingServer",
                summary: "Enrol a routing server; the answer holds its secret, this once",
                tags,
                headers: schemas.IdempotencyHeaders,
                body: schemas.EnrolRoutingServer,
                response: { 201: schemas.EnrolledRoutingServer, ...refusals },
            },
        },
        async (request, reply) => {
            const { id } = request.body
            const key = request.headers["idempotency-key"]
            const scope = key === undefined ? undefined : `${identityOf(request).subject} ${key} ${id}`
            const { secret, hash } = secrets.secretFor(scope, backend.now())
            const answer = await command(backend, request, { do: "enrolServer", id, secretHash: hash })
            if (!answer.ok) return sendRefusal(reply, answer)
            if (backend.engine.state.durable.servers.get(id)?.secretHash !== hash)
                return sendProblem(reply, problem("ended", "enrolled long ago: its secret is not shown again", "you"))
            return reply.code(201).send({ id, secret })
        },
    )

    app.delete(
        "/v1/routing-servers/:id",
        {
            config: { role: "admin" },
            schema: {
                operationId: "deleteRoutingServer",
                summary: "Remove a routing server: its secret is void, its peers forget it",
                tags,
                params: schemas.IdParams,
                response: { 204: Type.Null({ description: "Removed" }), ...refusals },
            },
        },
        async (request, reply) => {
            const answer = await command(backend, request, { do: "deleteServer", id: request.params.id })
            if (!answer.ok) return sendRefusal(reply, answer)
            return reply.code(204).send(null)
        },
    )

    app.patch(
        "/v1/routing-servers/:id",
        {
            config: { role: "operator" },
            schema: {
                operationId: "changeRoutingServer",
                summary: "Say where a routing server stands; wins over what it announces, null takes it back",
                tags,
                params: schemas.IdParams,
                body: schemas.ChangeRoutingServer,
                response: { 200: schemas.RoutingServer, ...refusals },
            },
        },
        async (request, reply) => {
            const { id } = request.params
            const { tags: words, risk, area } = request.body
            const position = positionIn(request.body)
            if (position === "half") return sendProblem(reply, problem("malformed", halfPosition, "you"))
            const change: PlaceChange = {}
            if (words !== undefined) change.tags = words
            if (risk !== undefined) change.risk = risk
            if (area !== undefined) change.area = area
            if (position !== undefined) change.position = position
            const answer = await command(backend, request, { do: "placeServer", id, change })
            if (!answer.ok) return sendRefusal(reply, answer)
            const row = backend.engine.state.durable.servers.get(id)
            if (!row) return sendProblem(reply, problem("unknown-server", `no routing server ${id}`, "you"))
            return serverOf(backend, row)
        },
    )
}

function serverOf(backend: Backend, row: ServerRow): schemas.RoutingServer {
    const { id, boot, dspUnits, createdMs } = row
    const live = backend.engine.state.live.servers.get(id)
    const links: schemas.RoutingServer["links"] = []
    const places = { ...shownPlace(placeOf(row)), stored: shownPlace(row.stored) }
    const server: schemas.RoutingServer = { id, online: live?.on === 1, boot, dspUnits, createdMs, links, ...places }
    if (row.ip) {
        const { ip, linkPort, mediaPort, fingerprint } = row
        Object.assign(server, { ip, linkPort, mediaPort, fingerprint })
    }
    if (live?.on !== 1) return server
    if (live.dspFree !== undefined) server.dspFree = live.dspFree
    if (live.load !== undefined) server.load = live.load
    if (live.draining === 1) server.draining = true
    if (live.endpoints !== undefined) server.endpoints = live.endpoints
    for (const { rs, up, delay } of live.links ?? []) links.push({ server: rs, up: up === 1, delayMs: delay / 100 })
    return server
}
