/**
 * The far end of the firmware's one socket, played by a test under virtual time: what it says, what it takes, when it goes.
 */

import type { VirtualClock } from "../../sim/clock.ts"
import type { SocketEvent, SocketPort } from "../../sim/vm/socket.ts"
import { WrittenPackets } from "./written-packets.ts"

export class PlayedSocket implements SocketPort {
    readonly written = new WrittenPackets()
    connected = false
    opens = 0
    /** Whether messages are acknowledged, as a broker does. */
    acknowledges = false
    /** What the next write answers: 0 takes it, -1 is busy, others are errors. */
    answer: () => number = () => 0
    /** How an attempt to connect ends. */
    outcome: () => SocketEvent["type"] | "nothing" = () => "open"
    #listener: ((event: SocketEvent) => void) | undefined
    /** A socket that is closed while it opens says nothing any more. */
    #opening = false
    readonly #clock: VirtualClock

    constructor(clock: VirtualClock) {
        this.#clock = clock
    }

    /** The client is connected and has sent its CONNECT. */
    greeted(): boolean {
        return this.connected && this.written.has("connect")
    }

    attach(listener: (event: SocketEvent) => void): void {
        this.#listener = listener
    }

    detach(): void {
        this.#listener = undefined
    }

    available(): boolean {
        return true
    }

    open(): number {
        this.opens++
        this.connected = false
        this.written.reset()
        this.written.acknowledgesAtRandom = false
        const outcome = this.outcome()
        this.#opening = true
        this.#clock.soon(() => {
            if (!this.#opening) return
            this.#opening = false
            if (outcome === "open") this.connected = true
            if (outcome === "error") this.say({ type: "error", text: "refused" })
            else if (outcome === "open" || outcome === "close") this.say({ type: outcome })
        })
        return 0
    }

    write(data: Uint8Array): number {
        if (!this.connected) return -10
        const answer = this.answer()
        if (answer === 0) this.written.add(data)
        if (answer === 0 && this.acknowledges)
            this.#clock.soon(() => {
                if (this.connected) for (const ack of this.written.takeAcknowledgements()) this.tell(ack)
            })
        return answer
    }

    close(): number {
        this.connected = false
        this.#opening = false
        return 0
    }

    /** Data, if the client is connected. */
    tell(data: Buffer): void {
        if (this.connected) this.say({ type: "data", data })
    }

    say(event: SocketEvent): void {
        if (event.type === "close" || event.type === "error") this.connected = false
        this.#listener?.(event)
    }
}
