/**
 * Messages from servers as values: parsed, checked, or refused. Never acts on them.
 *
 * The shapes of protocol/messages.ts as objects would take a quarter of the device's heap. They are read from the notes of
 * protocol/notes.ts, in place and from flash.
 */

import { answerNotes, itemNote, messageNotes } from "../../protocol/notes"
import { utf8Bytes } from "../../protocol/text"
import { lookUp } from "../table"

const longestCode = 24

// A parsed object brings its own copy of each field's name. What is kept is copied to objects whose names, and the most
// usual values, lie in flash.

const usualValues = ["scheduled", "opening", "open", "ended", "group", "room"]

function usual(text: string): string {
    const at = usualValues.indexOf(text)
    return at < 0 ? text : usualValues[at]
}

/** What is kept of a record of a list: a session, a candidate or an entry of the directory, not checked yet. */
export function ownRecord(record: any): any {
    const { sid, rs, title, from, mine } = record
    if (sid !== undefined)
        return { sid, title, from, mine, start: record.start, end: record.end, state: usual(record.state) }
    if (rs !== undefined) return { rs, ip: record.ip, port: record.port, load: record.load }
    return { id: record.id, name: record.name, kind: usual(record.kind) }
}

/** The shape of the positive answer to a request. */
export function doneNote(verb: string): string {
    return lookUp(answerNotes, verb, "{re:i1~4294967295}")
}

/** The shape that a message has at first sight, by the verb of its topic; "" when there is no such verb. */
export function messageNote(verb: string): string {
    if (verb === "agenda") return `{n:i0~4294967295,nowMs:i0~32503680000000,list:l0~5${itemNote},more:i0~65535}`
    return lookUp(messageNotes, verb, "")
}

/** Characters of a note: `note[at]` would make a text of each. */
enum Sign {
    Comma = 44,
    Colon = 58,
    Question = 63,
    Integer = 105,
    Code = 111,
    Text = 116,
    Record = 123,
    RecordEnd = 125,
}

/** Reads a note against a value; `at` is where it is in the note. */
class Checker {
    private at = 0

    constructor(private note: string) {}

    private skip(character: Sign): boolean {
        if (this.note.charCodeAt(this.at) !== character) return false
        this.at++
        return true
    }

    private number(): number {
        let value = 0
        while (this.at < this.note.length) {
            const digit = this.note.charCodeAt(this.at) - 48
            if (digit < 0 || digit > 9) return value
            value = value * 10 + digit
            this.at++
        }
        return value
    }

    private name(): string {
        const from = this.at
        let sign = this.note.charCodeAt(this.at)
        while (sign !== Sign.Colon && sign !== Sign.Question) {
            this.at++
            sign = this.note.charCodeAt(this.at)
        }
        return this.note.slice(from, this.at)
    }

    /** Whether `value` has the shape that starts here; an absent value only moves past it. */
    fits(value: any, isAbsent: boolean): boolean {
        const kind = this.note.charCodeAt(this.at)
        this.at++
        if (kind === Sign.Record) return this.record(value, isAbsent)
        if (kind === Sign.Code)
            return isAbsent || (typeof value === "string" && value !== "" && value.length <= longestCode)
        const min = this.number()
        this.at++
        const max = this.number()
        const isInteger = typeof value === "number" && Math.round(value) === value
        if (kind === Sign.Integer) return isAbsent || (isInteger && value >= min && value <= max)
        // A character takes at least one byte, so the cheap test goes first.
        const isText = typeof value === "string" && value.length >= min && value.length <= max
        if (kind === Sign.Text) return isAbsent || (isText && utf8Bytes(value) <= max)
        return this.list(value, isAbsent, min, max)
    }

    private list(value: any, isAbsent: boolean, min: number, max: number): boolean {
        const item = this.at
        let isFitting = isAbsent || (Array.isArray(value) && value.length >= min && value.length <= max)
        for (let i = 0; isFitting && !isAbsent && i < value.length; i++) {
            this.at = item
            isFitting = this.fits(value[i], false)
        }
        this.at = item
        this.fits(undefined, true)
        return isFitting
    }

    private record(value: any, isAbsent: boolean): boolean {
        let isFitting = isAbsent || (typeof value === "object" && value !== null && !Array.isArray(value))
        while (!this.skip(Sign.RecordEnd)) {
            this.skip(Sign.Comma)
            const name = this.name()
            const isOptional = this.skip(Sign.Question)
            this.at++
            const field = isFitting && !isAbsent ? value[name] : undefined
            const isMissing = field === undefined || field === null
            if (isMissing && !isOptional && !isAbsent) isFitting = false
            if (!this.fits(field, isMissing)) isFitting = false
        }
        return isFitting
    }
}

export function hasShape(note: string, value: any): boolean {
    return note !== "" && new Checker(note).fits(value, false)
}
