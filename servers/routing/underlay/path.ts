/**
 * One emulated path in one direction: when does what is sent now arrive, if at all?
 *
 * Owns the delay, the bottleneck's queue and the losses, all from one seed. Pure: time comes in, no timers, no sockets. A
 * cut is not seen here: whoever sends asks `conditions.cut` first.
 */

import { noConditions, type PathConditions } from "./conditions.ts"

/** UDP and IPv4 headers: a bottleneck carries them too. */
const headerBytes = 28
/** How long TCP waits before it sends a lost segment again (RFC 6298 2.4, as Linux has it). */
const retransmitMs = 200

export class EmulatedPath {
    readonly counters = { passed: 0, lost: 0, overflowed: 0, cut: 0 }
    #conditions: PathConditions = noConditions
    #random: number
    /** When the bottleneck has sent all that it was given. */
    #freeMs = 0
    #lastDatagramMs = 0
    #lastStreamMs = 0

    constructor(seed: number) {
        this.#random = seed >>> 0
    }

    get conditions(): PathConditions {
        return this.#conditions
    }

    /** What is on the way keeps its time; what comes later does not wait for it, except in a stream. */
    set conditions(conditions: PathConditions) {
        this.#conditions = conditions
        this.#freeMs = 0
        this.#lastDatagramMs = 0
    }

    /** When a datagram of `bytes` arrives; undefined when it is lost. */
    datagram(bytes: number, nowMs: number): number | undefined {
        const { loss } = this.conditions
        // Drawn before the bottleneck: what is lost on the way may as well have been lost before it.
        if (loss > 0 && this.#draw() < loss) {
            this.counters.lost++
            return undefined
        }
        const outMs = this.#bottleneck(bytes + headerBytes, nowMs, false)
        if (outMs === undefined) {
            this.counters.overflowed++
            return undefined
        }
        this.counters.passed++
        this.#lastDatagramMs = Math.max(this.#lastDatagramMs, outMs + this.#delayMs())
        return this.#lastDatagramMs
    }

    /** When `bytes` of an ordered stream arrive: after all before them, later when a segment was lost. */
    stream(bytes: number, nowMs: number): number {
        const { loss, delayMs } = this.conditions
        const outMs = this.#bottleneck(bytes + headerBytes, nowMs, true)!
        let waitMs = this.#delayMs()
        // Bounded: with a loss of 1 the stream crawls, it does not hang in here.
        for (let again = 0; loss > 0 && again < 6 && this.#draw() < loss; again++)
            waitMs += Math.max(retransmitMs, 2 * delayMs) * 2 ** again
        this.#lastStreamMs = Math.max(this.#lastStreamMs, outMs + waitMs)
        return this.#lastStreamMs
    }

    /** Four one-way trips, two of them ours: what TCP's and TLS 1.3's handshakes cost this side. */
    handshakeMs(): number {
        return 2 * this.conditions.delayMs
    }

    #delayMs(): number {
        const { delayMs, jitterMs } = this.conditions
        if (jitterMs === 0) return delayMs
        return Math.max(0, delayMs + (2 * this.#draw() - 1) * jitterMs)
    }

    /** When the bottleneck has sent it. A stream waits where a datagram is dropped: TCP would slow down. */
    #bottleneck(bytes: number, nowMs: number, patient: boolean): number | undefined {
        const { rateKbps, queueBytes } = this.conditions
        if (rateKbps === 0) return nowMs
        const bytesPerMs = rateKbps / 8
        const waitingMs = Math.max(0, this.#freeMs - nowMs)
        if (!patient && waitingMs > 0 && waitingMs * bytesPerMs + bytes > queueBytes) return undefined
        this.#freeMs = nowMs + waitingMs + bytes / bytesPerMs
        return this.#freeMs
    }

    /** mulberry32. */
    #draw(): number {
        this.#random = (this.#random + 0x6d2b79f5) >>> 0
        let t = this.#random
        t = Math.imul(t ^ (t >>> 15), t | 1)
        t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
        return ((t ^ (t >>> 14)) >>> 0) / 4294967296
    }
}
