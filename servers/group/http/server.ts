/**
 * The HTTP API of the group server: who may ask how often and what. The routes stand in files of their own.
 */

import type { FastifyBaseLogger } from "fastify"
import { type App, explainErrors, newApp } from "../../http/app.ts"
import { sendProblem } from "../../http/problem.ts"
import { Rate } from "../../rate.ts"
import type { Backend } from "./api.ts"
import { endpointRoutes } from "./endpoints.ts"
import { groupRoutes } from "./groups.ts"
import { neighbourRoutes } from "./neighbours.ts"
import { operationRoutes } from "./operations.ts"
import { problem } from "./problems.ts"
import { routingServerRoutes } from "./routing-servers.ts"
import { sessionRoutes } from "./sessions.ts"
import { mayAct } from "./tokens.ts"

const bodyBytes = 64 * 1024
/** Of identifiers. */
const alphabet = "1 to 24 of a-z, 0-9 and - are needed, no - in front"
/** Per address, before it has shown who it is; per subject afterwards. */
const strangerRate = { perSecond: 200, burst: 400 }
const subjectRate = { perSecond: 500, burst: 1000 }

export async function buildHttp(backend: Backend, log: FastifyBaseLogger): Promise<App> {
    const app = await newApp({
        ...{ log, bodyBytes, bearerFormat: "JWT" },
        title: "Parley group server",
        description: "Sessions, rooms and routing servers",
    })
    app.decorateRequest("identity", null)
    guard(app, backend)
    explainErrors(app, {
        failed: { what: "the group server failed; its log says why", who: "operator" },
        invalid: ({ keyword, instancePath }) =>
            keyword === "pattern" && !instancePath.endsWith("/subject") ? alphabet : undefined,
    })

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
        const tooFast = () => sendProblem(reply, problem("too-fast", "too many requests a second", "you"))
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
