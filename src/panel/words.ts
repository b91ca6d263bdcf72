/**
 * Words on the panel: text cut to a line, and reasons as people read them. At most 20 columns, any input.
 */

import { lookUp } from "../table"

export const columns = 20
export const rows = 4
const spaces = "                    "
/** Four lines and their breaks go into one Jacdac packet of 236 bytes. */
const lineBytes = 57

/** Characters that would break a line or turn its direction. */
function isUnprintable(code: number): boolean {
    if (code < 32 || (code >= 127 && code < 160)) return true
    return (
        (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069)
    )
}

/** From here to `afterHalves`: the half of a character that Node counts and DeviceScript, which counts code points, does not. */
const secondHalves = 0xdc00
const afterHalves = 0xe000

/**
 * The first `width` code points of a text, each printable. By their codes and without a call for each: the screen is drawn
 * several times a second, and what that leaves behind would be most of what the collector has to do.
 */
export function cut(text: string, width: number): string {
    let out = ""
    let from = 0
    let used = 0
    let bytes = 0
    for (let i = 0; i < text.length; i++) {
        const code = text.charCodeAt(i)
        if (code >= secondHalves && code < afterHalves) continue
        if (code < 0x800) bytes += code < 0x80 ? 1 : 2
        else bytes += code < 0xd800 || (code >= afterHalves && code < 0x10000) ? 3 : 4
        if (used === width || bytes > lineBytes) return out + text.slice(from, i)
        used++
        const isUsual = (code >= 32 && code < 127) || (code >= 160 && code < 0x200b)
        if (isUsual || !isUnprintable(code)) continue
        out += `${text.slice(from, i)} `
        from = i + 1
    }
    return out + text.slice(from)
}

/** One line with a text at each end; the right one is ours and short, the left one gives way. */
export function pair(left: string, right: string): string {
    const room = columns - right.length
    return cut(cut(left, room - 1) + spaces, room) + right
}

/** Reasons, who can fix it, return codes of the broker, and what has come about; no code is in it twice. */
const words = `
not-allowed=Not allowed
unknown-endpoint=Nobody of that name
unknown-group=Nobody of that name
unknown-session=Session has ended
ended=Session has ended
not-a-member=Not invited
not-open=Not open yet
in-the-past=That time is past
too-long=Too long
too-far=Too far ahead
too-many=Too many already
busy=Somebody is busy
no-servers=No server answers
no-dsp=Server is full
no-bandwidth=Network is full
no-path=Network is full
draining=Server is closing
unsupported=Update is needed
malformed=Update is needed
expired=No answer
you=Choose otherwise
organiser=Ask the organiser
operator=Call your operator
maker=Call the maker
2=unknown name
4=wrong secret
5=not enrolled
128=no rights
book=Booked
cancel=Cancelled
decline=Declined
`

/** The words for a code, or `otherwise` for one that this firmware does not know. */
export function wordsFor(code: string, otherwise: string): string {
    return lookUp(words, code, otherwise)
}

export function reasonWords(reason: string): string {
    return wordsFor(reason, "Not possible now")
}
