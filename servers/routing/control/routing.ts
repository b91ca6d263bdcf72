/** Neighbours, the routing table, why they are what they are, and echoes along the routes. */

import { setTimeout as wait } from "node:timers/promises"
import { isIdentifier } from "../../../protocol/text.ts"
import type { App } from "../../http/app.ts"
import { sendProblem } from "../../http/problem.ts"
import type { RouteExplanation } from "../route/explain.ts"
import type { Route } from "../route/routing-table.ts"
import type { RoutingServer } from "../server.ts"
import type { NeighbourTrace } from "../topology/trace.ts"
import { refusals } from "./api.ts"
import { problem } from "./problems.ts"
import * as schemas from "./schemas.ts"

/** Series of echoes at the same time. */
const seriesMost = 4

export function routingRoutes(app: App, server: RoutingServer): void {
    const tags = ["routes"]
    app.get(
        "/v1/neighbours",
        {
            schema: {
                operationId: "listNeighbours",
                summary: "Each server of the list: a neighbour, or why not [claims 7, 9, 11, 12]",
                tags,
                response: { 200: schemas.Neighbours, ...refusals },
            },
        },
        async () => {
            const neighbours = server.neighbourTrace().map(neighbourOf)
            return { neighbours: neighbours.sort((a, b) => (a.server < b.server ? -1 : 1)) }
        },
    )
    app.get(
        "/v1/routes",
        {
            schema: {
                operationId: "listRoutes",
                summary: "The routing table [claim 8]",
                tags,
                response: { 200: schemas.Routes, ...refusals },
            },
        },
        async () => ({ routes: server.routes().map(routeOf) }),
    )
    app.get(
        "/v1/routes/:to",
        {
            schema: {
                operationId: "explainRoute",
                summary: "Why the route to a server is what it is, and why each other neighbour is not its next hop",
                tags,
                params: schemas.ToParams,
                response: { 200: schemas.Explanation, ...refusals },
            },
        },
        async (request, reply) => {
            const { to } = request.params
            if (!isKnown(server, to))
                return sendProblem(reply, problem("unknown-server", `no routing server ${to} is known here`, "you"))
            return explanationOf(server.explainRoute(to))
        },
    )
    let series = 0
    app.post(
        "/v1/ping/:to",
        {
            schema: {
                operationId: "ping",
                summary: "Echoes to a server and back, hop by hop along the routing tables",
                tags,
                params: schemas.ToParams,
                body: schemas.PingGiven,
                response: { 200: schemas.Ping, ...refusals },
            },
        },
        async (request, reply) => {
            const { to } = request.params
            const { count = 1, intervalMs = 200, timeoutMs = 1000 } = request.body
            // Whether it is known may change between two echoes: each says what became of it.
            if (!isIdentifier(to)) return sendProblem(reply, problem("malformed", `"${to}" is no identifier`, "you"))
            if (count * intervalMs > schemas.pingLimits.seriesMs)
                return sendProblem(
                    reply,
                    problem("malformed", `count x intervalMs: at most ${schemas.pingLimits.seriesMs} ms`, "you"),
                )
            if (series >= seriesMost)
                return sendProblem(reply, problem("too-many", `${seriesMost} series of echoes are under way`, "you"))
            series++
            try {
                return await ping(server, to, count, intervalMs, timeoutMs)
            } finally {
                series--
            }
        },
    )
}

/** Each echo is sent at its time, whether or not the ones before have come back. */
async function ping(server: RoutingServer, to: string, count: number, intervalMs: number, timeoutMs: number) {
    const startMs = performance.now()
    const echoes: Promise<schemas.Echo>[] = []
    for (let i = 0; i < count; i++) {
        const aheadMs = startMs + i * intervalMs - performance.now()
        if (i > 0 && aheadMs > 0) await wait(aheadMs)
        const atMs = rounded(performance.now() - startMs)
        echoes.push(
            server
                .ping(to, timeoutMs)
                .then(outcome =>
                    outcome.ok
                        ? { atMs, rttMs: rounded(outcome.rttMs), hops: outcome.hops }
                        : { atMs, reason: outcome.reason },
                ),
        )
    }
    const all = await Promise.all(echoes)
    const answered = all.filter(echo => echo.rttMs !== undefined).length
    return { to, startMs: performance.timeOrigin + startMs, sent: count, answered, echoes: all }
}

function isKnown(server: RoutingServer, to: string): boolean {
    if (!isIdentifier(to)) return false
    return to === server.id || !!server.route(to) || server.neighbourTrace().some(each => each.rs === to)
}

function neighbourOf({ rs, path, ...rest }: NeighbourTrace): schemas.Neighbour {
    return {
        server: rs,
        ...rest,
        ...(path && {
            path: {
                rttMs: rounded(path.rttMs),
                jitterP95Ms: rounded(path.jitterP95Ms),
                loss: path.loss,
                bandwidthKbps: Math.round(path.bandwidthKbps),
                mutual: path.mutual,
                ...(path.hops !== undefined && { hops: path.hops }),
            },
        }),
    }
}

function routeOf({ destination, nextHop, delay, hops, alternate }: Route): schemas.Route {
    return {
        to: destination,
        nextHop,
        delayMs: delay / 100,
        hops,
        ...(alternate !== undefined && { alternate }),
    }
}

function explanationOf(explanation: RouteExplanation): schemas.Explanation {
    return explanation
}

function rounded(ms: number): number {
    return Math.round(ms * 100) / 100
}
