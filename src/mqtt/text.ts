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

/** The value that `payload` is as JSON, or undefined when it is none or one that the VM must not see. */
export function parseJson(payload: Buffer): any {
    if (!isUtf8(payload) || !isHarmless(payload)) return undefined
    try {
        return JSON.parse(payload.toString())
    } catch (_error) {
        return undefined
    }
}

/** Malformed text may pass: of that `JSON.parse` says so itself. */
function isHarmless(json: Buffer): boolean {
    let depth = 0
    let inText = false
    for (let i = 0; i < json.length; i++) {
        const byte = json[i]
        if (byte === quote) inText = !inText
        else if (inText) {
            if (byte === backslash) {
                i++
                if (json[i] === 0x75 && isNoCharacter(json, i + 1)) return false
            }
        } else if (byte === 0x5b || byte === 0x7b) {
            depth++
            if (depth > depthLimit) return false
        } else if (byte === 0x5d || byte === 0x7d) depth--
    }
    return true
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
