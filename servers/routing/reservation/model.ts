/**
 * What the reservation at one routing server is told, what it answers and what it sees of the network, as types.
 *
 * The core is `Reservation` (reservation.ts): `step(event, nowMs) -> effects`. Source, destination and transit server of a
 * session are the same code. Delays are integers of 0.01 ms, bandwidths kbit/s of one direction. [routing-spec 4]
 */

import type { Reason } from "../../../protocol/reasons.ts"
import type { ReservationMessage } from "../../../protocol/reservation.ts"

/** What the core sees of the network. It reads, and never keeps what it has read across events. */
export interface NetworkView {
    /** Neighbours whose link is up. */
    neighbours(): readonly string[]
    /** Of the link to a neighbour; Infinity when it is not up. */
    linkDelay(peer: string): number
    /** What may be reserved towards a neighbour, as configured and at most lowered by measurement. */
    capacityKbps(peer: string): number
    /** Shortest delay from this server or one of its neighbours to any server; Infinity when there is no path. */
    delay(from: string, to: string): number
    /** The link-state database as a graph, for the trees of the guided mode. */
    graph(): BandwidthGraph
}

/**
 * Servers and their links with what is free on them, as the link-state database tells. Servers are numbers; row `v` of
 * the links that lead away from it is `start[v] .. start[v + 1]`.
 */
export interface BandwidthGraph {
    ids: readonly string[]
    indexOf: ReadonlyMap<string, number>
    start: Int32Array
    /** Where link `e` leads. */
    head: Int32Array
    /** 0.01 ms. */
    delay: Int32Array
    /** The smaller of both directions' free bandwidth, kbit/s, rounded down to what is advertised. */
    freeKbps: Int32Array
}

export interface Destination {
    rs: string
    /** DSP units for the members expected there. */
    dspUnits: number
}

/** A session that starts from this server, as the group server wants it now. */
export interface Wish {
    sid: string
    /** Version that the group server gave it; a later wish has a higher one. */
    version: number
    /** Other servers that have members. None: only DSP units are reserved, here. */
    destinations: readonly Destination[]
    bandwidthKbps: number
    /** Units for the members here [claim 14]. */
    dspUnits: number
}

export type ReservationEvent =
    /** This server is the session's source; again when its destinations change. */
    | { type: "wish"; wish: Wish }
    /** The session is over, or starts from another server. */
    | { type: "drop"; sid: string }
    | { type: "message"; from: string; message: ReservationMessage }
    | { type: "linkDown"; peer: string }
    /** The link-state database has changed. */
    | { type: "topology" }
    | { type: "tick" }

/** What is short, and where. */
export interface Shortage {
    /** The destination that could not be had, or the source itself. */
    rs: string
    reason: Reason
    what: string
    /** Server at which it is short ... */
    at: string
    /** ... on its link to this one. */
    to?: string
}

export interface Branch {
    peer: string
    /** Packets from the peer carry it. */
    labelIn: number
    /** Packets to the peer carry it. */
    labelOut: number
}

export type ReservationEffect =
    | { type: "send"; to: string; message: ReservationMessage }
    /**
     * Media of the session go over exactly these links from now on, under these labels; none: it has no tree here (any more).
     * `transit`: from link to link unread [claim 4]; else they are mixed here.
     */
    | { type: "tree"; sid: string; ep: number; branches: Branch[]; transit: boolean }
    /** An attempt for a session that starts here begins; `kind` says why. */
    | { type: "trying"; sid: string; ep: number; kind: "setup" | "change" | "repair" | "review" }
    /** Of a session that starts here: every destination is connected, and holds what it needs. */
    | { type: "active"; sid: string; ep: number; tree: { rs: string; parent: string }[] }
    /** No attempt at all succeeded; what was held is released. The next wish tries anew. */
    | { type: "refused"; sid: string; ep: number; short: Shortage[] }
    /** An active session could not be repaired. What is left of it goes on until the next wish, or for `orphanMs`. */
    | { type: "degraded"; sid: string; ep: number; short: Shortage[] }

export interface ReservationLimits {
    /** DSP units of this server. */
    dspUnits: number
    /** Units for each link that is mixed here. */
    dspUnitsPerLink: number
    /** Attempts with a tree computed by the source before the claims' windows decide. */
    guidedAttempts: number
    windowAttempts: number
    /** Attempts of one source that may be under way at the same time, without those to repair. */
    trialsAtOnce: number
    /** Attempts to repair before the session is degraded, and the waits between them. */
    repairAttempts: number
    repairFirstMs: number
    repairMostMs: number
    retryMinMs: number
    retryMaxMs: number
    /** Of the round trip to the farthest destination, how long requests are collected; at most `windowMostMs`. */
    windowShare: number
    windowMostMs: number
    /** Servers on the longest way that windows are expected on. */
    windowHops: number
    setupSlackMs: number
    setupMostMs: number
    /** A way to a destination may be this much longer than the shortest one, or longer by `detourFloor` (0.01 ms). */
    detourShare: number
    detourFloor: number
    refreshMs: number
    /** Before it is confirmed. */
    firstLeaseMs: number
    leaseMs: number
    /** A destination that has not been heard of for so long is lost. */
    silentMs: number
    tombstoneMs: number
    /** What is left of a degraded session. */
    orphanMs: number
    /** How often an active tree is compared with the best one now. */
    reviewMs: number
    /** An active tree moves when the new one has less than this share of its links. */
    reviewLinkShare: number
    /** ... or when its longest way takes less than this share and less by `reviewDelayFloor` (0.01 ms). */
    reviewDelayShare: number
    reviewDelayFloor: number
    /** A link that an attempt failed on is not used again by the same source for so long. */
    avoidMs: number
    /** Attempts of all sessions that this server has a part in. */
    attempts: number
}

export const reservationDefaults: ReservationLimits = {
    dspUnits: 256,
    dspUnitsPerLink: 1,
    guidedAttempts: 3,
    windowAttempts: 1,
    trialsAtOnce: 16,
    repairAttempts: 5,
    repairFirstMs: 250,
    repairMostMs: 4000,
    retryMinMs: 50,
    retryMaxMs: 250,
    windowShare: 0.05,
    windowMostMs: 20,
    windowHops: 10,
    setupSlackMs: 300,
    setupMostMs: 2000,
    detourShare: 1.5,
    detourFloor: 1000,
    refreshMs: 1000,
    firstLeaseMs: 2500,
    leaseMs: 3500,
    silentMs: 2500,
    tombstoneMs: 10_000,
    orphanMs: 10_000,
    reviewMs: 30_000,
    reviewLinkShare: 0.8,
    reviewDelayShare: 2 / 3,
    reviewDelayFloor: 1000,
    avoidMs: 5000,
    attempts: 16_384,
}

/** How long a way to a server may be, whose shortest way is `shortest`, both 0.01 ms; 0 when there is no way. */
export function maxDelayFor(
    shortest: number,
    { detourShare, detourFloor }: Pick<ReservationLimits, "detourShare" | "detourFloor">,
): number {
    const most = Math.max(shortest * detourShare, shortest + detourFloor)
    return Number.isFinite(most) ? Math.floor(most) : 0
}

/** One attempt that this server has a part in, for people. */
export interface AttemptView {
    sid: string
    ep: number
    source: string
    role: "source" | "destination" | "transit"
    state: "collecting" | "reserving" | "committed" | "active"
    upstream?: string
    children: string[]
    bandwidthKbps: number
    usageCount: number
    /** Sound is mixed here; else it passes through unread [claim 4]. */
    mixes: boolean
}

export interface LedgerView {
    links: { peer: string; capacityKbps: number; heldKbps: number }[]
    dspUnits: number
    dspHeld: number
    sessions: { sid: string; dspHeld: number; links: string[] }[]
}
