/**
 * One timer for everything in a process that has to happen at a steady pace: absolute deadlines, so that nothing drifts.
 *
 * Owns the timer and how late it was. Catches up after a stall by a few ticks and skips the rest, so that a stall never
 * becomes a burst. Before a tick runs, datagrams that already wait in the kernel are read: they were in time.
 */

export interface TickListener {
    /** One tick. `deadlineMs` is when it was due, `tick` its number; numbers are left out when ticks were skipped. */
    onTick(deadlineMs: number, tick: number): void
}

/** The clock of a worker, in monotonic milliseconds. */
export interface TickerClock {
    nowMs(): number
    /** Calls back after about `delayMs`; returns a function that prevents it. */
    after(delayMs: number, call: () => void): () => void
    /** Calls back once input that is already there has been read. */
    afterInput(call: () => void): void
}

export const systemClock: TickerClock = {
    nowMs: () => performance.now(),
    after(delayMs, call) {
        const timer = setTimeout(call, delayMs)
        return () => clearTimeout(timer)
    },
    afterInput: call => {
        setImmediate(call)
    },
}

/** Ticks that are made good after a stall; further ones are skipped. */
const catchUpTicks = 3
/** A tick that starts later than this after its deadline counts as late. */
export const lateTickMs = 5
const latenessBins = 64

export interface TickerStatistics {
    done: number
    late: number
    skipped: number
    latenessP99Ms: number
    latenessMaxMs: number
    workMeanMs: number
}

export class Ticker {
    private readonly listeners = new Set<TickListener>()
    private readonly lateness = new Uint32Array(latenessBins)
    private startMs = 0
    private tick = 0
    private running = false
    /** Grows whenever the timer is set or stopped, so that a call of an earlier setting is known and ignored. */
    private armed = 0
    private cancel: () => void = () => {}
    private done = 0
    private late = 0
    private skipped = 0
    private latenessMaxMs = 0
    private workMs = 0

    constructor(
        readonly periodMs: number,
        private readonly clock: TickerClock = systemClock,
    ) {}

    /** Ticks for `listener` from now on. The timer runs while there is a listener. */
    add(listener: TickListener): void {
        this.listeners.add(listener)
        if (this.running) return
        this.running = true
        this.startMs = this.clock.nowMs()
        this.tick = 0
        this.arm()
    }

    remove(listener: TickListener): void {
        this.listeners.delete(listener)
        if (this.listeners.size > 0) return
        this.running = false
        this.armed++
        this.cancel()
    }

    /** When the next tick is due. */
    get nextDeadlineMs(): number {
        return this.startMs + (this.tick + 1) * this.periodMs
    }

    /**
     * When a datagram that is read now arrived, as far as this worker is concerned: not after the next deadline, for it will
     * be there when that tick runs, however late. Without this the worker's own stalls would look like jitter of the network.
     */
    arrivalMs(): number {
        const nowMs = this.clock.nowMs()
        return this.running ? Math.min(nowMs, this.nextDeadlineMs) : nowMs
    }

    statistics(): TickerStatistics {
        return {
            done: this.done,
            late: this.late,
            skipped: this.skipped,
            latenessP99Ms: this.latenessQuantileMs(0.99),
            latenessMaxMs: this.latenessMaxMs,
            workMeanMs: this.done > 0 ? this.workMs / this.done : 0,
        }
    }

    private arm(): void {
        const run = ++this.armed
        // Node rounds a delay of 0.x ms up to 1 ms and fires up to 1 ms after it: ask for whole milliseconds, rounded down.
        const delayMs = Math.max(0, Math.floor(this.nextDeadlineMs - this.clock.nowMs()))
        this.cancel = this.clock.after(delayMs, () => {
            if (run !== this.armed) return
            if (this.clock.nowMs() < this.nextDeadlineMs - 0.5) return this.arm()
            this.clock.afterInput(() => {
                if (run !== this.armed) return
                this.run()
                // A listener may have stopped the ticker, or stopped and started it: then it is armed already, or not to be.
                if (run === this.armed) this.arm()
            })
        })
    }

    private run(): void {
        let nowMs = this.clock.nowMs()
        const due = Math.floor((nowMs - this.startMs + 0.5) / this.periodMs)
        const behind = due - this.tick
        if (behind > catchUpTicks) {
            this.skipped += behind - catchUpTicks
            this.tick = due - catchUpTicks
        }
        const run = this.armed
        while (run === this.armed && this.tick < due) {
            const deadlineMs = this.nextDeadlineMs
            this.noteLateness(nowMs - deadlineMs)
            for (const listener of this.listeners) listener.onTick(deadlineMs, this.tick + 1)
            this.tick++
            this.done++
            const afterMs = this.clock.nowMs()
            this.workMs += afterMs - nowMs
            nowMs = afterMs
        }
    }

    private noteLateness(latenessMs: number): void {
        const ms = Math.max(0, latenessMs)
        if (ms > lateTickMs) this.late++
        if (ms > this.latenessMaxMs) this.latenessMaxMs = ms
        this.lateness[Math.min(latenessBins - 1, Math.floor(ms))]!++
    }

    private latenessQuantileMs(quantile: number): number {
        let left = this.done * quantile
        for (let bin = 0; bin < latenessBins; bin++) {
            left -= this.lateness[bin]!
            if (left <= 0 && this.done > 0) return bin + 1
        }
        return 0
    }
}
