/**
 * Time and UDP of a virtual world for media planes and media engines: what takes hours outside takes minutes here, and one
 * seed gives one run.
 *
 * Owns the agenda, the sockets and what is under way between them. Never looks inside a datagram but for one thing: reports
 * (RTCP) come at random times of their own, so they draw from another source than sound does.
 */

import type { MediaHost } from "../../media/host.ts"
import { success } from "../../media/outcome.ts"
import { createRandom } from "../../media/random.ts"
import { isRtcp } from "../../media/rtcp.ts"
import type { TickerClock } from "../../media/ticker.ts"
import type { DatagramHandler, UdpIo } from "../../media/udp.ts"
import { Agenda } from "./agenda.ts"

/** What a datagram meets on its way. */
export interface Way {
    delayMs: number
    /** Largest extra delay. */
    jitterMs: number
    /** Share that is lost, 0..1. */
    loss: number
    /** A queue keeps the order of what passes it. */
    inOrder?: boolean
}

const perfect: Way = { delayMs: 0, jitterMs: 0, loss: 0 }

/** The network between one sender and one receiver. */
export class Path {
    private readonly random: () => number
    private lastMs = 0

    constructor(
        private readonly agenda: Agenda,
        private readonly way: () => Way,
        seed: number,
    ) {
        this.random = createRandom(seed)
    }

    /** `deliver` after the delay, or never. */
    pass(deliver: () => void): void {
        const { delayMs, jitterMs, loss, inOrder } = this.way()
        const isLost = this.random() < loss
        let atMs = this.agenda.nowMs + delayMs + this.random() * jitterMs
        if (isLost) return
        if (inOrder) atMs = Math.max(atMs, this.lastMs)
        this.lastMs = atMs
        this.agenda.at(atMs, deliver)
    }
}

export class VirtualMedia implements MediaHost {
    readonly agenda = new Agenda()
    /** Of each address, both ways; perfect where there is none. */
    readonly ways = new Map<string, Way>()
    readonly clock: TickerClock = {
        nowMs: () => this.agenda.nowMs,
        after: (delayMs, call) => {
            let isDue = true
            this.agenda.in(delayMs, () => {
                if (isDue) call()
            })
            return () => {
                isDue = false
            }
        },
        afterInput: call => this.agenda.in(0, call),
    }
    private readonly sockets = new Map<string, DatagramHandler>()
    private readonly paths = new Map<string, Path>()
    private lastPort = 20_000

    constructor(private readonly seed: number) {}

    readonly openUdp: MediaHost["openUdp"] = async (ip, wanted, onDatagram) => {
        const port = wanted === 0 ? ++this.lastPort : wanted
        this.sockets.set(placeOf(ip, port), onDatagram)
        const io: UdpIo = {
            ...{ ip, port, sendFailures: 0 },
            send: (packet, toIp, toPort) => {
                const copy = Buffer.from(packet)
                const deliver = () => this.sockets.get(placeOf(toIp, toPort))?.(copy, ip, port)
                this.pathBetween(ip, toIp, isRtcp(copy)).pass(deliver)
                return true
            },
            close: async () => void this.sockets.delete(placeOf(ip, port)),
        }
        return success(io)
    }

    /** Sockets that are open. */
    get open(): number {
        return this.sockets.size
    }

    private pathBetween(from: string, to: string, isReport: boolean): Path {
        const name = `${from} ${to}${isReport ? " reports" : ""}`
        let path = this.paths.get(name)
        if (!path) {
            const way = () => this.ways.get(from) ?? this.ways.get(to) ?? perfect
            path = new Path(this.agenda, way, this.seed + 7919 * this.paths.size)
            this.paths.set(name, path)
        }
        return path
    }
}

function placeOf(ip: string, port: number): string {
    return `${ip}:${port}`
}
