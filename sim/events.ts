/**
 * What happens on boards, as it happens: for the control API, for tests, for whoever would have to poll otherwise.
 */

import type { Phase } from "./hardware/firmware-watch.ts"
import type { Tone } from "./hardware/hardware.ts"

export type BoardHappening =
    | { type: "power"; on: boolean }
    | { type: "phase"; phase: Phase; server: string; session: string }
    | { type: "screen"; lines: string[] }
    | { type: "led"; color: string }
    | { type: "buzzer"; tone: Tone }
    | { type: "press"; button: string }
    | { type: "turn"; steps: number }
    | { type: "wifi"; up: boolean; lossPercent: number; delayMs: number }
    | { type: "log"; line: string }
    | { type: "panic"; code: number; text: string }
    | { type: "media"; what: string; details?: Record<string, unknown> }

/** `atMs` is monotonic (`performance.now()` of the simulator's process, or the virtual clock). */
export type BoardEvent = { board: string; atMs: number } & BoardHappening
export type BoardEventOf<Type extends BoardHappening["type"]> = Extract<BoardEvent, { type: Type }>

export class BoardEvents {
    #listeners = new Set<(event: BoardEvent) => void>()

    emit(event: BoardEvent): void {
        for (const listener of [...this.#listeners]) listener(event)
    }

    /** Returns how to stop listening. */
    listen(listener: (event: BoardEvent) => void): () => void {
        this.#listeners.add(listener)
        return () => this.#listeners.delete(listener)
    }

    /** The next event that `wanted` accepts; rejects after `limitMs` of real time, naming `what` was waited for. */
    next(what: string, wanted: (event: BoardEvent) => boolean, limitMs = 10_000): Promise<BoardEvent> {
        return new Promise((resolve, reject) => {
            const stop = this.listen(event => {
                if (!wanted(event)) return
                stop()
                clearTimeout(timer)
                resolve(event)
            })
            const timer = setTimeout(() => {
                stop()
                reject(new Error(`${what}: did not happen within ${limitMs} ms`))
            }, limitMs)
        })
    }
}
