/**
 * How the media modules report a failure that a caller must expect: as a value with a code, what is wrong and who can fix it.
 * Owns the type and its two constructors. Never throws, never formats for people beyond one sentence.
 */

import type { Fixer } from "../protocol/reasons.ts"

export interface Failure<Code extends string = string> {
    ok: false
    code: Code
    /** What is wrong, one sentence. */
    what: string
    who: Fixer
}

export type Outcome<Value, Code extends string = string> = { ok: true; value: Value } | Failure<Code>

export function success<Value>(value: Value): { ok: true; value: Value } {
    return { ok: true, value }
}

export function failure<Code extends string>(code: Code, what: string, who: Fixer): Failure<Code> {
    return { ok: false, code, what, who }
}
