/**
 * What a routing server knows, what can happen to it and what it does about it, as types.
 *
 * The core is `step(state, event, nowMs) -> effects` (step.ts): it changes `state` in place and returns what the adapters are
 * to do, in order. It never sees a clock or a socket; keys, which must be random, are handed in.
 */

import type { CodecName } from "../../../media/codec.ts"
import type { SoundFormat } from "../../../media/sound-file.ts"
import type { Count } from "../../../protocol/link.ts"
import type { Attach, EndpointState, Join, SessionRequest } from "../../../protocol/messages.ts"
import type { Fixer, Reason } from "../../../protocol/reasons.ts"
import type {
    Distances,
    EndSession,
    GroupState,
    NeighbourPolicy,
    Peer,
    Peers,
    Place,
    ServerSession,
} from "../../../protocol/servers.ts"
import type { PlainSource } from "../media/interface.ts"
import type { Ledger } from "../reservation/ledger.ts"
import type { Branch, ReservationEffect, ReservationEvent } from "../reservation/model.ts"
import type { PlainWish } from "./plain.ts"
import type { PeerParts } from "./servers.ts"
import type { Speaking, Tree } from "./tree.ts"

export const coreLimits = {
    attachments: 4096,
    sessions: 4096,
    /** Ended sessions that are remembered, so that old news cannot revive them. */
    endedSessions: 1024,
    /** Last answers kept for each endpoint, for requests that come twice. */
    answers: 16,
    /** Reports to the group server without an answer. */
    reports: 8192,
    /** A join of an unknown session waits this long for the group server. */
    holdJoinMs: 3000,
    /** Requests to the group server are repeated after this time. */
    repeatRequestMs: 3000,
    /** After a refused hello. */
    repeatHelloMs: 10_000,
    /** How long an endpoint that has vanished is remembered, to tell it when it comes back in the same life. */
    rememberLostMs: 600_000,
    /** Rosters of the same number of people follow each other no faster. */
    rosterIntervalMs: 700,
    /** A muted endpoint sends silence; one that sends nothing for so long does not hold its place. */
    legSilenceMs: 30_000,
    plainLegs: 16,
    /** An attachment that its endpoint never knew of. */
    forgetElsewhereMs: 30_000,
    /** A session that nobody ended is dropped this long after its end. */
    overdueSeconds: 3600,
}

export interface Self {
    id: string
    ip: string
    linkPort: number
    mediaPort: number
    fingerprint: string
    boot: number
    dspUnits: number
    place?: Place
}

export interface Registration {
    /** Whether the broker is there. */
    connected: boolean
    registered: boolean
    /** As the group server's retained state tells. */
    group?: GroupState
    /** Its clock minus ours, from the last hello. */
    offsetMs?: number
}

export interface Answer {
    verb: "done" | "refused"
    message: { re: number }
}

export interface Attachment {
    boot: number
    /** Set when it has vanished: nothing is held for it, but it may not know. */
    lostMs?: number
    /** Whether its retained state has named us since it attached: only then does another name mean that it has gone. */
    confirmed: boolean
    /** Since when its state names another server, though it has attached here. */
    elsewhereMs?: number
    /** Last answers by request id, oldest first. */
    answers: Map<number, Answer>
    /** Session that it is in. */
    sid?: string
    /** As its state says. */
    muted: boolean
    held?: HeldJoin
}

/** A join that waits for the group server to tell of the session, or for the session's tree to be reserved. */
export interface HeldJoin {
    join: Join
    sinceMs: number
    /** Id of the `want`, when it waits for the group server; else it waits for the session's tree. */
    want?: number
}

export interface Leg {
    ssrc: number
    ip: string
    port: number
    codec: CodecName
    /** People in the session as the endpoint was last told. */
    toldPeople: number
    /** The rest of what it was told, as text, and when. */
    toldRest: string
    toldMs: number
    /** Loss in per cent that it is to be told of; 0: too little. */
    lossPercent: number
}

/** See plain.ts. */
export interface PlainLeg {
    ssrc: number
    codec: CodecName
    from: PlainSource & { payloadType: number }
    to?: { ip: string; port: number }
}

export interface Session {
    known: ServerSession
    /** By endpoint. */
    legs: Map<string, Leg>
    /** It is recorded here, in this form. */
    recording?: SoundFormat
    /** By the name that the operator gave. */
    plain: Map<string, PlainLeg>
    /** What has become of its reservation, where this server is the source. */
    outcome?: Outcome
}

/** What the reservation says of a session that starts here. */
export type Outcome = Exclude<ReservationEffect, { type: "send" | "tree" }>

export interface GroupRequest {
    verb: "hello" | "want" | "joined" | "left" | "distances" | "reservation"
    message: { id: number }
    sentMs: number
    /** A later request with the same key takes its place. */
    key: string
}

export interface State {
    self: Self
    registration: Registration
    nextRequestId: number
    randomSeed: number
    peers: Peers
    peerParts?: PeerParts
    policy?: NeighbourPolicy
    attachments: Map<string, Attachment>
    sessions: Map<string, Session>
    /** Version at which each ended session ended. */
    ended: Map<string, number>
    /** Requests to the group server without an answer, by id, oldest first. */
    requests: Map<number, GroupRequest>
    ssrcs: Set<number>
    tree: Tree
    /** What is held here, by reservations and by those who are in sessions [claims 14, 16]. */
    ledger: Ledger
    /** Sessions whose rosters may have changed. */
    touched: Set<string>
    /** Of them, those that a later tick tells. */
    late: Set<string>
    /** Who speaks in each session that is mixed here. */
    speaking: Map<string, Speaking>
    draining: boolean
    /** Fresh keys for a leg, as text (`media/leg-keys.ts`). */
    newKey: () => string
}

export type EndpointRequest =
    | { verb: "attach"; message: Attach }
    | { verb: "detach"; message: { id: number } }
    | { verb: "join"; message: Join }
    | { verb: "leave"; message: SessionRequest }

export type GroupMessage =
    | { verb: "done"; message: { re: number; nowMs?: number } }
    | { verb: "refused"; message: { re: number; reason: Reason; what?: string; who: Fixer; next?: number } }
    | { verb: "peers"; message: Peers }
    | { verb: "policy"; message: NeighbourPolicy }
    | { verb: "session"; message: ServerSession }
    | { verb: "end"; message: EndSession }

/** All of them validated by the adapters against the shapes of `protocol/`. */
export type Event =
    | { type: "connected" }
    | { type: "disconnected" }
    | { type: "groupState"; state: GroupState }
    | { type: "fromGroup"; content: GroupMessage }
    | { type: "fromEndpoint"; ep: string; content: EndpointRequest }
    | { type: "endpointState"; ep: string; state: EndpointState }
    | { type: "control"; peer: string; message: Count }
    /** The session's tree at this server, as it is reserved; no branches: it has none (any more). */
    | { type: "tree"; sid: string; branches: Branch[]; transit: boolean }
    /** What has become of the reservation of a session that starts here. */
    | { type: "reserved"; outcome: Outcome }
    /** The media plane could not take the leg. */
    | { type: "legRefused"; sid: string; ep: string; what: string }
    /** Nothing has been heard on the leg for `coreLimits.legSilenceMs`: its endpoint never opened it, or has gone unheard. */
    | { type: "legSilent"; sid: string; ep: string }
    /** Another speaks in a session that is mixed here. */
    | { type: "speaker"; sid: string; speaking: Speaking }
    /** How much of a leg gets lost at present, in the worse direction. */
    | { type: "legQuality"; sid: string; ep: string; lossPercent: number }
    /** An operator lets a plain leg in, or takes it out. */
    | { type: "addPlain"; wish: PlainWish }
    | { type: "removePlain"; sid: string; name: string }
    /** Delays to other servers, to be told to the group server. */
    | { type: "delays"; list: Distances["list"] }
    | { type: "tick" }
    | { type: "drain" }

export type Effect =
    | { type: "toGroup"; verb: string; message: object }
    /** `replaces`: a queued message with the same text is out of date. */
    | { type: "toEndpoint"; ep: string; verb: string; message: object; replaces?: string }
    /** Read the endpoint's retained state, or stop reading it. */
    | { type: "follow" | "unfollow"; ep: string }
    /** All other routing servers. */
    | { type: "servers"; peers: Peer[] }
    | { type: "policy"; policy: NeighbourPolicy }
    | { type: "control"; peer: string; message: Count }
    /** To the reservation. */
    | { type: "reserve"; event: ReservationEvent }
    | { type: "addLeg"; sid: string; ep: string; leg: Leg; key: string; muted: boolean }
    | { type: "addPlainLeg"; sid: string; name: string; leg: PlainLeg }
    /** Of a muted leg nothing is mixed, whatever its packets hold. */
    | { type: "mute"; ssrc: number; on: boolean }
    | { type: "removeLeg"; ssrc: number }
    | { type: "addLink"; sid: string; peer: string; labelOut: number; labelIn: number }
    | { type: "removeLink"; sid: string; peer: string }
    /** The session's mix here goes into a file; without a form: no longer. */
    | { type: "record"; sid: string; format: SoundFormat | undefined }
    /** What protects the session on links; without a key: nothing is processed here any more. */
    | { type: "sessionKey"; sid: string; key: string | undefined; mixers: readonly string[] }
    /** The session passes through between these links, unread [claim 4]; none: it no longer does. */
    | { type: "transit"; sid: string; branches: Branch[] }
    | { type: "log"; level: "info" | "warn"; what: string; details: object }
