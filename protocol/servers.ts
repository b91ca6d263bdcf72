/**
 * The messages between routing servers and the group server, as shapes and types. Same rules as `messages.ts`.
 * Never imported by the firmware.
 */

import { limits } from "./limits"
import { sessionStates } from "./messages"
import { fixers, reasons } from "./reasons"
import { int, list, type Of, oneOf, optional, record, text } from "./shape"

const u16 = 65535
const u32 = 4294967295
const maxMs = 32503680000000
const maxSeconds = 32503680000
const requestId = int(1, u32)
const identifier = text(limits.identifierBytes, 1)
const address = text(15, 7)
const port = int(1, u16)

/**
 * Bandwidth that a session takes in each direction of a link, kbit/s: one mixed PCMU stream, 50 packets a second of 160 bytes
 * with the headers of RTP, SRTP's tag and roll-over counter, the link's datagram, UDP and IP (254 bytes in all).
 */
export const sessionKbps = 102

/** Routing servers in one list; flat topology (areas come later). */
export const maxRoutingServers = 2000

export const serverLimits = {
    /** Tags, and risk groups, of one routing server. */
    tags: 8,
    /** A tag, a risk group or the name of an area: the grammar of identifiers, at most this long. */
    tagBytes: 16,
    /** Pairs of tags that a policy keeps apart. */
    denyPairs: 256,
    /** Messages that one list of all routing servers is cut into. */
    peerParts: 64,
    /** Servers in one report of distances. */
    distances: 64,
    /** Servers in a reserved tree as it is told. */
    treeServers: 128,
    /** Servers that process one session. */
    mixers: 192,
    /** A report of distances follows a change, but not sooner than this after the last one. */
    distancesIntervalMs: 5000,
}

const tag = text(serverLimits.tagBytes, 1)
const tags = list(tag, serverLimits.tags)
/** Coordinates in 0.001 degree; both or none. */
const latitude = int(-90000, 90000)
const longitude = int(-180000, 180000)

/**
 * What an operator says of a routing server beside its addresses. Absent: not said, which counts as none.
 *
 * Two places may say it: flags of the routing server (sent with its hello) and the group server's API. Field by field, what
 * is stored at the group server wins; what it does not store is taken from the hello. All that a routing server uses,
 * also of itself, is what the group server sends: `own` in `policy`, and `peers`.
 */
const placeFields = {
    /** Words that the administration policy speaks of [claim 9]. */
    tags: optional(tags),
    /** What it fails together with: a duct, a building, a carrier. Two servers that share some share a path. */
    risk: optional(tags),
    area: optional(tag),
    lat: optional(latitude),
    lon: optional(longitude),
}
export const placeShape = record(placeFields)
export type Place = Of<typeof placeShape>

// ---- routing server -> group server: rs/<id>/out/group/<verb> ------------------------------------------------------------

/** `hello`: registers after every connect, and when the group server's birth shows a new boot. */
export const serverHelloShape = record({
    id: requestId,
    v: int(1, 255),
    boot: int(1, u32),
    /** The server's own IP address [claim 2]. */
    ip: address,
    /** TCP (TLS control) and UDP (hellos, probes, media) towards neighbours. */
    linkPort: port,
    /** UDP: endpoint probes and RTP. */
    mediaPort: port,
    /** SHA-256 of the link certificate (DER), 64 hex digits. */
    fingerprint: text(64, 64),
    dspUnits: int(0, u32),
    ...placeFields,
})
export type ServerHello = Of<typeof serverHelloShape>
export const serverHelloDoneShape = record({ re: requestId, nowMs: int(0, maxMs) })

/** `want`: a session this server was asked to join someone to and does not know. Done: the `session` follows by itself. */
export const wantShape = record({ id: requestId, sid: identifier, ep: identifier })

/** `joined` and `left`: who is in a session here. */
export const joinedShape = record({ id: requestId, sid: identifier, ep: identifier })
export const leftShape = record({ id: requestId, sid: identifier, ep: identifier, reason: optional(oneOf(reasons)) })

/** How a session's reservation stands, as its source sees it. */
export const reservationStates = ["reserving", "active", "refused", "degraded"] as const
export type ReservationState = (typeof reservationStates)[number]

/**
 * `reservation`: the source routing server tells what has become of a session's tree [claims 14, 15]; whole, after each change
 * and after hello. `refused` and `degraded` name the destinations that could not be had, each with what is short and where:
 * the group server leaves those servers out (`unreached` in `session`), and the source goes on with the others.
 */
export const reservationReportShape = record({
    id: requestId,
    sid: identifier,
    /** The epoch that is or was tried last; grows. */
    ep: int(0, 2 ** 48 - 1),
    state: oneOf(reservationStates),
    kbps: int(0, u32),
    /** active: each server of the tree but the source, with its parent. */
    tree: list(record({ rs: identifier, parent: identifier }), serverLimits.treeServers),
    short: list(
        record({
            /** The destination that could not be had; the source itself when its own units do not suffice. */
            rs: identifier,
            reason: oneOf(reasons),
            /** What is short and how much, for people. */
            what: text(64),
            /** Server at which it is short ... */
            at: identifier,
            /** ... on its link to this one. */
            to: optional(identifier),
        }),
        limits.sessionMembers,
    ),
})
export type ReservationReport = Of<typeof reservationReportShape>

/**
 * `distances`: the shortest-path delays of this server's routing table to others, in 0.01 ms, one way, away from it. Whole: what
 * is not in the list has no known path from here, or was not asked for. First the servers that share a session with this
 * one (the `rs` of the members of every `session` it was told), then the nearest, at most 64. Sent after hello is done and
 * after a change (a server came into or left the list, or a delay moved by more than max(10 %, 2 ms) since the last
 * report), at most every `distancesIntervalMs`. Answered by plain `done`; need not be repeated, the next one replaces it.
 */
export const distanceShape = record({ rs: identifier, delay: int(0, u32) })
export const distancesShape = record({ id: requestId, list: list(distanceShape, serverLimits.distances) })
export type Distances = Of<typeof distancesShape>

// ---- group server -> routing server: rs/<id>/in/group/<verb> -------------------------------------------------------------

export const peerShape = record({
    rs: identifier,
    ip: address,
    linkPort: port,
    fingerprint: text(64, 64),
    /** 1: static neighbour of the receiver [claim 7]. */
    static: int(0, 1),
    /** UDP: endpoint probes and RTP, also probes between servers that have no link. Always sent by today's group server. */
    mediaPort: optional(port),
    ...placeFields,
})
export type Peer = Of<typeof peerShape>

/**
 * `peers`: all other routing servers, whole, after hello and on every change [claims 7, 10]. A lower `n` is old news.
 *
 * A list that is too long for one message comes in parts: `parts` messages with the same `n` and `part` 0 .. parts - 1 (both
 * absent: the list is whole). The receiver keeps the parts of the highest `n` that it has heard of, in any order, and
 * applies the list when it has them all; a part of a lower `n` is old news, one that it has already is ignored. What it
 * applied before stays in force meanwhile.
 */
export const peersShape = record({
    n: int(0, u32),
    list: list(peerShape, maxRoutingServers),
    part: optional(int(0, serverLimits.peerParts - 1)),
    parts: optional(int(1, serverLimits.peerParts)),
})
export type Peers = Of<typeof peersShape>

/** Limits of the neighbour rule [claims 11, 12]; all of them, so that every server decides by the same ones. */
export const neighbourLimitsShape = record({
    /** Neighbours wanted. */
    degree: int(1, 32),
    /** Neighbours at most, with those that asked; not less than `degree`. */
    degreeMax: int(1, 64),
    /** One way; a path must be below it. */
    maxDelayMs: int(1, 10000),
    /** A path must be above it. */
    minBandwidthKbps: int(0, u32),
    maxLossPermille: int(0, 1000),
    /** 95th percentile. */
    maxJitterMs: int(0, 10000),
    /** Largest share of a path that may be common with the path to a neighbour. */
    maxSharePercent: int(0, 100),
})
export type NeighbourLimits = Of<typeof neighbourLimitsShape>

export const neighbourLimitDefaults: NeighbourLimits = {
    degree: 6,
    degreeMax: 12,
    maxDelayMs: 75,
    minBandwidthKbps: 1000,
    maxLossPermille: 20,
    maxJitterMs: 30,
    maxSharePercent: 50,
}

/**
 * `policy`: the administration policy for neighbours [claim 9], whole, before `peers` after hello, and on every change. A lower
 * `n` is old news. A server that has none yet chooses no dynamic neighbours: it waits for this.
 */
export const policyShape = record({
    n: int(0, u32),
    /** Two servers, one with the first tag and one with the second, must not be neighbours. A tag may be denied to itself. */
    deny: list(list(tag, 2, 2), serverLimits.denyPairs),
    limits: neighbourLimitsShape,
    /** The receiver's own place, as the group server sees it. */
    own: placeShape,
})
export type NeighbourPolicy = Of<typeof policyShape>

/** Of 16 kHz mono sound: PCM in WAV, Opus in Ogg. */
export const recordingFormats = ["wav", "ogg"] as const
export type RecordingFormat = (typeof recordingFormats)[number]

/**
 * `session`: a session that has members at this server, from opening on, whole, and again on every change of members.
 * A lower `n` is old news.
 */
export const serverSessionShape = record({
    sid: identifier,
    n: int(0, u32),
    state: oneOf(sessionStates),
    /** The source routing server that the tree starts from. */
    source: identifier,
    end: int(0, maxSeconds),
    members: list(
        record({ ep: identifier, rs: optional(identifier), name: text(limits.nameBytes) }),
        limits.sessionMembers,
    ),
    /** 1: the session is recorded, at its source; everybody in it is told. */
    rec: optional(int(0, 1)),
    /** The form of the file; WAV when absent. */
    recAs: optional(oneOf(recordingFormats)),
    /** Bandwidth of one direction of each link of the tree; `sessionKbps` when absent. */
    kbps: optional(int(1, 10_000_000)),
    /**
     * Only to servers that process the session: those with members, the source, and those where its tree branches. They are all of
     * them, and share `key` (base64 of 32 bytes), under which links carry its sound. Servers in transit have neither [claim 4].
     */
    mixers: optional(list(identifier, serverLimits.mixers)),
    key: optional(text(44, 44)),
    /** Servers left out because nothing could be reserved for them. Members there are refused with this. */
    unreached: optional(
        list(
            record({
                rs: identifier,
                reason: oneOf(reasons),
                what: text(64),
                who: oneOf(fixers),
                /** When it may fit, Unix seconds. */
                next: optional(int(0, maxSeconds)),
            }),
            limits.sessionMembers,
        ),
    ),
})
export type ServerSession = Of<typeof serverSessionShape>

/** `end`: the session is over; everybody in it gets `bye`. */
export const endShape = record({ sid: identifier, reason: oneOf(reasons) })
export type EndSession = Of<typeof endShape>

// ---- states (retained, with Will) -----------------------------------------------------------------------------------------

/** State of a routing server's link to a neighbour. Delays are integers of 0.01 ms, one way. */
export const linkStateShape = record({ rs: identifier, up: int(0, 1), delay: int(0, u32) })

export const serverStateShape = record({
    boot: int(1, u32),
    on: int(0, 1),
    dspFree: optional(int(0, u32)),
    dspUnits: optional(int(0, u32)),
    /** Per cent. */
    load: optional(int(0, 100)),
    /** 1: it takes nobody new. It is no candidate then, and no source while another member server can be one. */
    draining: optional(int(0, 1)),
    endpoints: optional(int(0, u16)),
    links: optional(list(linkStateShape, 64)),
})
export type ServerState = Of<typeof serverStateShape>

export const groupStateShape = record({ boot: int(1, u32), on: int(0, 1) })
export type GroupState = Of<typeof groupStateShape>
