/**
 * UDP behind one small interface, and Node's dgram behind that; `batch-udp/` is the other one.
 *
 * Owns the socket and its counters. Never parses, never throws on a datagram or a failed send: sends are counted, as UDP may
 * lose them anyway.
 */

import { createSocket, type Socket } from "node:dgram"
import { failure, type Outcome, success } from "./outcome.ts"

/** The datagram may be written into, and is the handler's only until it returns. */
export type DatagramHandler = (datagram: Buffer, ip: string, port: number) => void

export interface UdpOptions {
    /** What comes is passed on, and is not to wait for more of it. With dgram it never does. */
    isPressing?: boolean
    /** The datagrams of one turn were handed on; `mayHoldMore`: as many as are read in a turn, and false follows if there were no more. */
    onTurn?(mayHoldMore: boolean): void
}

export interface UdpIo {
    readonly ip: string
    readonly port: number
    /** Not sent, and not for want of room for what may be dropped. With dgram, of the latter nothing is known. */
    sendFailures: number
    /** `packet` may be written again at once. False: not sent; it may be dropped and the system takes no more now, or it is closed. */
    send(packet: Uint8Array, ip: string, port: number, mayDrop?: boolean): boolean
    /** Whoever measures by when datagrams come: for so long none waits for others. Absent: none ever does. */
    hurry?(ms: number): void
    close(): Promise<void>
}

export type UdpRefusal = "address-in-use" | "address-unavailable"

/** Room for a stall of the process, and for a tick's packets: a system's default is too little for a routing server. */
export const bufferBytes = 4 * 1024 * 1024
/** libuv reads so many from a socket before others have their turn. */
const datagramsPerTurn = 32
/** What waits for the system is old before it leaves: what may be dropped is not added beyond this. */
const queuedMost = 256

/** Opens a UDP socket on `ip`:`port` (0: any) and hands every datagram to `onDatagram`. */
export function openUdp(
    ip: string,
    port: number,
    onDatagram: DatagramHandler,
    { onTurn }: UdpOptions = {},
): Promise<Outcome<UdpIo, UdpRefusal>> {
    const socket = createSocket({
        type: "udp4",
        // Addresses are numeric already: skipping the resolver saves a turn of the event loop for every packet.
        lookup: (host, _options, callback) => callback(null, host, 4),
    })
    return new Promise(resolve => {
        socket.once("error", (error: NodeJS.ErrnoException) => {
            socket.close()
            resolve(bindFailure(error.code ?? error.message, ip, port))
        })
        socket.bind({ address: ip, port, exclusive: true }, () => {
            socket.removeAllListeners("error")
            const io = new DgramIo(socket, ip, socket.address().port)
            // ICMP errors surface here; the far side being away is no reason to stop.
            socket.on("error", () => {
                io.sendFailures++
            })
            socket.on("message", (datagram, from) => onDatagram(datagram, from.address, from.port))
            if (onTurn) countTurns(socket, onTurn)
            try {
                socket.setRecvBufferSize(bufferBytes)
            } catch {
                // The system's limit is lower: go on with what it gives.
            }
            resolve(success(io))
        })
    })
}

function countTurns(socket: Socket, onTurn: (mayHoldMore: boolean) => void): void {
    let inTurn = 0
    const turned = () => {
        const mayHoldMore = inTurn >= datagramsPerTurn
        inTurn = 0
        onTurn(mayHoldMore)
        if (mayHoldMore) setImmediate(lookAgain)
    }
    const lookAgain = () => {
        if (inTurn === 0) onTurn(false)
    }
    socket.on("message", () => {
        if (inTurn++ === 0) setImmediate(turned)
    })
}

class DgramIo implements UdpIo {
    sendFailures = 0
    private open = true
    private readonly onSent = (error: Error | null) => {
        if (error) this.sendFailures++
    }

    constructor(
        private readonly socket: Socket,
        readonly ip: string,
        readonly port: number,
    ) {}

    send(packet: Uint8Array, ip: string, port: number, mayDrop = false): boolean {
        if (!this.open) return false
        const queued = this.socket.getSendQueueCount()
        if (mayDrop && queued > queuedMost) return false
        try {
            // A copy, as the system may take it only later. To hear of a failure costs a turn of the microtask queue for each packet: too
            // much for what may be dropped.
            this.socket.send(Buffer.from(packet), port, ip, mayDrop ? undefined : this.onSent)
        } catch {
            this.sendFailures++
            return false
        }
        return true
    }

    close(): Promise<void> {
        if (!this.open) return Promise.resolve()
        this.open = false
        return new Promise(resolve => this.socket.close(() => resolve()))
    }
}

/** `code`: of the system, such as EADDRINUSE. */
export function bindFailure(code: string, ip: string, port: number) {
    if (code === "EADDRINUSE")
        return failure("address-in-use", `UDP ${ip}:${port} is used by another process`, "operator")
    return failure("address-unavailable", `cannot listen on UDP ${ip}:${port}: ${code}`, "operator")
}
