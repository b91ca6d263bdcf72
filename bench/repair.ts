/**
 * How long a session is without a whole tree when a routing server on it is killed, with real routing server processes.
 *
 * Five servers: A, B, C and D have members, T in their middle has none (2 ms to each); around it a ring A - B - C - D of longer
 * links (16 ms). The session's tree starts from A and passes through T. T is killed (kill -9): its system closes the TCP
 * connections, so that the neighbours know at once; a silent failure adds what `bench failover` measures.
 *
 * - repairMs: from the kill until the source's report of the new tree has come over the broker. That counts only when every
 *   survivor, asked afterwards, has exactly the part in it that the report says.
 * - mediaGapMs: somebody at B speaks, somebody at C listens, 50 packets a second. From the last packet with sound in it before
 *   the pause to the first one after it.
 * - leaked: what the survivors hold beside what the session needs, once the leases of the old tree are over, and what they hold
 *   when the session has ended.
 */

import { raisePriority } from "../media/priority.ts"
import { type ReservationReport, sessionKbps } from "../protocol/servers.ts"
import type { Reservation } from "../servers/routing/control/schemas.ts"
import { type NetworkPlan, type RoutingNetwork, startRoutingNetwork } from "../test/control/network.ts"
import type { PlayedEndpoint } from "../test/control/played-endpoint.ts"
import { eventually, within } from "../test/support/deadline.ts"
import { median } from "./failover.ts"
import { type Leak, leakOf, leasesMs, ledgersOf, remainingLeak } from "./holdings.ts"
import type { Bench } from "./run.ts"

const members = ["rs-a", "rs-b", "rs-c", "rs-d"]
const source = "rs-a"
const killed = "rs-t"
const nearMs = 2
const farMs = 16
const patienceMs = 60_000
/** Sound before the kill, in packets, so that the last good one is known. */
const packetsBefore = 25
const packetsAfter = 25

const ring: [string, string][] = members.map((id, i) => [id, members[(i + 1) % members.length]])
const plan: NetworkPlan = {
    ids: [...members, killed],
    pairs: [...ring, ...members.map((id): [string, string] => [id, killed])],
    delays: [
        ...ring.map(([a, b]): [string, string, number] => [a, b, farMs]),
        ...members.map((id): [string, string, number] => [id, killed, nearMs]),
    ],
    endpoints: ["ep-b", "ep-c"],
}

interface Outcome {
    repairMs: number
    mediaGapMs: number
    leak: Leak
}

export const repairBench: Bench = {
    summary: "a session's tree is whole again after a server on it was killed, and nothing stays held",
    options: { times: "the server is killed (10)" },
    async run(options, progress) {
        const times = Number(options.times ?? 10)
        if (!Number.isInteger(times) || times < 1 || times > 100)
            throw new Error("--times: a number from 1 to 100 is needed")
        // The servers do so too: the broker and the sound in this process must not wait for them.
        raisePriority()
        const outcomes: Outcome[] = []
        while (outcomes.length < times) {
            // A network serves twice: links that come and go are told of less and less often, and would be waited for.
            const network = await startRoutingNetwork(plan)
            try {
                const [speaker, listener] = await Promise.all(["ep-b", "ep-c"].map(id => network.endpoint(id)))
                await Promise.all([speaker.attach("rs-b"), listener.attach("rs-c")])
                for (let i = 0; i < 2 && outcomes.length < times; i++) {
                    if (i > 0) await network.restart(killed)
                    const outcome = await repair(network, speaker, listener, `s${outcomes.length + 1}`)
                    outcomes.push(outcome)
                    const { repairMs, mediaGapMs, leak } = outcome
                    const leaked = `${leak.kbps} kbit/s and ${leak.dspUnits} DSP units leaked`
                    progress(
                        `${outcomes.length} of ${times}: whole after ${rounded(repairMs)} ms, ` +
                            `sound after ${rounded(mediaGapMs)} ms, ${leaked}`,
                    )
                }
            } finally {
                await network.stop()
            }
        }
        const of = (pick: (outcome: Outcome) => number) => outcomes.map(pick)
        const sum = (values: number[]) => values.reduce((total, value) => total + value, 0)
        const [repairs, gaps] = [of(({ repairMs }) => repairMs), of(({ mediaGapMs }) => mediaGapMs)]
        return {
            figures: {
                repairMs: median(repairs),
                repairWorstMs: rounded(Math.max(...repairs)),
                mediaGapMs: median(gaps),
                mediaGapWorstMs: rounded(Math.max(...gaps)),
                leakedKbps: sum(of(({ leak }) => leak.kbps)),
                leakedDspUnits: sum(of(({ leak }) => leak.dspUnits)),
                times,
            },
            seed: null,
        }
    },
}

async function repair(
    network: RoutingNetwork,
    speaker: PlayedEndpoint,
    listener: PlayedEndpoint,
    sid: string,
): Promise<Outcome> {
    const { group, servers } = network
    const survivors = members.map(id => servers[id])
    await settled(network)
    const opened = group.nextReport(sid, report => report.state === "active")
    await group.tell(members, sessionOf(sid))
    const { report: before } = await within(opened, "the session to be active", patienceMs)
    const passesThrough = before.tree.filter(({ parent }) => parent === killed).length
    if (passesThrough !== members.length - 1)
        throw new Error(`the tree does not pass through ${killed}: ${told(before)}`)
    await Promise.all([speaker.join("rs-b", sid), listener.join("rs-c", sid)])
    speaker.isLoud = true
    await hears(listener, packetsBefore)

    const repaired = group.nextReport(sid, report => report.state === "active" && report.ep > before.ep)
    const killMs = performance.now()
    const gone = servers[killed].child.kill("SIGKILL")
    const { report, atMs } = await within(repaired, "the tree to be whole again", patienceMs)
    await agrees(network, report)
    await gone
    await hears(listener, packetsAfter)
    speaker.isLoud = false

    const living = { source, members, kbps: sessionKbps, tree: report.tree }
    const leak = await remainingLeak(async () => leakOf(await ledgersOf(survivors), [living]))
    await group.endSession(members, sid)
    const left = await remainingLeak(async () => leakOf(await ledgersOf(survivors), []))
    return {
        repairMs: atMs - killMs,
        mediaGapMs: longestGapMs(listener.heardMs, killMs),
        leak: { kbps: leak.kbps + left.kbps, dspUnits: leak.dspUnits + left.dspUnits },
    }
}

function sessionOf(sid: string) {
    return {
        ...{ sid, n: 1, state: "open" as const, source, end: Math.ceil(Date.now() / 1000) + 3600 },
        members: members.map(rs => ({ ep: rs.replace("rs", "ep"), name: rs, rs })),
    }
}

/** The way through the middle is in use, and the ring is known to everybody. */
async function settled({ servers }: RoutingNetwork): Promise<void> {
    const [, ...others] = members
    await eventually(
        async () => {
            const can = await servers[source].control.canReserve(others, sessionKbps)
            if (!can.ok || !can.value.fits) return false
            const parentOf = new Map(can.value.tree.map(({ server, parent }) => [server, parent]))
            return others.every(id => parentOf.get(id) === killed)
        },
        `the way through ${killed} to be known`,
        patienceMs,
    )
    const knows = async (from: string, to: string) => {
        const explained = await servers[from].control.explainRoute(to)
        if (!explained.ok || explained.value.nextHop !== killed) return false
        return explained.value.notChosen.some(({ neighbour, delayMs }) => neighbour === to && delayMs !== undefined)
    }
    await eventually(
        async () => {
            const known = await Promise.all(ring.flatMap(([a, b]) => [knows(a, b), knows(b, a)]))
            return known.every(each => each)
        },
        "the ways around to be known",
        patienceMs,
    )
}

/** Every survivor has the part in the tree that the source says, and the tree is active there. */
async function agrees({ servers }: RoutingNetwork, report: ReservationReport): Promise<void> {
    await eventually(
        async () => {
            for (const id of members) {
                const answer = await servers[id].control.reservations(report.sid)
                const part = answer.ok && answer.value.reservations.find(({ epoch }) => epoch === report.ep)
                if (!part || !isPartOf(part, id, report)) return false
            }
            return true
        },
        `every survivor to have its part in ${told(report)}`,
        leasesMs,
    )
}

function isPartOf(part: Reservation, id: string, { tree }: ReservationReport): boolean {
    const children = tree.filter(({ parent }) => parent === id).map(({ rs }) => rs)
    return (
        part.state === "active" &&
        part.upstream === tree.find(({ rs }) => rs === id)?.parent &&
        [...part.children].sort().join() === children.sort().join()
    )
}

async function hears(listener: PlayedEndpoint, packets: number): Promise<void> {
    for (let i = 0; i < packets; i++) await within(listener.nextHeard(), `sound at ${listener.id}`, patienceMs)
}

/** Of the pauses that end after `fromMs`. */
function longestGapMs(heardMs: readonly number[], fromMs: number): number {
    let longest = 0
    for (let i = 1; i < heardMs.length; i++)
        if (heardMs[i] > fromMs) longest = Math.max(longest, heardMs[i] - heardMs[i - 1])
    return longest
}

function told({ tree }: ReservationReport): string {
    return tree.map(({ rs, parent }) => `${parent} > ${rs}`).join(", ")
}

function rounded(value: number): number {
    return Math.round(value * 10) / 10
}
