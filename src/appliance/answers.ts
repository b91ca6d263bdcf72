/**
 * Messages from servers as values: parsed, checked against their shapes, or refused. Never acts on them.
 */

import {
    agendaShape,
    attachDoneShape,
    bookDoneShape,
    byeShape,
    candidatesDoneShape,
    directoryDoneShape,
    doneShape,
    helloDoneShape,
    joinDoneShape,
    refusedShape,
    rosterShape,
    timeDoneShape,
} from "../../protocol/messages"
import { problemWith, type Shape } from "../../protocol/shape"

/** The device's parser recurses; no message of ours nests deeper. */
const deepestNesting = 6

/** The shape of the positive answer to a request. */
function doneShapeOf(verb: string): Shape<any> {
    switch (verb) {
        case "hello":
            return helloDoneShape
        case "time":
            return timeDoneShape
        case "candidates":
            return candidatesDoneShape
        case "directory":
            return directoryDoneShape
        case "book":
            return bookDoneShape
        case "attach":
            return attachDoneShape
        case "join":
            return joinDoneShape
        default:
            return doneShape
    }
}

function pushShapeOf(verb: string): Shape<any> | undefined {
    switch (verb) {
        case "agenda":
            return agendaShape
        case "roster":
            return rosterShape
        case "bye":
            return byeShape
        case "refused":
            return refusedShape
        case "done":
            return doneShape
        default:
            return undefined
    }
}

/** The JSON value in a payload, or undefined. */
export function parsed(payload: Buffer): any {
    let depth = 0
    for (let i = 0; i < payload.length; i++) {
        const c = payload[i]
        // Brackets within texts count as well: harmless, as they would have to come in sevens.
        if (c === 0x5b || c === 0x7b) depth++
        else if (c === 0x5d || c === 0x7d) depth--
        if (depth > deepestNesting) return undefined
    }
    try {
        return JSON.parse(payload.toString())
    } catch {
        return undefined
    }
}

/** The value when it has the shape that this verb must have at first sight. */
export function checkedPush(verb: string, value: any): any {
    const shape = pushShapeOf(verb)
    return shape && problemWith(shape, value) === "" ? value : undefined
}

/** Whether a positive answer has the shape that belongs to the request's verb. */
export function isDoneOf(verb: string, value: any): boolean {
    return problemWith(doneShapeOf(verb), value) === ""
}
