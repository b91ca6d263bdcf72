/**
 * A host's end of the line to a board: a serial device, a pseudo-terminal, or the socket of a program that shares its port.
 *
 * Owns opening it, frames in and out, the log, and keeping the board's packets switched on: a board that restarts forgets
 * that. Never knows what a frame means.
 */

import { lstat, stat } from "node:fs/promises"
import { connect } from "node:net"
import type { Duplex } from "node:stream"
import { failure, type Outcome, success } from "../media/outcome.ts"
import { bridgeCommandOf, bridgeCommands, bridgeFrame } from "./bridge.ts"
import { LineReader, toLine } from "./framing.ts"
import { shareSocketOf } from "./share-path.ts"

export type PortRefusal = "no-such-port" | "not-allowed" | "not-a-port" | "port-busy" | "port-failed"

export interface HostPortHandlers {
    frame(frame: Buffer): void
    log?(line: string): void
    /** The cable is pulled, or the sharing program has ended. */
    end?(): void
}

export interface HostPort {
    /** What was opened: the device, or the socket of the program that shares it. */
    readonly path: string
    readonly shared: boolean
    /** Frames that came damaged. */
    damaged(): number
    send(frame: Uint8Array): void
    close(): Promise<void>
}

export const baudRate = 1_500_000
const enableEveryMs = 1000
/** What is not taken by the line in time: the board does not read. */
const waitingBytesMax = 256 * 1024

/** Resolves when the port is open; whether a board answers is for the caller to see. */
export async function openHostPort(
    path: string,
    handlers: HostPortHandlers,
    /** False: for the program that shares it. */
    { shared = true } = {},
): Promise<Outcome<HostPort, PortRefusal>> {
    const kind = await kindOf(path)
    if (!kind.ok) return kind
    if (kind.value === "socket") return onSocket(path, handlers)
    // A program that serves the board's sound holds the port; it passes everything on.
    const share = shared ? await shareSocketOf(path) : undefined
    if (share) {
        const opened = await onSocket(share, handlers)
        if (opened.ok) return opened
    }
    return await onSerial(path, handlers)
}

async function kindOf(path: string): Promise<Outcome<"socket" | "device", PortRefusal>> {
    try {
        const found = await stat(path)
        if (found.isSocket()) return success("socket")
        if (found.isCharacterDevice()) return success("device")
        return failure("not-a-port", `${path} is no serial port: it is a file or a folder`, "you")
    } catch (error) {
        const code = (error as NodeJS.ErrnoException).code
        if (code === "EACCES") return notAllowed(path)
        const dangling = await lstat(path).catch(() => undefined)
        const why = dangling ? "its cable is unplugged" : "there is nothing at this path"
        return failure("no-such-port", `no serial port ${path}: ${why}`, "you")
    }
}

function notAllowed(path: string) {
    return failure(
        "not-allowed",
        `${path} may not be opened by this user: add them to its group (dialout on Debian)`,
        "operator",
    )
}

async function onSocket(path: string, handlers: HostPortHandlers): Promise<Outcome<HostPort, PortRefusal>> {
    return new Promise(resolve => {
        const socket = connect(path)
        socket.once("error", error => {
            const code = (error as NodeJS.ErrnoException).code
            resolve(
                code === "EACCES"
                    ? notAllowed(path)
                    : failure("port-failed", `nobody shares a port at ${path} (${code})`, "you"),
            )
        })
        socket.once("connect", () => resolve(success(portOver(socket, path, true, handlers))))
    })
}

async function onSerial(path: string, handlers: HostPortHandlers): Promise<Outcome<HostPort, PortRefusal>> {
    const { SerialPort } = await import("serialport")
    return new Promise(resolve => {
        const serial = new SerialPort({ path, baudRate }, error => {
            // Its stream does not close the device when it is destroyed.
            const shut = () => serial.close(() => {})
            if (!error) return resolve(success(portOver(serial, path, false, handlers, shut)))
            // The library tells kinds of errors by text alone.
            const text = error.message
            if (text.includes("Cannot lock port") || text.includes("Resource busy"))
                return resolve(
                    failure(
                        "port-busy",
                        `${path} is held by another program, which does not share it under this name`,
                        "you",
                    ),
                )
            if (text.includes("Permission denied")) return resolve(notAllowed(path))
            resolve(failure("port-failed", `${path} cannot be opened: ${text}`, "operator"))
        })
    })
}

/** A port over a stream that is open already. */
export function portOver(
    stream: Duplex,
    path: string,
    shared: boolean,
    handlers: HostPortHandlers,
    shut: () => void = () => stream.destroy(),
): HostPort {
    const reader = new LineReader({
        frame(frame) {
            if (bridgeCommandOf(frame) === undefined) handlers.frame(frame)
        },
        log: line => handlers.log?.(line),
    })
    let open = true
    const enable = () => {
        write(toLine(bridgeFrame(bridgeCommands.enablePackets)))
        if (handlers.log) write(toLine(bridgeFrame(bridgeCommands.enableLog)))
    }
    const write = (bytes: Buffer) => {
        if (open && stream.writable && stream.writableLength < waitingBytesMax) stream.write(bytes)
    }
    const closed = new Promise<void>(resolve => {
        stream.once("close", () => {
            clearInterval(timer)
            const wasOpen = open
            open = false
            resolve()
            if (wasOpen) handlers.end?.()
        })
    })
    stream.on("data", bytes => {
        if (open) reader.push(bytes)
    })
    stream.on("error", shut)
    const timer = setInterval(enable, enableEveryMs)
    enable()
    return {
        path,
        shared,
        damaged: () => reader.damaged,
        send: frame => write(toLine(frame)),
        async close() {
            if (!open) return closed
            open = false
            clearInterval(timer)
            shut()
            await closed
        },
    }
}
