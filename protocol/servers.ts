/**
 * The messages between routing servers and the group server, as shapes and types. Same rules as `messages.ts`.
 * Never imported by the firmware.
 */

import { limits } from "./limits"
import { sessionStates } from "./messages"
import { reasons } from "./reasons"
import { int, list, type Of, oneOf, optional, record, text } from "./shape"

const u16 = 65535
const u32 = 4294967295
const maxMs = 32503680000000
const maxSeconds = 32503680000
const requestId = int(1, u32)
const identifier = text(limits.identifierBytes, 1)
const address = text(15, 7)
const port = int(1, u16)

/** Routing servers in one list; flat topology (areas come later). */
export const maxRoutingServers = 2000

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
})
export type ServerHello = Of<typeof serverHelloShape>
export const serverHelloDoneShape = record({ re: requestId, nowMs: int(0, maxMs) })

/** `want`: a session this server was asked to join someone to and does not know. Done: the `session` follows by itself. */
export const wantShape = record({ id: requestId, sid: identifier, ep: identifier })

/** `joined` and `left`: who is in a session here. */
export const joinedShape = record({ id: requestId, sid: identifier, ep: identifier })
export const leftShape = record({ id: requestId, sid: identifier, ep: identifier, reason: optional(oneOf(reasons)) })

// ---- group server -> routing server: rs/<id>/in/group/<verb> -------------------------------------------------------------

export const peerShape = record({
    rs: identifier,
    ip: address,
    linkPort: port,
    fingerprint: text(64, 64),
    /** 1: static neighbour of the receiver [claim 7]. */
    static: int(0, 1),
})
export type Peer = Of<typeof peerShape>

/** `peers`: all other routing servers, whole, after hello and on every change [claim 7]. A lower `n` is old news. */
export const peersShape = record({ n: int(0, u32), list: list(peerShape, maxRoutingServers) })
export type Peers = Of<typeof peersShape>

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
    endpoints: optional(int(0, u16)),
    links: optional(list(linkStateShape, 64)),
})
export type ServerState = Of<typeof serverStateShape>

export const groupStateShape = record({ boot: int(1, u32), on: int(0, 1) })
export type GroupState = Of<typeof groupStateShape>
