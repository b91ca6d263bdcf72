/**
 * The live status of `parley up`: on a terminal a picture of parts, boards and screens that is drawn over itself, else one
 * line for each change. Never changes anything.
 */
import { boardTable } from "../commands/board.ts"
import { framed, type Output, table } from "../output.ts"
import { plainLine } from "../plain-line.ts"
import { fromSim, simOfRun } from "./sim.ts"
import type { System } from "./system.ts"

export interface StatusView {
    stop(): void
}

const lookEveryMs = 500

export function showStatus(system: System, output: Output): StatusView {
    let stopped = false
    let timer: NodeJS.Timeout | undefined
    let drawn = ""
    let linesAbove = 0
    const told = new Map<string, string>()

    const draw = (text: string) => {
        if (text === drawn || stopped) return
        drawn = text
        if (linesAbove > 0) process.stderr.write(`\u001b[${linesAbove}A\u001b[J`)
        // A line that wraps, or one that scrolls out of the terminal, could not be drawn over.
        const lines = fitted(text.split("\n"))
        process.stderr.write(`${lines.join("\n")}\n`)
        linesAbove = lines.length
    }
    const look = async () => {
        const sim = simOfRun(system.run)
        const boards = sim.ok ? fromSim(await sim.value.boards()) : sim
        if (stopped) return
        if (output.live) {
            const screens: string[][] = []
            if (sim.ok && boards.ok)
                for (const board of boards.value) {
                    const display = fromSim(await sim.value.screen(board.id))
                    if (display.ok) screens.push([board.id.padEnd(24), ...framed(display.value.lines).split("\n")])
                }
            const parts = table(
                ["PART", "PROCESS", "ADDRESS", "STATE"],
                system.parts.map(part => [part.plan.name, String(part.pid ?? ""), part.plan.address, part.state]),
            )
            const deaths = system.died.flatMap(({ part, end }) => [
                `${part} died (${end.signal ?? `code ${end.code}`}); its last words:`,
                ...end.log.slice(-3).map(line => `    ${plainLine(line)}`),
                "",
            ])
            draw(
                [parts, "", ...deaths, boards.ok ? boardTable(boards.value) : boards.what, "", beside(screens)].join(
                    "\n",
                ),
            )
        } else if (boards.ok) {
            for (const board of boards.value) {
                const text = `${board.phase ?? (board.power === "off" ? "no power" : "starting")}${board.server ? `, attached to ${board.server}` : ""}${board.session ? `, session ${board.session}` : ""}`
                if (told.get(board.id) === text) continue
                told.set(board.id, text)
                output.progress(`${board.id.padEnd(13)} ${text}`)
            }
        }
        timer = setTimeout(look, lookEveryMs)
    }
    void look()
    return {
        stop() {
            stopped = true
            clearTimeout(timer)
        },
    }
}

/** Some terminals tell no size, or 0. */
function terminal(): { columns: number; rows: number } {
    return { columns: process.stderr.columns || 80, rows: process.stderr.rows || 24 }
}

function fitted(lines: string[]): string[] {
    const { columns, rows } = terminal()
    // The last row is the cursor's.
    const room = Math.max(2, rows - 1)
    const kept = lines.length > room ? [...lines.slice(0, room - 1), "... a higher terminal shows the rest"] : lines
    return kept.map(line => [...line].slice(0, columns - 1).join(""))
}

/** Blocks of lines beside each other, as many in a row as the terminal is wide. */
function beside(blocks: string[][]): string {
    const perRow = Math.max(1, Math.floor((terminal().columns + 2) / 26))
    const rows: string[] = []
    for (let i = 0; i < blocks.length; i += perRow) {
        const row = blocks.slice(i, i + perRow)
        for (let line = 0; line < row[0].length; line++) rows.push(row.map(block => block[line] ?? "").join("  "))
    }
    return rows.join("\n")
}
