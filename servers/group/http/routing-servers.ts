/** Routing servers and their static neighbours over HTTP. */

import { Type } from "typebox"
import type { ServerRow } from "../core/model.ts"
import { type App, type Backend, command, identityOf, refusals, sendProblem, sendRefusal } from "./api.ts"
import { defaultPage, pageById } from "./paging.ts"
import { problem } from "./problems.ts"
import * as schemas from "./schemas.ts"
import { RecentSecrets } from "./secrets.ts"

/** Room for all pairs of a large network. */
const neighboursBytes = 2 * 1024 * 1024

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

    app.get(
        "/v1/static-neighbours",
        {
            config: { role: "operator" },
            schema: {
                operationId: "getStaticNeighbours",
                summary: "Pairs of routing servers that are always neighbours",
                tags,
                response: { 200: schemas.Neighbours, ...refusals },
            },
        },
        async () => ({ pairs: backend.engine.state.durable.neighbours }),
    )

    app.put(
        "/v1/static-neighbours",
        {
            bodyLimit: neighboursBytes,
            config: { role: "operator" },
            schema: {
                operationId: "putStaticNeighbours",
                summary: "Replace all pairs",
                tags,
                body: schemas.Neighbours,
                response: { 200: schemas.Neighbours, ...refusals },
            },
        },
        async (request, reply) => {
            const answer = await command(backend, request, { do: "putNeighbours", pairs: request.body.pairs })
            if (!answer.ok) return sendRefusal(reply, answer)
            return { pairs: backend.engine.state.durable.neighbours }
        },
    )
}

function serverOf(backend: Backend, row: ServerRow): schemas.RoutingServer {
    const { id, boot, dspUnits, createdMs } = row
    const live = backend.engine.state.live.servers.get(id)
    const links: schemas.RoutingServer["links"] = []
    const server: schemas.RoutingServer = { id, online: live?.on === 1, boot, dspUnits, createdMs, links }
    if (row.ip) {
        const { ip, linkPort, mediaPort, fingerprint } = row
        Object.assign(server, { ip, linkPort, mediaPort, fingerprint })
    }
    if (live?.on !== 1) return server
    if (live.dspFree !== undefined) server.dspFree = live.dspFree
    if (live.load !== undefined) server.load = live.load
    if (live.endpoints !== undefined) server.endpoints = live.endpoints
    for (const { rs, up, delay } of live.links ?? []) links.push({ server: rs, up: up === 1, delayMs: delay / 100 })
    return server
}
