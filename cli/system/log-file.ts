/**
 * The log of one part: a file that never grows beyond a bound (one older file is kept), and its last lines in memory for
 * the report when the part dies. Never reads logs back.
 */
import { appendFileSync, mkdirSync, renameSync, statSync } from "node:fs"
import { dirname } from "node:path"

const fileBytesMax = 2 * 1024 * 1024
const lineBytesMax = 8192
const lastLinesKept = 12

export class LogFile {
    readonly path: string
    readonly lastLines: string[] = []
    private bytes = 0
    private rest = ""

    constructor(path: string) {
        this.path = path
        mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
        try {
            this.bytes = statSync(path).size
        } catch {
            this.bytes = 0
        }
    }

    /** Takes a piece of output; whole lines go to the file, and to `onLine`. */
    take(piece: string, onLine?: (line: string) => void): void {
        const lines = (this.rest + piece).split("\n")
        this.rest = lines.pop() ?? ""
        if (this.rest.length > lineBytesMax) {
            lines.push(this.rest)
            this.rest = ""
        }
        for (const line of lines) this.write(line, onLine)
    }

    /** What came without an end of line before the stream ended. */
    end(): void {
        if (this.rest) this.write(this.rest)
        this.rest = ""
    }

    private write(whole: string, onLine?: (line: string) => void): void {
        const line = whole.length > lineBytesMax ? `${whole.slice(0, lineBytesMax)}...` : whole
        if (line.trim() === "") return
        this.lastLines.push(line)
        if (this.lastLines.length > lastLinesKept) this.lastLines.shift()
        onLine?.(line)
        try {
            if (this.bytes > fileBytesMax) {
                renameSync(this.path, `${this.path.replace(/\.log$/, "")}.1.log`)
                this.bytes = 0
            }
            appendFileSync(this.path, `${line}\n`, { mode: 0o600 })
            this.bytes += Buffer.byteLength(line) + 1
        } catch {
            // A full disk must not stop the system; the last lines in memory are still there.
        }
    }
}
