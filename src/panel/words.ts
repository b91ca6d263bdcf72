/**
 * Words on the panel: text cut to a line, and reasons as people read them. At most 20 columns, any input.
 */

import { utf8Bytes } from "../../protocol/text"

export const columns = 20
export const rows = 4
/** Four lines and their breaks go into one Jacdac packet of 236 bytes. */
const lineBytes = 57

/** Characters that would break a line or turn its direction. */
function isUnprintable(code: number): boolean {
    if (code < 32 || (code >= 127 && code < 160)) return true
    return (
        (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069)
    )
}

/** The first `width` code points of a text, each printable. */
export function cut(text: string, width: number): string {
    let out = ""
    let used = 0
    let bytes = 0
    for (const c of text) {
        bytes += utf8Bytes(c)
        if (used === width || bytes > lineBytes) return out
        out += isUnprintable(c.charCodeAt(0)) ? " " : c
        used++
    }
    return out
}

/** Code points of a text: DeviceScript counts them in `length`, Node does not. */
export function widthOf(text: string): number {
    let width = 0
    for (const _ of text) width++
    return width
}

/** One line with a text at each end; the right one is ours and short, the left one gives way. */
export function pair(left: string, right: string): string {
    let line = cut(left, columns - 1 - right.length)
    let width = widthOf(line)
    while (width < columns - right.length) {
        line += " "
        width++
    }
    return line + right
}

export function reasonWords(reason: string): string {
    switch (reason) {
        case "not-allowed":
            return "Not allowed"
        case "unknown-endpoint":
        case "unknown-group":
            return "Nobody of that name"
        case "unknown-session":
        case "ended":
            return "Session has ended"
        case "not-a-member":
            return "Not invited"
        case "not-open":
            return "Not open yet"
        case "in-the-past":
            return "That time is past"
        case "too-long":
            return "Too long"
        case "too-far":
            return "Too far ahead"
        case "too-many":
            return "Too many already"
        case "busy":
            return "Somebody is busy"
        case "no-servers":
            return "No server answers"
        case "no-dsp":
            return "Server is full"
        case "no-bandwidth":
        case "no-path":
            return "Network is full"
        case "draining":
            return "Server is closing"
        case "unsupported":
        case "malformed":
            return "Update is needed"
        case "expired":
            return "No answer"
        default:
            return "Not possible now"
    }
}

export function fixerWords(who: string): string {
    switch (who) {
        case "you":
            return "Choose otherwise"
        case "organiser":
            return "Ask the organiser"
        case "operator":
            return "Call your operator"
        case "maker":
            return "Call the maker"
        default:
            return "Try again later"
    }
}

/** Why the broker refuses the connection, by its return code. */
export function denialWords(code: number): string {
    switch (code) {
        case 2:
            return "unknown name"
        case 4:
            return "wrong secret"
        case 5:
            return "not enrolled"
        case 128:
            return "no rights"
        default:
            return "wrong version"
    }
}
