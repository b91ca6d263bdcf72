/**
 * Remembers answers, so that a request that is repeated (lost answer, restart in between) is done once and answered as
 * before. Bounded per sender: the oldest answers go first.
 */

import type { Answer, AnsweredRow, Context, Policy, State } from "./model.ts"
import { refuse } from "./outcome.ts"

/** The answer given before under `key`, a refusal when the key was used for something else, or undefined. */
export function answeredBefore(state: State, sender: string, key: string, request: string): Answer | undefined {
    const row = state.durable.answered.get(sender)?.get(key)
    if (!row) return undefined
    if (row.request !== request) return refuse("not-allowed", "this id or key was used for another request", "maker")
    return row.answer
}

export function remember(state: State, row: AnsweredRow, context: Context, policy: Policy): void {
    const own = state.durable.answered.get(row.sender) ?? new Map<string, AnsweredRow>()
    state.durable.answered.set(row.sender, own)
    own.set(row.key, row)
    context.writes.push({ table: "answered", put: row })

    // A Map keeps the order of insertion, so the first one is the oldest.
    for (const oldest of own.keys()) {
        if (own.size <= policy.answersPerSender) break
        own.delete(oldest)
        context.writes.push({ table: "answered", remove: oldest, sender: row.sender })
    }
}

/** A device that is enrolled anew, or has lost its boot counter, uses the same ids for other requests. */
export function forgetAnswers(state: State, sender: string, context: Context): void {
    for (const key of state.durable.answered.get(sender)?.keys() ?? [])
        context.writes.push({ table: "answered", remove: key, sender })
    state.durable.answered.delete(sender)
}
