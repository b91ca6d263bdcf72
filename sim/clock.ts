/**
 * Time for everything in the simulator: the real clock, and a virtual one that only moves when it is told to.
 *
 * Owns "now" and timers. Never reads the time of day for `nowMs`: that is monotonic, so that a change of the host's clock
 * moves nothing. `wallMs` is the time of day, which under a virtual clock moves together with `nowMs`.
 */

export interface Timer {
    /** Harmless when it has fired or was cancelled before. */
    cancel(): void
}

export interface Clock {
    /** Monotonic milliseconds with a fraction; only differences mean something. */
    nowMs(): number
    /** Unix milliseconds. */
    wallMs(): number
    /** Calls `work` once, `delayMs` from now, never before this call has returned. */
    after(delayMs: number, work: () => void): Timer
    /** Calls `work` as soon as the present call chain is over, without time passing. */
    soon(work: () => void): void
}

/** The host's clock. Timers keep the process alive, since a running board is a reason to live. */
export const realClock: Clock = {
    nowMs: () => performance.now(),
    wallMs: () => performance.timeOrigin + performance.now(),
    after(delayMs, work) {
        const timer = setTimeout(work, delayMs)
        return { cancel: () => clearTimeout(timer) }
    },
    soon: work => queueMicrotask(work),
}

interface Planned {
    atMs: number
    order: number
    work: () => void
}

/** A clock whose time passes in `advance`: every timer fires in order, at exactly its time, in no real time at all. */
export class VirtualClock implements Clock {
    #nowMs = 0
    #order = 0
    #startMs: number
    #planned: Planned[] = []

    constructor(startWallMs = Date.UTC(2030, 0, 1)) {
        this.#startMs = startWallMs
    }

    nowMs(): number {
        return this.#nowMs
    }

    wallMs(): number {
        return this.#startMs + this.#nowMs
    }

    after(delayMs: number, work: () => void): Timer {
        const entry: Planned = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, work }
        this.#push(entry)
        return { cancel: () => this.#remove(entry) }
    }

    soon(work: () => void): void {
        this.after(0, work)
    }

    /** Timers that have not fired yet. */
    get pending(): number {
        return this.#planned.length
    }

    /** Lets `durationMs` pass. */
    advance(durationMs: number): void {
        const endMs = this.#nowMs + durationMs
        for (let next = this.#planned[0]; next && next.atMs <= endMs; next = this.#planned[0]) {
            this.#pop()
            this.#nowMs = Math.max(this.#nowMs, next.atMs)
            next.work()
        }
        this.#nowMs = endMs
    }

    /** Lets time pass in small steps until `happened`, and says whether it did within `limitMs`. */
    advanceUntil(happened: () => boolean, limitMs: number, stepMs = 1): boolean {
        const endMs = this.#nowMs + limitMs
        while (!happened()) {
            if (this.#nowMs >= endMs) return false
            this.advance(stepMs)
        }
        return true
    }

    /**
     * As `advanceUntil`, giving way to promises of the code under test after every step: they run on the host's queue,
     * which a virtual clock cannot see.
     */
    async passUntil(happened: () => boolean, limitMs: number, stepMs = 1): Promise<boolean> {
        const endMs = this.#nowMs + limitMs
        while (!happened()) {
            if (this.#nowMs >= endMs) return false
            this.advance(stepMs)
            await new Promise(resolve => setImmediate(resolve))
        }
        return true
    }

    // A binary heap, as several hundred VMs each keep a timer or two.
    #push(entry: Planned): void {
        const heap = this.#planned
        heap.push(entry)
        for (let i = heap.length - 1; i > 0; ) {
            const parent = (i - 1) >> 1
            if (!before(heap[i], heap[parent])) break
            ;[heap[i], heap[parent]] = [heap[parent], heap[i]]
            i = parent
        }
    }

    #pop(): void {
        const heap = this.#planned
        const last = heap.pop()!
        if (heap.length === 0) return
        heap[0] = last
        this.#sink(0)
    }

    #sink(from: number): void {
        const heap = this.#planned
        for (let i = from; ; ) {
            const left = 2 * i + 1
            if (left >= heap.length) return
            const child = left + 1 < heap.length && before(heap[left + 1], heap[left]) ? left + 1 : left
            if (!before(heap[child], heap[i])) return
            ;[heap[i], heap[child]] = [heap[child], heap[i]]
            i = child
        }
    }

    #remove(entry: Planned): void {
        const at = this.#planned.indexOf(entry)
        if (at < 0) return
        const last = this.#planned.pop()!
        if (last === entry) return
        this.#planned[at] = last
        this.#sink(at)
        // The one that took its place may also belong further up.
        for (let i = at; i > 0; ) {
            const parent = (i - 1) >> 1
            if (!before(this.#planned[i], this.#planned[parent])) break
            ;[this.#planned[i], this.#planned[parent]] = [this.#planned[parent], this.#planned[i]]
            i = parent
        }
    }
}

function before(a: Planned, b: Planned): boolean {
    return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}
