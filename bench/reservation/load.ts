/**
 * A network under load: sessions come at random, stay a while and go. How many find no bandwidth with shortest-path trees that
 * do not look at bandwidth, and how many with the real reservation; the same arrivals for both.
 */

import type { BandwidthGraph, ReservationLimits } from "../../servers/routing/reservation/model.ts"
import { Random } from "../../sim/world/random.ts"
import type { Network } from "../data/network.ts"
import { leastDelays, shortestPathTree } from "../reference/plain-trees.ts"
import { type DrawnSession, drawSession } from "./draw.ts"
import { ReserveNetwork } from "./network.ts"

const destinations = 8
/** Sessions that fit on a link. */
const linkSessions = 32
const bandwidthKbps = 500
const meanHoldMs = 60_000
/** Nobody leaves before the setup is decided. */
const leastHoldMs = 10_000
/** The first part fills the network and does not count. */
const fillShare = 0.25
/** Shortest-path trees are to block so much: the load is set for it. */
const blockingWanted = 0.16
/** Two advertisements of one server are at least so far apart [routing-spec 3]. */
const advertiseMs = 1000
/** What is refreshed each second would only cost time here, where nothing fails. */
const quiet: Partial<ReservationLimits> = { refreshMs: 20_000, silentMs: 50_000, leaseMs: 70_000 }

interface Arrival extends DrawnSession {
    /** Mean interval 1. */
    at: number
    holdMs: number
}

export interface LoadResult {
    /** Sessions that would be there at once if none were refused. */
    erlangs: number
    blockingSpt: number
    blockingGuided: number
    /** Of a session, until it was active or refused. */
    attemptsMean: number
}

export function measureLoad({ graph }: Network, seed: number, sessions: number): LoadResult {
    const random = new Random(seed).split(100)
    let at = 0
    const arrivals: Arrival[] = Array.from({ length: sessions }, () => {
        at += exponential(random)
        return {
            at,
            holdMs: Math.max(leastHoldMs, exponential(random) * meanHoldMs),
            ...drawSession(graph, destinations, random),
        }
    })
    let low = 0
    let high = 100 * linkSessions
    for (let i = 0; i < 16; i++) {
        const middle = (low + high) / 2
        if (blockingOfShortest(graph, arrivals, middle) < blockingWanted) low = middle
        else high = middle
    }
    return {
        erlangs: high,
        blockingSpt: blockingOfShortest(graph, arrivals, high),
        ...blockingOfReservation(graph, arrivals, high, seed),
    }
}

function exponential(random: Random): number {
    return -Math.log(1 - random.fraction())
}

const intervalMs = (erlangs: number) => meanHoldMs / erlangs

/** Admits a session when its shortest-path tree has room on all links, at once and by exact knowledge. */
function blockingOfShortest(graph: BandwidthGraph, arrivals: readonly Arrival[], erlangs: number): number {
    const trees = graph.ids.map((_, v) => leastDelays(graph, v).before)
    const used = new Map<string, number>()
    const leaving: { atMs: number; links: string[] }[] = []
    let blocked = 0
    for (const [i, { at, holdMs, source, destinations }] of arrivals.entries()) {
        const nowMs = at * intervalMs(erlangs)
        for (let j = leaving.length - 1; j >= 0; j--) {
            if (leaving[j].atMs > nowMs) continue
            for (const link of leaving[j].links) used.set(link, used.get(link)! - 1)
            leaving[j] = leaving[leaving.length - 1]
            leaving.pop()
        }
        const tree = shortestPathTree(trees[source], destinations)
        const links = [...tree].map(([v, parent]) => (v < parent ? `${v} ${parent}` : `${parent} ${v}`))
        if (links.some(link => (used.get(link) ?? 0) >= linkSessions)) {
            if (i >= arrivals.length * fillShare) blocked++
            continue
        }
        for (const link of links) used.set(link, (used.get(link) ?? 0) + 1)
        leaving.push({ atMs: nowMs + holdMs, links })
    }
    return blocked / Math.ceil(arrivals.length * (1 - fillShare))
}

function blockingOfReservation(
    graph: BandwidthGraph,
    arrivals: readonly Arrival[],
    erlangs: number,
    seed: number,
): Pick<LoadResult, "blockingGuided" | "attemptsMean"> {
    const network = new ReserveNetwork({
        graph,
        seed,
        linkKbps: linkSessions * bandwidthKbps,
        limits: quiet,
        advertiseMs,
    })
    const { agenda } = network
    const active = new Set<string>()
    let attempts = 0
    network.onTrying = ({ kind }) => {
        if (kind === "setup") attempts++
    }
    network.onOutcome = (rs, effect) => {
        if (effect.type === "degraded") throw new Error(`${effect.sid} was degraded at ${rs}, and nothing had failed`)
        if (effect.type === "active") active.add(effect.sid)
    }
    let counted = 0
    let blocked = 0
    for (const [i, { at, holdMs, source, destinations }] of arrivals.entries()) {
        const sid = `s${i}`
        const server = network.servers[source]
        const wish = {
            sid,
            version: 1,
            destinations: destinations.map(v => ({ rs: graph.ids[v], dspUnits: 1 })),
            bandwidthKbps,
            dspUnits: 1,
        }
        const fromMs = at * intervalMs(erlangs)
        agenda.at(fromMs, () => network.feed(server, { type: "wish", wish }))
        agenda.at(fromMs + holdMs, () => {
            // One that is still being tried when its people go was not served.
            if (i >= arrivals.length * fillShare) {
                counted++
                if (!active.has(sid)) blocked++
            }
            network.feed(server, { type: "drop", sid })
            active.delete(sid)
        })
    }
    agenda.runUntil(arrivals[arrivals.length - 1].at * intervalMs(erlangs) + 60 * meanHoldMs)
    if (network.held() !== 0) throw new Error(`${network.held()} units are held for sessions that are over`)
    return { blockingGuided: blocked / counted, attemptsMean: attempts / arrivals.length }
}
