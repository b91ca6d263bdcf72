/**
 * A UDP socket whose datagrams cross into the system many at a time.
 *
 * Owns the socket and what waits to be sent. Never waits and never parses: its loop says when to read and when to send. A datagram
 * is its reader's until the reader returns; one that is sent may be written again at once.
 */

import { failure, type Outcome, success } from "../outcome.ts"
import { bindFailure, bufferBytes, type DatagramHandler, type UdpIo, type UdpOptions, type UdpRefusal } from "../udp.ts"
import { errnos, type Libc, sockets } from "./libc.ts"
import { Messages, messageBytes, socketAddress } from "./messages.ts"

/** Longer than any datagram that Parley sends. */
const packetBytesMost = 2048
/** So many are handed to the system at once, at the latest. */
const flushAt = 64
/** What waits for the system is old before it leaves: what may be dropped is not added beyond `queuedMost`. */
const queueSlots = 320
const queuedMost = 256
/** DSCP EF (RFC 3246), as sound is marked (RFC 4594, 4.1), in its place in the octet. */
const expedited = 46 << 2

export interface BatchSocketOwner {
    /** Something waits to be sent. */
    onWaiting(): void
    onClosed(socket: BatchSocket): void
}

export class BatchSocket implements UdpIo {
    sendFailures = 0
    isOpen = true
    /** Until then nothing that comes waits for more. */
    hurryUntilMs = 0
    readonly #queue: Messages
    #queued = 0
    #wasFull = false

    private constructor(
        private readonly libc: Libc,
        readonly fd: number,
        readonly ip: string,
        readonly port: number,
        private readonly onDatagram: DatagramHandler,
        private readonly options: UdpOptions,
        private readonly owner: BatchSocketOwner,
    ) {
        this.#queue = new Messages(libc, queueSlots, packetBytesMost)
    }

    static open(
        libc: Libc,
        ip: string,
        port: number,
        onDatagram: DatagramHandler,
        options: UdpOptions,
        owner: BatchSocketOwner,
    ): Outcome<BatchSocket, UdpRefusal> {
        const address = socketAddress(ip, port)
        if (!address) return failure("address-unavailable", `${ip} is no IPv4 address`, "operator")
        const { family, datagram, nonBlocking, closeOnExec } = sockets
        const fd = libc.socket(family, datagram | nonBlocking | closeOnExec, 0)
        if (fd < 0) return bindFailure(libc.nameOf(libc.errno()), ip, port)
        if (libc.bind(fd, address, address.length) < 0) {
            const code = libc.nameOf(libc.errno())
            libc.close(fd)
            return bindFailure(code, ip, port)
        }
        // The latter is for those who may; the others go on with what the system gives.
        for (const option of [sockets.receiveBuffer, sockets.receiveBufferForce])
            setOption(libc, fd, sockets.level, option, bufferBytes)
        for (const option of [sockets.sendBuffer, sockets.sendBufferForce])
            setOption(libc, fd, sockets.level, option, bufferBytes)
        setOption(libc, fd, sockets.levelIp, sockets.typeOfService, expedited)
        const bytes = Uint8Array.of(address.length, 0, 0, 0)
        libc.getsockname(fd, address, bytes)
        return success(new BatchSocket(libc, fd, ip, (address[2] << 8) | address[3], onDatagram, options, owner))
    }

    /** Reads what is there into `messages`, once, and hands it on. Returns how many there were. */
    read(messages: Messages): number {
        if (!this.isOpen) return 0
        const count = this.libc.recvmmsg(this.fd, messages.address, messages.count, sockets.dontWait, 0)
        for (let slot = 0; slot < count && this.isOpen; slot++)
            this.onDatagram(messages.datagram(slot), messages.ip(slot), messages.port(slot))
        const isFull = count === messages.count
        // Behind as many as a turn takes there may be no more: that is said too.
        if (count > 0 || this.#wasFull) this.options.onTurn?.(isFull)
        this.#wasFull = isFull
        return Math.max(0, count)
    }

    send(packet: Uint8Array, ip: string, port: number, mayDrop = false): boolean {
        if (!this.isOpen) return false
        const most = mayDrop ? queuedMost : queueSlots
        // What the system did not take before, it may take now.
        if (this.#queued >= most) this.flush()
        const isFull = this.#queued >= most
        if (isFull || packet.length > packetBytesMost || !this.#queue.put(this.#queued, packet, ip, port)) {
            if (!isFull || !mayDrop) this.sendFailures++
            return false
        }
        this.#queued++
        if (this.#queued % flushAt === 0) this.flush()
        else if (this.#queued === 1) this.owner.onWaiting()
        return true
    }

    hurry(ms: number): void {
        this.hurryUntilMs = performance.now() + ms
    }

    /** Hands what waits to the system. False: it does not take all of it now. */
    flush(): boolean {
        const { libc, fd } = this
        if (!this.isOpen) return true
        let gone = 0
        while (gone < this.#queued) {
            const at = this.#queue.address + gone * messageBytes
            const sent = libc.sendmmsg(fd, at, this.#queued - gone, sockets.dontWait)
            if (sent > 0) {
                gone += sent
                continue
            }
            const errno = libc.errno()
            if (errno === errnos.again || errno === errnos.noBuffers) break
            if (errno === errnos.interrupted) continue
            // Such as an unreachable address: the others are no worse for it.
            this.sendFailures++
            gone++
        }
        if (gone > 0 && gone < this.#queued) this.#queue.shift(gone, this.#queued)
        this.#queued -= gone
        return this.#queued === 0
    }

    close(): Promise<void> {
        if (this.isOpen) {
            this.flush()
            this.isOpen = false
            this.libc.close(this.fd)
            this.owner.onClosed(this)
        }
        return Promise.resolve()
    }
}

function setOption(libc: Libc, fd: number, level: number, option: number, value: number): void {
    const bytes = new Uint8Array(Int32Array.of(value).buffer)
    libc.setsockopt(fd, level, option, bytes, bytes.length)
}
