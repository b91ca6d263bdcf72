/**
 * Whether a payload may be given to `JSON.parse`.
 *
 * The VM parses by recursion in C: a few hundred brackets that open ("[[[[...", 1 KB) run over its stack, which no `try`
 * catches and which takes the whole board down. Malformed text is not found here; it makes `JSON.parse` throw.
 */

const quote = 34
const backslash = 92

function isOpening(byte: number): boolean {
    return byte === 0x5b || byte === 0x7b
}

/** Whether JSON in `payload` opens more than `limit` brackets into each other. */
export function nestsDeeper(payload: Buffer, limit: number): boolean {
    let depth = 0
    let inText = false
    for (let i = 0; i < payload.length; i++) {
        const byte = payload[i]
        if (inText) {
            if (byte === backslash) i++
            else if (byte === quote) inText = false
        } else if (byte === quote) inText = true
        else if (isOpening(byte)) {
            depth++
            if (depth > limit) return true
        } else if (byte === 0x5d || byte === 0x7d) depth--
    }
    return false
}
