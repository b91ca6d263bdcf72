/**
 * UDP behind one small interface, so that a batching addon may take dgram's place later without its users knowing.
 *
 * Owns the socket and its counters. Never parses, never throws on a datagram or a failed send: sends are counted, as UDP may
 * lose them anyway.
 */

import { createSocket, type Socket } from "node:dgram"
import { failure, type Outcome, success } from "./outcome.ts"

export type DatagramHandler = (datagram: Buffer, ip: string, port: number) => void

export interface UdpIo {
    readonly ip: string
    readonly port: number
    sendFailures: number
    /** Sends `packet`; it may be written again as soon as the event loop has turned. */
    send(packet: Uint8Array, ip: string, port: number): void
    close(): Promise<void>
}

export type UdpRefusal = "address-in-use" | "address-unavailable"

/** Room for a stall of the process: about 1 000 packets of a socket's default is too little for a routing server. */
const receiveBufferBytes = 2 * 1024 * 1024

/** Opens a UDP socket on `ip`:`port` (0: any) and hands every datagram to `onDatagram`. */
export function openUdp(ip: string, port: number, onDatagram: DatagramHandler): Promise<Outcome<UdpIo, UdpRefusal>> {
    const socket = createSocket({
        type: "udp4",
        // Addresses are numeric already: skipping the resolver saves a turn of the event loop for every packet.
        lookup: (host, _options, callback) => callback(null, host, 4),
    })
    return new Promise(resolve => {
        socket.once("error", (error: NodeJS.ErrnoException) => {
            socket.close()
            resolve(bindFailure(error, ip, port))
        })
        socket.bind({ address: ip, port, exclusive: true }, () => {
            socket.removeAllListeners("error")
            const io = new DgramIo(socket, ip, socket.address().port)
            // ICMP errors surface here; the far side being away is no reason to stop.
            socket.on("error", () => {
                io.sendFailures++
            })
            socket.on("message", (datagram, from) => onDatagram(datagram, from.address, from.port))
            try {
                socket.setRecvBufferSize(receiveBufferBytes)
            } catch {
                // The system's limit is lower: go on with what it gives.
            }
            resolve(success(io))
        })
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

    send(packet: Uint8Array, ip: string, port: number): void {
        if (!this.open) return
        try {
            this.socket.send(packet, port, ip, this.onSent)
        } catch {
            this.sendFailures++
        }
    }

    close(): Promise<void> {
        if (!this.open) return Promise.resolve()
        this.open = false
        return new Promise(resolve => this.socket.close(() => resolve()))
    }
}

function bindFailure(error: NodeJS.ErrnoException, ip: string, port: number) {
    if (error.code === "EADDRINUSE")
        return failure("address-in-use", `UDP ${ip}:${port} is used by another process`, "operator")
    return failure(
        "address-unavailable",
        `cannot listen on UDP ${ip}:${port}: ${error.code ?? error.message}`,
        "operator",
    )
}
