/**
 * A media plane in a process of its own, for `mixing.ts`: legs as they are ordered, and what it took to serve them.
 * Owns the plane. Orders and answers go over the channel of `fork`.
 */
import { readFileSync } from "node:fs"
import { setTimeout as wait } from "node:timers/promises"
import { BatchLoop } from "../../media/batch-udp/loop.ts"
import type { CodecName } from "../../media/codec.ts"
import { systemHost } from "../../media/host.ts"
import { raisePriority } from "../../media/priority.ts"
import { Ticker, type TickerStatistics } from "../../media/ticker.ts"
import { tickMs } from "../../servers/routing/media/channel.ts"
import { MediaPlane } from "../../servers/routing/media/plane.ts"
import { endpointsIp, keysOf, serverIp } from "./addresses.ts"

export type ServerOrder =
    | { type: "start"; udp: Udp }
    | { type: "join"; codec: CodecName; participants: number; roomSize: number; ports: number[] }
    | { type: "measure"; seconds: number; windows: number }

/** How datagrams cross into the system. */
export type Udp = "batch" | "dgram"

export interface ServerReport {
    cpuUs: number
    wallUs: number
    ticks: number
    sent: number
    accepted: number
    /** Of those that the endpoints sent, by their sequence numbers. */
    lost: number
    /** Of each window. */
    latenessP99Ms: number[]
    latenessMaxMs: number
    skipped: number
    /** Time in which the process could have run and another did, as Linux counts it; 0 elsewhere. */
    queuedMs: number
}

if (process.send) {
    raisePriority()
    let started: Started | undefined
    process.on("disconnect", () => process.exit(0))
    process.on("message", async (order: ServerOrder) => {
        if (order.type === "start") started = start(order.udp)
        if (started) process.send?.(await obey(started, order))
    })
}

interface Started {
    plane: MediaPlane
    ticker: Ticker
}

/** As in a routing server's thread of data. */
function start(udp: Udp): Started {
    const host = udp === "batch" ? BatchLoop.open() : systemHost
    if (!host) throw new Error("this system cannot take many datagrams at once: --udp dgram")
    const ticker = new Ticker(tickMs, host.clock)
    const plane = new MediaPlane({ ip: serverIp, port: 0, host, loadPercent: () => 0, sendOnLink: () => {} }, ticker)
    return { plane, ticker }
}

async function obey({ plane, ticker }: Started, order: ServerOrder): Promise<unknown> {
    switch (order.type) {
        case "start": {
            const started = await plane.start()
            if (!started.ok) throw new Error(started.what)
            return started.value
        }
        case "join":
            for (let i = 0; i < order.participants; i++) {
                const added = plane.addLeg({
                    session: `room-${Math.floor(i / order.roomSize)}`,
                    endpoint: `endpoint-${i}`,
                    ssrc: i + 1,
                    remoteIp: endpointsIp,
                    remotePort: order.ports[i % order.ports.length],
                    codec: order.codec,
                    keys: keysOf(i),
                })
                if (!added.ok) throw new Error(added.what)
            }
            return {}
        case "measure":
            return measure(plane, ticker, order.seconds, order.windows)
    }
}

async function measure(plane: MediaPlane, ticker: Ticker, seconds: number, windows: number): Promise<ServerReport> {
    ticker.resetStatistics()
    const before = count(plane)
    const queuedBeforeMs = queuedMs()
    const cpu = process.cpuUsage()
    const fromMs = performance.now()
    const lateness: TickerStatistics[] = []
    for (let window = 0; window < windows; window++) {
        await wait((seconds * 1000) / windows)
        lateness.push(ticker.statistics())
        ticker.resetStatistics()
    }
    const wallMs = performance.now() - fromMs
    const { user, system } = process.cpuUsage(cpu)
    const after = count(plane)
    return {
        cpuUs: user + system,
        wallUs: wallMs * 1000,
        ticks: lateness.reduce((sum, { done }) => sum + done, 0),
        sent: after.sent - before.sent,
        accepted: after.accepted - before.accepted,
        lost: after.lost - before.lost,
        latenessP99Ms: lateness.map(({ latenessP99Ms }) => latenessP99Ms),
        latenessMaxMs: Math.max(...lateness.map(({ latenessMaxMs }) => latenessMaxMs)),
        skipped: lateness.reduce((sum, { skipped }) => sum + skipped, 0),
        queuedMs: queuedMs() - queuedBeforeMs,
    }
}

/** How long this thread has waited for a processor since it began. */
function queuedMs(): number {
    try {
        return Number(readFileSync("/proc/thread-self/schedstat", "utf8").split(" ")[1]) / 1e6
    } catch {
        return 0
    }
}

function count(plane: MediaPlane) {
    const { legs, datagrams } = plane.statistics()
    const sent = legs.reduce((sum, leg) => sum + leg.sent, 0)
    const lost = legs.reduce((sum, leg) => sum + leg.lost, 0)
    return { sent, lost, accepted: datagrams.accepted }
}
