/**
 * The control messages of one TLS connection to a neighbour: frames in and out, limits of rate and of backlog.
 *
 * Owns the socket from the end of the TLS handshake on. Never knows kinds of messages; whoever it hands them to does.
 */

import type { TLSSocket } from "node:tls"
import { linkLimits } from "../../../protocol/link.ts"
import type { StreamPath } from "../underlay/stream-path.ts"
import { FrameReader, frame, parse } from "./frames.ts"
import type { LinkDownReason } from "./liveness.ts"

export class ControlChannel {
    readonly socket: TLSSocket
    /** Takes each message in order; may be exchanged while the channel lives. */
    onMessage: (message: Record<string, unknown>) => void = () => {}
    /** Called once. */
    onClosed: (reason: LinkDownReason) => void = () => {}
    readonly #reader = new FrameReader()
    readonly #path: StreamPath | undefined
    #open = true
    #secondStartMs = 0
    #framesInSecond = 0

    /** `path`: what the emulated network does to this connection. */
    constructor(socket: TLSSocket, path?: StreamPath) {
        this.socket = socket
        this.#path = path
        socket.setNoDelay(true)
        socket.setTimeout(0)
        const closed = () => this.#arrived(() => this.close("closed"))
        socket.on("data", chunk => this.#arrived(() => this.#onData(chunk)))
        socket.on("error", closed)
        socket.on("end", closed)
        socket.on("close", closed)
    }

    /** False when the message is too large or the channel is closed. */
    send(message: object): boolean {
        if (!this.#open) return false
        const framed = frame(message)
        if (!framed) return false
        if (this.#path) this.#path.send(framed.length, () => this.socket.write(framed))
        else this.socket.write(framed)
        // A neighbour that does not read must not cost us our memory.
        const backlog = this.socket.writableLength + (this.#path?.heldBytes ?? 0)
        if (backlog > linkLimits.controlBacklogBytes) this.close("flood")
        return this.#open
    }

    close(reason: LinkDownReason): void {
        if (!this.#open) return
        this.#open = false
        this.#reader.broken = true
        if (this.#path) this.#path.hangUp(() => this.socket.destroy())
        else this.socket.destroy()
        this.onClosed(reason)
    }

    /** Takes in what came, or what happened to the connection, when the emulated network lets it through. */
    #arrived(take: () => void): void {
        if (!this.#open) return
        if (!this.#path) take()
        if (!this.#path || this.#path.receive(take)) return
        // Read no more than is held already; it goes on by itself once this was taken.
        this.socket.pause()
        this.#path.receive(() => this.socket.resume())
    }

    #onData(chunk: Buffer): void {
        this.#reader.push(chunk, body => {
            if (!this.#withinRate()) return this.close("flood")
            const message = parse(body)
            if (!message) return this.close("malformed")
            this.onMessage(message)
        })
        if (this.#reader.broken) this.close("malformed")
    }

    #withinRate(): boolean {
        const nowMs = performance.now()
        if (nowMs - this.#secondStartMs >= 1000) {
            this.#secondStartMs = nowMs
            this.#framesInSecond = 0
        }
        return ++this.#framesInSecond <= linkLimits.controlFramesPerSecond
    }
}
