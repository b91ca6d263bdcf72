/**
 * Values to JSON text. Owns the writing only; reading is `JSON.parse`.
 *
 * DeviceScript's own `JSON.stringify` corrupts text outside of ASCII. Numbers must be integers: a device prints only
 * seven digits of others. Fields that are undefined are left out.
 */

function quoted(text: string): string {
    let out = ""
    let from = 0
    for (let i = 0; i < text.length; i++) {
        const c = text.charCodeAt(i)
        if (c >= 32 && c !== 34 && c !== 92) continue
        // Control characters have no place on a panel or in a name: a space keeps the length.
        out += text.slice(from, i) + (c < 32 ? " " : `\\${text[i]}`)
        from = i + 1
    }
    return from === 0 ? `"${text}"` : `"${out}${text.slice(from)}"`
}

export function toJson(value: any): string {
    if (value === undefined || value === null) return "null"
    if (typeof value === "string") return quoted(value)
    if (typeof value === "number") return `${Math.round(value)}`
    if (typeof value === "boolean") return value ? "true" : "false"
    if (Array.isArray(value)) return `[${value.map((item: any) => toJson(item)).join(",")}]`
    const parts: string[] = []
    for (const name of Object.keys(value))
        if (value[name] !== undefined) parts.push(`${quoted(name)}:${toJson(value[name])}`)
    return `{${parts.join(",")}}`
}
