/**
 * Answers and audit entries, made in one place, so that every refusal says what is wrong and who can fix it.
 */

import type { Fixer, Reason } from "../../../protocol/reasons.ts"
import { isIdentifier, utf8Bytes } from "../../../protocol/text.ts"
import { clip } from "../../text.ts"
import type { Context, Done, Refusal } from "./model.ts"

/** Bytes of `what` that fit an answer. */
const whatBytes = 64

export function done(fields: Record<string, unknown> = {}): Done {
    return { ok: true, fields }
}

export function refuse(reason: Reason, what: string, who: Fixer, next?: number): Refusal {
    const refusal: Refusal = { ok: false, reason, what: clip(what, whatBytes), who }
    return next === undefined ? refusal : { ...refusal, next }
}

/** What is wrong with a name or title that people will read, or "". */
export function problemWithName(value: string, bytes: number, field: string): string {
    if (value.length === 0) return `${field}: must not be empty`
    return problemWithText(value, bytes, field)
}

export function problemWithText(value: string, bytes: number, field: string): string {
    if (value.length > bytes || utf8Bytes(value) > bytes) return `${field}: longer than ${bytes} bytes`
    for (const character of value) {
        const code = character.codePointAt(0)!
        if (code < 32 || (code >= 127 && code < 160)) return `${field}: control characters are not allowed`
        // Half of a surrogate pair has no UTF-8 form.
        if (code >= 0xd800 && code <= 0xdfff) return `${field}: not valid Unicode`
    }
    return ""
}

/** "group" is the user name of the group server itself at the broker. */
export function problemWithId(value: string): string {
    if (value === "group") return "id: group is reserved"
    return isIdentifier(value) ? "" : "id: 1..24 of a-z, 0-9 and -, not starting with -"
}

export function audit(
    context: Context,
    actor: string,
    action: string,
    subject: string,
    outcome: string,
    inputs: Record<string, unknown> = {},
): void {
    context.writes.push({ table: "audit", put: { atMs: context.nowMs, actor, action, subject, outcome, inputs } })
}
