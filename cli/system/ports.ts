/**
 * Are the addresses of a system free? Asked before anything starts, so that a taken port has a name and not a stack trace.
 */
import { createSocket } from "node:dgram"
import { createServer } from "node:net"
import { type Layout, planLayout } from "../layout.ts"
import { type Failure, failure, type Outcome, success } from "../outcome.ts"

interface Place {
    part: string
    host: string
    port: number
    kind: "tcp" | "udp"
}

export async function checkFree(layout: Layout): Promise<Outcome<undefined>> {
    const places: Place[] = [
        { part: "broker", ...layout.broker, kind: "tcp" },
        { part: "group server", ...layout.group, kind: "tcp" },
        { part: "simulator", ...layout.sim, kind: "tcp" },
        ...layout.servers.flatMap((server): Place[] => [
            { part: server.id, host: server.ip, port: server.linkPort, kind: "tcp" },
            { part: server.id, host: server.ip, port: server.controlPort, kind: "tcp" },
            { part: server.id, host: server.ip, port: server.mediaPort, kind: "udp" },
        ]),
    ]
    for (const place of places) {
        const problem = await (place.kind === "tcp" ? tryTcp(place) : tryUdp(place))
        if (problem === "EADDRINUSE")
            return failure(
                "failed",
                "address-in-use",
                `${place.part}: ${place.host}:${place.port} (${place.kind}) is taken by another program`,
                {
                    who: "you",
                    next: "stop the other program, or take another block: parley up --network 127.40",
                    details: { part: place.part, host: place.host, port: place.port },
                },
            )
        if (problem)
            return failure(
                "failed",
                "address-unusable",
                `${place.part}: cannot listen on ${place.host}:${place.port} (${problem})`,
                {
                    who: "operator",
                    next:
                        problem === "EADDRNOTAVAIL"
                            ? `this system has no such loopback address; add it, for example: ifconfig lo0 alias ${place.host}`
                            : undefined,
                    details: { part: place.part, host: place.host, port: place.port, problem },
                },
            )
    }
    return success(undefined)
}

/** A block in which a system of this size can listen: from 127.100 on, begun at a place that differs by `seed`. */
export async function freeNetwork(boards: number, servers: number, seed: number): Promise<Outcome<string>> {
    let free: Outcome<undefined> = success(undefined)
    for (let i = 0; i < networksTried; i++) {
        const network = `127.${100 + ((seed + i * 7) % 150)}`
        free = await checkFree(planLayout(network, boards, servers))
        if (free.ok) return success(network)
    }
    return free as Failure
}

const networksTried = 20

function tryTcp(place: Place): Promise<string> {
    return new Promise(resolve => {
        const server = createServer()
        server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "unknown"))
        server.listen(place.port, place.host, () => server.close(() => resolve("")))
    })
}

function tryUdp(place: Place): Promise<string> {
    return new Promise(resolve => {
        const socket = createSocket("udp4")
        socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "unknown"))
        socket.bind(place.port, place.host, () => socket.close(() => resolve("")))
    })
}
