/**
 * What the group server knows, as plain data: the durable part (rows that the store keeps) and the live part (rebuilt
 * from retained MQTT states after a restart), with the events that change it and the effects that come out.
 *
 * Owns the types. Never decides anything.
 */

import type { Crash, EndpointState, SessionState } from "../../../protocol/messages.ts"
import type { Fixer, Reason } from "../../../protocol/reasons.ts"
import {
    type NeighbourLimits,
    neighbourLimitDefaults,
    type Place,
    type RecordingFormat,
    type ReservationReport,
    type ReservationState,
    type ServerState,
} from "../../../protocol/servers.ts"
import type { PartyKind } from "../../../protocol/topics.ts"

// ---- rows: what survives a kill -9 ------------------------------------------------------------------------------------

export interface EndpointRow {
    id: string
    name: string
    secretHash: string
    createdMs: number
    /** Empty until its first hello. */
    board: string
    firmware: string
    boot: number
    /** The routing servers that it chose by its own measurement, the latest first. */
    history: string[]
    /** Where it stands, when an operator has said so. */
    position: Position | undefined
    /** How lives of it ended that ended by themselves, the latest first. */
    crashes: KnownCrash[]
}

export interface KnownCrash extends Crash {
    /** When it was told. */
    atMs: number
    /** What ran in that life. */
    firmware: string
}

/** In 0.001 degree. */
export interface Position {
    lat: number
    lon: number
}

export interface ServerRow {
    id: string
    secretHash: string
    createdMs: number
    /** Empty until its first hello. */
    ip: string
    linkPort: number
    mediaPort: number
    fingerprint: string
    dspUnits: number
    boot: number
    /** What an operator stored here; each field wins over what the server announces. */
    stored: Place
    /** What its last hello said. */
    announced: Place
}

export interface GroupRow {
    id: string
    name: string
    createdMs: number
    members: string[]
}

export const invitationStatuses = ["invited", "joined", "declined", "left"] as const
export type InvitationStatus = (typeof invitationStatuses)[number]

export interface Invitation {
    endpoint: string
    /** The name at the time of the invitation; it outlives the endpoint. */
    name: string
    status: InvitationStatus
    /** Where it joined, or asked to; empty: where it is attached. */
    server: string
}

export interface SessionRow {
    id: string
    title: string
    /** The group or room that was called. */
    target: string
    booker: string
    start: number
    end: number
    state: SessionState
    /** Booked for "now": ends early when everybody has left. */
    adhoc: boolean
    /** Routing server that the tree starts from; empty until one is chosen. */
    source: string
    sourceReason: string
    createdMs: number
    /** 0 while it has not ended. */
    endedMs: number
    endReason: string
    /** The form of the recording that runs while it goes on; empty: none. */
    recording: RecordingFormat | ""
    invitations: Invitation[]
}

/** What was answered to a request that must not be done twice. */
export interface AnsweredRow {
    key: string
    /** Whose memory is bounded. */
    sender: string
    atMs: number
    /** The request, so that another one under the same key is noticed. */
    request: string
    answer: Answer
}

export interface NeighbourPair {
    a: string
    b: string
}

/** The administration policy for neighbours [claim 9]. */
export interface NeighbourPolicy {
    /** Counts its changes. */
    version: number
    /** Each pair and all pairs in order of the alphabet. */
    deny: [string, string][]
    limits: NeighbourLimits
}

export interface AuditRow {
    atMs: number
    /** "ep:<id>", "rs:<id>", "http:<subject>" or "group". */
    actor: string
    action: string
    subject: string
    outcome: string
    /** The inputs of the decision. */
    inputs: Record<string, unknown>
}

export type Write =
    | { table: "endpoints"; put: EndpointRow }
    | { table: "endpoints"; remove: string }
    | { table: "servers"; put: ServerRow }
    | { table: "servers"; remove: string }
    | { table: "groups"; put: GroupRow }
    | { table: "groups"; remove: string }
    | { table: "sessions"; put: SessionRow }
    | { table: "answered"; put: AnsweredRow }
    | { table: "answered"; remove: string; sender: string }
    | { table: "neighbours"; replace: NeighbourPair[] }
    | { table: "neighbourPolicy"; put: NeighbourPolicy }
    | { table: "audit"; put: AuditRow }
    | { table: "versions"; reserve: number }

// ---- state --------------------------------------------------------------------------------------------------------------

export interface Durable {
    endpoints: Map<string, EndpointRow>
    servers: Map<string, ServerRow>
    groups: Map<string, GroupRow>
    /** Those that have not ended, and those that ended less than a day ago. */
    sessions: Map<string, SessionRow>
    /** Per sender, by key, oldest first. */
    answered: Map<string, Map<string, AnsweredRow>>
    neighbours: NeighbourPair[]
    neighbourPolicy: NeighbourPolicy
    /** Versions below this one may have been sent before. */
    reservedVersions: number
}

export type Shortage = ReservationReport["short"][number]
export type TreeLink = ReservationReport["tree"][number]

/** What the source has told of a session's reservation last. */
export interface ReservationTold {
    ep: number
    state: ReservationState
    kbps: number
    tree: TreeLink[]
    short: Shortage[]
    atMs: number
}

export interface ReservationChange {
    atMs: number
    source: string
    ep: number
    state: ReservationState
    /** Servers of the tree beside the source. */
    servers: number
    short: Shortage[]
}

/** A member server that a session goes on without for now. */
export interface Unreached {
    reason: Reason
    what: string
    who: Fixer
    /** When it may fit, Unix seconds. */
    next?: number
    /** Server at which something is short ... */
    at: string
    /** ... on its link to this one. */
    to?: string
    sinceMs: number
    /** When it is tried again at the latest. */
    dueMs: number
}

/** How the reservation of an opening or open session stands. */
export interface SessionReservation {
    /** Absent until the present source has told. */
    told?: ReservationTold
    /** The tree whose bandwidth is held, as far as is known: the last active one. Its source is the session's. */
    held: TreeLink[]
    /** Latest last. */
    history: ReservationChange[]
    unreached: Map<string, Unreached>
    /** Those whose own units did not suffice for a source. As destinations they may do. */
    shortSources: Set<string>
    /** Nothing could be reserved and there is nobody to leave out: when the source is asked again. */
    againMs?: number
}

/** What is known only while the server runs. */
export interface Live {
    endpoints: Map<string, EndpointState>
    servers: Map<string, ServerState>
    /** Per routing server, the delays to others that it last reported, in 0.01 ms. */
    distances: Map<string, Map<string, number>>
    /** Routing servers whose list of peers has changed, and when the next of them are told. */
    peersPending: Set<string>
    peersDueMs: number
    /** Per endpoint, the agenda that it was last sent, to send changes only. */
    agendas: Map<string, string>
    /** Per session, what its servers were last told. */
    told: Map<string, { content: string; servers: Set<string> }>
    /** Per session that is opening or open and whose source has told something. */
    reservations: Map<string, SessionReservation>
    /** Per ad-hoc session: since when nobody is in it. */
    emptySinceMs: Map<string, number>
    /** After a connection to the broker: who has not been heard of on it, and when they count as off. */
    unheard?: { ep: Set<string>; rs: Set<string>; dueMs: number }
}

export interface Touched {
    /** value: whether to send even when nothing has changed. */
    endpoints: Map<string, boolean>
    sessions: Set<string>
    /** Servers that need everything: policy, peers and sessions. */
    servers: Set<string>
    /** All servers need new peers. */
    peers: boolean
    /** All servers need the new policy. */
    policy: boolean
    /** Servers whose own place has changed, which comes with the policy. */
    places: Set<string>
}

export interface State {
    durable: Durable
    live: Live
    touched: Touched
    /** Per endpoint, the sessions it is expected in that have not ended. Kept by `indexSession`. */
    sessionsOf: Map<string, Set<SessionRow>>
    /** Last version `n` given to a push. */
    version: number
}

export function emptyDurable(): Durable {
    return {
        endpoints: new Map(),
        servers: new Map(),
        groups: new Map(),
        sessions: new Map(),
        answered: new Map(),
        neighbours: [],
        neighbourPolicy: { version: 0, deny: [], limits: { ...neighbourLimitDefaults } },
        reservedVersions: 0,
    }
}

export function emptyLive(): Live {
    return {
        endpoints: new Map(),
        servers: new Map(),
        distances: new Map(),
        peersPending: new Set(),
        peersDueMs: 0,
        agendas: new Map(),
        told: new Map(),
        reservations: new Map(),
        emptySinceMs: new Map(),
    }
}

export function newState(durable: Durable, live: Live = emptyLive()): State {
    const sets = { sessions: new Set<string>(), servers: new Set<string>(), places: new Set<string>() }
    const touched = { endpoints: new Map(), ...sets, peers: false, policy: false }
    const sessionsOf = new Map<string, Set<SessionRow>>()
    const state: State = { durable, live, touched, sessionsOf, version: durable.reservedVersions }
    for (const session of durable.sessions.values()) indexSession(state, session)
    return state
}

/** Brings `sessionsOf` up to date after a change of the session's state or invitations. */
export function indexSession(state: State, session: SessionRow): void {
    for (const { endpoint, status } of session.invitations) {
        const sessions = state.sessionsOf.get(endpoint) ?? new Set()
        if (session.state !== "ended" && status !== "declined") sessions.add(session)
        else sessions.delete(session)
        if (sessions.size > 0) state.sessionsOf.set(endpoint, sessions)
        else state.sessionsOf.delete(endpoint)
    }
}

// ---- events and effects -------------------------------------------------------------------------------------------------

export interface BookRequest {
    /** The endpoint that books. */
    booker: string
    with: string
    /** Unix seconds; 0 is now. */
    start: number
    minutes: number
    title: string
}

export interface PlaceChange {
    tags?: string[] | null
    risk?: string[] | null
    area?: string | null
    position?: Position | null
}

/** What people do over HTTP. */
export type Command =
    | { do: "enrolEndpoint"; id: string; name: string; secretHash: string }
    /** What is absent stays; null forgets the position. */
    | { do: "changeEndpoint"; id: string; name?: string; position?: Position | null }
    | { do: "deleteEndpoint"; id: string }
    | { do: "enrolServer"; id: string; secretHash: string }
    /** What is absent stays; null forgets what is stored, so that what the server announces counts. */
    | { do: "placeServer"; id: string; change: PlaceChange }
    | { do: "deleteServer"; id: string }
    | { do: "createGroup"; id: string; name: string; members: string[] }
    | { do: "setMembers"; id: string; members: string[] }
    | { do: "deleteGroup"; id: string }
    | { do: "putNeighbours"; pairs: NeighbourPair[] }
    | { do: "setNeighbours"; a: string; b: string; static: boolean }
    /** `version`: only if it is the present one. */
    | { do: "putPolicy"; deny: [string, string][]; limits: NeighbourLimits; version?: number }
    | { do: "book"; booking: BookRequest }
    | { do: "cancel"; sid: string }
    /** `format` empty: no longer. */
    | { do: "record"; sid: string; format: RecordingFormat | "" }

export type GroupEvent =
    | { type: "request"; kind: PartyKind; from: string; verb: string; message: unknown }
    /** `retained`: it came with a new subscription, so that pushes since then may have been missed. */
    | { type: "state"; kind: PartyKind; from: string; state: unknown; retained: boolean }
    /** `key`: the Idempotency-Key. `only`: the endpoint that the caller may act for; undefined: any. */
    | { type: "command"; actor: string; command: Command; key?: string; only?: string }
    | { type: "tick" }
    /** To the broker. */
    | { type: "connection"; up: boolean }

export interface Done {
    ok: true
    /** Fields beside `re`. */
    fields: Record<string, unknown>
}

export interface Refusal {
    ok: false
    reason: Reason
    what: string
    who: Fixer
    next?: number
}

export type Answer = Done | Refusal

export interface Send {
    kind: PartyKind
    to: string
    verb: string
    message: Record<string, unknown>
    /** A later message with the same key makes this one needless. */
    replaces?: string
}

/** The surroundings of one step; the core takes time and chance from here only. */
export interface Context {
    nowMs: number
    /** A new identifier that nobody can guess. */
    newId(): string
    writes: Write[]
}

export interface Policy {
    /** An ad-hoc session ends when nobody has been in it for this long. */
    emptyEndMs: number
    /** Clocks differ: a start this long ago is still "now". */
    pastGraceSeconds: number
    /** Answers remembered per sender. */
    answersPerSender: number
    /** How long ended sessions can still be asked for by their id over MQTT. */
    endedMemoryMs: number
    /** Who is not heard of for so long on a new connection to the broker is off. */
    unheardMs: number
    /** A server that a session goes on without is tried again after this long, whatever happens. */
    retryMs: number
    /** ... and not sooner than this because the network has changed: it changes more than once then. */
    retryLeastMs: number
    /** Changes of a session's reservation that are remembered. */
    reservationHistory: number
}

export const policy: Policy = {
    emptyEndMs: 60_000,
    pastGraceSeconds: 60,
    answersPerSender: 64,
    endedMemoryMs: 24 * 3600_000,
    unheardMs: 30_000,
    retryMs: 30_000,
    retryLeastMs: 5000,
    reservationHistory: 16,
}
