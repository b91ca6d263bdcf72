/**
 * A wire between two link sets that a test can cut, tap and abuse: relays TCP and UDP between two addresses.
 *
 * Side A believes that B lives at `forA`, side B believes that A lives at `forB`. Owns sockets on both addresses.
 */

import { createSocket, type Socket as DatagramSocket } from "node:dgram"
import { connect, createServer, type Server, type Socket } from "node:net"

export interface End {
    ip: string
    port: number
}

export interface Datagram {
    from: "a" | "b"
    bytes: Buffer
}

export class Wire {
    readonly forA: End
    readonly forB: End
    /** Everything that was sent, newest last. */
    readonly seen: Datagram[] = []
    isCut = false
    #a: End
    #b: End
    #udp: { a: DatagramSocket; b: DatagramSocket } | undefined
    #tcp: { a: Server; b: Server } | undefined
    readonly #sockets = new Set<Socket>()

    constructor(forA: End, forB: End) {
        this.forA = forA
        this.forB = forB
        this.#a = forB
        this.#b = forA
    }

    /** `a` and `b` are where the link sets really are. */
    async start(a: End, b: End): Promise<void> {
        this.#a = a
        this.#b = b
        const udpA = await bound(this.forA)
        const udpB = await bound(this.forB)
        this.#udp = { a: udpA, b: udpB }
        udpA.on("message", bytes => this.#relay({ from: "a", bytes }))
        udpB.on("message", bytes => this.#relay({ from: "b", bytes }))
        this.#tcp = {
            a: await listening(this.forA, socket => this.#join(socket, this.#b, this.forB.ip)),
            b: await listening(this.forB, socket => this.#join(socket, this.#a, this.forA.ip)),
        }
    }

    /** Sends `bytes` to one side as if the other one had. */
    inject(datagram: Datagram): void {
        if (datagram.from === "a") this.#udp?.b.send(datagram.bytes, this.#b.port, this.#b.ip)
        else this.#udp?.a.send(datagram.bytes, this.#a.port, this.#a.ip)
    }

    async close(): Promise<void> {
        for (const socket of this.#sockets) socket.destroy()
        this.#udp?.a.close()
        this.#udp?.b.close()
        for (const server of [this.#tcp?.a, this.#tcp?.b])
            if (server) await new Promise(resolve => server.close(resolve))
    }

    #relay(datagram: Datagram): void {
        this.seen.push(datagram)
        if (!this.isCut) this.inject(datagram)
    }

    #join(near: Socket, to: End, localAddress: string): void {
        const far = connect({ host: to.ip, port: to.port, localAddress })
        for (const [from, onto] of [
            [near, far],
            [far, near],
        ]) {
            this.#sockets.add(from)
            from.on("error", () => {})
            from.on("data", chunk => !this.isCut && onto.write(chunk))
            from.on("close", () => {
                this.#sockets.delete(from)
                if (!this.isCut) onto.destroy()
            })
        }
    }
}

function bound(end: End): Promise<DatagramSocket> {
    return new Promise((resolve, reject) => {
        const socket = createSocket("udp4")
        socket.once("error", reject)
        socket.bind(end.port, end.ip, () => resolve(socket))
    })
}

function listening(end: End, onConnection: (socket: Socket) => void): Promise<Server> {
    return new Promise((resolve, reject) => {
        const server = createServer(onConnection)
        server.once("error", reject)
        server.listen(end.port, end.ip, () => resolve(server))
    })
}
