/**
 * How a command speaks: its answer on standard output (text, or JSON with --json), progress and errors on standard
 * error, colour only where a person looks. Never decides what the answer is.
 */
import type { Failure } from "./outcome.ts"

export interface Output {
    json: boolean
    colour: boolean
    /** Standard error is a terminal that can be redrawn. */
    live: boolean
    /** The answer: `value` with --json (nothing when it is undefined), else `text`. */
    answer(value: unknown, text: string): void
    /** Progress for people. */
    progress(text: string): void
    failed(failure: Failure): void
    paint(style: Style, text: string): string
}

export type Style = "good" | "bad" | "dim" | "bold" | "warn"

const codes: Record<Style, [number, number]> = {
    good: [32, 39],
    bad: [31, 39],
    warn: [33, 39],
    dim: [2, 22],
    bold: [1, 22],
}

export interface OutputSettings {
    json: boolean
    quiet: boolean
    noColour: boolean
}

export function createOutput(
    settings: OutputSettings,
    stdout: NodeJS.WriteStream = process.stdout,
    stderr: NodeJS.WriteStream = process.stderr,
): Output {
    const terminal = stderr.isTTY === true
    const colour = terminal && !settings.noColour
    const paint = (style: Style, text: string) =>
        colour ? `\u001b[${codes[style][0]}m${text}\u001b[${codes[style][1]}m` : text
    return {
        json: settings.json,
        colour,
        live: terminal && !settings.json && !settings.quiet,
        paint,
        answer(value, text) {
            if (value === undefined && settings.json) return
            if (settings.json) stdout.write(`${JSON.stringify(value)}\n`)
            else if (text) stdout.write(text.endsWith("\n") ? text : `${text}\n`)
        },
        progress(text) {
            if (!settings.quiet) stderr.write(`${text}\n`)
        },
        failed(failure) {
            if (settings.json) {
                const { ok: _ok, exit, ...rest } = failure
                stderr.write(`${JSON.stringify({ error: { ...rest, exit } })}\n`)
                return
            }
            stderr.write(`${paint("bad", "parley:")} ${failure.what}\n`)
            const log = failure.details?.log
            if (Array.isArray(log)) for (const line of log) stderr.write(`    ${paint("dim", String(line))}\n`)
            if (failure.who) stderr.write(`  who can fix it: ${failure.who}\n`)
            if (failure.next) stderr.write(`  next: ${failure.next}\n`)
        },
    }
}

/** Rows as aligned columns; the first row is the head. */
export function table(head: string[], rows: string[][]): string {
    const all = [head, ...rows]
    const widths = head.map((_, column) => Math.max(...all.map(row => (row[column] ?? "").length)))
    return all
        .map(row =>
            row
                .map((cell, i) => cell.padEnd(widths[i]))
                .join("  ")
                .trimEnd(),
        )
        .join("\n")
}

/** A 4 x 20 screen in a frame, as it stands on the appliance. */
export function framed(lines: string[], columns = 20): string {
    const bar = `+${"-".repeat(columns + 2)}+`
    const cut = (line: string) => [...line].slice(0, columns).join("")
    return [bar, ...lines.map(line => `| ${cut(line).padEnd(columns)} |`), bar].join("\n")
}
