/**
 * Refusals as problem details (RFC 9457): a status for programs, a code that is the reason on every wire of Parley, what
 * is wrong, who can fix it and, where there is one, the next feasible time.
 */

import { type Static, Type } from "typebox"
import { type Fixer, fixers, type Reason, reasons } from "../../../protocol/reasons.ts"
import type { Refusal } from "../core/model.ts"

/** Codes that only HTTP needs. */
const httpCodes = ["unauthenticated", "not-found", "too-large", "too-fast", "failed"] as const
type HttpCode = (typeof httpCodes)[number]
export type ProblemCode = Reason | HttpCode

export const Problem = Type.Object(
    {
        type: Type.String({ description: "urn:parley:problem:<code>" }),
        title: Type.String(),
        status: Type.Integer(),
        detail: Type.String(),
        code: Type.Enum([...reasons, ...httpCodes], { description: "The reason; programs decide by this one" }),
        what: Type.String({ description: "What is short or wrong" }),
        who: Type.Enum([...fixers], { description: "Who can do something about it" }),
        next: Type.Optional(Type.Integer({ description: "The next feasible time, Unix seconds" })),
    },
    { description: "Why a request was refused (RFC 9457)" },
)
export type ProblemBody = Static<typeof Problem>

const statuses: Partial<Record<ProblemCode, number>> = {
    malformed: 400,
    unauthenticated: 401,
    "not-allowed": 403,
    "not-found": 404,
    "unknown-endpoint": 404,
    "unknown-group": 404,
    "unknown-session": 404,
    "unknown-server": 404,
    "too-large": 413,
    "too-fast": 429,
    failed: 500,
    unavailable: 503,
    "no-servers": 503,
    draining: 503,
    "in-the-past": 422,
    "too-long": 422,
    "too-far": 422,
    unsupported: 422,
}

export function problem(code: ProblemCode, what: string, who: Fixer, next?: number): ProblemBody {
    // Everything else is a conflict with what is: busy, too-many, ended, ...
    const status = statuses[code] ?? 409
    const body = { type: `urn:parley:problem:${code}`, title: titleOf(code), status, detail: what, code, what, who }
    return next === undefined ? body : { ...body, next }
}

export function problemOf(refusal: Refusal): ProblemBody {
    return problem(refusal.reason, refusal.what, refusal.who, refusal.next)
}

function titleOf(code: ProblemCode): string {
    const words = code.replaceAll("-", " ")
    return words[0].toUpperCase() + words.slice(1)
}
