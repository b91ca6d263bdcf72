/** Static neighbours and the neighbour policy over HTTP. */

import { type App, type Backend, command, refusals, sendRefusal } from "./api.ts"
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
