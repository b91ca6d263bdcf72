/**
 * The loop of a thread that serves datagrams: reads them by the dozen, keeps time to a fraction of a millisecond, sends by the
 * dozen, and lets Node's own loop turn in between.
 *
 * Owns when its thread works and when it rests. While it rests, Node's timers and messages do not reach it, but for a `Wake`; it
 * never rests for longer than `restMsMost`. Hence only for a thread that has little else to do.
 */

import type { MediaHost } from "../host.ts"
import { success } from "../outcome.ts"
import type { TickerClock } from "../ticker.ts"
import { type Libc, loadLibc } from "./libc.ts"
import { Messages } from "./messages.ts"
import { Rest } from "./rest.ts"
import { BatchSocket } from "./socket.ts"

/** Of one socket in a turn. */
const datagramsPerTurn = 64
/** The longest that UDP allows: nothing is ever cut off. */
const datagramBytes = 65536
/** Nothing to do: Node's timers are late by no more than this. */
const restMsMost = 20
/**
 * A socket that had something is let alone for so long, so that more of it comes at once: a turn costs as much as three datagrams.
 * Sound waits for its tick anyway; what is passed on waits less.
 */
const paceMs = 0.5
const pressingPaceMs = 0.1
/** A time is reached so much before: by then it is not worth a rest. */
const earlyMs = 0.05
/** How soon the system is asked again when it took less than it was given. */
const congestedMs = 1

interface Timer {
    dueMs: number
    call: () => void
    isCancelled: boolean
}

/** A socket, and when it is looked at. */
interface Served {
    socket: BatchSocket
    paceMs: number
    /** It is let alone until then; 0: it had nothing when it was looked at last, and the system says when it has. */
    dueMs: number
}

export class BatchLoop implements MediaHost {
    readonly clock: TickerClock = {
        nowMs: () => performance.now(),
        after: (delayMs, call) => this.#after(delayMs, call),
        afterInput: call => {
            this.#afterInput.push(call)
            this.#schedule()
        },
    }
    readonly #libc: Libc
    readonly #rest: Rest
    readonly #messages: Messages
    #served: Served[] = []
    #timers: Timer[] = []
    #afterInput: (() => void)[] = []
    #isScheduled = false
    #isCongested = false

    /** `wakeFd`: of a `Wake` of another thread. Undefined: this system has no such calls. */
    static open(wakeFd?: number): BatchLoop | undefined {
        const libc = loadLibc()
        return libc && new BatchLoop(libc, wakeFd)
    }

    private constructor(libc: Libc, wakeFd: number | undefined) {
        this.#libc = libc
        this.#rest = new Rest(libc, wakeFd)
        this.#messages = new Messages(libc, datagramsPerTurn, datagramBytes)
    }

    readonly openUdp: MediaHost["openUdp"] = async (ip, port, onDatagram, options = {}) => {
        const opened = BatchSocket.open(this.#libc, ip, port, onDatagram, options, {
            onWaiting: () => this.#schedule(),
            onClosed: closed => this.#serve(this.#served.filter(({ socket }) => socket !== closed)),
        })
        if (!opened.ok) return opened
        const served = { socket: opened.value, paceMs: options.isPressing ? pressingPaceMs : paceMs, dueMs: 0 }
        this.#serve([...this.#served, served])
        this.#schedule()
        return success(opened.value)
    }

    /** All sockets: nobody else would give them back when the thread ends. */
    close(): void {
        for (const { socket } of this.#served) void socket.close()
    }

    #serve(served: Served[]): void {
        this.#served = served
        this.#rest.watch(served.map(({ socket }) => socket.fd))
    }

    #after(delayMs: number, call: () => void): () => void {
        const timer = { dueMs: performance.now() + delayMs, call, isCancelled: false }
        this.#timers.push(timer)
        this.#schedule()
        return () => {
            timer.isCancelled = true
            this.#timers = this.#timers.filter(other => other !== timer)
        }
    }

    #schedule(): void {
        if (this.#isScheduled) return
        this.#isScheduled = true
        setImmediate(this.#turn)
    }

    readonly #turn = () => {
        this.#isScheduled = false
        // What was sent since, from outside of a turn, does not wait with us.
        this.#flush()
        const calls = this.#afterInput
        if (calls.length > 0) this.#afterInput = []
        else this.#takeRest()
        this.#fire()
        this.#read(calls.length > 0)
        for (const call of calls) call()
        this.#flush()
        if (this.#served.length + this.#timers.length + this.#afterInput.length > 0) this.#schedule()
    }

    /** Waits until there is something to do. */
    #takeRest(): void {
        const nowMs = performance.now()
        let untilMs = nowMs + (this.#isCongested ? congestedMs : restMsMost)
        for (const { dueMs } of this.#timers) untilMs = Math.min(untilMs, dueMs - earlyMs)
        const served = this.#served
        for (let i = 0; i < served.length; i++) {
            const { dueMs } = served[i]
            this.#rest.heed(i, dueMs === 0)
            if (dueMs > 0) untilMs = Math.min(untilMs, dueMs)
        }
        this.#rest.wait(untilMs - nowMs)
    }

    #fire(): void {
        if (this.#timers.length === 0) return
        const nowMs = performance.now() + earlyMs
        const due = this.#timers.filter(timer => timer.dueMs <= nowMs)
        if (due.length === 0) return
        this.#timers = this.#timers.filter(timer => timer.dueMs > nowMs)
        due.sort((a, b) => a.dueMs - b.dueMs)
        // One of them may take another one back.
        for (const timer of due) if (!timer.isCancelled) timer.call()
    }

    /** Reads what has something, or may have; `all`: be it to be let alone or not. */
    #read(all: boolean): void {
        const served = this.#served
        const nowMs = performance.now()
        for (let i = 0; i < served.length; i++) {
            const one = served[i]
            const isDue = one.dueMs > 0 ? one.dueMs <= nowMs + earlyMs : this.#rest.has(i)
            if (!isDue && !all) continue
            const count = one.socket.read(this.#messages)
            if (count === datagramsPerTurn) one.dueMs = nowMs
            else if (count === 0 || one.socket.hurryUntilMs > nowMs) one.dueMs = 0
            else one.dueMs = nowMs + one.paceMs
            // What was passed on goes out before the next socket is read.
            if (count > 0) this.#flush()
        }
    }

    #flush(): void {
        this.#isCongested = false
        for (const { socket } of this.#served) if (!socket.flush()) this.#isCongested = true
    }
}
