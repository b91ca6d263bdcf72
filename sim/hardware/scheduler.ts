/**
 * The simulator's clock as jacdac-ts wants it, so that simulated hardware lives in the same time as its firmware.
 */

import type { Clock, Timer } from "../clock.ts"

type Work = (...args: unknown[]) => void

export class ClockScheduler {
    readonly #clock: Clock
    #startMs: number

    constructor(clock: Clock) {
        this.#clock = clock
        this.#startMs = clock.nowMs()
    }

    get timestamp(): number {
        return this.#clock.nowMs() - this.#startMs
    }

    resetTime(delta = 0): void {
        this.#startMs = this.#clock.nowMs() - delta
    }

    setTimeout(work: Work, delayMs: number, ...args: unknown[]): Timer {
        return this.#clock.after(delayMs, () => work(...args))
    }

    clearTimeout(timer: Timer | undefined): void {
        timer?.cancel()
    }

    setInterval(work: Work, intervalMs: number, ...args: unknown[]): Timer {
        let timer: Timer
        const again = () => {
            timer = this.#clock.after(intervalMs, again)
            work(...args)
        }
        timer = this.#clock.after(intervalMs, again)
        return { cancel: () => timer.cancel() }
    }

    clearInterval(timer: Timer | undefined): void {
        timer?.cancel()
    }
}
