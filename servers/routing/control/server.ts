/**
 * The control API of a routing server: what operators and their tools see and change of it, over HTTP on its own address.
 *
 * Owns the listener, the token, limits and errors. Never decides anything about sessions or routes.
 */

import { createHash, randomBytes, timingSafeEqual } from "node:crypto"
import type { AddressInfo } from "node:net"
import swagger from "@fastify/swagger"
import { type TypeBoxTypeProvider, TypeBoxValidatorCompiler } from "@fastify/type-provider-typebox"
import Fastify, { type FastifyBaseLogger, type FastifyError, type FastifyReply, LogController } from "fastify"
import { limits } from "../../../protocol/limits.ts"
import { RequestRate } from "../request-rate.ts"
import type { RoutingServer } from "../server.ts"
import { tokenFileOf, writeWhole } from "../state-folder.ts"
import { type App, sendProblem } from "./api.ts"
import { linkRoutes } from "./links.ts"
import { mediaRoutes } from "./media.ts"
import { buildMetrics } from "./metrics.ts"
import { operationRoutes } from "./operations.ts"
import { problem } from "./problems.ts"
import { reservationRoutes } from "./reservations.ts"
import { routingRoutes } from "./routing.ts"

const bodyBytes = 4096
const requestTimeoutMs = 10_000

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
    const app: App = Fastify({
        loggerInstance: log,
        logController: new LogController({ disableRequestLogging: true }),
        bodyLimit: bodyBytes,
        requestTimeout: requestTimeoutMs,
        connectionTimeout: 2 * requestTimeoutMs,
        forceCloseConnections: true,
        routerOptions: { maxParamLength: 2 * limits.identifierBytes },
        frameworkErrors: (error, _request, reply) => {
            sendProblem(reply as FastifyReply, problem("malformed", clip(error.message), "you"))
        },
    }).withTypeProvider<TypeBoxTypeProvider>()
    app.server.maxConnections = 256
    app.setValidatorCompiler(TypeBoxValidatorCompiler)
    await app.register(swagger, {
        openapi: {
            openapi: "3.1.0",
            info: {
                title: "Parley routing server",
                version: "1.0.0",
                description:
                    "Links, neighbours, routes, reservations, media and the emulated network of one routing server",
            },
            components: { securitySchemes: { bearer: { type: "http", scheme: "bearer" } } },
            security: [{ bearer: [] }],
        },
    })
    guard(app, token)
    explain(app)
    app.get("/openapi.json", { schema: { hide: true }, config: { open: true } }, async () => app.swagger())
    const metrics = buildMetrics(server)
    operationRoutes(app, server, metrics)
    linkRoutes(app, server)
    routingRoutes(app, server)
    reservationRoutes(app, server)
    mediaRoutes(app, server)
    return app
}

/** The rate, then the token, before a body is read. */
function guard(app: App, token: string): void {
    const rate = new RequestRate()
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

/** Whatever goes wrong has a code, says what, and who can fix it. */
function explain(app: App): void {
    app.setNotFoundHandler((request, reply) =>
        sendProblem(reply, problem("not-found", `no ${request.method} ${clip(request.url, 80)}`, "you")),
    )
    app.setErrorHandler((error: FastifyError, request, reply) => {
        if (error.validation) {
            const { instancePath = "", message = "not valid" } = error.validation[0] ?? {}
            const path = `${error.validationContext ?? "request"}${instancePath.replaceAll("/", ".")}`
            return sendProblem(reply, problem("malformed", clip(`${path}: ${message}`), "you"))
        }
        if (error.statusCode === 413) return sendProblem(reply, problem("too-large", "the body is too large", "you"))
        if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500)
            return sendProblem(reply, problem("malformed", clip(error.message), "you"))
        request.log.error({ err: error, url: request.url }, "request failed")
        return sendProblem(reply, problem("failed", "the routing server failed; its log says why", "maker"))
    })
}

function clip(text: string, most = 200): string {
    return text.length > most ? `${text.slice(0, most)}...` : text
}
