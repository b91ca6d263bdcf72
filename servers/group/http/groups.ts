/** Groups over HTTP: list, create, change members, delete. */

import { Type } from "typebox"
import type { App } from "../../http/app.ts"
import { sendProblem } from "../../http/problem.ts"
import type { Answer } from "../core/model.ts"
import { type Backend, command, refusals, sendRefusal } from "./api.ts"
import { defaultPage, pageById } from "./paging.ts"
import { problem } from "./problems.ts"
import * as schemas from "./schemas.ts"

export function groupRoutes(app: App, backend: Backend): void {
    const tags = ["groups"]

    app.get(
        "/v1/groups",
        {
            config: { role: "member" },
            schema: {
                operationId: "listGroups",
                summary: "All groups",
                tags,
                querystring: schemas.PageQuery,
                response: { 200: schemas.Page(schemas.Group), ...refusals },
            },
        },
        async (request, reply) => {
            const { limit = defaultPage, cursor } = request.query
            const page = pageById(backend.engine.state.durable.groups.values(), cursor, limit)
            return page ?? sendProblem(reply, problem("malformed", "cursor: not one of this list", "you"))
        },
    )

    app.post(
        "/v1/groups",
        {
            config: { role: "operator" },
            schema: {
                operationId: "createGroup",
                summary: "Create a group",
                tags,
                headers: schemas.IdempotencyHeaders,
                body: schemas.CreateGroup,
                response: { 201: schemas.Group, ...refusals },
            },
        },
        async (request, reply) => {
            const { id, name, members = [] } = request.body
            const answer = await command(backend, request, { do: "createGroup", id, name, members })
            const group = groupAfter(backend, answer, id)
            if ("ok" in group) return sendRefusal(reply, group)
            return reply.code(201).send(group)
        },
    )

    app.put(
        "/v1/groups/:id/members",
        {
            config: { role: "operator" },
            schema: {
                operationId: "putGroupMembers",
                summary: "Replace the members of a group",
                tags,
                params: schemas.IdParams,
                body: schemas.PutMembers,
                response: { 200: schemas.Group, ...refusals },
            },
        },
        async (request, reply) => {
            const { id } = request.params
            const answer = await command(backend, request, { do: "setMembers", id, members: request.body.members })
            const group = groupAfter(backend, answer, id)
            return "ok" in group ? sendRefusal(reply, group) : group
        },
    )

    app.delete(
        "/v1/groups/:id",
        {
            config: { role: "operator" },
            schema: {
                operationId: "deleteGroup",
                summary: "Remove a group; sessions booked with it stay",
                tags,
                params: schemas.IdParams,
                response: { 204: Type.Null({ description: "Removed" }), ...refusals },
            },
        },
        async (request, reply) => {
            const answer = await command(backend, request, { do: "deleteGroup", id: request.params.id })
            if (!answer.ok) return sendRefusal(reply, answer)
            return reply.code(204).send(null)
        },
    )
}

/** The group after a change, or why it was not made (somebody else may have removed it at the same time). */
function groupAfter(backend: Backend, answer: Answer, id: string): schemas.Group | Extract<Answer, { ok: false }> {
    if (!answer.ok) return answer
    const group = backend.engine.state.durable.groups.get(id)
    return group ?? { ok: false, reason: "unknown-group", what: `no group ${id}`, who: "you" }
}
