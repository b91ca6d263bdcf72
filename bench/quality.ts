/**
 * What people in four rooms hear of each other over bad networks, with real routing server processes and the simulator's media
 * engines, and how long speech is gone when a link of their session's tree is cut, and when its source is killed.
 *
 * - far: rooms at A, B, C and D; between each two neighbours a server in transit: A - T1 - B - T2 - C - T3 - D, so that what A says
 *   passes three servers unread and is mixed at four. Each endpoint's leg loses 2 % and varies by 20 ms each way, each link loses
 *   0.5 % and takes 10 +- 5 ms. A speaks; `networkDelayMs` is what the networks alone take from A to D on the mean: six links, and
 *   half of the variation of both legs.
 * - tone: two rooms without impairments, a sine of 1 kHz over PCMU.
 * - cut: the tree of four servers leads over T in the middle, with a ring of longer links around it. The link of the tree
 *   that leads to C is cut at both ends without a word while B speaks steadily and C listens; what counts is the longest pause
 *   that C hears.
 * - source: see `quality/source-killed.ts`.
 */

import { findClicks } from "../media/clicks.ts"
import { soundRate } from "../media/codec.ts"
import { measure, toneSnrDb } from "../media/measure.ts"
import { raisePriority } from "../media/priority.ts"
import { loadWav } from "../media/wav.ts"
import type { ReservationReport, ServerSession } from "../protocol/servers.ts"
import { type NetworkPlan, type RoutingNetwork, startRoutingNetwork } from "../test/control/network.ts"
import { within } from "../test/support/deadline.ts"
import { median } from "./failover.ts"
import { longestPauseMs } from "./quality/pauses.ts"
import { enterRoom, type Room } from "./quality/room.ts"
import { killSource } from "./quality/source-killed.ts"
import type { Bench } from "./run.ts"

const speechFile = new URL("../sim/samples/speech.wav", import.meta.url).pathname
const patienceMs = 60_000
/** What is heard in the first moments says how fast it begins, not how good it is. */
const settleMs = 1500
const tailMs = 1500
const linkMs = 10
const legJitterMs = 20
const toneHertz = 1000

export const qualityBench: Bench = {
    summary:
        "what rooms hear of each other over bad networks, and how long a cut link or a killed source silences them",
    options: { times: "a link is cut, and a source killed (5)" },
    async run(options, progress) {
        const times = Number(options.times ?? 5)
        if (!Number.isInteger(times) || times < 1 || times > 30)
            throw new Error("--times: a number from 1 to 30 is needed")
        raisePriority()
        const speech = await loadWav(speechFile, soundRate)
        if (!speech.ok) throw new Error(speech.what)
        const { samples } = speech.value
        const far = await farRooms(samples)
        progress(`four rooms: ${JSON.stringify(far)}`)
        const snrDb = await tone()
        progress(`1 kHz over PCMU: ${snrDb.toFixed(1)} dB`)
        const gaps: number[] = []
        for (let i = 0; i < times; i++) {
            gaps.push(await cutLink(samples))
            progress(`cut ${i + 1} of ${times}: ${gaps[i].toFixed(0)} ms`)
        }
        const sourceGaps: number[] = []
        for (let i = 0; i < times; i++) {
            sourceGaps.push(await killSource())
            progress(`source killed ${i + 1} of ${times}: ${sourceGaps[i].toFixed(0)} ms`)
        }
        const figures = {
            ...far,
            toneSnrDb: snrDb,
            speechGapMs: median(gaps),
            speechGapWorstMs: Math.max(...gaps),
            sourceKilledGapMs: median(sourceGaps),
            sourceKilledGapWorstMs: Math.max(...sourceGaps),
            times,
        }
        return { figures, seed: 1 }
    },
}

/** Everything that it takes to be in a session, and its end. */
async function inSession<T>(
    plan: NetworkPlan,
    rooms: Record<string, { jitterMs: number; lossPercent: number }>,
    act: (rooms: Record<string, Room>, network: RoutingNetwork, tree: ReservationReport["tree"]) => Promise<T>,
): Promise<T> {
    const names = Object.keys(rooms)
    const network = await startRoutingNetwork({ ...plan, endpoints: names.map(name => `ep-${name}`) })
    const entered: Record<string, Room> = {}
    try {
        const members = names.map(name => `rs-${name}`)
        const active = network.group.nextReport("s1", ({ state }) => state === "active")
        await connected(network, members)
        const session: ServerSession = {
            ...{ sid: "s1", n: 1, state: "open", source: members[0], end: Math.ceil(Date.now() / 1000) + 3600 },
            members: names.map(name => ({ ep: `ep-${name}`, name, rs: `rs-${name}` })),
        }
        await network.group.tell(members, session)
        const { report } = await within(active, "the session's tree", patienceMs)
        for (const [name, leg] of Object.entries(rooms))
            entered[name] = await enterRoom(network, `ep-${name}`, `rs-${name}`, "s1", leg)
        return await act(entered, network, report.tree)
    } finally {
        await Promise.all(Object.values(entered).map(room => room.leave()))
        await network.stop()
    }
}

async function connected({ servers }: RoutingNetwork, members: string[]): Promise<void> {
    const [source, ...others] = members
    for (;;) {
        const can = await servers[source].control.canReserve(others, 96)
        if (can.ok && can.value.fits) return
        await new Promise(resolve => setTimeout(resolve, 50))
    }
}

async function farRooms(samples: Int16Array): Promise<Record<string, number>> {
    const ids = ["rs-a", "rs-t1", "rs-b", "rs-t2", "rs-c", "rs-t3", "rs-d"]
    const pairs = ids.slice(1).map((id, i): [string, string] => [ids[i], id])
    const conditions = { delayMs: linkMs, jitterMs: 5, loss: 0.005 }
    const plan: NetworkPlan = { ids, pairs, delays: pairs.map(([a, b]) => [a, b, conditions]) }
    const leg = { jitterMs: legJitterMs, lossPercent: 2 }
    return inSession(plan, { a: leg, b: leg, c: leg, d: leg }, async ({ a, ...listeners }) => {
        await pause(settleMs)
        const said = a.say(samples)
        await pause((samples.length * 1000) / soundRate + tailMs)
        const delays: number[] = []
        const correlations: number[] = []
        let clicks = 0
        for (const listener of Object.values(listeners)) {
            const heard = listener.heardSince(said.atMs)
            const measured = measure(said, heard)
            if (!measured.ok) throw new Error(measured.what)
            delays.push(measured.value.delayP95Ms)
            correlations.push(measured.value.correlation)
            clicks += findClicks(heard.samples).length
        }
        return {
            mouthToEarP95Ms: Math.max(...delays),
            networkDelayMs: 6 * linkMs + legJitterMs,
            correlation: Math.min(...correlations),
            clicks,
        }
    })
}

async function tone(): Promise<number> {
    const plan: NetworkPlan = { ids: ["rs-a", "rs-b"], pairs: [["rs-a", "rs-b"]] }
    const leg = { jitterMs: 0, lossPercent: 0 }
    return inSession(plan, { a: leg, b: leg }, async ({ a, b }) => {
        const length = 4 * soundRate
        const sine = Int16Array.from({ length }, (_, i) =>
            Math.round(10_000 * Math.sin((2 * Math.PI * toneHertz * i) / soundRate)),
        )
        await pause(settleMs)
        const said = a.say(sine)
        await pause((sine.length * 1000) / soundRate + tailMs)
        // Without the beginning, the end and the way there.
        const { samples } = b.heardSince(said.atMs + 1000)
        return toneSnrDb(samples.subarray(0, 2 * soundRate), toneHertz)
    })
}

async function cutLink(samples: Int16Array): Promise<number> {
    const members = ["rs-a", "rs-b", "rs-c", "rs-d"]
    const ring = members.map((id, i): [string, string] => [id, members[(i + 1) % members.length]])
    const spokes = members.map((id): [string, string] => [id, "rs-t"])
    const plan: NetworkPlan = {
        ids: [...members, "rs-t"],
        pairs: [...ring, ...spokes],
        delays: [
            ...ring.map(([a, b]): [string, string, number] => [a, b, 16]),
            ...spokes.map(([a, b]): [string, string, number] => [a, b, 2]),
        ],
    }
    const leg = { jitterMs: 0, lossPercent: 0 }
    return inSession(plan, { a: leg, b: leg, c: leg, d: leg }, async ({ b, c }, { servers }, tree) => {
        const above = tree.find(({ rs }) => rs === "rs-c")?.parent
        if (above === undefined) throw new Error("rs-c is not in the tree")
        // Without pauses of its own, so that every pause that is heard is the network's.
        const { length } = samples
        const steady = Int16Array.from({ length }, (_, i) =>
            Math.round(8000 * Math.sin((2 * Math.PI * 440 * i) / soundRate)),
        )
        await pause(settleMs)
        const said = b.say(steady)
        await pause(2000)
        const cutMs = performance.now()
        const conditions = { delayMs: 2, cut: true }
        const done = await Promise.all([
            servers[above].control.putUnderlay("rs-c", conditions),
            servers["rs-c"].control.putUnderlay(above, conditions),
        ])
        for (const each of done) if (!each.ok) throw new Error(`the link was not cut: ${each.what}`)
        await pause(4000)
        const heard = c.heardSince(said.atMs + 500)
        return longestPauseMs(heard, cutMs)
    })
}

function pause(ms: number): Promise<void> {
    return new Promise(resolve => setTimeout(resolve, ms))
}
