/** The links to neighbours as they are measured, and the emulated network under them. */

import { isIPv4 } from "node:net"
import { Type } from "typebox"
import { isIdentifier } from "../../../protocol/text.ts"
import type { App } from "../../http/app.ts"
import { sendProblem } from "../../http/problem.ts"
import type { RoutingServer } from "../server.ts"
import { conditionLimits, readConditions } from "../underlay/conditions.ts"
import { refusals } from "./api.ts"
import { problem } from "./problems.ts"
import * as schemas from "./schemas.ts"

export function linkRoutes(app: App, server: RoutingServer): void {
    const tags = ["links"]
    app.get(
        "/v1/links",
        {
            schema: {
                operationId: "listLinks",
                summary: "Links to neighbours, and what is emulated",
                tags,
                response: { 200: schemas.Links, ...refusals },
            },
        },
        async () => {
            await server.statistics()
            return linksOf(server)
        },
    )
    app.put(
        "/v1/links/:peer/underlay",
        {
            schema: {
                operationId: "putUnderlay",
                summary: "Emulate a network towards a server; replaces what was emulated",
                tags,
                params: schemas.PeerParams,
                body: schemas.ConditionsGiven,
                response: { 200: schemas.Conditions, ...refusals },
            },
        },
        async (request, reply) => {
            const { peer } = request.params
            const wrong = problemWithPeer(server, peer)
            if (wrong) return sendProblem(reply, problem("malformed", wrong, "you"))
            const read = readConditions(request.body)
            if (!read.ok) return sendProblem(reply, problem("malformed", read.what, "you"))
            const { underlay } = server
            if (underlay.size >= conditionLimits.paths && !underlay.has(peer))
                return sendProblem(reply, problem("too-many", `at most ${conditionLimits.paths} paths`, "you"))
            request.log.warn({ peer, ...read.conditions }, "emulated network changed")
            server.emulate(peer, read.conditions)
            return read.conditions
        },
    )
    app.delete(
        "/v1/links/:peer/underlay",
        {
            schema: {
                operationId: "deleteUnderlay",
                summary: "Emulate nothing towards a server",
                tags,
                params: schemas.PeerParams,
                response: { 204: Type.Null(), ...refusals },
            },
        },
        async (request, reply) => {
            const { peer } = request.params
            const wrong = problemWithPeer(server, peer)
            if (wrong) return sendProblem(reply, problem("malformed", wrong, "you"))
            request.log.warn({ peer }, "emulated network removed")
            server.emulate(peer, undefined)
            return reply.code(204).send(null)
        },
    )
}

function problemWithPeer(server: RoutingServer, peer: string): string | undefined {
    if (peer === server.id || peer === server.ip) return "that is this server itself"
    if (isIPv4(peer) || isIdentifier(peer)) return undefined
    return `"${peer}" is neither an identifier nor an IPv4 address`
}

function linksOf(server: RoutingServer): schemas.Links {
    const links = server.links.snapshot().map(({ rs, up, delay, jitter, lossPermille, counters }) => ({
        peer: rs,
        up,
        ...(delay !== undefined && { delayMs: delay / 100 }),
        jitterMs: jitter / 100,
        loss: lossPermille / 1000,
        datagrams: counters,
        underlay: server.underlay.conditions(rs),
    }))
    const underlay = server.emulated().map(({ far, address, conditions, counters }) => ({
        far,
        ...(address !== undefined && { address }),
        conditions,
        ...(counters && { datagrams: counters }),
    }))
    return { links, underlay }
}
