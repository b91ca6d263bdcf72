/**
 * One session after the other is set up on an idle network by the real code: how many links its tree has beside the
 * references, how much longer its ways are than the shortest ones, how long it takes and how many messages.
 */

import type { ReservationMessage } from "../../protocol/reservation.ts"
import type { ReservationLimits } from "../../servers/routing/reservation/model.ts"
import { Random } from "../../sim/world/random.ts"
import type { Network } from "../data/network.ts"
import { exactSteinerLinks } from "../reference/exact-steiner.ts"
import { kmbLinks } from "../reference/kmb.ts"
import { plainGraph } from "../reference/plain-graph.ts"
import { leastDelays, shortestPathTree, starLinks } from "../reference/plain-trees.ts"
import { drawSession } from "./draw.ts"
import { ReserveNetwork } from "./network.ts"

const bandwidthKbps = 100
/** From one session to the next; what the one before has held is free by then. */
const spacingMs = 10_000
/** The exact trees take long. */
const exactSessions = 5
const exactDestinations = 8

export interface Setups {
    /** All of these: of all sessions together, relative to KMB's. */
    linksVsKmb: number
    sptLinksVsKmb: number
    starLinksVsKmb: number
    /** KMB's, relative to the exact Steiner trees of the first few sessions; NaN with too many destinations. */
    kmbVsExact: number
    /** Delay along the tree / shortest delay, mean over all destinations. */
    delayStretch: number
    /** From the wish until the source has all notifications, in round trips to the farthest destination ... */
    setupRtts: number
    /** ... and what anyone sends to reserve: all but the confirmations that come then. */
    messages: number
    /** The same until the session is active, with everything. */
    activeRtts: number
    activeMessages: number
    /** Share of the sessions that were not set up; they are in none of the other figures. */
    refused: number
}

const confirming: readonly ReservationMessage["t"][] = ["conf", "rack", "alive"]

export function measureSetups(
    { graph }: Network,
    seed: number,
    destinations: number,
    sessions: number,
    limits: Partial<ReservationLimits>,
): Setups {
    // The same sessions for each mode.
    const random = new Random(seed).split(destinations)
    const network = new ReserveNetwork({ graph, seed, limits })
    const plain = plainGraph(graph)
    const sum = { links: 0, kmb: 0, spt: 0, star: 0, stretch: 0, notified: 0, active: 0, messages: 0, reserving: 0 }
    const few = { exact: 0, kmb: 0 }
    let done = 0
    for (let i = 0; i < sessions; i++) {
        const drawn = drawSession(graph, destinations, random)
        const source = network.servers[drawn.source]
        const fromMs = network.agenda.nowMs
        let messages = 0
        let reserving = 0
        let notifiedMs = Number.NaN
        let activeMs = Number.NaN
        let tree: { rs: string; parent: string }[] | undefined
        network.onSend = (from, { message: { t } }) => {
            if (tree || t === "refresh") return
            messages++
            if (!confirming.includes(t)) reserving++
            // The source confirms at the moment when the last notification has come.
            if (t === "conf" && from === source.id && Number.isNaN(notifiedMs)) notifiedMs = network.agenda.nowMs
        }
        network.onOutcome = (_, effect) => {
            if (effect.type !== "active" || tree) return
            tree = effect.tree
            activeMs = network.agenda.nowMs
            network.feed(source, { type: "drop", sid: effect.sid })
        }
        network.feed(source, {
            type: "wish",
            wish: {
                sid: `s${i}`,
                version: 1,
                destinations: drawn.destinations.map(v => ({ rs: graph.ids[v], dspUnits: 1 })),
                bandwidthKbps,
                dspUnits: 1,
            },
        })
        network.agenda.runUntil(fromMs + spacingMs)
        if (network.held() !== 0) throw new Error(`${network.held()} units are held for session ${i}, which is over`)
        if (!tree) continue

        done++
        const { delay, before } = leastDelays(graph, drawn.source)
        const rttMs = (2 * Math.max(...drawn.destinations.map(v => delay[v]))) / 100
        sum.links += tree.length
        const terminals = [drawn.source, ...drawn.destinations]
        const kmb = kmbLinks(plain, terminals)
        sum.kmb += kmb
        if (i < exactSessions && destinations <= exactDestinations) {
            few.exact += exactSteinerLinks(plain, terminals)
            few.kmb += kmb
        }
        sum.spt += shortestPathTree(before, drawn.destinations).size
        sum.star += starLinks(before, drawn.destinations)
        sum.notified += (notifiedMs - fromMs) / rttMs
        sum.active += (activeMs - fromMs) / rttMs
        sum.messages += messages
        sum.reserving += reserving
        const parentOf = new Map(tree.map(({ rs, parent }) => [rs, parent]))
        for (const v of drawn.destinations)
            sum.stretch += delayAlong(network, parentOf, graph.ids[v], source.id) / delay[v] / destinations
    }
    return {
        linksVsKmb: sum.links / sum.kmb,
        sptLinksVsKmb: sum.spt / sum.kmb,
        starLinksVsKmb: sum.star / sum.kmb,
        kmbVsExact: few.kmb / few.exact,
        delayStretch: sum.stretch / done,
        setupRtts: sum.notified / done,
        messages: sum.reserving / done,
        activeRtts: sum.active / done,
        activeMessages: sum.messages / done,
        refused: (sessions - done) / sessions,
    }
}

/** 0.01 ms from the source down the tree. */
function delayAlong(network: ReserveNetwork, parentOf: Map<string, string>, to: string, source: string): number {
    let delay = 0
    for (let rs = to; rs !== source; ) {
        const parent = parentOf.get(rs)
        if (parent === undefined) throw new Error(`the tree does not lead from ${source} to ${to}`)
        delay += network.linkDelay(parent, rs)
        rs = parent
    }
    return delay
}
