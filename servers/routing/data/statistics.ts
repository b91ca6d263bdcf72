/**
 * What the data plane counts. Types, and the counters of a link at their beginning.
 */

import type { PlaneStatistics } from "../media/interface.ts"
import type { PathCounters } from "../underlay/underlay.ts"

/** What a link is like. */
export interface LinkFigures {
    /** Smoothed one-way delay in 0.01 ms; undefined before the first round trip. */
    delay: number | undefined
    jitter: number
    lossPermille: number
}

export const unknownFigures: LinkFigures = { delay: undefined, jitter: 0, lossPermille: 0 }

export interface LinkCounters {
    received: number
    sent: number
    /** Datagrams dropped: forged, replayed or of no known form. */
    forged: number
    replayed: number
    malformed: number
    /** Media dropped unread because this server was behind and it would have been late. */
    late: number
    /** Media not sent because the system takes no more. */
    congested: number
}

export function newLinkCounters(): LinkCounters {
    return { received: 0, sent: 0, forged: 0, replayed: 0, malformed: 0, late: 0, congested: 0 }
}

/** A recording that runs. */
export interface RecordingStatistics {
    session: string
    path: string
    format: string
    seconds: number
    /** Not in the file: the disk was too slow or full. */
    lostSeconds: number
}

export interface LinksStatistics {
    /** By server. */
    counters: Record<string, LinkCounters>
    /** Datagrams that belong to no link. */
    stray: number
    transit: TransitCounters
    /** By what was named in the conditions. */
    underlay: { far: string; counters?: PathCounters }[]
}

export interface TransitCounters {
    packets: number
    copies: number
    notSent: number
}

/** A session that passes through: what comes from one neighbour under one label. */
export interface TransitEntry {
    sid: string
    from: string
    labelIn: number
    out: { peer: string; label: number }[]
    packets: number
    notSent: number
}

export interface DataStatistics extends LinksStatistics {
    media: PlaneStatistics
    transitEntries: TransitEntry[]
    trains: { answered: number; refused: number }
    recordings: RecordingStatistics[]
    /** How datagrams cross into the system: many in a call, or one by one with Node's dgram. */
    udp: "batch" | "dgram"
    /** Live objects and garbage of the data plane's thread. */
    heapBytes: number
    /** What the engine holds for it, used or not. */
    heapHeldBytes: number
}

export function noLinks(): LinksStatistics {
    return { counters: {}, stray: 0, transit: { packets: 0, copies: 0, notSent: 0 }, underlay: [] }
}

export function noStatistics(): DataStatistics {
    const trains = { answered: 0, refused: 0 }
    return {
        ...noLinks(),
        media: noMedia,
        transitEntries: [],
        trains,
        recordings: [],
        udp: "dgram",
        heapBytes: 0,
        heapHeldBytes: 0,
    }
}

const noMedia: PlaneStatistics = {
    ...{ sessions: 0, legs: [], links: [], dspUnitsUsed: 0 },
    datagrams: {
        ...{ received: 0, probesAnswered: 0, probesLimited: 0, accepted: 0, malformed: 0, unknownLeg: 0 },
        ...{
            wrongAddress: 0,
            wrongPayload: 0,
            unknownLabel: 0,
            sendFailures: 0,
            reports: 0,
            forged: 0,
            replayed: 0,
            noKey: 0,
        },
    },
    ticks: { done: 0, late: 0, skipped: 0, latenessP99Ms: 0, latenessMaxMs: 0, workMeanMs: 0 },
}
