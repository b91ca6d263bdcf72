/**
 * What the routes have in common: the application with its types, who is asking, and how an answer of the core becomes a
 * reply.
 */

import type { FastifyReply, FastifyRequest } from "fastify"
import { sendProblem } from "../../http/problem.ts"
import type { Answer, Command } from "../core/model.ts"
import { refuse } from "../core/outcome.ts"
import type { Engine } from "../engine.ts"
import type { Store } from "../store/store.ts"
import { Problem, problemOf } from "./problems.ts"
import type { Readiness } from "./schemas.ts"
import type { Identity, Role, Tokens } from "./tokens.ts"

export interface Backend {
    engine: Engine
    store: Store
    tokens: Tokens
    readiness(): Readiness
    /** Prometheus text. */
    metrics(): Promise<string>
    now(): number
}

declare module "fastify" {
    interface FastifyContextConfig {
        /** The least role that may use the route; none: everybody. */
        role?: Role
    }
    interface FastifyRequest {
        identity: Identity | null
    }
}

/** In the schema of every route that can refuse. */
export const refusals = {
    "4xx": { description: "Refused", content: { "application/problem+json": { schema: Problem } } },
    "5xx": { description: "Failed or unavailable", content: { "application/problem+json": { schema: Problem } } },
}

/** Who is asking; only for routes that ask for a role. */
export function identityOf(request: FastifyRequest): Identity {
    if (!request.identity) throw new Error("a route that needs an identity asks for no role")
    return request.identity
}

/** Hands a command to the core, under the Idempotency-Key where there is one. */
export async function command(backend: Backend, request: FastifyRequest, wanted: Command): Promise<Answer> {
    const { subject, role, endpoint } = identityOf(request)
    const key = request.headers["idempotency-key"]
    const answer = await backend.engine.submit({
        type: "command",
        actor: `http:${subject}`,
        command: wanted,
        ...(typeof key === "string" ? { key } : {}),
        // A member without an endpoint acts for nobody.
        ...(role === "member" ? { only: endpoint ?? "" } : {}),
    })
    return answer ?? refuse("unavailable", "no answer", "operator")
}

export function sendRefusal(reply: FastifyReply, answer: Extract<Answer, { ok: false }>): FastifyReply {
    return sendProblem(reply, problemOf(answer))
}
