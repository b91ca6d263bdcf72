/**
 * Bytes from outside that are to become text or values. Nothing received may be given to `Buffer.toString` or `JSON.parse`
 * before it has passed here: both have inputs on which the VM (2.16.4) does not throw but aborts, and the board with it.
 *
 * - A multi-byte character that is cut off at the end of the buffer: `toString` reads on behind it, and the string that
 *   comes out aborts the VM when it is joined with another.
 * - The escapes `\uffff` and `\ufffe`: `JSON.parse` makes characters of them that the VM takes for invalid later, likewise.
 * - Deep nesting: the parser is recursive in C; 1 KB of "[" runs over its stack.
 */

const quote = 34
const backslash = 92
/** Our messages nest three deep. */
const depthLimit = 8
/** A record in the list of a message. */
const recordDepth = 3

/** Whether all of `bytes` is UTF-8: nothing cut off, overlong, a surrogate or beyond U+10FFFF. */
export function isUtf8(bytes: Buffer): boolean {
    const length = bytes.length
    let at = 0
    while (at < length) {
        const first = bytes[at]
        at++
        if (first < 0x80) continue
        let more = 1
        let low = 0x80
        let high = 0xbf
        if (first < 0xc2 || first > 0xf4) return false
        if (first >= 0xe0) more = first < 0xf0 ? 2 : 3
        if (first === 0xe0) low = 0xa0
        else if (first === 0xed) high = 0x9f
        else if (first === 0xf0) low = 0x90
        else if (first === 0xf4) high = 0x8f
        if (at + more > length) return false
        for (; more > 0; more--) {
            if (bytes[at] < low || bytes[at] > high) return false
            low = 0x80
            high = 0xbf
            at++
        }
    }
    return true
}

/**
 * The value that `payload` is as JSON, or undefined when it is none or one that the VM must not see.
 *
 * With `own`, each record of its `list` is parsed by itself and replaced by what `own` makes of it: a parsed record brings
 * its own copy of every name, and a list of them with the text that they come from would be 4 KB at a time.
 */
export function parseJson(payload: Buffer, own?: (record: any) => any): any {
    if (!isUtf8(payload)) return undefined
    const records: any[] = []
    /** The text before `from`, with a number in place of each record. */
    let text = ""
    let from = 0
    let start = -1
    let depth = 0
    let inText = false
    for (let i = 0; i < payload.length; i++) {
        const byte = payload[i]
        if (byte === quote) inText = !inText
        else if (inText) {
            if (byte === backslash) {
                i++
                if (payload[i] === 0x75 && isNoCharacter(payload, i + 1)) return undefined
            }
        } else if (byte === 0x5b || byte === 0x7b) {
            depth++
            if (depth > depthLimit) return undefined
            if (own && depth === recordDepth && byte === 0x7b) start = i
        } else if (byte === 0x5d || byte === 0x7d) {
            depth--
            if (!own || start < 0 || depth >= recordDepth) continue
            const record = parsed(payload.slice(start, i + 1).toString())
            if (!record) return undefined
            text += `${payload.slice(from, start).toString()}${records.length}`
            records.push(own(record))
            from = i + 1
            start = -1
        }
    }
    const value = parsed(text + payload.slice(from).toString())
    if (records.length > 0 && value && Array.isArray(value.list)) value.list = takeRecords(value.list, records)
    return value
}

/** Each record once, so that a number that was in the list itself stands for none. */
function takeRecords(places: number[], records: any[]): any[] {
    return places.map(place => {
        const record = records[place]
        records[place] = undefined
        return record
    })
}

function parsed(text: string): any {
    try {
        return JSON.parse(text)
    } catch (_error) {
        return undefined
    }
}

/** Whether "fffe" or "ffff", in any case, stands at `at`. */
function isNoCharacter(json: Buffer, at: number): boolean {
    if (at + 4 > json.length) return false
    for (let i = at; i < at + 4; i++) {
        const letter = json[i] | 32
        if (letter !== 0x66 && !(letter === 0x65 && i === at + 3)) return false
    }
    return true
}
