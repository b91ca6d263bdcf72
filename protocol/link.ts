/**
 * What two neighbouring routing servers say to each other over their link: control messages (CBOR in frames of a
 * TLS 1.3 connection) and the layout of datagrams. Never imported by the firmware.
 *
 * Control frame:  u32 BE length of the body, body = one CBOR map {k: kind, ...}, text keys, no tags, definite lengths.
 *
 * Datagram (UDP, same port number as the TLS listener):
 *      0  0x60 | kind   1  version 2   2  link id u32 BE   6  sequence u48 BE   12  body   last 16  tag
 * The tag is that of AEAD_CHACHA20_POLY1305 (RFC 8439) with the header, 12 bytes, as nonce, all before the tag as additional
 * data and nothing to encrypt. Link id and key (32 bytes) are exported from the TLS session (RFC 5705), one pair for each
 * direction; sequences start at 1 and never repeat under a key, so that no nonce does. The body is not encrypted, so that
 * a transit server changes the label of a media datagram and nothing else.
 * The first byte lies outside of the ranges of STUN, DTLS, TURN and RTP (RFC 7983).
 *
 *     hello (1), each 100 ms: boot u32, number u32, sentUs u32, echoUs u32, heldUs u32
 *         number counts hellos from 1. echoUs is sentUs of the last hello heard, heldUs the time since; heldUs is
 *         0xffffffff while none was heard.
 *     probe (2) and echo (3): number u32, sentUs u32. A probe is returned at once as an echo with the same body.
 *     media (4): label u32, packet. The label is the one that the receiver has handed out with the reservation.
 *     routed (5): to any server, hop by hop along the routing table; see `routed.ts`.
 *
 * A link carries sessions, routes and media only while both ends have each other as neighbours, which each tells by
 * `neighbour`. Any two servers of the group server's list may have a link without being neighbours, to ask for it.
 */

import { limits } from "./limits"
import { int, list, type Of, oneOf, optional, record, text } from "./shape"

export const linkVersion = 2
export const linkExporterLabel = "EXPERIMENTAL-parley-link-2"
export const linkApplicationProtocol = "parley-link/2"

export const linkLimits = {
    helloIntervalMs: 100,
    missedHellos: 3,
    /** Allowance for a late timer at either end. */
    graceMs: 20,
    /** From the TLS connection to the first mutual hello. */
    upWithinMs: 2000,
    /** From the TCP connection to the peer's `greet`. */
    greetWithinMs: 3000,
    controlFrameBytes: 65536,
    controlDepth: 8,
    controlFramesPerSecond: 2000,
    /** What waits in the TLS connection towards a neighbour that does not read. */
    controlBacklogBytes: 1048576,
    mediaPacketBytes: 1400,
    replayWindow: 1024,
    /** Connections that have not yet shown who they are. */
    halfOpen: 64,
    halfOpenPerAddress: 4,
    probesOnUp: 10,
    probeIntervalMs: 50,
    backOffFirstMs: 100,
    backOffMaxMs: 5000,
    helloIntervalMsMin: 20,
    helloIntervalMsMax: 1000,
    /** A link that neither end needs is closed after this time ... */
    unusedMs: 10_000,
    /** ... or after this one when it was needed before. */
    lingerMs: 1000,
    /** The larger identifier dials too, when the smaller one has not for so long: it may not know yet. */
    courtesyMs: 1000,
    /** Round trips told to one server; the shortest ones. */
    distances: 1000,
    /** Advertisements, keys of them or origins in one message. */
    advertisements: 50,
    advertisedLinks: 64,
    /** Routed datagrams that one neighbour may hand on in a second. */
    routedPerSecond: 2000,
}

export const datagramKinds = { hello: 1, probe: 2, echo: 3, media: 4, routed: 5 } as const
export const datagramHeaderBytes = 12
export const datagramTagBytes = 16
export const helloBodyBytes = 20
export const probeBodyBytes = 8

const u32 = 4294967295
const identifier = text(limits.identifierBytes, 1)

/** First message of both sides. TLS has proven the certificate; this names the server and its present life. */
export const greetShape = record({
    k: oneOf(["greet"]),
    v: int(1, 255),
    rs: identifier,
    boot: int(1, u32),
    /** How often the sender sends hellos; `helloIntervalMs` when absent. */
    helloMs: optional(int(linkLimits.helloIntervalMsMin, linkLimits.helloIntervalMsMax)),
})
export type Greet = Of<typeof greetShape>

/** People in the session on the sender's side of this link, and which of them speaks, or spoke last. */
export const countShape = record({
    k: oneOf(["count"]),
    sid: identifier,
    people: int(0, limits.sessionMembers),
    speaker: optional(identifier),
})
export type Count = Of<typeof countShape>

// ---- neighbours ------------------------------------------------------------------------------------------------------------

/** 1: the sender has the receiver as a neighbour. The link is one of neighbours while both say so. */
export const neighbourShape = record({ k: oneOf(["neighbour"]), on: int(0, 1) })
export type NeighbourMessage = Of<typeof neighbourShape>

/** Round trips that the sender has measured, in 0.01 ms. */
const distanceList = list(record({ rs: identifier, rtt: int(0, u32) }), linkLimits.distances)

/** The sender wants the receiver as a neighbour [claim 12]. */
export const askShape = record({ k: oneOf(["ask"]), distances: distanceList })
export type Ask = Of<typeof askShape>

export const answerShape = record({
    k: oneOf(["answer"]),
    accepted: int(0, 1),
    reason: text(48),
    distances: distanceList,
})
export type AskAnswer = Of<typeof answerShape>

/** The sender no longer wants the receiver as a neighbour. */
export const releaseShape = record({ k: oneOf(["release"]) })

/** Between neighbours, after the sender has measured. */
export const distancesShape = record({ k: oneOf(["distances"]), distances: distanceList })

// ---- link state ------------------------------------------------------------------------------------------------------------

const advertisementShape = record({
    origin: identifier,
    bootId: int(1, u32),
    seq: int(0, u32),
    area: int(0, u32),
    links: list(
        record({
            to: identifier,
            delay: int(1, u32),
            jitter: int(0, u32),
            loss: int(0, 10_000),
            capacity: int(0, u32),
            free: int(0, 16),
            hops: int(0, 255),
        }),
        linkLimits.advertisedLinks,
    ),
})

export const advertisementsShape = record({
    k: oneOf(["advertisements"]),
    list: list(advertisementShape, linkLimits.advertisements),
})
/** What the sender has, without its content. */
export const keysShape = record({
    k: oneOf(["keys"]),
    list: list(record({ origin: identifier, bootId: int(1, u32), seq: int(0, u32) }), linkLimits.advertisements),
})
/** Origins whose advertisements the sender lacks. */
export const wantShape = record({ k: oneOf(["want"]), list: list(identifier, linkLimits.advertisements) })

export type LinkStateControl = Of<typeof advertisementsShape> | Of<typeof keysShape> | Of<typeof wantShape>
export type AskControl = Ask | AskAnswer | Of<typeof releaseShape> | Of<typeof distancesShape>

/** The messages of sessions, between neighbours; reservations have their own (reservation.ts). A kind that is in none of these is ignored and counted. */
export const controlShapes = { count: countShape }
export const linkStateShapes = { advertisements: advertisementsShape, keys: keysShape, want: wantShape }
/** May come from every server of the list. */
export const askShapes = { ask: askShape, answer: answerShape, release: releaseShape, distances: distancesShape }
