/** Texts as they fit into what has a limit. */

import { utf8Bytes } from "../protocol/text.ts"

/** `value` cut to `bytes` of UTF-8, never inside of a character. */
export function clip(value: string, bytes: number): string {
    if (utf8Bytes(value) <= bytes) return value
    let kept = ""
    let used = utf8Bytes("…")
    for (const character of value) {
        used += utf8Bytes(character)
        if (used > bytes) break
        kept += character
    }
    return `${kept}…`
}
