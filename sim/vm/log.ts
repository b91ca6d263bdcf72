/**
 * The last lines of a board's log, with their times, and waiting for one of them.
 */

import type { Clock } from "../clock.ts"

export interface LogLine {
    atMs: number
    text: string
}

const linesMax = 500
const lineCharactersMax = 400

export class LogRing {
    readonly #clock: Clock
    #lines: LogLine[] = []
    #waiting: { text: string; found: (line: string) => void }[] = []

    constructor(clock: Clock) {
        this.#clock = clock
    }

    get lines(): readonly LogLine[] {
        return this.#lines
    }

    last(count: number): string[] {
        return this.#lines.slice(-count).map(line => line.text)
    }

    add(text: string): LogLine {
        const line = { atMs: this.#clock.nowMs(), text: text.slice(0, lineCharactersMax) }
        this.#lines.push(line)
        if (this.#lines.length > linesMax) this.#lines.splice(0, this.#lines.length - linesMax)
        const due = this.#waiting.filter(waiter => line.text.includes(waiter.text))
        if (due.length > 0) {
            this.#waiting = this.#waiting.filter(waiter => !due.includes(waiter))
            for (const waiter of due) waiter.found(line.text)
        }
        return line
    }

    /** The first line, past or future, that contains `text`. The limit is of real time, so that a test cannot hang. */
    line(text: string, limitMs: number): Promise<string> {
        const past = this.#lines.find(line => line.text.includes(text))
        if (past) return Promise.resolve(past.text)
        return new Promise((resolve, reject) => {
            const waiter = {
                text,
                found: (line: string) => {
                    clearTimeout(timer)
                    resolve(line)
                },
            }
            const timer = setTimeout(() => {
                this.#waiting = this.#waiting.filter(other => other !== waiter)
                reject(new Error(`no "${text}" in the log within ${limitMs} ms; it ends\n${this.last(15).join("\n")}`))
            }, limitMs)
            this.#waiting.push(waiter)
        })
    }
}
