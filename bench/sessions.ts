/**
 * Many sessions at once on ten real routing server processes: set up, some exchanged for others, torn down; what is held is
 * looked at all the while.
 *
 * The servers form a ring with chords. Sessions have members at 2 to 5 servers, drawn by the seed; one in twenty takes as much
 * bandwidth as many others, and two servers have few DSP units, so that some are refused. A few are under way at a time. New ones
 * are asked for until as many as wanted are active at the same time.
 *
 * - overcommitted: how often a server said that it holds more than it has, on a link or of DSP units.
 * - leaked: what is held beside what the active sessions need when all of them are there, and what is held when all have ended.
 * - setupMs: from telling the members' servers until the source's report of the tree has come over the broker.
 */

import { raisePriority } from "../media/priority.ts"
import type { ReservationReport } from "../protocol/servers.ts"
import {
    type NetworkPlan,
    type NetworkServer,
    type RoutingNetwork,
    startRoutingNetwork,
} from "../test/control/network.ts"
import { eventually, within } from "../test/support/deadline.ts"
import { type SeededRandom, seededRandom } from "../test/support/random.ts"
import { type LivingSession, leakOf, ledgersOf, remainingLeak } from "./holdings.ts"
import type { Bench } from "./run.ts"

const serverCount = 10
const usualKbps = 96
const largeKbps = 2000
const largeEach = 20
const capacityKbps = 80_000
const dspUnits = 1200
/** Of two of the servers. */
const fewDspUnits = 820
const sampleEachMs = 150
const patienceMs = 120_000

const ids = Array.from({ length: serverCount }, (_, i) => `rs-${i}`)

interface Extent {
    wanted: number
    exchanged: number
    together: number
}

interface Asked {
    sid: string
    source: string
    members: string[]
    kbps: number
}

export const sessionsBench: Bench = {
    summary: "many sessions on ten servers, set up and torn down: nothing over-committed, nothing leaked",
    options: {
        sessions: "active at the same time (1000)",
        exchanged: "sessions that end while others begin (200)",
        together: "sessions that are set up or torn down at the same time (16)",
        seed: "of members and delays",
    },
    async run(options, progress) {
        const wanted = whole("sessions", options.sessions, 1000, 3000)
        const exchanged = whole("exchanged", options.exchanged, 200, 3000)
        const together = Math.max(1, whole("together", options.together, 16, 3000))
        const seed = whole("seed", options.seed, 1, 0x7fffffff)
        // The servers do so too: the broker in this process must not wait for them.
        raisePriority()
        const random = seededRandom(seed)
        const network = await startRoutingNetwork(planOf(random))
        try {
            return { figures: await measure(network, random, { wanted, exchanged, together }, progress), seed }
        } finally {
            await network.stop()
        }
    },
}

function planOf(random: SeededRandom): NetworkPlan {
    const pairs: [string, string][] = []
    for (let i = 0; i < serverCount; i++) {
        pairs.push([ids[i], ids[(i + 1) % serverCount]])
        if (i % 2 === 0) pairs.push([ids[i], ids[(i + 3) % serverCount]])
        if (i < serverCount / 2) pairs.push([ids[i], ids[i + serverCount / 2]])
    }
    return {
        ids,
        pairs,
        delays: pairs.map(([a, b]) => [a, b, random.int(2, 8)]),
        // A machine that is busy with all of them must not be taken for links that fail: that is another bench's subject.
        words: ["--hello-ms", "1000", "--capacity-kbps", String(capacityKbps), "--dsp-units", String(dspUnits)],
        wordsOf: Object.fromEntries(ids.slice(0, 2).map(id => [id, ["--dsp-units", String(fewDspUnits)]])),
    }
}

async function measure(
    network: RoutingNetwork,
    random: SeededRandom,
    { wanted, exchanged, together }: Extent,
    progress: (text: string) => void,
): Promise<Record<string, number>> {
    const servers = Object.values(network.servers)
    await settled(servers)
    progress("everybody reaches everybody")
    const crowd = new Crowd(network, random, together)
    const sampler = new Sampler(servers)
    const startMs = performance.now()

    await crowd.grow(wanted, 2 * wanted, sampler)
    const setupSeconds = (performance.now() - startMs) / 1000
    const perSecond = crowd.setupsMs.length / setupSeconds
    progress(`${crowd.active.size} active after ${setupSeconds.toFixed(1)} s, refused: ${crowd.refusals()}`)
    for (let i = 0; i < exchanged; i += together) {
        await crowd.shrink(Math.min(together, exchanged - i))
        await crowd.grow(wanted, 2 * (wanted + exchanged), sampler)
    }
    progress(`${exchanged} exchanged, refused: ${crowd.refusals()}`)
    const most = crowd.active.size
    const atMost = await remainingLeak(async () => leakOf(await ledgersOf(servers), crowd.living()))
    await crowd.shrink(most)
    const atEnd = await remainingLeak(async () => leakOf(await ledgersOf(servers), []))
    const seconds = (performance.now() - startMs) / 1000
    await sampler.stop()

    const setups = crowd.setupsMs.sort((a, b) => a - b)
    const at = (share: number) => rounded(setups[Math.min(setups.length - 1, Math.floor(setups.length * share))])
    return {
        sessions: crowd.asked,
        active: most,
        refused: crowd.refused.length,
        refusedNoBandwidth: crowd.refused.filter(reason => reason === "no-bandwidth").length,
        refusedNoDsp: crowd.refused.filter(reason => reason === "no-dsp").length,
        degraded: crowd.degraded,
        setupMedianMs: at(0.5),
        setupP99Ms: at(0.99),
        setupsPerSecond: rounded(perSecond),
        samples: sampler.samples,
        overcommitted: sampler.overcommitted,
        fullestLinkPercent: Math.round(100 * sampler.fullestLink),
        fullestDspPercent: Math.round(100 * sampler.fullestDsp),
        leakedKbps: atMost.kbps + atEnd.kbps,
        leakedDspUnits: atMost.dspUnits + atEnd.dspUnits,
        seconds: rounded(seconds),
    }
}

/** Asks for sessions, ends them, and knows what has become of each. */
class Crowd {
    readonly active = new Map<string, Asked>()
    readonly setupsMs: number[] = []
    /** The first reason of each that was refused. */
    readonly refused: string[] = []
    /** Reports of active sessions that could not be kept whole. */
    degraded = 0
    asked = 0
    readonly #network: RoutingNetwork
    readonly #random: SeededRandom

    readonly #together: number

    constructor(network: RoutingNetwork, random: SeededRandom, together: number) {
        this.#together = together
        this.#network = network
        this.#random = random
        network.group.on("reservation", (_rs, { state }) => {
            if (state === "degraded") this.degraded++
        })
    }

    /** Until so many are active; an error when so many were asked for in vain. */
    async grow(wanted: number, most: number, sampler: Sampler): Promise<void> {
        const one = async () => {
            while (this.active.size < wanted) {
                if (this.asked >= most) throw new Error(`${this.active.size} active after ${most}: ${this.refusals()}`)
                await this.#ask()
                sampler.check()
            }
        }
        // As the last one comes in others are under way: then there are some more than wanted.
        await Promise.all(Array.from({ length: Math.min(this.#together, wanted - this.active.size) }, one))
    }

    /** Ends so many, the oldest first. */
    async shrink(count: number): Promise<void> {
        const ending = [...this.active.values()].slice(0, count)
        for (let i = 0; i < ending.length; i += this.#together)
            await Promise.all(ending.slice(i, i + this.#together).map(each => this.#end(each)))
    }

    /** With the trees as they were told last. */
    living(): LivingSession[] {
        const { reports } = this.#network.group
        return [...this.active.values()].map(asked => ({ ...asked, tree: reports.get(asked.sid)?.tree ?? [] }))
    }

    refusals(): string {
        const counts = new Map<string, number>()
        for (const reason of this.refused) counts.set(reason, (counts.get(reason) ?? 0) + 1)
        return [...counts].map(([reason, count]) => `${count} ${reason}`).join(", ") || "none"
    }

    async #ask(): Promise<void> {
        const asked = this.#next()
        const { sid, source, members, kbps } = asked
        const { group } = this.#network
        const isOver = ({ state }: ReservationReport) => state === "active" || state === "refused"
        const answer = group.nextReport(sid, isOver)
        const startMs = performance.now()
        await group.tell(members, {
            ...{ sid, n: 1, state: "open", source, kbps, end: Math.ceil(Date.now() / 1000) + 3600 },
            members: members.map(rs => ({ ep: `ep-${rs}`, name: rs, rs })),
        })
        const { report, atMs } = await within(answer, `${sid} to be active or refused`, patienceMs)
        if (report.state === "active") {
            this.setupsMs.push(atMs - startMs)
            this.active.set(sid, asked)
            return
        }
        this.refused.push(report.short[0]?.reason ?? "unknown")
        await group.endSession(members, sid)
    }

    async #end({ sid, members }: Asked): Promise<void> {
        this.active.delete(sid)
        await this.#network.group.endSession(members, sid)
    }

    #next(): Asked {
        const random = this.#random
        const members = new Set<string>()
        for (const count = random.int(2, 5); members.size < count; ) members.add(random.pick(ids))
        const number = ++this.asked
        const kbps = number % largeEach === 0 ? largeKbps : usualKbps
        return { sid: `s${number}`, source: [...members][0], members: [...members], kbps }
    }
}

/** Looks at what every server holds, again and again. */
class Sampler {
    samples = 0
    overcommitted = 0
    /** Shares. */
    fullestLink = 0
    fullestDsp = 0
    readonly #servers: readonly NetworkServer[]
    readonly #done: Promise<void>
    #stopped = false
    #problem: Error | undefined

    constructor(servers: readonly NetworkServer[]) {
        this.#servers = servers
        this.#done = this.#run().catch(error => {
            this.#problem = error as Error
        })
    }

    /** Throws when it could not look. */
    check(): void {
        if (this.#problem) throw this.#problem
    }

    async stop(): Promise<void> {
        this.#stopped = true
        await this.#done
        this.check()
    }

    async #run(): Promise<void> {
        while (!this.#stopped) {
            const nextMs = performance.now() + sampleEachMs
            for (const { links, dspUnits: units, dspHeld } of (await ledgersOf(this.#servers)).values()) {
                this.samples++
                if (dspHeld > units) this.overcommitted++
                this.fullestDsp = Math.max(this.fullestDsp, dspHeld / units)
                for (const { capacityKbps: capacity, heldKbps } of links) {
                    if (heldKbps > capacity) this.overcommitted++
                    this.fullestLink = Math.max(this.fullestLink, heldKbps / capacity)
                }
            }
            await new Promise(resolve => setTimeout(resolve, Math.max(0, nextMs - performance.now())))
        }
    }
}

async function settled(servers: readonly NetworkServer[]): Promise<void> {
    await eventually(
        async () => {
            for (const { id, control } of servers) {
                const can = await control.canReserve(ids, largeKbps)
                if (!can.ok || !can.value.fits || can.value.tree.length < ids.length - 1) return false
                const links = await control.links()
                if (!links.ok || links.value.links.some(({ up, delayMs }) => !up || delayMs === undefined)) return false
                if (links.value.links.length === 0) throw new Error(`${id} has no links`)
            }
            return true
        },
        "everybody to reach everybody",
        patienceMs,
    )
}

function whole(name: string, text: string | undefined, usual: number, most: number): number {
    const value = text === undefined ? usual : Number(text)
    if (!Number.isInteger(value) || value < 0 || value > most)
        throw new Error(`--${name}: a number from 0 to ${most} is needed`)
    return value
}

function rounded(value: number): number {
    return Math.round(value * 10) / 10
}
