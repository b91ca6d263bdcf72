/**
 * How long traffic stops when a path fails, with real routing server processes, and beside them what Debian's BIRD and
 * babeld do with the same failure.
 *
 * - silent: a triangle; A - B directly (2 ms), A - C - B longer (5 + 5 ms). Echoes from A to B and back every 5 ms. The link A - B
 *   is cut at both ends without a word to anybody (emulated network, TCP included). What counts is the longest silence that
 *   A sees: from the last echo that came back to the next one. Both directions have to find the way by C.
 * - kill: A - C - B (2 + 2 ms) and A - D - B (5 + 5 ms), no link A - B. C, in the middle of the way, is killed (kill -9). Its system
 *   closes the TCP connections, as that of any killed process: the neighbours are told at once, hellos are not waited for.
 * - bird, babeld: the same triangle of network namespaces, each link a veth pair with a bridge between its ends, so that
 *   the interfaces stay up when the bridge stops forwarding: a silent cut. UDP from A to B and back every 5 ms.
 */

import { setTimeout as wait } from "node:timers/promises"
import { type NetworkPlan, type RoutingNetwork, startRoutingNetwork } from "../test/control/network.ts"
import { eventually } from "../test/support/deadline.ts"
import { measureOthers } from "./failover-others.ts"
import type { Bench } from "./run.ts"

const everyMs = 5
/** Traffic before the failure, so that the last good echo is known. */
const beforeMs = 300
const seriesMs = 1200
/** Traffic that has not come back after so many series does not count as failed over at all. */
const seriesMost = 5
const slowMs = 1000
/** One-way delays of the links. */
const nearMs = 2
const farMs = 5

export const failoverBench: Bench = {
    summary: "traffic flows again after a silent cut or a killed server; BIRD and babeld beside it",
    options: {
        times: "each failure (10)",
        others: "yes or no: BIRD and babeld in network namespaces, as root (yes)",
    },
    async run(options, progress) {
        const times = Number(options.times ?? 10)
        if (!Number.isInteger(times) || times < 1 || times > 30)
            throw new Error("--times: a number from 1 to 30 is needed")
        if (options.others !== undefined && options.others !== "yes" && options.others !== "no")
            throw new Error("--others: yes or no is needed")
        const figures: Record<string, number> = {}
        for (const helloMs of [100, 50]) {
            const failure: Failure = { fail: each => silentCut(each, true), repair: each => silentCut(each, false) }
            const tell = (text: string) => progress(`silent, hello ${helloMs} ms: ${text}`)
            const gaps = await repeat(triangle, helloMs, times, failure, tell)
            figures[`silent${helloMs}Ms`] = median(gaps)
            figures[`silent${helloMs}WorstMs`] = Math.max(...gaps)
        }
        const kill: Failure = {
            fail: ({ servers }) => servers["rs-c"].child.kill("SIGKILL"),
            repair: each => each.restart("rs-c"),
        }
        const killed = await repeat(diamond, 100, times, kill, text => progress(`kill, hello 100 ms: ${text}`))
        figures.kill100Ms = median(killed)
        figures.kill100WorstMs = Math.max(...killed)
        if (options.others === "no") return { figures, seed: null }

        const others = await measureOthers(text => progress(text))
        for (const [name, ms] of Object.entries(others)) {
            figures[name] = ms
            figures[`${name.replace(/Ms$/, "")}Ratio`] = rounded(ms / figures.silent100Ms)
        }
        return { figures, seed: null }
    },
}

/** A way that is longer and is used when the usual one fails. */
interface Shape extends NetworkPlan {
    /** Next hop of A on the usual way to B, and of B on the usual way to A. */
    usual: [ofA: string, ofB: string]
    /** Next hop of both on the longer one. */
    longer: string
}

const triangle: Shape = {
    ids: ["rs-a", "rs-b", "rs-c"],
    pairs: [
        ["rs-a", "rs-b"],
        ["rs-a", "rs-c"],
        ["rs-b", "rs-c"],
    ],
    delays: [
        ["rs-a", "rs-b", nearMs],
        ["rs-a", "rs-c", farMs],
        ["rs-b", "rs-c", farMs],
    ],
    usual: ["rs-b", "rs-a"],
    longer: "rs-c",
}

const diamond: Shape = {
    ids: ["rs-a", "rs-b", "rs-c", "rs-d"],
    pairs: [
        ["rs-a", "rs-c"],
        ["rs-c", "rs-b"],
        ["rs-a", "rs-d"],
        ["rs-d", "rs-b"],
    ],
    delays: [
        ["rs-a", "rs-c", nearMs],
        ["rs-c", "rs-b", nearMs],
        ["rs-a", "rs-d", farMs],
        ["rs-d", "rs-b", farMs],
    ],
    usual: ["rs-c", "rs-c"],
    longer: "rs-d",
}

async function silentCut({ servers }: RoutingNetwork, isCut: boolean): Promise<void> {
    const conditions = { delayMs: nearMs, cut: isCut }
    const changed = await Promise.all([
        servers["rs-a"].control.putUnderlay("rs-b", conditions),
        servers["rs-b"].control.putUnderlay("rs-a", conditions),
    ])
    for (const each of changed) if (!each.ok) throw new Error(`the emulated network was not changed: ${each.what}`)
}

interface Failure {
    fail(network: RoutingNetwork): Promise<unknown>
    repair(network: RoutingNetwork): Promise<unknown>
}

/**
 * The same failure again and again. A network is used for two of them: a server whose links come and go is told of less and
 * less often (that is the damping of link state), and would be waited for half a minute at the fourth.
 */
async function repeat(
    shape: Shape,
    helloMs: number,
    times: number,
    { fail, repair }: Failure,
    progress: (text: string) => void,
): Promise<number[]> {
    const gaps: number[] = []
    while (gaps.length < times) {
        const network = await startRoutingNetwork({ ...shape, words: ["--hello-ms", String(helloMs)] })
        try {
            for (let i = 0; i < 2 && gaps.length < times; i++) {
                if (i > 0) await repair(network)
                await settled(network, shape)
                gaps.push(await outage(network, () => fail(network), progress))
                progress(`${gaps.length} of ${times}: ${gaps.at(-1)} ms`)
            }
        } finally {
            await network.stop()
        }
    }
    return gaps
}

/** Both ends use the usual way, and know the longer one. */
async function settled({ servers }: RoutingNetwork, { usual, longer }: Shape): Promise<void> {
    const knows = async (from: string, to: string, nextHop: string) => {
        const explained = await servers[from].control.explainRoute(to)
        if (!explained.ok || explained.value.nextHop !== nextHop) return false
        return explained.value.notChosen.some(({ neighbour, delayMs }) => neighbour === longer && delayMs !== undefined)
    }
    await eventually(
        async () => (await knows("rs-a", "rs-b", usual[0])) && (await knows("rs-b", "rs-a", usual[1])),
        "both ways between rs-a and rs-b to be known",
        60_000,
    )
}

/** The longest silence that A sees around the failure, in ms. */
async function outage(
    network: RoutingNetwork,
    fail: () => Promise<unknown>,
    progress: (text: string) => void,
): Promise<number> {
    const a = network.servers["rs-a"].control
    const backMs: number[] = []
    let lost = 0
    let failed = false
    for (let seriesNumber = 0; seriesNumber < seriesMost; seriesNumber++) {
        const series = a.ping("rs-b", { count: Math.ceil(seriesMs / everyMs), intervalMs: everyMs, timeoutMs: 500 })
        if (!failed) {
            await wait(beforeMs)
            await fail()
            failed = true
        }
        const pinged = await series
        if (!pinged.ok) throw new Error(`echoes from rs-a: ${pinged.what}`)
        const { startMs, echoes } = pinged.value
        lost += echoes.filter(echo => echo.rttMs === undefined).length
        for (const { atMs, rttMs } of echoes) if (rttMs !== undefined) backMs.push(startMs + atMs + rttMs)
        if (lost > 0 && echoes.at(-1)?.rttMs !== undefined) break
    }
    if (lost === 0) throw new Error("no echo was lost: the failure did not meet the traffic")
    backMs.sort((x, y) => x - y)
    const gaps = backMs.slice(1).map((ms, i) => ms - backMs[i])
    const longest = rounded(Math.max(...gaps))
    if (longest > slowMs) progress(`${longest} ms: ${linkLines(network)}`)
    return longest
}

/** What the servers said of their links, to see what held an unusual run up. */
function linkLines({ servers }: RoutingNetwork): string {
    return Object.values(servers)
        .flatMap(({ id, child }) =>
            child
                .stderr()
                .split("\n")
                .flatMap(line => {
                    if (!/"link (up|down)"/.test(line)) return []
                    const { time, msg, peer, reason, silentMs } = JSON.parse(line)
                    return [{ time, text: `${id} ${peer} ${msg} ${reason ?? ""} ${silentMs ?? ""}`.trim() }]
                }),
        )
        .sort((x, y) => x.time - y.time)
        .map(({ time, text }) => `${time % 1_000_000} ${text}`)
        .join("; ")
}

export function median(values: readonly number[]): number {
    const sorted = [...values].sort((a, b) => a - b)
    const middle = sorted.length >> 1
    return rounded(sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2)
}

function rounded(value: number): number {
    return Math.round(value * 10) / 10
}
