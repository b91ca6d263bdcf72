/**
 * How many participants one core mixes: a media plane in a process of its own, its endpoints in another, packets over loopback.
 *
 * Owns the scenarios. The number is told from the processor time that a participant takes at about the load of 70 %; how late
 * ticks are is measured at the same time, on the plane's own ticker.
 */
import { setTimeout as wait } from "node:timers/promises"
import type { CodecName } from "../../media/codec.ts"
import { serverIp } from "./addresses.ts"
import type { EndpointsOrder, EndpointsReport } from "./endpoints.ts"
import type { ServerOrder, ServerReport, Udp } from "./mixing-server.ts"
import { ask, startProcess } from "./processes.ts"
import { atWantedLoad, type Loaded, participantsOfCore } from "./wanted-load.ts"

/** What a part of the bench is told. */
export interface Setting {
    progress(text: string): void
    udp: Udp
    /** Figures of the parts before it. */
    known: Record<string, number>
}

export interface Scenario {
    figure: "pcmuParticipants" | "opusParticipants" | "listeners3Talkers"
    codec: CodecName
    /** How many in one room; 0: all of them. */
    roomSize: number
    /** How many of a room talk; the others send what a muted engine sends. */
    talkers: number
    firstGuess: number
}

const scenarios: Scenario[] = [
    // Four to a room, all talking, is the dearest case: nearly everybody needs an encode of their own.
    { figure: "pcmuParticipants", codec: "pcmu", roomSize: 4, talkers: 4, firstGuess: 520 },
    { figure: "opusParticipants", codec: "opus", roomSize: 4, talkers: 4, firstGuess: 76 },
    { figure: "listeners3Talkers", codec: "opus", roomSize: 0, talkers: 3, firstGuess: 950 },
]
const seconds = 18
/** How late ticks are is the median of so many windows: the machine stands still now and then, for everybody. */
const windows = 3
const warmUpMs = 2000
/** Time for rooms to begin, and for what runs often to be compiled, which has its ups and downs for six seconds. */
const settleMs = 8000

export async function mixingFigures({ progress, udp }: Setting): Promise<Record<string, number>> {
    const figures: Record<string, number> = {}
    for (const { figure } of scenarios) {
        const { tickLateP99Ms, tickLateWorstP99Ms, ...own } = await mixingFigure(figure, progress, udp)
        Object.assign(figures, own)
        figures.tickLateP99Ms = Math.max(figures.tickLateP99Ms ?? 0, tickLateP99Ms)
        figures.tickLateWorstP99Ms = Math.max(figures.tickLateWorstP99Ms ?? 0, tickLateWorstP99Ms)
    }
    return figures
}

/** The figure, with the processor time behind it (`...Us`) and how late ticks were at that load. */
export async function mixingFigure(
    figure: Scenario["figure"],
    progress: (text: string) => void,
    udp: Udp,
): Promise<Record<string, number>> {
    const scenario = scenarios.find(scenario => scenario.figure === figure)!
    const { participants, result } = await atWantedLoad(figure, scenario.firstGuess, count =>
        measure(scenario, count, udp),
    )
    const ofCore = participantsOfCore(participants, result)
    progress(
        `${figure}: ${ofCore} at 70 % of a core; measured ${participants} at ${(result.load * 100).toFixed(0)} %, ` +
            `${result.usOfParticipantTick.toFixed(1)} us a participant and tick, ticks late p99 ${result.tickLateP99Ms} ms ` +
            `(worst window ${result.tickLateWorstP99Ms}, max ${result.tickLateMaxMs.toFixed(1)}, skipped ${result.skipped}), lost ${(result.loss * 100).toFixed(2)} %, ` +
            `waited for a processor ${(result.queued * 100).toFixed(1)} % of the time`,
    )
    return {
        [figure]: ofCore,
        [`${figure}Us`]: Math.round(result.usOfParticipantTick * 10) / 10,
        tickLateP99Ms: result.tickLateP99Ms,
        tickLateWorstP99Ms: result.tickLateWorstP99Ms,
    }
}

interface Result extends Loaded {
    usOfParticipantTick: number
    tickLateP99Ms: number
    tickLateWorstP99Ms: number
    tickLateMaxMs: number
    skipped: number
    /** Share of the time in which the server waited for a processor that others had. */
    queued: number
}

/** Each run in fresh processes: their tickers count from the beginning, and nothing is left of the run before. */
async function measure(scenario: Scenario, participants: number, udp: Udp): Promise<Result> {
    const { codec, talkers } = scenario
    const roomSize = scenario.roomSize === 0 ? participants : scenario.roomSize
    const order = { codec, participants, roomSize, talkers }
    const server = startProcess("mixing-server.ts")
    const endpoints = startProcess("endpoints.ts", 1)
    try {
        const { port } = await ask<{ port: number }>(server, { type: "start", udp } satisfies ServerOrder)
        const start: EndpointsOrder = { type: "start", ...order, isPlain: false, sleeps: true }
        const { ports } = await ask<{ ports: number[] }>(endpoints, start)
        await ask(endpoints, { type: "speak", ip: serverIp, ports: [port] } satisfies EndpointsOrder)
        // Engines run already when they join a session: how these begin is not what a jitter buffer should hold against them.
        await wait(warmUpMs)
        await ask(server, { type: "join", ...order, ports } satisfies ServerOrder)
        await wait(settleMs)
        const before = await countOf(endpoints)
        const report = await ask<ServerReport>(server, { type: "measure", seconds, windows } satisfies ServerOrder)
        const received = (await countOf(endpoints)).received - before.received
        const late = report.latenessP99Ms.sort((a, b) => a - b)
        const load = report.cpuUs / report.wallUs
        return {
            load,
            usOfParticipantTick: report.cpuUs / (report.ticks * participants),
            tickLateP99Ms: late[windows >> 1],
            tickLateWorstP99Ms: late[windows - 1],
            tickLateMaxMs: report.latenessMaxMs,
            skipped: report.skipped,
            queued: (report.queuedMs * 1000) / report.wallUs,
            loss: Math.max(0, 1 - received / report.sent, report.lost / (report.accepted + report.lost)),
        }
    } finally {
        server.kill()
        endpoints.kill()
    }
}

/** What the endpoints have sent and heard so far. */
export function countOf(endpoints: ReturnType<typeof startProcess>): Promise<EndpointsReport> {
    return ask(endpoints, { type: "count" } satisfies EndpointsOrder)
}
