/**
 * Whether this thread is behind with its datagrams: what waits in the socket is then older than sound may be, and the
 * newest of it is lost in the system. A share of what is read, the oldest, is dropped unread, which costs half of what
 * forwarding does; the share grows while the socket is never empty and shrinks when it is, so that it settles at what has to go.
 *
 * Owns the verdict. A turn of the loop that read as many datagrams as a turn may leaves some that wait.
 */

import type { TickerClock } from "../../../media/ticker.ts"

/** The socket was never empty for so long: what is read now has waited for about as long. */
const behindMs = 30
/** The share is looked at so often while the socket is full, or empty. */
const stepMs = 10
const growth = 1 / 16
const decline = 1 / 64
/** The loop stood still for so long: what waits is older than a jitter buffer holds. */
const stalledMs = 200
/** How often an idle loop looks at the clock. */
const beatMs = 20
/** What asks to be caught up waits for no more turns than these: 16 000 datagrams and more. */
const turnsMost = 512

export class Backlog {
    #share = 0
    /** Grows by the share with each datagram; a whole one is dropped. */
    #due = 0
    #isStale = false
    #isInTurn = false
    #lastTurnMs = 0
    #lastStepMs = 0
    /** When the loop went on after it had stood still. */
    #stalledMs = Number.NEGATIVE_INFINITY
    #fullSinceMs: number | undefined
    #waiting: { turns: number; act: () => void }[] = []
    #beat: NodeJS.Timeout | undefined

    constructor(private readonly clock: TickerClock) {}

    start(): void {
        this.#lastTurnMs = performance.now()
        this.#beat = setInterval(() => this.#look(), beatMs)
        this.#beat.unref()
    }

    /** Before each datagram. */
    count(): void {
        if (this.#isInTurn) return
        this.#isInTurn = true
        this.#look()
    }

    /** After the datagrams of a turn. */
    turned(isFull: boolean): void {
        this.#isInTurn = false
        if (!isFull) {
            this.#fullSinceMs = undefined
            this.#isStale = false
            if (this.#share > 0) this.#step(-decline)
            return
        }
        const nowMs = performance.now()
        this.#fullSinceMs ??= nowMs
        if (nowMs - this.#stalledMs < beatMs) this.#isStale = true
        if (nowMs - this.#fullSinceMs > behindMs) this.#step(growth)
    }

    /** Whether the datagram at hand is one of those that have to go. Only asked of those that may. */
    drops(): boolean {
        if (this.#isStale) return true
        if (this.#share === 0) return false
        this.#due += this.#share
        if (this.#due < 1) return false
        this.#due -= 1
        return true
    }

    /** Calls `act` once everything that has come before now is taken in. */
    whenCaughtUp(act: () => void): void {
        this.#waiting.push({ turns: 0, act })
        if (this.#waiting.length === 1) this.clock.afterInput(this.#wait)
    }

    close(): void {
        clearInterval(this.#beat)
        this.#waiting = []
    }

    #look(): void {
        const nowMs = performance.now()
        if (nowMs - this.#lastTurnMs > stalledMs) this.#stalledMs = nowMs
        this.#lastTurnMs = nowMs
    }

    #step(by: number): void {
        const nowMs = performance.now()
        if (nowMs - this.#lastStepMs < stepMs) return
        this.#lastStepMs = nowMs
        this.#share = Math.min(1, Math.max(0, this.#share + by))
    }

    /** Two turns at least: the first may have begun before what is waited for came. */
    readonly #wait = () => {
        this.#waiting = this.#waiting.filter(each => {
            each.turns++
            const isDry = this.#fullSinceMs === undefined
            if (each.turns < turnsMost && !(isDry && each.turns >= 2)) return true
            each.act()
            return false
        })
        if (this.#waiting.length > 0) this.clock.afterInput(this.#wait)
    }
}
