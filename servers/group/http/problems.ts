/**
 * Refusals as problem details (RFC 9457): a status for programs, a code that is the reason on every wire of Parley, what
 * is wrong, who can fix it and, where there is one, the next feasible time.
 */

import { type Static, Type } from "typebox"
import { type Fixer, fixers, type Reason, reasons } from "../../../protocol/reasons.ts"
import { httpStatuses, problemBody } from "../../http/problem.ts"
import type { Refusal } from "../core/model.ts"

export type ProblemCode = Reason | keyof typeof httpStatuses
const codes = [...new Set<ProblemCode>([...reasons, ...(Object.keys(httpStatuses) as (keyof typeof httpStatuses)[])])]

export const Problem = Type.Object(
    {
        type: Type.String({ description: "urn:parley:problem:<code>" }),
        title: Type.String(),
        status: Type.Integer(),
        detail: Type.String(),
        code: Type.Enum(codes, { description: "The reason; programs decide by this one" }),
        what: Type.String({ description: "What is short or wrong" }),
        who: Type.Enum([...fixers], { description: "Who can do something about it" }),
        next: Type.Optional(Type.Integer({ description: "The next feasible time, Unix seconds" })),
    },
    { description: "Why a request was refused (RFC 9457)" },
)
export type ProblemBody = Static<typeof Problem>

const statuses: Partial<Record<ProblemCode, number>> = {
    ...httpStatuses,
    "not-allowed": 403,
    "unknown-endpoint": 404,
    "unknown-group": 404,
    "unknown-session": 404,
    "unknown-server": 404,
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
    const body = problemBody(code, status, what, who)
    return next === undefined ? body : { ...body, next }
}

export function problemOf(refusal: Refusal): ProblemBody {
    return problem(refusal.reason, refusal.what, refusal.who, refusal.next)
}
