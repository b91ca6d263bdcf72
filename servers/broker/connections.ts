/**
 * TCP connections from their acceptance to the login: how many there may be, and what may come in on them.
 *
 * Owns the counts of connections and half-open ones, and the watch on what each socket delivers. Never reads MQTT beyond
 * the frame of a packet.
 */

import type { Socket } from "node:net"
import { Framing, type FramingProblem } from "./framing.ts"
import type { BrokerLimits } from "./limits.ts"

export type AcceptProblem = "tooManyConnections" | "tooManyHalfOpen" | "tooManyHalfOpenFromAddress"

export interface Connection {
    socket: Socket
    address: string
    framing: Framing
    /** What ended it, once something of ours did. */
    problem: FramingProblem | undefined
}

export class Connections {
    private limits: BrokerLimits
    private all = new Map<object, Connection>()
    private halfOpen = new Map<Connection, string>()
    private halfOpenByAddress = new Map<string, number>()

    constructor(limits: BrokerLimits) {
        this.limits = limits
    }

    get halfOpenCount(): number {
        return this.halfOpen.size
    }

    /** Takes a new socket in, or says why not; the caller closes it then. */
    accept(socket: Socket, framingProblem: (connection: Connection) => void): Connection | AcceptProblem {
        const address = socket.remoteAddress ?? "unknown"
        const fromAddress = this.halfOpenByAddress.get(address) ?? 0
        if (this.all.size >= this.limits.connections) return "tooManyConnections"
        if (this.halfOpen.size >= this.limits.halfOpen) return "tooManyHalfOpen"
        if (fromAddress >= this.limits.halfOpenPerAddress) return "tooManyHalfOpenFromAddress"
        const connection: Connection = { socket, address, framing: new Framing(), problem: undefined }
        this.all.set(socket, connection)
        this.halfOpen.set(connection, address)
        this.halfOpenByAddress.set(address, fromAddress + 1)
        socket.once("close", () => {
            this.all.delete(socket)
            this.loggedIn(connection)
        })
        watchReads(connection, framingProblem)
        return connection
    }

    /** The connection is not half-open any more. */
    loggedIn(connection: Connection): void {
        if (!this.halfOpen.delete(connection)) return
        const count = (this.halfOpenByAddress.get(connection.address) ?? 1) - 1
        if (count > 0) this.halfOpenByAddress.set(connection.address, count)
        else this.halfOpenByAddress.delete(connection.address)
    }

    of(socket: object): Connection | undefined {
        return this.all.get(socket)
    }

    closeAll(): void {
        for (const socket of this.all.keys()) (socket as Socket).destroy()
    }
}

/** aedes takes what arrives by `read()` alone, so this is the one place where all of it passes before the parser has it. */
function watchReads(connection: Connection, framingProblem: (connection: Connection) => void): void {
    const { socket, framing } = connection
    const read = socket.read.bind(socket)
    socket.read = (size?: number) => {
        const chunk = read(size)
        if (chunk === null || connection.problem) return null
        connection.problem = framing.push(chunk)
        if (!connection.problem) return chunk
        framingProblem(connection)
        return null
    }
}
