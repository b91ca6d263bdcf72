/**
 * The serial port of a simulated board: the bytes that its USB port would carry, on any stream.
 *
 * Owns the port's switches (packets, log), which are off after each start of the board, and what is dropped when a host does
 * not read. All frames of the board's bus pass, as on hardware; a host's frames go onto the bus. Never interprets them.
 */

import type { Duplex } from "node:stream"
import { bridgeAnswer, bridgeCommandOf, bridgeCommands } from "../../serial/bridge.ts"
import { LineReader, toLine } from "../../serial/framing.ts"

/** What waits for a host that does not read; more is lost, as in a USB port's buffer. */
const waitingBytesMax = 64 * 1024

export class BoardSerial {
    readonly #onFrame: (frame: Buffer) => void
    #stream: Duplex | undefined
    #packets = false
    #log = false

    /** `onFrame`: to the board's bus. */
    constructor(onFrame: (frame: Buffer) => void) {
        this.#onFrame = onFrame
    }

    /** A host's end of the line is plugged in; the former one is out. */
    plug(stream: Duplex): void {
        this.unplug()
        this.#stream = stream
        const reader = new LineReader({ frame: frame => this.#take(frame) })
        stream.on("data", bytes => {
            if (this.#stream === stream) reader.push(bytes)
        })
        stream.on("error", () => {})
        stream.once("close", () => {
            if (this.#stream === stream) this.unplug()
        })
    }

    unplug(): void {
        this.#stream = undefined
        this.reset()
    }

    /** The board has started anew. */
    reset(): void {
        this.#packets = false
        this.#log = false
    }

    /** A frame of the board's bus. */
    frame(frame: Uint8Array): void {
        // What the machine tells the simulator alone is no frame.
        if (this.#packets && frame[2] !== 0xff) this.#write(toLine(frame.subarray(0, 12 + frame[2]!)))
    }

    log(line: string): void {
        if (this.#log) this.#write(Buffer.from(`${line}\n`))
    }

    #take(frame: Buffer): void {
        const command = bridgeCommandOf(frame)
        if (command === undefined) {
            this.#onFrame(frame)
            return
        }
        if (command === bridgeCommands.enablePackets) this.#packets = true
        else if (command === bridgeCommands.disablePackets) this.#packets = false
        else if (command === bridgeCommands.enableLog) this.#log = true
        else if (command === bridgeCommands.disableLog) this.#log = false
        else return
        this.#write(toLine(bridgeAnswer(frame)))
    }

    #write(bytes: Buffer): void {
        const stream = this.#stream
        if (stream?.writable && stream.writableLength < waitingBytesMax) stream.write(bytes)
    }
}
