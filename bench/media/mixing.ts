/**
 * How many participants one core mixes: a media plane in a process of its own, its endpoints in another, packets over loopback.
 *
 * Owns the scenarios and the search for the load of 70 %. The number is told from the processor time that a participant takes at
 * about that load; how late ticks are is measured at the same time, on the plane's own ticker.
 */
import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import type { CodecName } from "../../media/codec.ts"
import type { EndpointsOrder, EndpointsReport } from "./endpoints.ts"
import type { ServerOrder, ServerReport } from "./mixing-server.ts"

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
    { figure: "pcmuParticipants", codec: "pcmu", roomSize: 4, talkers: 4, firstGuess: 400 },
    { figure: "opusParticipants", codec: "opus", roomSize: 4, talkers: 4, firstGuess: 80 },
    { figure: "listeners3Talkers", codec: "opus", roomSize: 0, talkers: 3, firstGuess: 400 },
]
const wantedLoad = 0.7
const loadTolerance = 0.05
const stepsMax = 5
const seconds = 6
const participantsMax = 1600
/** What the endpoints did not get back: more, and something other than the processor was the limit. */
const lossMax = 0.01

export async function mixingFigures(progress: (text: string) => void): Promise<Record<string, number>> {
    const figures: Record<string, number> = {}
    const lateness: number[] = []
    for (const scenario of scenarios) {
        const { figure, firstGuess } = scenario
        let count = firstGuess
        let result = await measure(scenario, count)
        // More participants do not cost in proportion: the load that counts is looked for step by step.
        for (let step = 1; step < stepsMax && !isMeasured(result); step++) {
            // What was lost was not worked on either: such a run says nothing, and is tried again.
            const wanted = result.loss > lossMax ? count : (count * wantedLoad) / result.load
            count = 4 * Math.round(Math.max(count / 2, Math.min(wanted, count * 2, participantsMax)) / 4)
            result = await measure(scenario, count)
        }
        figures[figure] = Math.floor((count * wantedLoad) / result.load)
        figures[`${figure}Us`] = Math.round(result.usOfParticipantTick * 10) / 10
        lateness.push(result.tickLateP99Ms)
        progress(
            `${figure}: ${figures[figure]} at 70 % of a core; measured ${count} at ${(result.load * 100).toFixed(0)} %, ` +
                `${result.usOfParticipantTick.toFixed(1)} us a participant and tick, ticks late p99 ${result.tickLateP99Ms} ms ` +
                `(max ${result.tickLateMaxMs.toFixed(1)}, skipped ${result.skipped}), lost ${(result.loss * 100).toFixed(2)} %, ` +
                `waited for a processor ${(result.queued * 100).toFixed(1)} % of the time`,
        )
        if (result.loss > lossMax) throw new Error(`${figure}: ${(result.loss * 100).toFixed(1)} % were lost`)
    }
    figures.tickLateP99Ms = Math.max(...lateness)
    return figures
}

interface Result {
    /** Share of one core. */
    load: number
    usOfParticipantTick: number
    tickLateP99Ms: number
    tickLateMaxMs: number
    skipped: number
    /** Share of the time in which the server waited for a processor that others had. */
    queued: number
    loss: number
}

function isMeasured({ load, loss }: Result): boolean {
    return loss <= lossMax && Math.abs(load - wantedLoad) <= loadTolerance
}

/** Each run in fresh processes: their tickers count from the beginning, and nothing is left of the run before. */
async function measure(scenario: Scenario, participants: number): Promise<Result> {
    const { codec, talkers } = scenario
    const roomSize = scenario.roomSize === 0 ? participants : scenario.roomSize
    const order = { codec, participants, roomSize, talkers }
    const server = start("mixing-server.ts")
    const endpoints = start("endpoints.ts")
    try {
        const { port } = await ask<{ port: number }>(server, { type: "start" } satisfies ServerOrder)
        const toServer: EndpointsOrder = { type: "start", ...order, port }
        const { ports } = await ask<{ ports: number[] }>(endpoints, toServer)
        await ask(server, { type: "join", ...order, ports } satisfies ServerOrder)
        await ask(endpoints, { type: "speak" } satisfies EndpointsOrder)
        const report = await ask<ServerReport>(server, { type: "measure", seconds } satisfies ServerOrder)
        const { received } = await ask<EndpointsReport>(endpoints, { type: "stop" } satisfies EndpointsOrder)
        const load = report.cpuUs / report.wallUs
        return {
            load,
            usOfParticipantTick: report.cpuUs / (report.ticks * participants),
            tickLateP99Ms: report.latenessP99Ms,
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

function start(name: string): ChildProcess {
    const file = fileURLToPath(new URL(name, import.meta.url))
    // In a session of its own: Linux shares processors between sessions first (autogroup), and these two must not share one.
    return fork(file, { execArgv: ["--import", "tsx"], stdio: ["ignore", "ignore", "inherit", "ipc"], detached: true })
}

async function ask<Answer>(child: ChildProcess, order: ServerOrder | EndpointsOrder): Promise<Answer> {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error("a process of the bench has ended")
    child.send(order)
    const answered = once(child, "message").then(([message]) => message as Answer)
    const died = once(child, "exit").then(([code]) => {
        throw new Error(`a process of the bench ended with ${code}`)
    })
    died.catch(() => {})
    return Promise.race([answered, died])
}
