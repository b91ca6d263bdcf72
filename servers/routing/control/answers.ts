/**
 * Whether an answer of the control API is what the schemas say. A module of its own, loaded with the first answer: the schemas
 * and their checker take half a second to load, which commands that ask no routing server need not wait for.
 */
import { type Static, Type } from "typebox"
import { Check } from "typebox/value"
import * as schemas from "./schemas.ts"

const answers = {
    state: schemas.State,
    links: schemas.Links,
    conditions: schemas.Conditions,
    neighbours: schemas.Neighbours,
    routes: schemas.Routes,
    explanation: schemas.Explanation,
    ping: schemas.Ping,
    reservations: schemas.Reservations,
    can: schemas.Can,
    media: schemas.Media,
    plain: schemas.Plain,
    health: schemas.Health,
    text: Type.String(),
    nothing: Type.Undefined(),
}

export type AnswerName = keyof typeof answers
export type AnswerOf<Name extends AnswerName> = Static<(typeof answers)[Name]>

export function isAnswer(name: AnswerName, value: unknown): boolean {
    return Check(answers[name], value)
}
