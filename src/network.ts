/**
 * The firmware's one TCP connection, over the raw socket calls of the virtual machine.
 *
 * Owns opening with a time limit, writing in pieces that the socket takes, reading, closing. Never interprets a byte and
 * never throws: a connection that is over says so by `receive` giving null and `send` giving false.
 *
 * Not by `@devicescript/net` (2.16.4): its `send` throws when the socket is only busy, its `close` lets a `recv` wait for
 * ever, a time limit in `connect` leaves a socket that nobody can close, and its emitters take 1 KB of the heap.
 */

import * as ds from "@devicescript/core"

type RawSockets = typeof ds & {
    _socketOpen(host: string, port: number): number
    _socketClose(): number
    _socketWrite(data: Buffer): number
    /** "open", "data" with a buffer, "close", "error" with a text. There is one socket, so none is named. */
    _socketOnEvent(event: string, data?: any): void
}

const raw = ds as RawSockets

/** ESP32 copies each write and its TLS asserts at about 4 KB. */
const writeBytes = 1024
const writeTimeoutMs = 5000
const writeRetryMs = 10
/** The socket's queue is full; nothing was taken. */
const busy = -1
/** Kept of an error's text. */
const errorLength = 96

/** Whose the socket is. */
let current: Connection
let lastError = ""

/** What the socket said when it failed last; "" since it worked. */
export function socketError(): string {
    return lastError
}

export class Connection {
    private isOpen = false
    private over = false
    private pieces: Buffer[] = []
    private waiting: ds.Fiber

    /** Whether it is open within `timeoutMs`. */
    async open(host: string, port: number, timeoutMs: number): Promise<boolean> {
        const untilMs = ds.millis() + timeoutMs
        if (raw._socketOpen(host, port) !== 0) return false
        while (!this.isOpen && !this.over && ds.millis() < untilMs) await this.wait(untilMs - ds.millis())
        return this.isOpen && !this.over
    }

    /** What came next; undefined when nothing did within `timeoutMs`; null when the connection is over. */
    async receive(timeoutMs: number): Promise<Buffer> {
        if (this.pieces.length === 0 && !this.over) await this.wait(timeoutMs)
        if (this.pieces.length > 0) return this.pieces.shift()
        return this.over ? null : undefined
    }

    /** Whether the socket took all of `data`. One caller at a time: pieces of two senders would mix. */
    async send(data: Buffer): Promise<boolean> {
        const untilMs = ds.millis() + writeTimeoutMs
        let at = 0
        while (at < data.length) {
            if (this.over) return false
            const whole = at === 0 && data.length <= writeBytes
            const piece = whole ? data : data.slice(at, Math.min(at + writeBytes, data.length))
            const answer = raw._socketWrite(piece)
            if (answer === 0) at += piece.length
            else if (answer !== busy || ds.millis() > untilMs) return false
            else await ds.sleep(writeRetryMs)
        }
        return true
    }

    /** Ends the connection at once; a `receive` that waits gives null. */
    close(): void {
        if (current !== this) return
        current = undefined
        const _ignored = raw._socketClose()
        this.pieces = []
        this.take("close", undefined)
    }

    /** What the socket tells. What came before its end can still be read. */
    take(event: string, data: any): void {
        if (event === "data") {
            // Each event comes in a fiber of its own: this one can still be of the socket before.
            if (this.isOpen) this.pieces.push(data)
        } else if (event === "open") this.isOpen = true
        else this.over = true
        if (event === "open") lastError = ""
        else if (event === "error") lastError = `${data}`.slice(0, errorLength)
        if (this.waiting?.suspended) this.waiting.resume(undefined)
    }

    private async wait(timeoutMs: number): Promise<void> {
        this.waiting = ds.Fiber.self()
        await ds.suspend(timeoutMs)
        this.waiting = undefined
    }
}

/** A connection, or undefined when there is none within `timeoutMs` (no network, nobody listens, no answer). */
export async function openConnection(host: string, port: number, timeoutMs: number): Promise<Connection> {
    raw._socketOnEvent = (event, data) => {
        if (current) current.take(event, data)
    }
    const connection = new Connection()
    current = connection
    if (await connection.open(host, port, timeoutMs)) return connection
    connection.close()
    return undefined
}
