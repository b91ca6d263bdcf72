/**
 * The control API of a routing server: what operators and their tools see and change of it, over HTTP on its own address.
 *
 * Owns the listener, the token, limits and errors. Never decides anything about sessions or routes.
 */

import { createHash, randomBytes, timingSafeEqual } from "node:crypto"
import type { AddressInfo } from "node:net"
import type { FastifyBaseLogger } from "fastify"
import { type App, explainErrors, newApp } from "../../http/app.ts"
import { sendProblem } from "../../http/problem.ts"
import { Rate } from "../../rate.ts"
import type { RoutingServer } from "../server.ts"
import { tokenFileOf, writeWhole } from "../state-folder.ts"
import { linkRoutes } from "./links.ts"
import { mediaRoutes } from "./media.ts"
import { buildMetrics } from "./metrics.ts"
import { operationRoutes } from "./operations.ts"
import { plainRoutes } from "./plain.ts"
import { problem } from "./problems.ts"
import { reservationRoutes } from "./reservations.ts"
import { routingRoutes } from "./routing.ts"

const bodyBytes = 4096
/** Per address, of those without the token. */
const strangerRate = { perSecond: 20, burst: 60 }

export interface Control {
    readonly url: string
    readonly tokenFile: string
    close(): Promise<void>
}

export type ControlOutcome = { ok: true; control: Control } | { ok: false; what: string }

/** Listens on the server's own address [claim 2]; the token is in its file before that. */
export async function startControl(
    server: RoutingServer,
    port: number,
    state: string,
    log: FastifyBaseLogger,
): Promise<ControlOutcome> {
    const token = randomBytes(24).toString("base64url")
    const tokenFile = tokenFileOf(state)
    const written = writeWhole(tokenFile, `${token}\n`)
    if (!written.ok) return written
    const app = await buildControl(server, token, log)
    try {
        await app.listen({ host: server.ip, port })
    } catch (error) {
        return { ok: false, what: `the control port cannot be had: ${(error as Error).message}` }
    }
    const { port: listening } = app.server.address() as AddressInfo
    return { ok: true, control: { url: `http://${server.ip}:${listening}`, tokenFile, close: () => app.close() } }
}

async function buildControl(server: RoutingServer, token: string, log: FastifyBaseLogger): Promise<App> {
    const app = await newApp({
        ...{ log, bodyBytes },
        title: "Parley routing server",
        description: "Links, neighbours, routes, reservations, media and the emulated network of one routing server",
    })
    app.server.maxConnections = 256
    guard(app, token)
    explainErrors(app, { failed: { what: "the routing server failed; its log says why", who: "maker" } })
    app.get("/openapi.json", { schema: { hide: true }, config: { open: true } }, async () => app.swagger())
    const metrics = buildMetrics(server)
    operationRoutes(app, server, metrics)
    linkRoutes(app, server)
    routingRoutes(app, server)
    reservationRoutes(app, server)
    mediaRoutes(app, server)
    plainRoutes(app, server)
    return app
}

/** The rate, then the token, before a body is read. */
function guard(app: App, token: string): void {
    const rate = new Rate(strangerRate)
    const digest = (text: string) => createHash("sha256").update(text).digest()
    const wanted = digest(`Bearer ${token}`)
    app.addHook("onRequest", async (request, reply) => {
        const known = timingSafeEqual(digest(request.headers.authorization ?? ""), wanted)
        // Whoever has the token may ask as fast as it likes: it is an operator's tool.
        if (!known && !rate.take(request.ip, performance.now()))
            return sendProblem(reply, problem("too-fast", "too many requests a second", "you"))
        if (known || request.routeOptions.config.open) return
        return sendProblem(reply, problem("unauthenticated", "the token of control.token is needed", "operator"))
    })
}
