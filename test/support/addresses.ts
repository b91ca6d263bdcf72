/**
 * Loopback addresses and ports for tests, so that test files running at the same time do not meet.
 */

import { createSocket } from "node:dgram"
import { createServer } from "node:net"

/** A TCP port that was free on `host` a moment ago: only for programs that cannot listen on port 0 themselves. */
export async function freePort(host = "127.0.0.1"): Promise<number> {
    const server = createServer()
    await new Promise<void>((resolve, reject) => {
        server.once("error", reject)
        server.listen({ host, port: 0 }, resolve)
    })
    const port = (server.address() as { port: number }).port
    await new Promise(resolve => server.close(resolve))
    return port
}

/** A UDP port that was free on `host` a moment ago. */
export async function freeUdpPort(host = "127.0.0.1"): Promise<number> {
    const socket = createSocket("udp4")
    await new Promise<void>((resolve, reject) => {
        socket.once("error", reject)
        socket.bind({ address: host, port: 0 }, resolve)
    })
    const port = socket.address().port
    await new Promise<void>(resolve => socket.close(() => resolve()))
    return port
}

const handedOut = new Set<string>()

/**
 * A loopback address that nobody else is likely to use: 127.64-250.*.*, at random, since test files are processes of
 * their own. The default system and its neighbours live in 127.0.*.*.
 */
export function loopbackAddress(): string {
    for (;;) {
        const part = (from: number, to: number) => from + Math.floor(Math.random() * (to - from + 1))
        const address = `127.${part(64, 250)}.${part(0, 255)}.${part(1, 254)}`
        if (handedOut.has(address)) continue
        handedOut.add(address)
        return address
    }
}
