/**
 * The port on which neighbours reach us: TCP for TLS, UDP of the same number for datagrams.
 *
 * Owns both sockets and what a stranger may cost: connections from addresses that no neighbour has are closed before
 * TLS begins, and those that have not shown who they are are few, in all and for each address.
 */

import { createSocket, type Socket as DatagramSocket, type RemoteInfo } from "node:dgram"
import { createServer, type Server, type Socket } from "node:net"
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from "node:tls"
import { linkLimits } from "../../../protocol/link.ts"
import type { Underlay } from "../underlay/underlay.ts"
import type { Identity } from "./identity.ts"
import { secureOptions } from "./meeting.ts"

export interface ListenerEvents {
    /** Whether a neighbour has this address. */
    isExpected(address: string): boolean
    /** TLS is done; `settled` must be called once it is known who it is, or that it is nobody. */
    connection(socket: TLSSocket, settled: () => void): void
    datagram(datagram: Buffer, from: RemoteInfo): void
    refused(address: string, what: string): void
}

export class LinkListener {
    readonly #events: ListenerEvents
    readonly #ip: string
    readonly #underlay: Underlay | undefined
    readonly #tls: TlsServer
    #tcp: Server | undefined
    #udp: DatagramSocket | undefined
    readonly #halfOpen = new Map<string, number>()
    #halfOpenTotal = 0
    /** For each half-open connection by name: what counts it as settled. */
    readonly #settlers = new Map<string, () => void>()
    readonly #halfOpenSockets = new Set<Socket>()

    /** `underlay`: the emulated network that all datagrams and connections pass through. */
    constructor(ip: string, identity: Identity, events: ListenerEvents, underlay?: Underlay) {
        this.#ip = ip
        this.#underlay = underlay
        this.#events = events
        this.#tls = createTlsServer({
            ...secureOptions(identity),
            requestCert: true,
            handshakeTimeout: linkLimits.greetWithinMs,
        })
        this.#tls.on("secureConnection", socket => {
            const name = nameOf(socket)
            events.connection(socket, () => this.#settlers.get(name)?.())
        })
        this.#tls.on("tlsClientError", (error, socket) => {
            events.refused(socket.remoteAddress ?? "", error.message)
            socket.destroy() // Node leaves one that ran out of time open
        })
    }

    /** Listens on `port`, or on one that is free for TCP and UDP when it is 0. */
    async start(port: number): Promise<{ port: number }> {
        for (let attempt = 0; ; attempt++) {
            const tcp = createServer({ allowHalfOpen: false }, socket => this.#onConnection(socket))
            const listening = await listen(tcp, this.#ip, port)
            const udp = createSocket({ type: "udp4", recvBufferSize: 1 << 20 })
            const bound = await bind(udp, this.#ip, listening)
            if (bound === undefined) {
                tcp.on("error", () => {}) // such as too many open files: the next connection may succeed
                udp.on("error", () => {}) // such as an unreachable address: that neighbour goes down by silence
                udp.on("message", (datagram, from) => {
                    if (this.#underlay?.isPlain === false && !this.#underlay.hears(from.address)) return
                    this.#events.datagram(datagram, from)
                })
                this.#tcp = tcp
                this.#udp = udp
                return { port: listening }
            }
            await new Promise(resolve => tcp.close(resolve))
            udp.close()
            if (port !== 0 || attempt >= 20) throw bound
        }
    }

    send(datagram: Buffer, port: number, address: string): void {
        const underlay = this.#underlay
        if (!underlay || underlay.isPlain) this.#udp?.send(datagram, port, address, ignore)
        else underlay.send(address, datagram.length, () => this.#udp?.send(datagram, port, address, ignore))
    }

    async close(): Promise<void> {
        this.#underlay?.close()
        this.#udp?.close()
        this.#udp = undefined
        // The listening socket is closed only once all of its connections are.
        for (const socket of this.#halfOpenSockets) socket.destroy()
        await new Promise(resolve => (this.#tcp ? this.#tcp.close(resolve) : resolve(undefined)))
    }

    #onConnection(socket: Socket) {
        socket.on("error", () => {})
        const address = socket.remoteAddress ?? ""
        const ofAddress = this.#halfOpen.get(address) ?? 0
        const refusal = !this.#events.isExpected(address)
            ? "no neighbour has this address"
            : this.#halfOpenTotal >= linkLimits.halfOpen || ofAddress >= linkLimits.halfOpenPerAddress
              ? "too many half-open connections"
              : undefined
        if (refusal) {
            socket.destroy()
            return this.#events.refused(address, refusal)
        }
        this.#halfOpenTotal++
        this.#halfOpen.set(address, ofAddress + 1)
        const name = nameOf(socket)
        this.#halfOpenSockets.add(socket)
        this.#settlers.set(name, () => {
            this.#settlers.delete(name)
            this.#halfOpenSockets.delete(socket)
            this.#halfOpenTotal--
            const left = (this.#halfOpen.get(address) ?? 1) - 1
            if (left > 0) this.#halfOpen.set(address, left)
            else this.#halfOpen.delete(address)
        })
        socket.on("close", () => this.#settlers.get(name)?.())
        const underlay = this.#underlay
        if (!underlay || underlay.isPlain) {
            this.#tls.emit("connection", socket)
            return
        }
        socket.setTimeout(linkLimits.greetWithinMs, () => socket.destroy())
        const cancel = underlay.whenConnected(address, () => {
            socket.setTimeout(0)
            this.#tls.emit("connection", socket)
        })
        socket.once("close", cancel)
    }
}

/** Names a connection; TLS hands back a wrapping socket without telling which connection it wraps. */
function nameOf(socket: Socket): string {
    return `${socket.remoteAddress}:${socket.remotePort}`
}

function ignore(): void {}

function listen(server: Server, ip: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
        server.once("error", reject)
        server.listen({ host: ip, port, backlog: linkLimits.halfOpen }, () => {
            server.off("error", reject)
            resolve((server.address() as { port: number }).port)
        })
    })
}

/** Undefined when bound, else the error. */
function bind(socket: DatagramSocket, ip: string, port: number): Promise<Error | undefined> {
    return new Promise(resolve => {
        socket.once("error", resolve)
        socket.bind({ address: ip, port, exclusive: true }, () => {
            socket.off("error", resolve)
            resolve(undefined)
        })
    })
}
