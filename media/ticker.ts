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
    /** Its timers count in whole milliseconds, 1 at least, and may fire up to one of them after their time. */
    isCoarse?: boolean
    /** Calls back after about `delayMs`; returns a function that prevents it. */
    after(delayMs: number, call: () => void): () => void
    /** Calls back once input that is already there has been read. */
    afterInput(call: () => void): void
}

export const systemClock: TickerClock = {
    nowMs: () => performance.now(),
    isCoarse: true,
    after(delayMs, call) {
        const timer = setTimeout(call, delayMs)
        return () => clearTimeout(timer)
    },
    afterInput: call => {
        setImmediate(call)
    },
}

/** Ticks of so long a stall are made good; older ones are skipped. */
const catchUpMsDefault = 60
/** By so much a tick may be early: with coarse timers rather early than late. */
const earlyMsMost = 0.5
const earlyMsMostWhenCoarse = 1
/** A tick that starts later than this after its deadline counts as late. */
export const lateTickMs = 5
/** Of a tenth of a millisecond; the last one holds all that is later. */
const latenessBins = 640
const latenessBinMs = 0.1

export interface TickerStatistics {
    done: number
    late: number
    skipped: number
    latenessP99Ms: number
    latenessMaxMs: number
    workMeanMs: number
}

export class Ticker {
    /** Never changed in place: a tick goes through the list as it was when it began. */
    private listeners: readonly TickListener[] = []
    private readonly lateness = new Uint32Array(latenessBins)
    private readonly catchUpTicks: number
    private readonly earlyMs: number
    private startMs = 0
    private lastDeadlineMs = 0
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
        catchUpMs = catchUpMsDefault,
    ) {
        this.earlyMs = clock.isCoarse ? earlyMsMostWhenCoarse : earlyMsMost
        this.catchUpTicks = Math.max(1, Math.floor(catchUpMs / periodMs))
    }

    /** Ticks for `listener` from now on. The timer runs while there is a listener. */
    add(listener: TickListener): void {
        if (!this.listeners.includes(listener)) this.listeners = [...this.listeners, listener]
        if (this.running) return
        this.running = true
        // The tick that it has just had may have been early.
        this.startMs = Math.max(this.clock.nowMs(), this.lastDeadlineMs)
        this.tick = 0
        this.arm()
    }

    remove(listener: TickListener): void {
        this.listeners = this.listeners.filter(other => other !== listener)
        if (this.listeners.length > 0) return
        this.running = false
        this.armed++
        this.cancel()
    }

    /** When the next tick is due. */
    get nextDeadlineMs(): number {
        return this.startMs + (this.tick + 1) * this.periodMs
    }

    /**
     * How far this worker is behind its own next deadline; 0 when it is in time. A datagram that is read now is still in time for
     * that tick: without this excuse the worker's own stalls would look like jitter of the network.
     */
    behindMs(): number {
        return this.running ? Math.max(0, this.clock.nowMs() - this.nextDeadlineMs) : 0
    }

    /** Counts from here on: what is measured is how a worker runs, not how it began. */
    resetStatistics(): void {
        this.lateness.fill(0)
        this.done = 0
        this.late = 0
        this.skipped = 0
        this.latenessMaxMs = 0
        this.workMs = 0
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
        const leftMs = Math.max(0, this.nextDeadlineMs - this.clock.nowMs())
        const delayMs = this.clock.isCoarse ? Math.max(1, Math.floor(leftMs) - 1) : leftMs
        this.cancel = this.clock.after(delayMs, () => {
            if (run !== this.armed) return
            if (this.clock.nowMs() < this.nextDeadlineMs - this.earlyMs) return this.arm()
            this.runAfterInput(run)
        })
    }

    /** Runs one tick in each turn of the event loop, so that what is behind still reads its input in between. */
    private runAfterInput(run: number): void {
        this.clock.afterInput(() => {
            if (run !== this.armed) return
            const nowMs = this.clock.nowMs()
            const due = Math.floor((nowMs - this.startMs + this.earlyMs) / this.periodMs)
            const behind = due - this.tick
            if (behind > this.catchUpTicks) {
                this.skipped += behind - this.catchUpTicks
                this.tick = due - this.catchUpTicks
            }
            this.runOne(nowMs)
            // A listener may have stopped the ticker, or stopped and started it: then it is armed already, or not to be.
            if (run !== this.armed) return
            if (this.tick < due) this.runAfterInput(run)
            else this.arm()
        })
    }

    private runOne(nowMs: number): void {
        const deadlineMs = this.nextDeadlineMs
        const tick = ++this.tick
        this.lastDeadlineMs = deadlineMs
        this.noteLateness(nowMs - deadlineMs)
        const listeners = this.listeners
        for (const listener of listeners) {
            if (listeners === this.listeners || this.listeners.includes(listener)) listener.onTick(deadlineMs, tick)
        }
        this.done++
        this.workMs += this.clock.nowMs() - nowMs
    }

    private noteLateness(latenessMs: number): void {
        const ms = Math.max(0, latenessMs)
        if (ms > lateTickMs) this.late++
        if (ms > this.latenessMaxMs) this.latenessMaxMs = ms
        this.lateness[Math.min(latenessBins - 1, Math.floor(ms / latenessBinMs))]!++
    }

    private latenessQuantileMs(quantile: number): number {
        let left = this.done * quantile
        for (let bin = 0; bin < latenessBins; bin++) {
            left -= this.lateness[bin]!
            if (left <= 0 && this.done > 0) return Math.round((bin + 1) * latenessBinMs * 10) / 10
        }
        return 0
    }
}
