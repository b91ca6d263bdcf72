/** What operators and their tools look at: audit log, tokens, metrics, health. */

import { Type } from "typebox"
import type { App } from "../../http/app.ts"
import { sendProblem } from "../../http/problem.ts"
import { listAudit } from "../store/queries.ts"
import { type Backend, refusals } from "./api.ts"
import { defaultPage, readCursor, writeCursor } from "./paging.ts"
import { problem } from "./problems.ts"
import * as schemas from "./schemas.ts"

export function operationRoutes(app: App, backend: Backend): void {
    const tags = ["operations"]

    app.get(
        "/v1/audit",
        {
            config: { role: "operator" },
            schema: {
                operationId: "listAudit",
                summary: "Decisions with their inputs, newest first",
                tags,
                querystring: schemas.AuditQuery,
                response: { 200: schemas.Page(schemas.AuditEntry), ...refusals },
            },
        },
        async (request, reply) => {
            const { limit = defaultPage, cursor, ...filter } = request.query
            const place = cursor === undefined ? [undefined] : readCursor(cursor, ["number"])
            if (!place) return sendProblem(reply, problem("malformed", "cursor: not one of this list", "you"))
            const found = await listAudit(backend.store.db, filter, place[0] as number | undefined, limit + 1)
            const items = found.slice(0, limit)
            return found.length > limit ? { items, next: writeCursor([items[items.length - 1].seq]) } : { items }
        },
    )

    app.post(
        "/v1/tokens",
        {
            config: { role: "admin" },
            schema: {
                operationId: "issueToken",
                summary: "Issue a bearer token; a member's names the endpoint it acts for",
                tags,
                body: schemas.IssueToken,
                response: { 201: schemas.IssuedToken, ...refusals },
            },
        },
        async (request, reply) => {
            const { subject, role, endpoint, days = 30 } = request.body
            if (endpoint !== undefined && !backend.engine.state.durable.endpoints.has(endpoint))
                return sendProblem(reply, problem("unknown-endpoint", `no endpoint ${endpoint}`, "you"))
            const identity = endpoint === undefined ? { subject, role } : { subject, role, endpoint }
            return reply.code(201).send(await backend.tokens.issue(identity, days, backend.now()))
        },
    )

    app.get(
        "/metrics",
        {
            config: { role: "operator" },
            schema: {
                operationId: "metrics",
                summary: "Prometheus metrics",
                tags,
                response: { 200: Type.String({ description: "Text format 0.0.4" }), ...refusals },
            },
        },
        async (_request, reply) => {
            reply.type("text/plain; version=0.0.4; charset=utf-8").serializer((text: string) => text)
            return reply.send(await backend.metrics())
        },
    )

    app.get(
        "/livez",
        {
            schema: {
                operationId: "livez",
                summary: "The process answers",
                tags,
                response: { 200: Type.Object({ live: Type.Boolean() }) },
            },
        },
        async () => ({ live: true }),
    )

    app.get(
        "/readyz",
        {
            schema: {
                operationId: "readyz",
                summary: "Whether the broker is connected and knows all credentials",
                tags,
                response: { 200: schemas.Readiness, 503: schemas.Readiness },
            },
        },
        async (_request, reply) => {
            const readiness = backend.readiness()
            return reply.code(readiness.ready ? 200 : 503).send(readiness)
        },
    )
}
