/**
 * The port on which neighbours reach us: TCP for TLS, and UDP of the same number, which the data plane has.
 *
 * Owns the TCP socket, the choice of the number, and what a stranger may cost: connections from addresses that no neighbour has are closed before
 * TLS begins, and those that have not shown who they are are few, in all and for each address.
 */

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
    /** Takes the UDP port of this number for datagrams: undefined, or why it cannot be had. */
    bindDatagrams(port: number): Promise<string | undefined>
    refused(address: string, what: string): void
}

export class LinkListener {
    readonly #events: ListenerEvents
    readonly #ip: string
    readonly #underlay: Underlay | undefined
    readonly #tls: TlsServer
    #tcp: Server | undefined
    readonly #halfOpen = new Map<string, number>()
    #halfOpenTotal = 0
    /** For each half-open connection by name: what counts it as settled. */
    readonly #settlers = new Map<string, () => void>()
    readonly #halfOpenSockets = new Set<Socket>()

    /** `underlay`: the emulated network that all connections pass through. */
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
            const wrong = await this.#events.bindDatagrams(listening)
            if (wrong === undefined) {
                tcp.on("error", () => {}) // such as too many open files: the next connection may succeed
                this.#tcp = tcp
                return { port: listening }
            }
            await new Promise(resolve => tcp.close(resolve))
            if (port !== 0 || attempt >= 20) throw new Error(wrong)
        }
    }

    async close(): Promise<void> {
        this.#underlay?.close()
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

function listen(server: Server, ip: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
        server.once("error", reject)
        server.listen({ host: ip, port, backlog: linkLimits.halfOpen }, () => {
            server.off("error", reject)
            resolve((server.address() as { port: number }).port)
        })
    })
}
