/** Static neighbours and the neighbour policy over HTTP. */

import { Type } from "typebox"
import type { App } from "../../http/app.ts"
import { type Backend, command, refusals, sendRefusal } from "./api.ts"
import * as schemas from "./schemas.ts"

/** Room for all pairs of a large network. */
const neighboursBytes = 2 * 1024 * 1024

export function neighbourRoutes(app: App, backend: Backend): void {
    const tags = ["neighbours"]

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

    const changes = [
        { method: "PUT", operationId: "setStaticNeighbours", summary: "Make two routing servers static neighbours" },
        { method: "DELETE", operationId: "clearStaticNeighbours", summary: "They are no static neighbours any more" },
    ] as const
    for (const { method, operationId, summary } of changes)
        app.route({
            method,
            url: "/v1/static-neighbours/:a/:b",
            config: { role: "operator" },
            schema: {
                ...{ operationId, summary, tags },
                params: schemas.PairParams,
                response: { 204: Type.Null({ description: "Done, or it was so already" }), ...refusals },
            },
            async handler(request, reply) {
                const { a, b } = request.params
                const wanted = { do: "setNeighbours" as const, a, b, static: method === "PUT" }
                const answer = await command(backend, request, wanted)
                return answer.ok ? reply.code(204).send(null) : sendRefusal(reply, answer)
            },
        })

    app.get(
        "/v1/neighbour-policy",
        {
            config: { role: "operator" },
            schema: {
                operationId: "getNeighbourPolicy",
                summary: "Which routing servers must not be neighbours, and the limits of the neighbour rule",
                tags,
                response: { 200: schemas.NeighbourPolicy, ...refusals },
            },
        },
        async () => backend.engine.state.durable.neighbourPolicy,
    )

    app.put(
        "/v1/neighbour-policy",
        {
            config: { role: "operator" },
            schema: {
                operationId: "putNeighbourPolicy",
                summary: "Replace the policy; with a version only when that is the present one",
                tags,
                body: schemas.PutNeighbourPolicy,
                response: { 200: schemas.NeighbourPolicy, ...refusals },
            },
        },
        async (request, reply) => {
            const { deny, limits, version } = request.body
            const wanted = { do: "putPolicy" as const, deny: deny as [string, string][], limits }
            const answer = await command(backend, request, version === undefined ? wanted : { ...wanted, version })
            if (!answer.ok) return sendRefusal(reply, answer)
            return backend.engine.state.durable.neighbourPolicy
        },
    )
}
