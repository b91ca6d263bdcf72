/** What the routes of the control API have in common. */

import type { IncomingMessage, ServerResponse } from "node:http"
import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox"
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, RawServerDefault } from "fastify"
import { Problem, type ProblemBody } from "./problems.ts"

export type App = FastifyInstance<
    RawServerDefault,
    IncomingMessage,
    ServerResponse,
    FastifyBaseLogger,
    TypeBoxTypeProvider
>

declare module "fastify" {
    interface FastifyContextConfig {
        /** Answers without a token. */
        open?: boolean
    }
}

/** In the schema of every route that can refuse. */
export const refusals = {
    "4xx": { description: "Refused", content: { "application/problem+json": { schema: Problem } } },
    "5xx": { description: "Failed", content: { "application/problem+json": { schema: Problem } } },
}

export function sendProblem(reply: FastifyReply, body: ProblemBody): FastifyReply {
    if (body.code === "unauthenticated") reply.header("www-authenticate", "Bearer")
    if (body.code === "too-fast") reply.header("retry-after", "1")
    return reply.code(body.status).type("application/problem+json").serializer(JSON.stringify).send(body)
}
