/**
 * The HTTP API: listener, limits, authentication, errors as problem details, and the OpenAPI description made from the
 * very schemas that validate. The routes stand in files of their own.
 */

import swagger from "@fastify/swagger"
import { type TypeBoxTypeProvider, TypeBoxValidatorCompiler } from "@fastify/type-provider-typebox"
import Fastify, { type FastifyBaseLogger, type FastifyError, type FastifyReply, LogController } from "fastify"
import { limits } from "../../../protocol/limits.ts"
import { clip } from "../core/outcome.ts"
import { Rate } from "../rate.ts"
import { type App, type Backend, sendProblem } from "./api.ts"
import { endpointRoutes } from "./endpoints.ts"
import { groupRoutes } from "./groups.ts"
import { neighbourRoutes } from "./neighbours.ts"
import { operationRoutes } from "./operations.ts"
import { problem } from "./problems.ts"
import { routingServerRoutes } from "./routing-servers.ts"
import { sessionRoutes } from "./sessions.ts"
import { mayAct } from "./tokens.ts"

const bodyBytes = 64 * 1024
const requestTimeoutMs = 10_000
/** Per address, before it has shown who it is; per subject afterwards. */
const strangerRate = { perSecond: 200, burst: 400 }
const subjectRate = { perSecond: 500, burst: 1000 }

export async function buildHttp(backend: Backend, log: FastifyBaseLogger): Promise<App> {
    const app: App = Fastify({
        loggerInstance: log,
        logController: new LogController({ disableRequestLogging: true }),
        bodyLimit: bodyBytes,
        requestTimeout: requestTimeoutMs,
        connectionTimeout: 2 * requestTimeoutMs,
        forceCloseConnections: true,
        routerOptions: { maxParamLength: 2 * limits.identifierBytes },
        // What fails before there is a route.
        frameworkErrors: (error, _request, reply) => {
            sendProblem(reply as FastifyReply, problem("malformed", clip(error.message, 200), "you"))
        },
    }).withTypeProvider<TypeBoxTypeProvider>()
    app.setValidatorCompiler(TypeBoxValidatorCompiler)
    app.decorateRequest("identity", null)

    await app.register(swagger, {
        openapi: {
            openapi: "3.1.0",
            info: {
                title: "Parley group server",
                version: "1.0.0",
                description: "Sessions, rooms and routing servers",
            },
            components: { securitySchemes: { bearer: { type: "http", scheme: "bearer", bearerFormat: "JWT" } } },
            security: [{ bearer: [] }],
        },
    })
    guard(app, backend)
    explain(app)

    app.get("/openapi.json", { schema: { hide: true } }, async () => app.swagger())
    endpointRoutes(app, backend)
    routingServerRoutes(app, backend)
    neighbourRoutes(app, backend)
    groupRoutes(app, backend)
    sessionRoutes(app, backend)
    operationRoutes(app, backend)
    return app
}

/** Rates and rights, before a body is read. */
function guard(app: App, backend: Backend): void {
    const strangers = new Rate(strangerRate)
    const subjects = new Rate(subjectRate)
    app.addHook("onRequest", async (request, reply) => {
        const tooFast = () => {
            reply.header("retry-after", "1")
            return sendProblem(reply, problem("too-fast", "too many requests a second", "you"))
        }
        const header = request.headers.authorization
        const token = header?.startsWith("Bearer ") ? header.slice("Bearer ".length) : undefined
        if (token === undefined && !strangers.take(request.ip, backend.now())) return tooFast()

        const { role } = request.routeOptions.config
        if (role === undefined) return
        if (token === undefined)
            return sendProblem(reply, problem("unauthenticated", "a bearer token is needed", "operator"))
        const identity = await backend.tokens.verify(token, backend.now())
        if (!identity) {
            if (!strangers.take(request.ip, backend.now())) return tooFast()
            return sendProblem(reply, problem("unauthenticated", "the token is not valid or has expired", "operator"))
        }
        if (!subjects.take(identity.subject, backend.now())) return tooFast()
        if (!mayAct(identity, role))
            return sendProblem(
                reply,
                problem("not-allowed", `needs the role ${role}, not ${identity.role}`, "operator"),
            )
        request.identity = identity
    })
}

/** Of identifiers. */
const alphabet = "1 to 24 of a-z, 0-9 and - are needed, no - in front"

/** Whatever goes wrong has a code, says what, and who can fix it. */
function explain(app: App): void {
    app.setNotFoundHandler((request, reply) =>
        sendProblem(reply, problem("not-found", `no ${request.method} ${clip(request.url, 80)}`, "you")),
    )
    app.setErrorHandler((error: FastifyError, request, reply) => {
        if (error.validation) {
            const { instancePath = "", message = "not valid", keyword } = error.validation[0] ?? {}
            const path = `${error.validationContext ?? "request"}${instancePath.replaceAll("/", ".")}`
            return sendProblem(
                reply,
                problem(
                    "malformed",
                    clip(
                        `${path}: ${keyword === "pattern" && !instancePath.endsWith("/subject") ? alphabet : message}`,
                        200,
                    ),
                    "you",
                ),
            )
        }
        if (error.statusCode === 413) return sendProblem(reply, problem("too-large", "the body is too large", "you"))
        if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500)
            return sendProblem(reply, problem("malformed", clip(error.message, 200), "you"))
        request.log.error({ err: error, url: request.url }, "request failed")
        return sendProblem(reply, problem("failed", "the group server failed; its log says why", "operator"))
    })
}
