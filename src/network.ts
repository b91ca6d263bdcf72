/**
 * The firmware's one TCP connection, and the only file that imports `@devicescript/net`.
 *
 * Owns opening with a time limit, writing in pieces that the socket takes, reading, closing. Never interprets a byte and
 * never throws: a connection that is over says so by `receive` giving null and `send` giving false.
 *
 * Input comes through the package's `connect` and `Socket.recv`, which queue what arrives. The raw calls under that class
 * are used in three places, because there the class is wrong (2.16.4):
 * - `send` throws after the socket answered -1 ("busy"), although nothing was taken and a later try succeeds;
 * - `close` does not end a `recv` that is waiting, so whoever reads would wait for ever;
 * - a `connect` that runs into its time limit throws the socket away while it is still opening, and nobody can close it.
 */

import * as ds from "@devicescript/core"
import { connect, Socket } from "@devicescript/net"

type RawSockets = typeof ds & {
    _socketClose(): number
    _socketWrite(data: Buffer): number
}

/** ESP32 copies each write and its TLS asserts at about 4 KB. */
const writeBytes = 1024
const writeTimeoutMs = 5000
const writeRetryMs = 10
/** The socket's queue is full; nothing was taken. */
const busy = -1

function closeRaw(): void {
    const _ignored = (ds as RawSockets)._socketClose()
}

export class Connection {
    private socket: Socket
    private over = false

    constructor(socket: Socket) {
        this.socket = socket
    }

    /** What came next; undefined when nothing did within `timeoutMs`; null when the connection is over. */
    async receive(timeoutMs: number): Promise<Buffer> {
        if (this.over) return null
        try {
            const data = await this.socket.recv(timeoutMs)
            if (this.over) return null
            if (data === null) this.over = true
            return data
        } catch (_error) {
            this.over = true
            return null
        }
    }

    /** Whether the socket took all of `data`. One caller at a time: pieces of two senders would mix. */
    async send(data: Buffer): Promise<boolean> {
        const untilMs = ds.millis() + writeTimeoutMs
        let at = 0
        while (at < data.length) {
            if (this.over) return false
            const whole = at === 0 && data.length <= writeBytes
            const piece = whole ? data : data.slice(at, Math.min(at + writeBytes, data.length))
            const answer = (ds as RawSockets)._socketWrite(piece)
            if (answer === 0) at += piece.length
            else if (answer !== busy || ds.millis() > untilMs) return false
            else await ds.sleep(writeRetryMs)
        }
        return true
    }

    /** Ends the connection at once; a `receive` that waits gives null. */
    close(): void {
        if (this.over) return
        this.over = true
        closeRaw()
        Socket._socketOnEvent("close")
    }
}

/** A connection, or undefined when there is none within `timeoutMs` (no network, nobody listens, no answer). */
export async function openConnection(host: string, port: number, timeoutMs: number): Promise<Connection> {
    try {
        return new Connection(await connect({ host, port, proto: "tcp", timeout: timeoutMs }))
    } catch (_error) {
        closeRaw()
        return undefined
    }
}
