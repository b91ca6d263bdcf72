/** Refusals of the control API as problem details (RFC 9457): a code for programs, what is wrong, who can fix it. */

import { Type } from "typebox"

const statuses = {
    malformed: 400,
    unauthenticated: 401,
    "not-found": 404,
    "unknown-server": 404,
    "no-route": 409,
    "too-many": 409,
    "too-large": 413,
    "too-fast": 429,
    failed: 500,
    "not-ready": 503,
    "no-answer": 504,
} as const

export type ProblemCode = keyof typeof statuses
export type Who = "you" | "operator" | "maker"

export const Problem = Type.Object(
    {
        type: Type.String({ description: "urn:parley:problem:<code>" }),
        title: Type.String(),
        status: Type.Integer(),
        detail: Type.String(),
        code: Type.Enum(Object.keys(statuses) as ProblemCode[], { description: "Programs decide by this one" }),
        what: Type.String({ description: "What is wrong" }),
        who: Type.Enum(["you", "operator", "maker"], { description: "Who can do something about it" }),
    },
    { description: "Why a request was refused (RFC 9457)" },
)

export interface ProblemBody {
    type: string
    title: string
    status: number
    detail: string
    code: ProblemCode
    what: string
    who: Who
}

export function problem(code: ProblemCode, what: string, who: Who): ProblemBody {
    const words = code.replaceAll("-", " ")
    const title = words[0].toUpperCase() + words.slice(1)
    return { type: `urn:parley:problem:${code}`, title, status: statuses[code], detail: what, code, what, who }
}
