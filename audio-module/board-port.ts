/**
 * The audio module's end of the serial line, as long as the process lives: opened again after each unplugging, and shared
 * with other programs of this machine through a socket, since a serial port takes one program only.
 *
 * Owns the port, the socket and who is on it. Never knows what a frame means.
 */

import { rmSync } from "node:fs"
import { createServer, type Server, type Socket } from "node:net"
import { bridgeCommandOf } from "../serial/bridge.ts"
import { LineReader, toLine } from "../serial/framing.ts"
import { type HostPort, openHostPort } from "../serial/host-port.ts"

export interface BoardPortOptions {
    path: string
    /** Where others come onto the port. */
    sharePath: string
    /** From the board, or from a program that shares the port. */
    onFrame: (frame: Buffer) => void
    /** The cable is in, or out. */
    onPlugged: (plugged: boolean, why: string) => void
}

const againMs = 1000
const guestsMax = 8
/** A guest that does not read is thrown out. */
const guestBytesMax = 1024 * 1024

export class BoardPort {
    private readonly options: BoardPortOptions
    private readonly guests = new Set<Socket>()
    private readonly server: Server
    private port: HostPort | undefined
    private timer: NodeJS.Timeout | undefined
    private told = ""
    private closed = false

    private constructor(options: BoardPortOptions) {
        this.options = options
        this.server = createServer(guest => this.welcome(guest))
    }

    /** Resolves when others can come; the port itself is opened as soon as it is there. */
    static async start(options: BoardPortOptions): Promise<BoardPort> {
        const port = new BoardPort(options)
        rmSync(options.sharePath, { force: true })
        const before = process.umask(0o077)
        try {
            await new Promise<void>((resolve, reject) => {
                port.server.once("error", reject)
                port.server.listen(options.sharePath, resolve)
            })
        } finally {
            process.umask(before)
        }
        await port.open()
        return port
    }

    get plugged(): boolean {
        return this.port !== undefined
    }

    /** A frame of this module: to the board and to all who share. */
    send(frame: Uint8Array): void {
        this.port?.send(frame)
        this.tellGuests(toLine(frame))
    }

    async close(): Promise<void> {
        this.closed = true
        clearTimeout(this.timer)
        for (const guest of this.guests) guest.destroy()
        await new Promise(resolve => this.server.close(resolve))
        await this.port?.close()
    }

    private async open(): Promise<void> {
        if (this.closed) return
        const opened = await openHostPort(
            this.options.path,
            {
                frame: frame => {
                    this.tellGuests(toLine(frame))
                    this.options.onFrame(frame)
                },
                log: line => this.tellGuests(Buffer.from(`${line}\n`)),
                end: () => {
                    this.port = undefined
                    this.tell(false, "the cable was pulled")
                    this.later()
                },
            },
            { shared: false },
        )
        if (opened.ok && this.closed) return await opened.value.close()
        if (opened.ok) {
            this.port = opened.value
            this.tell(true, "")
            return
        }
        this.tell(false, opened.what)
        this.later()
    }

    private tell(plugged: boolean, why: string): void {
        const text = `${plugged} ${why}`
        if (text === this.told) return
        this.told = text
        this.options.onPlugged(plugged, why)
    }

    private later(): void {
        this.timer = setTimeout(() => void this.open(), againMs)
    }

    private welcome(guest: Socket): void {
        if (this.guests.size >= guestsMax) {
            guest.destroy()
            return
        }
        this.guests.add(guest)
        const reader = new LineReader({
            frame: frame => {
                // The board's switches are this program's; nobody turns them off for the others.
                if (bridgeCommandOf(frame) !== undefined) return
                this.port?.send(frame)
                this.options.onFrame(frame)
            },
        })
        guest.on("data", bytes => reader.push(bytes))
        guest.on("error", () => guest.destroy())
        guest.once("close", () => this.guests.delete(guest))
    }

    private tellGuests(bytes: Buffer): void {
        for (const guest of this.guests)
            if (guest.writableLength < guestBytesMax) guest.write(bytes)
            else guest.destroy()
    }
}
