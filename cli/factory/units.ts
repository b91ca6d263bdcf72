/**
 * The list of units that are to be made, as a CSV file with a head: one line a unit. Pure: text in, units or everything that
 * is wrong with it out. Never makes identities.
 */

import { type CsvError, parse } from "csv-parse/sync"
import { limits } from "../../protocol/limits.ts"
import { isIdentifier, utf8Bytes } from "../../protocol/text.ts"
import { type Outcome, success, usage } from "../outcome.ts"

/** A line of the CSV, checked. */
export interface WantedUnit {
    /** "" when one is to be made. */
    id: string
    /** What people call it: the endpoint's name. */
    name: string
    room: string
    board: string
    /** Of the network it is to use; "" for none. */
    wifi: string
    password: string
    /** Minutes east of UTC. */
    zoneMinutes: number
}

export const unitLimits = { fileBytes: 4 * 1024 * 1024, units: 20_000, problemsShown: 20 }

const columns = ["id", "name", "room", "board", "wifi", "password", "zone"]
const needed = ["name", "board"]
const networkBytesMax = 32
const passwordBytes = { min: 8, max: 63 }
const zoneMax = 1440

export function readUnits(text: string, boards: string[]): Outcome<WantedUnit[]> {
    if (Buffer.byteLength(text) > unitLimits.fileBytes)
        return usage(`the list is larger than ${unitLimits.fileBytes} bytes; divide it`)
    let head: string[] = []
    let lines: { record: Record<string, string>; info: { lines: number } }[]
    try {
        lines = parse(text, {
            bom: true,
            info: true,
            skip_empty_lines: true,
            trim: true,
            columns: (names: string[]) => {
                head = names
                return names
            },
        }) as unknown as typeof lines
    } catch (error) {
        const { lines: line } = error as CsvError & { lines?: number }
        return usage(`line ${line ?? "?"} is no CSV: ${(error as Error).message}`)
    }
    const strange = head.find(name => !columns.includes(name))
    if (strange !== undefined) return usage(`unknown column "${strange}"; there are ${columns.join(", ")}`)
    const twice = head.find((name, i) => head.indexOf(name) !== i)
    if (twice !== undefined) return usage(`the column "${twice}" is there twice`)
    const absent = needed.find(name => !head.includes(name))
    if (absent !== undefined) return usage(`the column "${absent}" is missing; the first line names the columns`)
    if (lines.length === 0) return usage("the list has no units, only its head")
    if (lines.length > unitLimits.units) return usage(`more than ${unitLimits.units} units; divide the list`)

    const problems: string[] = []
    const ids = new Map<string, number>()
    const units = lines.map(({ record, info }) => {
        const { id = "", name = "", room = "", board = "", wifi = "", password = "", zone = "" } = record
        const unit = { id, name, room, board, wifi, password, zoneMinutes: zone === "" ? 0 : Number(zone) }
        for (const problem of problemsOf(unit, boards)) problems.push(`line ${info.lines}: ${problem}`)
        const before = id === "" ? undefined : ids.get(id)
        if (before !== undefined) problems.push(`line ${info.lines}: id ${id} is on line ${before} already`)
        ids.set(id, info.lines)
        return unit
    })
    if (problems.length > 0) {
        const shown = problems.slice(0, unitLimits.problemsShown)
        const more = problems.length - shown.length
        return usage(shown.join("; ") + (more > 0 ? `; and ${more} more` : ""), "correct the list; nothing was done")
    }
    return success(units)
}

function problemsOf(unit: WantedUnit, boards: string[]): string[] {
    const problems: string[] = []
    const { id, name, room, board, wifi, password, zoneMinutes } = unit
    if (id !== "" && !isIdentifier(id)) problems.push(`id "${id}": 1 to 24 of a-z, 0-9 and "-"`)
    if (name === "" || utf8Bytes(name) > limits.nameBytes) problems.push(`name: 1 to ${limits.nameBytes} bytes`)
    if (utf8Bytes(room) > limits.nameBytes) problems.push(`room: at most ${limits.nameBytes} bytes`)
    if (hasControl(name) || hasControl(room)) problems.push("name and room: no control characters")
    if (!boards.includes(board)) problems.push(`board "${board}": there are ${boards.join(", ")}`)
    if (utf8Bytes(wifi) > networkBytesMax) problems.push(`wifi: at most ${networkBytesMax} bytes`)
    const bytes = utf8Bytes(password)
    if (password !== "" && wifi === "") problems.push("password without wifi")
    // The password itself stays out of every message.
    if (password !== "" && (bytes < passwordBytes.min || bytes > passwordBytes.max))
        problems.push(`password: ${passwordBytes.min} to ${passwordBytes.max} bytes, or none for an open network`)
    if (!Number.isInteger(zoneMinutes) || Math.abs(zoneMinutes) > zoneMax)
        problems.push(`zone: minutes east of UTC, -${zoneMax} to ${zoneMax}`)
    return problems
}

function hasControl(text: string): boolean {
    return [...text].some(letter => letter.codePointAt(0)! < 32 || letter.codePointAt(0) === 127)
}
