/**
 * The control messages of one TLS connection to a neighbour: frames in and out, limits of rate and of backlog.
 *
 * Owns the socket from the end of the TLS handshake on. Never knows kinds of messages; whoever it hands them to does.
 */

import type { TLSSocket } from "node:tls"
import { linkLimits } from "../../../protocol/link.ts"
import { FrameReader, frame, parse } from "./frames.ts"
import type { LinkDownReason } from "./liveness.ts"

export class ControlChannel {
    readonly socket: TLSSocket
    /** Takes each message in order; may be exchanged while the channel lives. */
    onMessage: (message: Record<string, unknown>) => void = () => {}
    /** Called once. */
    onClosed: (reason: LinkDownReason) => void = () => {}
    readonly #reader = new FrameReader()
    #open = true
    #secondStartMs = 0
    #framesInSecond = 0

    constructor(socket: TLSSocket) {
        this.socket = socket
        socket.setNoDelay(true)
        socket.setTimeout(0)
        socket.on("data", chunk => this.#onData(chunk))
        socket.on("error", () => this.close("closed"))
        socket.on("end", () => this.close("closed"))
        socket.on("close", () => this.close("closed"))
    }

    /** False when the message is too large or the channel is closed. */
    send(message: object): boolean {
        if (!this.#open) return false
        const framed = frame(message)
        if (!framed) return false
        this.socket.write(framed)
        // A neighbour that does not read must not cost us our memory.
        if (this.socket.writableLength > linkLimits.controlBacklogBytes) this.close("flood")
        return this.#open
    }

    close(reason: LinkDownReason): void {
        if (!this.#open) return
        this.#open = false
        this.#reader.broken = true
        this.socket.destroy()
        this.onClosed(reason)
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
