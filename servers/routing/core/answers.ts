/**
 * Answers to endpoints: every request ends in done or refused, and one that comes again gets the same answer again.
 * Owns the making and remembering of answers. Never decides.
 */

import type { Fixer, Reason } from "../../../protocol/reasons.ts"
import { clip } from "../../text.ts"
import { type Answer, coreLimits, type Effect, type State } from "./model.ts"

export interface Refusal {
    reason: Reason
    what: string
    who: Fixer
    /** Unix seconds. */
    next?: number
}

const whatBytes = 64

export function done(state: State, ep: string, re: number, fields: object, out: Effect[]): void {
    give(state, ep, { verb: "done", message: { re, ...fields } }, out)
}

export function refuse(state: State, ep: string, re: number, refusal: Refusal, out: Effect[]): void {
    const { reason, what, who, next } = refusal
    const message = { re, reason, what: clip(what, whatBytes), who, ...(next === undefined ? {} : { next }) }
    give(state, ep, { verb: "refused", message }, out)
    out.push({ type: "log", level: "info", what: "refused", details: { ep, re, reason, short: what } })
}

/** Answers as before when the request was answered already. */
export function repeat(state: State, ep: string, re: number, out: Effect[]): boolean {
    const answer = state.attachments.get(ep)?.answers.get(re)
    if (!answer) return false
    out.push({ type: "toEndpoint", ep, ...answer })
    return true
}

function give(state: State, ep: string, answer: Answer, out: Effect[]): void {
    out.push({ type: "toEndpoint", ep, ...answer })
    const answers = state.attachments.get(ep)?.answers
    if (!answers) return
    answers.delete(answer.message.re)
    answers.set(answer.message.re, answer)
    for (const oldest of answers.keys()) {
        if (answers.size <= coreLimits.answers) break
        answers.delete(oldest)
    }
}
