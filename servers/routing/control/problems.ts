/** Refusals of the control API as problem details (RFC 9457): a code for programs, what is wrong, who can fix it. */

import { Type } from "typebox"
import { type Fixer, fixers } from "../../../protocol/reasons.ts"
import { type ProblemBody as Body, httpStatuses, problemBody } from "../../http/problem.ts"

const statuses = {
    ...httpStatuses,
    "unknown-server": 404,
    "unknown-session": 404,
    "no-route": 409,
    "too-many": 409,
    busy: 409,
    ended: 409,
    "no-dsp": 409,
    unavailable: 503,
    "not-ready": 503,
    "no-answer": 504,
} as const

export type ProblemCode = keyof typeof statuses

export const Problem = Type.Object(
    {
        type: Type.String({ description: "urn:parley:problem:<code>" }),
        title: Type.String(),
        status: Type.Integer(),
        detail: Type.String(),
        code: Type.Enum(Object.keys(statuses) as ProblemCode[], { description: "Programs decide by this one" }),
        what: Type.String({ description: "What is wrong" }),
        who: Type.Enum([...fixers], { description: "Who can do something about it" }),
    },
    { description: "Why a request was refused (RFC 9457)" },
)

export type ProblemBody = Body<ProblemCode>

export function problem(code: ProblemCode, what: string, who: Fixer): ProblemBody {
    return problemBody(code, statuses[code], what, who)
}
