/**
 * Text and numbers as they cross the wire: byte lengths, identifiers, IPv4 addresses.
 * Compiled by both compilers: DeviceScript counts code points and Node UTF-16 units, so lengths are always in bytes.
 */

/** Bytes that `value` takes in UTF-8. */
export function utf8Bytes(value: string): number {
    return Buffer.from(value).length
}

/** Identifiers of endpoints, routing servers, groups and sessions: 1..24 of a-z, 0-9 and "-", not starting with "-". */
export function isIdentifier(value: any): boolean {
    if (typeof value !== "string" || value.length < 1 || value.length > 24) return false
    for (let i = 0; i < value.length; i++) {
        const c = value.charCodeAt(i)
        const letter = c >= 97 && c <= 122
        const digit = c >= 48 && c <= 57
        if (!letter && !digit && !(c === 45 && i > 0)) return false
    }
    return true
}

/** What stands between the separators. Not `split`, which takes 84 bytes of heap and 280 of program of a device. */
export function partsOf(text: string, separator: string): string[] {
    const parts: string[] = []
    let from = 0
    let at = text.indexOf(separator)
    while (at >= 0) {
        parts.push(text.slice(from, at))
        from = at + separator.length
        at = text.indexOf(separator, from)
    }
    parts.push(text.slice(from))
    return parts
}

/** An IPv4 address in dotted form as one unsigned integer in network order, or -1 when it is none. */
export function ipv4ToInt(dotted: string): number {
    const parts = partsOf(dotted, ".")
    if (parts.length !== 4) return -1
    let value = 0
    for (let i = 0; i < 4; i++) {
        const part = parts[i]
        if (part.length < 1 || part.length > 3) return -1
        let byte = 0
        for (let j = 0; j < part.length; j++) {
            const digit = part.charCodeAt(j) - 48
            if (digit < 0 || digit > 9) return -1
            byte = byte * 10 + digit
        }
        if (byte > 255) return -1
        value = value * 256 + byte
    }
    return value
}

/** The dotted form of an IPv4 address given as an unsigned integer. */
export function intToIpv4(value: number): string {
    // Not with "%": DeviceScript takes the remainder of 32-bit signed integers.
    const high = Math.floor(value / 65536)
    const low = value - high * 65536
    return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
}
