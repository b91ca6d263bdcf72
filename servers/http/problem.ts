/**
 * Refusals over HTTP as problem details (RFC 9457): a status, a code for programs, what is wrong, who can fix it.
 *
 * Owns the shape, and the codes that every API needs. Never knows the reasons of one server.
 */

import type { FastifyReply } from "fastify"
import type { Fixer } from "../../protocol/reasons.ts"

/** Codes that only HTTP needs. */
export const httpStatuses = {
    malformed: 400,
    unauthenticated: 401,
    "not-found": 404,
    "too-large": 413,
    "too-fast": 429,
    failed: 500,
} as const

export interface ProblemBody<Code extends string = string> {
    type: string
    title: string
    status: number
    detail: string
    code: Code
    what: string
    who: Fixer
}

export function problemBody<Code extends string>(
    code: Code,
    status: number,
    what: string,
    who: Fixer,
): ProblemBody<Code> {
    const words = code.replaceAll("-", " ")
    const title = words[0].toUpperCase() + words.slice(1)
    return { type: `urn:parley:problem:${code}`, title, status, detail: what, code, what, who }
}

export function sendProblem(reply: FastifyReply, body: ProblemBody): FastifyReply {
    if (body.code === "unauthenticated") reply.header("www-authenticate", "Bearer")
    if (body.code === "too-fast") reply.header("retry-after", "1")
    return reply.code(body.status).type("application/problem+json").serializer(JSON.stringify).send(body)
}
