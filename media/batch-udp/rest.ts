/**
 * How a thread rests in the system until a socket has something, another thread wakes it, or a time has come, to some microseconds.
 *
 * Owns what the system is asked (`pollfd`, `timespec`) and how it treats the thread. Never reads a datagram.
 */

import { getPriority } from "node:os"
import { fixedBytes } from "../native.ts"
import { type Libc, setTimerSlack, sockets } from "./libc.ts"

const pollBytes = 8
const scheduleBytes = 48
/** SCHED_OTHER. */
const ordinary = 0
const sliceNs = 200_000n
/** A `sched_attr`; nobody else would hold it while the system reads it. */
const schedule = fixedBytes(scheduleBytes)

export class Rest {
    readonly #libc: Libc
    readonly #wakeFd: number | undefined
    readonly #wakeBytes = new Uint8Array(8)
    /** For each: the descriptor, then what is asked about it and, in the upper half, what the system says. */
    #polls = new Int32Array(0)
    #pollsAddress = 0
    #count = 0
    readonly #timeout = new Int32Array(new ArrayBuffer(16))
    readonly #timeoutAddress: number

    /** Of the calling thread. `wakeFd`: of a `Wake` of another one. */
    constructor(libc: Libc, wakeFd: number | undefined) {
        this.#libc = libc
        this.#wakeFd = wakeFd
        this.#timeoutAddress = libc.addressOf(new Uint8Array(this.#timeout.buffer))
        this.watch([])
        // Else each wait is 50 us longer than asked for.
        libc.prctl(setTimerSlack, 1, 0, 0, 0)
        askForShortSlices(libc)
    }

    /** The system is asked about exactly these from now on. */
    watch(fds: readonly number[]): void {
        const all = this.#wakeFd === undefined ? fds : [...fds, this.#wakeFd]
        this.#count = all.length
        this.#polls = new Int32Array(new ArrayBuffer(Math.max(1, all.length) * pollBytes))
        this.#pollsAddress = this.#libc.addressOf(new Uint8Array(this.#polls.buffer))
        all.forEach((fd, i) => {
            this.#polls[i * 2] = fd
            this.#polls[i * 2 + 1] = sockets.pollIn
        })
    }

    /** Whether the next wait ends when the `i`th has something. */
    heed(i: number, on: boolean): void {
        this.#polls[i * 2 + 1] = on ? sockets.pollIn : 0
    }

    /** Returns when something is there that is heeded, and after `ms` at the latest. */
    wait(ms: number): void {
        const nanoseconds = Math.floor(Math.max(0, ms) * 1e6)
        this.#timeout[0] = Math.floor(nanoseconds / 1e9)
        this.#timeout[2] = nanoseconds % 1e9
        this.#libc.ppoll(this.#pollsAddress, this.#count, this.#timeoutAddress, 0)
        if (this.#wakeFd !== undefined && this.has(this.#count - 1))
            this.#libc.read(this.#wakeFd, this.#wakeBytes, this.#wakeBytes.length)
    }

    /** Whether the last wait found something at the `i`th. */
    has(i: number): boolean {
        return this.#polls[i * 2 + 1] >>> 16 !== 0
    }
}

/**
 * Linux (6.12 and newer) lets who asks for short turns on a processor go before who has a long one under way: else each of the
 * engine's own helper threads may hold a tick up for milliseconds. Elsewhere nothing comes of it.
 */
function askForShortSlices(libc: Libc): void {
    // Real time that an operator has given is better, and would be taken away.
    if (libc.scheduler() !== ordinary) return
    const attributes = new DataView(schedule.buffer)
    attributes.setUint32(0, scheduleBytes, true)
    attributes.setInt32(16, getPriority(), true)
    attributes.setBigUint64(24, sliceNs, true)
    libc.setSchedule(libc.addressOf(schedule))
}
