/**
 * The one TCP (or TLS) client socket of a board, as its machine sees it, over a Wi-Fi that can be slow, lossy or gone.
 *
 * Owns the connection, its source address, the size of pieces and the order in which the machine hears of things. Behaves as
 * TCP does over bad radio: nothing is lost or reordered, it comes late. While the Wi-Fi is off the peer hears nothing at all
 * and what is under way waits; when it is on again in time, the connection lives on.
 */

import { connect as connectTcp, type Socket } from "node:net"
import type { Duplex } from "node:stream"
import { connect as connectTls } from "node:tls"
import type { Clock, Timer } from "../clock.ts"
import type { Wifi } from "../wifi.ts"

export type SocketEvent =
    | { type: "open" }
    | { type: "close" }
    | { type: "error"; text: string }
    | { type: "data"; data: Uint8Array }

/** What a machine needs of the network. Results are those of the C code: 0 done, -1 busy, below that an error. */
export interface SocketPort {
    attach(listener: (event: SocketEvent) => void): void
    /** The machine is gone, without a goodbye. */
    detach(): void
    available(): boolean
    open(host: string, port: number): number
    write(data: Uint8Array): number
    close(): number
}

export interface Destination {
    host: string
    port: number
    tls: boolean
    localAddress: string | undefined
}

/** Opens a stream that says "connect" (or "secureConnect") when it is open. Other worlds bring their own. */
export type Dial = (destination: Destination) => Duplex

export interface BoardSocketOptions {
    clock: Clock
    wifi: Wifi
    /** Where connections come from. */
    localAddress?: string
    dial?: Dial
    /** Certificates (PEM) to trust for TLS, in place of the public ones. */
    trusted?: string
    random?: () => number
}

/** Piece size of the ESP32's socket, both ways. */
const pieceBytes = 1024
/** What the ESP32 takes before it answers "busy". */
const outgoingMaxBytes = 8 * 1024
const busy = -1
const noSocket = -10
/** A lost TCP segment is sent again about this much later. */
const retransmitMs = 200
/** How long a connection of a board without power lies about before it is taken away for good. */
const graveMs = 120_000

interface Connection {
    stream: Duplex
    opened: boolean
    /** Waiting for the air: bytes to the peer that the machine thinks are sent. */
    outgoing: Uint8Array[]
    outgoingBytes: number
    /** Nothing is heard or sent before these times, so that a delayed piece is not overtaken. */
    sendFreeMs: number
    receiveFreeMs: number
}

export class BoardSocket implements SocketPort {
    readonly #options: BoardSocketOptions
    readonly #random: () => number
    #listener: ((event: SocketEvent) => void) | undefined
    #current: Connection | undefined
    #timers = new Set<Timer>()

    constructor(options: BoardSocketOptions) {
        this.#options = options
        this.#random = options.random ?? Math.random
        options.wifi.onChange(() => this.#wifiChanged())
    }

    attach(listener: (event: SocketEvent) => void): void {
        this.#listener = listener
    }

    detach(): void {
        this.#listener = undefined
        for (const timer of this.#timers) timer.cancel()
        this.#timers.clear()
        const connection = this.#current
        this.#current = undefined
        if (connection) bury(connection.stream)
    }

    available(): boolean {
        return this.#options.wifi.up
    }

    open(host: string, port: number): number {
        this.close()
        if (!this.#options.wifi.up) {
            // Not during the call: the machine has not noted yet that it has a socket.
            this.#options.clock.soon(() => this.#say(undefined, { type: "error", text: "the network is down" }))
            return 0
        }
        const destination = { host, port: Math.abs(port), tls: port < 0, localAddress: this.#options.localAddress }
        let stream: Duplex
        try {
            stream = (this.#options.dial ?? this.#dial)(destination)
        } catch (error) {
            const text = (error as Error).message
            this.#options.clock.soon(() => this.#say(undefined, { type: "error", text }))
            return 0
        }
        const connection = { stream, opened: false, outgoing: [], outgoingBytes: 0, sendFreeMs: 0, receiveFreeMs: 0 }
        this.#current = connection
        this.#listen(connection, destination)
        return 0
    }

    write(data: Uint8Array): number {
        const connection = this.#current
        if (!connection?.opened) return noSocket
        if (connection.outgoingBytes + connection.stream.writableLength > outgoingMaxBytes) return busy
        connection.outgoing.push(data)
        connection.outgoingBytes += data.length
        if (this.#options.wifi.up) this.#flush(connection)
        return 0
    }

    close(): number {
        const connection = this.#current
        if (!connection) return noSocket
        this.#current = undefined
        // Without radio not even the goodbye gets out.
        if (!this.#options.wifi.up) bury(connection.stream)
        else {
            this.#flush(connection)
            connection.stream.end()
            linger(connection.stream)
        }
        return 0
    }

    #dial = ({ host, port, tls, localAddress }: Destination): Duplex =>
        tls
            ? connectTls({
                  host,
                  port,
                  localAddress,
                  ca: this.#options.trusted,
                  servername: /^[\d.]+$/.test(host) ? "" : host,
              } as never)
            : connectTcp({ host, port, localAddress, noDelay: true })

    #listen(connection: Connection, { host, port, tls }: Destination): void {
        const { stream } = connection
        stream.once(tls ? "secureConnect" : "connect", () => {
            connection.opened = true
            this.#later(connection, "receive", () => this.#say(connection, { type: "open" }))
        })
        stream.on("data", (chunk: Uint8Array) => {
            for (let at = 0; at < chunk.length; at += pieceBytes) {
                const data = chunk.slice(at, at + pieceBytes)
                this.#later(connection, "receive", () => this.#say(connection, { type: "data", data }))
            }
        })
        stream.on("error", (error: Error) => {
            this.#later(connection, "receive", () => {
                const text = `${tls ? "tls" : "tcp"}://${host}:${port}: ${error.message}`
                if (this.#say(connection, { type: "error", text })) this.#current = undefined
            })
        })
        stream.on("close", () => {
            this.#later(connection, "receive", () => {
                if (this.#say(connection, { type: "close" })) this.#current = undefined
            })
        })
    }

    #say(connection: Connection | undefined, event: SocketEvent): boolean {
        if (connection !== this.#current) return false
        this.#listener?.(event)
        return true
    }

    #flush(connection: Connection): void {
        const pieces = connection.outgoing
        connection.outgoing = []
        for (const piece of pieces)
            this.#later(connection, "send", () => {
                connection.outgoingBytes -= piece.length
                if (!connection.stream.destroyed) connection.stream.write(piece)
            })
    }

    /** Does `work` when the radio has carried it: at once on a good one, else late but in order. */
    #later(connection: Connection, way: "send" | "receive", work: () => void): void {
        const { clock, wifi } = this.#options
        const free = way === "send" ? connection.sendFreeMs : connection.receiveFreeMs
        const nowMs = clock.nowMs()
        let delayMs = wifi.delayMs
        // Several losses in a row make one piece very late, as TCP's back-off does.
        for (let again = retransmitMs; this.#random() * 100 < wifi.lossPercent && again < 5000; again *= 2)
            delayMs += again
        const atMs = Math.max(nowMs + delayMs, free)
        if (atMs <= nowMs) {
            work()
            return
        }
        if (way === "send") connection.sendFreeMs = atMs
        else connection.receiveFreeMs = atMs
        const timer = clock.after(atMs - nowMs, () => {
            this.#timers.delete(timer)
            work()
        })
        this.#timers.add(timer)
    }

    #wifiChanged(): void {
        const connection = this.#current
        if (!connection) return
        if (this.#options.wifi.up) {
            connection.stream.resume()
            this.#flush(connection)
        } else {
            connection.stream.pause()
        }
    }
}

/** Leaves a connection as a board without power leaves it: open at the peer, silent, until the peer gives up. */
function bury(stream: Duplex): void {
    stream.removeAllListeners()
    stream.on("error", () => {})
    stream.pause()
    const socket = stream as Socket
    if (typeof socket.unref === "function") socket.unref()
    const timer = setTimeout(() => {
        if (typeof socket.resetAndDestroy === "function") socket.resetAndDestroy()
        else stream.destroy()
    }, graveMs)
    timer.unref()
    stream.once("close", () => clearTimeout(timer))
}

/** Ends in good order, but not for ever: a peer that does not close its side is left after a second. */
function linger(stream: Duplex): void {
    stream.removeAllListeners()
    stream.on("error", () => {})
    stream.resume()
    const timer = setTimeout(() => stream.destroy(), 1000)
    timer.unref()
    stream.once("close", () => clearTimeout(timer))
}
