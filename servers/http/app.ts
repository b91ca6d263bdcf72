/**
 * What the HTTP APIs of the servers have in common: limits, validation by TypeBox, the OpenAPI description made from the very
 * schemas that validate, and errors as problem details. Who may ask what is each server's own.
 */

import type { IncomingMessage, ServerResponse } from "node:http"
import swagger from "@fastify/swagger"
import { type TypeBoxTypeProvider, TypeBoxValidatorCompiler } from "@fastify/type-provider-typebox"
import Fastify, {
    type FastifyBaseLogger,
    type FastifyError,
    type FastifyInstance,
    type FastifyReply,
    type FastifySchemaValidationError,
    LogController,
    type RawServerDefault,
} from "fastify"
import { limits } from "../../protocol/limits.ts"
import type { Fixer } from "../../protocol/reasons.ts"
import { clip } from "../text.ts"
import { httpStatuses, problemBody, sendProblem } from "./problem.ts"

export type App = FastifyInstance<
    RawServerDefault,
    IncomingMessage,
    ServerResponse,
    FastifyBaseLogger,
    TypeBoxTypeProvider
>

export interface ApiParts {
    log: FastifyBaseLogger
    bodyBytes: number
    /** As OpenAPI tells it. */
    title: string
    description: string
    bearerFormat?: string
}

const requestTimeoutMs = 10_000
const whatBytes = 200
const pathBytes = 80

/** Without routes; who adds them says first who may use them. */
export async function newApp({ log, bodyBytes, title, description, bearerFormat }: ApiParts): Promise<App> {
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
            refuse(reply as FastifyReply, "malformed", error.message, "you")
        },
    }).withTypeProvider<TypeBoxTypeProvider>()
    app.setValidatorCompiler(TypeBoxValidatorCompiler)
    const bearer = { type: "http", scheme: "bearer", ...(bearerFormat !== undefined && { bearerFormat }) } as const
    await app.register(swagger, {
        openapi: {
            openapi: "3.1.0",
            info: { title, version: "1.0.0", description },
            components: { securitySchemes: { bearer } },
            security: [{ bearer: [] }],
        },
    })
    return app
}

/** Whose failure it is when a request ends in an exception, and better words for what does not validate. */
export interface Explanations {
    failed: { what: string; who: Fixer }
    invalid?: (problem: FastifySchemaValidationError) => string | undefined
}

/** Whatever goes wrong has a code, says what, and who can fix it. */
export function explainErrors(app: App, { failed, invalid }: Explanations): void {
    app.setNotFoundHandler((request, reply) =>
        refuse(reply, "not-found", `no ${request.method} ${clip(request.url, pathBytes)}`, "you"),
    )
    app.setErrorHandler((error: FastifyError, request, reply) => {
        const [problem] = error.validation ?? []
        if (problem) {
            const path = `${error.validationContext ?? "request"}${problem.instancePath.replaceAll("/", ".")}`
            const why = invalid?.(problem) ?? problem.message ?? "not valid"
            return refuse(reply, "malformed", `${path}: ${why}`, "you")
        }
        const { statusCode = 500 } = error
        if (statusCode === 413) return refuse(reply, "too-large", "the body is too large", "you")
        if (statusCode >= 400 && statusCode < 500) return refuse(reply, "malformed", error.message, "you")
        request.log.error({ err: error, url: request.url }, "request failed")
        return refuse(reply, "failed", failed.what, failed.who)
    })
}

function refuse(reply: FastifyReply, code: keyof typeof httpStatuses, what: string, who: Fixer): FastifyReply {
    return sendProblem(reply, problemBody(code, httpStatuses[code], clip(what, whatBytes), who))
}
