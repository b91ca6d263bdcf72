/**
 * The emulated network between a board and the rest: a delay per far address, jitter and loss from a seed, both ways.
 *
 * Owns the datagrams that are under way. What has no delay passes at once. Bounded: beyond so many under way, further ones are
 * lost, as in a router.
 */

import { createRandom } from "../../media/random.ts"
import { systemClock, type TickerClock } from "../../media/ticker.ts"

export interface UnderlayOptions {
    delaysMs: Record<string, number>
    jitterMs: number
    lossPercent: number
    seed: number
}

const underWayMax = 10_000

interface UnderWay {
    dueMs: number
    deliver: (atMs: number) => void
}

export class Underlay {
    private readonly queue: UnderWay[] = []
    private readonly random: () => number
    private cancel: () => void = () => {}

    constructor(
        private readonly options: UnderlayOptions,
        private readonly clock: TickerClock = systemClock,
    ) {
        this.random = createRandom(options.seed)
    }

    setDelays(delaysMs: Record<string, number>): void {
        this.options.delaysMs = delaysMs
    }

    /** True when a datagram to or from `ip` passes at once; then `pass` need not be called, nor the datagram copied. */
    isTransparentFor(ip: string): boolean {
        const { delaysMs, jitterMs, lossPercent } = this.options
        return !(delaysMs[ip]! > 0) && jitterMs <= 0 && lossPercent <= 0
    }

    /** Delivers after the delay to or from `ip`, or never. `deliver` is told when it was due. */
    pass(ip: string, deliver: (atMs: number) => void): void {
        const { delaysMs, jitterMs, lossPercent } = this.options
        if (lossPercent > 0 && this.random() * 100 < lossPercent) return
        if (this.queue.length >= underWayMax) return
        const delayMs = Math.max(0, delaysMs[ip] ?? 0) + (jitterMs > 0 ? this.random() * jitterMs : 0)
        const dueMs = this.clock.nowMs() + delayMs
        let at = this.queue.length
        while (at > 0 && this.queue[at - 1]!.dueMs > dueMs) at--
        this.queue.splice(at, 0, { dueMs, deliver })
        if (at === 0) this.arm()
    }

    /** Delivers what is due at `nowMs`. */
    run(nowMs: number): void {
        while (this.queue.length > 0 && this.queue[0]!.dueMs <= nowMs) {
            const { dueMs, deliver } = this.queue.shift()!
            deliver(dueMs)
        }
    }

    clear(): void {
        this.queue.length = 0
        this.cancel()
    }

    private arm(): void {
        this.cancel()
        if (this.queue.length === 0) return
        const delayMs = Math.max(0, Math.floor(this.queue[0]!.dueMs - this.clock.nowMs()))
        this.cancel = this.clock.after(delayMs, () => {
            this.run(this.clock.nowMs() + 0.5)
            this.arm()
        })
    }
}
