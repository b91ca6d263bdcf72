/**
 * The emulated path under one connection: what is written arrives later and in order; while the path is cut nothing moves in
 * either direction, not even the news that the connection was closed.
 *
 * Owns what is held. Never touches the socket: it calls back when something may happen to it.
 */

import type { EmulatedPath } from "./path.ts"

/** A connection that was closed during a cut is forgotten after this, as TCP gives up. */
const hangUpWithinMs = 60_000

interface Held {
    dueMs: number
    bytes: number
    act: () => void
}

export class StreamPath {
    readonly #path: () => EmulatedPath | undefined
    readonly #released: () => void
    #sending: Held[] = []
    #received: (() => void)[] = []
    #sendingBytes = 0
    #timer: NodeJS.Timeout | undefined
    #hangUp: (() => void) | undefined
    #hangUpTimer: NodeJS.Timeout | undefined

    constructor(path: () => EmulatedPath | undefined, released: () => void) {
        this.#path = path
        this.#released = released
    }

    /** Bytes that were sent and are still held here. */
    get heldBytes(): number {
        return this.#sendingBytes
    }

    get isCut(): boolean {
        return this.#path()?.conditions.cut ?? false
    }

    /** Calls `write` when its turn has come. */
    send(bytes: number, write: () => void): void {
        const path = this.#path()
        if (!path && this.#sending.length === 0) {
            write()
            return
        }
        const nowMs = performance.now()
        this.#sending.push({ dueMs: path?.stream(bytes, nowMs) ?? nowMs, bytes, act: write })
        this.#sendingBytes += bytes
        if (this.#sending.length === 1) this.#drain()
    }

    /** Calls `take` now, or once the path is no longer cut. False: it is held, so that no more should be read. */
    receive(take: () => void): boolean {
        if (this.#received.length === 0 && !this.isCut) {
            take()
            return true
        }
        this.#received.push(take)
        return false
    }

    /** The connection is over for this side: `destroy` tells the other one, when it can be told. */
    hangUp(destroy: () => void): void {
        this.#sending = []
        this.#sendingBytes = 0
        this.#received = []
        clearTimeout(this.#timer)
        this.#hangUp = destroy
        if (!this.isCut) {
            this.end()
            return
        }
        this.#hangUpTimer = setTimeout(() => this.end(), hangUpWithinMs)
        this.#hangUpTimer.unref()
    }

    /** The conditions have changed. */
    wake(): void {
        if (this.isCut) return
        if (this.#hangUp) {
            this.end()
            return
        }
        const received = this.#received
        this.#received = []
        for (const take of received) take()
        if (this.#sending.length > 0) this.#drain()
    }

    /** Forgets what is held; a connection that is over is closed now. */
    end(): void {
        clearTimeout(this.#timer)
        clearTimeout(this.#hangUpTimer)
        this.#released()
        const hangUp = this.#hangUp
        this.#hangUp = undefined
        hangUp?.()
    }

    #drain(): void {
        clearTimeout(this.#timer)
        if (this.isCut) return
        const nowMs = performance.now()
        while (this.#sending.length > 0 && this.#sending[0].dueMs <= nowMs + 0.5) {
            const { bytes, act } = this.#sending.shift()!
            this.#sendingBytes -= bytes
            act()
        }
        if (this.#sending.length > 0)
            this.#timer = setTimeout(() => this.#drain(), this.#sending[0].dueMs - performance.now())
    }
}
