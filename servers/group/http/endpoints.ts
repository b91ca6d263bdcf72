/** Endpoints over HTTP: list, enrol, change, delete. */

import { Type } from "typebox"
import type { App } from "../../http/app.ts"
import { sendProblem } from "../../http/problem.ts"
import type { EndpointRow } from "../core/model.ts"
import { type Backend, command, identityOf, refusals, sendRefusal } from "./api.ts"
import { defaultPage, pageById } from "./paging.ts"
import { halfPosition, positionIn, shownPosition } from "./places.ts"
import { problem } from "./problems.ts"
import * as schemas from "./schemas.ts"
import { RecentSecrets } from "./secrets.ts"

export function endpointRoutes(app: App, backend: Backend): void {
    const secrets = new RecentSecrets()
    const tags = ["endpoints"]

    app.get(
        "/v1/endpoints",
        {
            config: { role: "member" },
            schema: {
                operationId: "listEndpoints",
                summary: "All endpoints with their present state",
                tags,
                querystring: schemas.PageQuery,
                response: { 200: schemas.Page(schemas.Endpoint), ...refusals },
            },
        },
        async (request, reply) => {
            const { limit = defaultPage, cursor } = request.query
            const page = pageById(backend.engine.state.durable.endpoints.values(), cursor, limit)
            if (!page) return sendProblem(reply, problem("malformed", "cursor: not one of this list", "you"))
            return { ...page, items: page.items.map(row => endpointOf(backend, row)) }
        },
    )

    app.get(
        "/v1/endpoints/:id",
        {
            config: { role: "member" },
            schema: {
                operationId: "getEndpoint",
                summary: "One endpoint",
                tags,
                params: schemas.IdParams,
                response: { 200: schemas.Endpoint, ...refusals },
            },
        },
        async (request, reply) => {
            const { id } = request.params
            const row = backend.engine.state.durable.endpoints.get(id)
            if (!row) return sendProblem(reply, problem("unknown-endpoint", `no endpoint ${id}`, "you"))
            return endpointOf(backend, row)
        },
    )

    app.post(
        "/v1/endpoints",
        {
            config: { role: "admin" },
            schema: {
                operationId: "enrolEndpoint",
                summary: "Enrol an endpoint; the answer holds its secret, this once",
                tags,
                headers: schemas.IdempotencyHeaders,
                body: schemas.EnrolEndpoint,
                response: { 201: schemas.EnrolledEndpoint, ...refusals },
            },
        },
        async (request, reply) => {
            const { id, name } = request.body
            const key = request.headers["idempotency-key"]
            const scope = key === undefined ? undefined : `${identityOf(request).subject} ${key} ${id}`
            const { secret, hash } = secrets.secretFor(scope, backend.now())
            const answer = await command(backend, request, { do: "enrolEndpoint", id, name, secretHash: hash })
            if (!answer.ok) return sendRefusal(reply, answer)
            if (backend.engine.state.durable.endpoints.get(id)?.secretHash !== hash)
                return sendProblem(reply, problem("ended", "enrolled long ago: its secret is not shown again", "you"))
            return reply.code(201).send({ id, name, secret })
        },
    )

    app.patch(
        "/v1/endpoints/:id",
        {
            config: { role: "operator" },
            schema: {
                operationId: "changeEndpoint",
                summary: "Give an endpoint another name, or say where it stands",
                tags,
                params: schemas.IdParams,
                body: schemas.ChangeEndpoint,
                response: { 200: schemas.Endpoint, ...refusals },
            },
        },
        async (request, reply) => {
            const { id } = request.params
            const { name } = request.body
            const position = positionIn(request.body)
            if (position === "half") return sendProblem(reply, problem("malformed", halfPosition, "you"))
            const answer = await command(backend, request, {
                do: "changeEndpoint",
                id,
                ...(name === undefined ? {} : { name }),
                ...(position === undefined ? {} : { position }),
            })
            if (!answer.ok) return sendRefusal(reply, answer)
            const row = backend.engine.state.durable.endpoints.get(id)
            if (!row) return sendProblem(reply, problem("unknown-endpoint", `no endpoint ${id}`, "you"))
            return endpointOf(backend, row)
        },
    )

    app.delete(
        "/v1/endpoints/:id",
        {
            config: { role: "admin" },
            schema: {
                operationId: "deleteEndpoint",
                summary: "Remove an endpoint: its secret is void, what it booked is cancelled",
                tags,
                params: schemas.IdParams,
                response: { 204: Type.Null({ description: "Removed" }), ...refusals },
            },
        },
        async (request, reply) => {
            const answer = await command(backend, request, { do: "deleteEndpoint", id: request.params.id })
            if (!answer.ok) return sendRefusal(reply, answer)
            return reply.code(204).send(null)
        },
    )
}

function endpointOf(backend: Backend, row: EndpointRow): schemas.Endpoint {
    const { id, name, board, firmware, boot, crashes, createdMs } = row
    const live = backend.engine.state.live.endpoints.get(id)
    const endpoint: schemas.Endpoint = { id, name, online: live?.on === 1, board, firmware, boot, crashes, createdMs }
    if (row.position) Object.assign(endpoint, shownPosition(row.position))
    if (live?.on !== 1) return endpoint
    if (live.rs) endpoint.server = live.rs
    if (live.sid) endpoint.session = live.sid
    if (live.muted !== undefined) endpoint.muted = live.muted === 1
    return endpoint
}
