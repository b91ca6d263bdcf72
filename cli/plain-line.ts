/**
 * A line of a part's log as people read it. The parts write JSON (pino); what is no such line stays as it is.
 */

const levels: Record<number, string> = { 30: "", 40: "warning: ", 50: "error: ", 60: "fatal: " }
/** What the reader knows already: whose log it is. */
const known = ["level", "time", "pid", "hostname", "name", "part", "msg"]

export function plainLine(line: string): string {
    let value: Record<string, unknown>
    try {
        value = JSON.parse(line)
    } catch {
        return line
    }
    if (typeof value !== "object" || value === null || typeof value.time !== "number" || !("msg" in value)) return line
    const at = new Date(value.time)
    if (Number.isNaN(at.getTime())) return line
    const fields = Object.entries(value)
        .filter(([name]) => !known.includes(name))
        .map(([name, field]) => `${name}=${typeof field === "object" ? JSON.stringify(field) : field}`)
    const clock = at.toISOString().slice(11, 19)
    return [`${clock} ${levels[Number(value.level)] ?? ""}${value.msg}`, ...fields].join("  ")
}
