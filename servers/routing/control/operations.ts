/** What tells whether the server is well: state, health, metrics. */

import type { Registry } from "prom-client"
import { Type } from "typebox"
import type { App } from "../../http/app.ts"
import { sendProblem } from "../../http/problem.ts"
import type { RoutingServer } from "../server.ts"
import { refusals } from "./api.ts"
import { problem } from "./problems.ts"
import * as schemas from "./schemas.ts"

export function operationRoutes(app: App, server: RoutingServer, metrics: Registry): void {
    const tags = ["operations"]
    app.get(
        "/v1/state",
        { schema: { operationId: "state", summary: "In short", tags, response: { 200: schemas.State, ...refusals } } },
        async () => stateOf(server),
    )
    app.get(
        "/livez",
        {
            config: { open: true },
            schema: { operationId: "live", summary: "It answers", tags, response: { 200: schemas.Health } },
        },
        async () => ({ ok: true }),
    )
    app.get(
        "/readyz",
        {
            config: { open: true },
            schema: {
                operationId: "ready",
                summary: "It is connected to the broker and registered at the group server",
                tags,
                response: { 200: schemas.Health, ...refusals },
            },
        },
        async (_request, reply) => {
            if (server.brokerConnected && server.registered) return { ok: true }
            const missing = server.brokerConnected ? "not registered at the group server" : "no broker"
            return sendProblem(reply, problem("not-ready", missing, "operator"))
        },
    )
    app.get(
        "/metrics",
        {
            schema: {
                operationId: "metrics",
                summary: "Prometheus metrics",
                tags,
                response: { 200: Type.String({ description: "Text format 0.0.4" }), ...refusals },
            },
        },
        async (_request, reply) => {
            await server.statistics()
            reply.type("text/plain; version=0.0.4; charset=utf-8").serializer((text: string) => text)
            return reply.send(await metrics.metrics())
        },
    )
}

function stateOf(server: RoutingServer): schemas.State {
    const { id, ip, linkPort, mediaPort, registered, brokerConnected } = server
    const { boot, load = 0, dspUnits = 0, dspFree = 0, endpoints = 0 } = server.snapshot()
    const linksUp = server.links.snapshot().filter(link => link.up).length
    return {
        ...{ id, ip, boot, linkPort, mediaPort, registered, brokerConnected },
        ...{ loadPercent: load, dspUnits, dspFree, endpoints, linksUp },
        uptimeSeconds: Math.round(performance.now() / 100) / 10,
    }
}
