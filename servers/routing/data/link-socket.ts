/**
 * The UDP socket of links.
 *
 * Owns the socket and what waits in it for the system to take. Never parses. A datagram may be written again as soon as `send`
 * has returned: the system takes it at once, but where it is full or a network is emulated, and there a copy waits.
 */

import { createSocket, type Socket } from "node:dgram"
import { failure, type Outcome, success } from "../../../media/outcome.ts"
import type { DatagramHandler, UdpIo, UdpRefusal } from "../../../media/udp.ts"
import type { Underlay } from "../underlay/underlay.ts"

const receiveBufferBytes = 4 * 1024 * 1024
/** What waits for the system is old before it leaves: beyond this nothing is added. */
const queuedMost = 256

export class LinkSocket implements UdpIo {
    readonly ip: string
    readonly port: number
    sendFailures = 0
    readonly #socket: Socket
    readonly #underlay: Underlay
    #isOpen = true

    private constructor(socket: Socket, ip: string, underlay: Underlay, onDatagram: DatagramHandler) {
        this.#socket = socket
        this.#underlay = underlay
        this.ip = ip
        this.port = socket.address().port
        // Such as an unreachable address: that neighbour goes down by silence.
        socket.on("error", () => {
            this.sendFailures++
        })
        socket.on("message", (datagram, from) => {
            if (!underlay.isPlain && !underlay.hears(from.address)) return
            onDatagram(datagram, from.address, from.port)
        })
        try {
            socket.setRecvBufferSize(receiveBufferBytes)
        } catch {
            // The system's limit is lower: go on with what it gives.
        }
    }

    static open(
        ip: string,
        port: number,
        underlay: Underlay,
        onDatagram: DatagramHandler,
    ): Promise<Outcome<LinkSocket, UdpRefusal>> {
        // Addresses are numeric already: skipping the resolver saves a turn of the event loop for every packet.
        const socket = createSocket({ type: "udp4", lookup: (host, _options, call) => call(null, host, 4) })
        return new Promise(resolve => {
            socket.once("error", (error: NodeJS.ErrnoException) => {
                socket.close()
                const reason = error.code === "EADDRINUSE" ? "address-in-use" : "address-unavailable"
                resolve(failure(reason, `UDP ${ip}:${port}: ${error.code ?? error.message}`, "operator"))
            })
            socket.bind({ address: ip, port, exclusive: true }, () => {
                socket.removeAllListeners("error")
                resolve(success(new LinkSocket(socket, ip, underlay, onDatagram)))
            })
        })
    }

    /** False: not sent, as `mayDrop` and the system does not take what is sent as fast as it is sent. */
    send(datagram: Buffer, ip: string, port: number, mayDrop = false): boolean {
        if (!this.#isOpen) return false
        if (!this.#underlay.isPlain) {
            const copy = Buffer.from(datagram)
            this.#underlay.send(ip, copy.length, () => this.#isOpen && this.#socket.send(copy, port, ip))
            return true
        }
        const queued = this.#socket.getSendQueueCount()
        if (mayDrop && queued > queuedMost) return false
        // No callback: it would cost a turn of the microtask queue for each packet, and UDP may lose them anyway.
        this.#socket.send(queued > 0 ? Buffer.from(datagram) : datagram, port, ip)
        return true
    }

    close(): Promise<void> {
        if (!this.#isOpen) return Promise.resolve()
        this.#isOpen = false
        return new Promise(resolve => this.#socket.close(() => resolve()))
    }
}
