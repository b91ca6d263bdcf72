/**
 * What crosses the HTTP API, described once: the schema validates, documents (OpenAPI) and gives the type.
 * Times: `...Ms` are Unix milliseconds, `start`/`end`/`from`/`to` Unix seconds.
 */

import { type Static, type TSchema, Type } from "typebox"
import { limits } from "../../../protocol/limits.ts"
import { sessionStates } from "../../../protocol/messages.ts"
import { fixers, reasons } from "../../../protocol/reasons.ts"
import { recordingFormats, reservationStates, serverLimits } from "../../../protocol/servers.ts"
import { invitationStatuses } from "../core/model.ts"
import { roles } from "./tokens.ts"

const idText = { minLength: 1, maxLength: limits.identifierBytes, pattern: "^[a-z0-9][a-z0-9-]*$" }
export const Id = Type.String({ ...idText, description: "1..24 of a-z, 0-9 and -" })
const Name = Type.String({ minLength: 1, maxLength: limits.nameBytes, description: "At most 48 bytes of UTF-8" })
const Title = Type.String({ maxLength: limits.titleBytes, description: "At most 48 bytes of UTF-8" })
const Seconds = Type.Integer({ minimum: 0, maximum: 32503680000, description: "Unix seconds" })
const Ms = Type.Integer({ description: "Unix milliseconds" })
const Secret = Type.String({ description: "Shown this once; the server keeps only its hash" })

export const IdParams = Type.Object({ id: Id })

export const PageQuery = Type.Object({
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 50 })),
    cursor: Type.Optional(Type.String({ maxLength: 200, description: "`next` of the page before" })),
})

/** One page of a list. */
export function Page<T extends ReturnType<typeof Type.Object>>(item: T) {
    return Type.Object({
        items: Type.Array(item),
        next: Type.Optional(Type.String({ description: "The cursor of the next page; absent on the last" })),
    })
}

export const IdempotencyHeaders = Type.Object({
    "idempotency-key": Type.Optional(
        Type.String({ minLength: 1, maxLength: 64, description: "A repeat under the same key is done once" }),
    ),
})

const Latitude = Type.Number({ minimum: -90, maximum: 90, description: "Degrees north" })
const Longitude = Type.Number({ minimum: -180, maximum: 180, description: "Degrees east" })
const Tag = Type.String({
    minLength: 1,
    maxLength: serverLimits.tagBytes,
    pattern: "^[a-z0-9][a-z0-9-]*$",
    description: "1..16 of a-z, 0-9 and -",
})
const Tags = Type.Array(Tag, { maxItems: serverLimits.tags })
/** Null takes back what is stored. */
const orNull = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]))

/** What is known of where a routing server stands; an absent field is not known. */
export const Place = Type.Object({
    tags: Type.Optional(Type.Array(Type.String(), { description: "Words that the neighbour policy speaks of" })),
    risk: Type.Optional(Type.Array(Type.String(), { description: "Risk groups: what it fails together with" })),
    area: Type.Optional(Type.String()),
    lat: Type.Optional(Latitude),
    lon: Type.Optional(Longitude),
})
export type Place = Static<typeof Place>

export const Crash = Type.Object({
    atMs: Ms,
    kind: Type.String({
        description:
            "exception: nobody caught it; stuck: the program's watchdog; panic: the program ended without a word (no memory, too many steps, calls nested too deeply)",
    }),
    text: Type.String(),
    boot: Type.Integer({ description: "Which of its lives ended so" }),
    seconds: Type.Integer({ description: "How long it had been up" }),
    firmware: Type.String({ description: "What ran in that life" }),
    log: Type.String({ description: "The end of its log" }),
})

export const Endpoint = Type.Object({
    id: Id,
    name: Type.String(),
    online: Type.Boolean(),
    board: Type.String({ description: "Empty until its first hello" }),
    firmware: Type.String(),
    boot: Type.Integer(),
    server: Type.Optional(Type.String({ description: "The routing server it is attached to" })),
    session: Type.Optional(Type.String({ description: "The session it is in" })),
    muted: Type.Optional(Type.Boolean()),
    lat: Type.Optional(Latitude),
    lon: Type.Optional(Longitude),
    crashes: Type.Array(Crash, { description: "How lives of it ended that ended by themselves, the latest first" }),
    createdMs: Ms,
})
export type Endpoint = Static<typeof Endpoint>
export const EnrolEndpoint = Type.Object({ id: Id, name: Name })
export const ChangeEndpoint = Type.Object({
    name: Type.Optional(Name),
    lat: orNull(Latitude),
    lon: orNull(Longitude),
})
export type ChangeEndpoint = Static<typeof ChangeEndpoint>
export const EnrolledEndpoint = Type.Object({ id: Id, name: Type.String(), secret: Secret })
export type EnrolledEndpoint = Static<typeof EnrolledEndpoint>

export const Link = Type.Object({
    server: Type.String(),
    up: Type.Boolean(),
    delayMs: Type.Number({ description: "One way" }),
})
export const RoutingServer = Type.Object({
    id: Id,
    online: Type.Boolean(),
    ip: Type.Optional(Type.String()),
    linkPort: Type.Optional(Type.Integer()),
    mediaPort: Type.Optional(Type.Integer()),
    fingerprint: Type.Optional(Type.String({ description: "SHA-256 of its link certificate" })),
    boot: Type.Integer(),
    dspUnits: Type.Integer(),
    dspFree: Type.Optional(Type.Integer()),
    load: Type.Optional(Type.Integer({ description: "Per cent" })),
    draining: Type.Optional(Type.Boolean({ description: "It takes nobody new" })),
    endpoints: Type.Optional(Type.Integer()),
    links: Type.Array(Link),
    ...Place.properties,
    stored: Type.Object(Place.properties, {
        description: "What is stored here and wins over what the server announces, field by field",
    }),
    createdMs: Ms,
})
export type RoutingServer = Static<typeof RoutingServer>
export const ChangeRoutingServer = Type.Object({
    tags: orNull(Tags),
    risk: orNull(Tags),
    area: orNull(Tag),
    lat: orNull(Latitude),
    lon: orNull(Longitude),
})
export type ChangeRoutingServer = Static<typeof ChangeRoutingServer>
export const EnrolRoutingServer = Type.Object({ id: Id })
export const EnrolledRoutingServer = Type.Object({ id: Id, secret: Secret })
export type EnrolledRoutingServer = Static<typeof EnrolledRoutingServer>

const Members = Type.Array(Id, { maxItems: limits.sessionMembers })
export const Group = Type.Object({ id: Id, name: Type.String(), members: Type.Array(Type.String()), createdMs: Ms })
export type Group = Static<typeof Group>
export const CreateGroup = Type.Object({ id: Id, name: Name, members: Type.Optional(Members) })
export const PutMembers = Type.Object({ members: Members })

export const PairParams = Type.Object({ a: Id, b: Id })
export const Neighbours = Type.Object({
    pairs: Type.Array(Type.Object({ a: Id, b: Id }), { maxItems: 20_000 }),
})
export type Neighbours = Static<typeof Neighbours>

const int = (minimum: number, maximum: number, description: string) => Type.Integer({ minimum, maximum, description })
export const NeighbourLimits = Type.Object({
    degree: int(1, 32, "Neighbours wanted"),
    degreeMax: int(1, 64, "Neighbours at most, with those that asked"),
    maxDelayMs: int(1, 10_000, "One way; a path must be below it"),
    minBandwidthKbps: int(0, 4_294_967_295, "A path must be above it"),
    maxLossPermille: int(0, 1000, "Largest loss of a path"),
    maxJitterMs: int(0, 10_000, "Largest jitter of a path, 95th percentile"),
    maxSharePercent: int(0, 100, "Largest share of a path that is common with the path to a neighbour"),
})
export type NeighbourLimits = Static<typeof NeighbourLimits>
const Deny = Type.Array(Type.Array(Tag, { minItems: 2, maxItems: 2 }), {
    maxItems: serverLimits.denyPairs,
    description: "Pairs of tags: servers with one and the other must not be neighbours",
})
const PolicyVersion = Type.Integer({ minimum: 0, description: "Counts the changes" })
export const NeighbourPolicy = Type.Object({ version: PolicyVersion, deny: Deny, limits: NeighbourLimits })
export type NeighbourPolicy = Static<typeof NeighbourPolicy>
export const PutNeighbourPolicy = Type.Object({
    version: Type.Optional(PolicyVersion),
    deny: Deny,
    limits: NeighbourLimits,
})

const Kbps = { minimum: 1, maximum: 10_000_000, description: "Each direction of each link of the tree, kbit/s" }
const Short = Type.Array(
    Type.Object({
        server: Type.String({
            description: "The server that could not be had; the source when its own units are short",
        }),
        reason: Type.Enum([...reasons]),
        what: Type.String({ description: "What is short and how much" }),
        at: Type.String({ description: "The server at which it is short ..." }),
        to: Type.Optional(Type.String({ description: "... on its link to this one" })),
    }),
)
const Epoch = Type.Integer({ description: "Counts the attempts of the session; only grows" })

export const Unreached = Type.Object({
    server: Type.String(),
    reason: Type.Enum([...reasons]),
    what: Type.String(),
    who: Type.Enum([...fixers], { description: "Who can do something about it" }),
    next: Type.Optional(Type.Integer({ description: "When it may fit, Unix seconds" })),
    at: Type.String({ description: "The server at which something is short ..." }),
    to: Type.Optional(Type.String({ description: "... on its link to this one" })),
    sinceMs: Ms,
    retryMs: Type.Integer({ description: "When it is tried again at the latest, Unix milliseconds" }),
})
export type Unreached = Static<typeof Unreached>

export const Reservation = Type.Object(
    {
        state: Type.Enum([...reservationStates, "none"], {
            description: "none: the present source has told nothing yet",
        }),
        epoch: Type.Optional(Epoch),
        kbps: Type.Optional(Type.Integer(Kbps)),
        atMs: Type.Optional(Ms),
        tree: Type.Array(Type.Object({ server: Type.String(), parent: Type.String() }), {
            description: "Each server of the tree but the source",
        }),
        short: Short,
        unreached: Type.Array(Unreached, { description: "Member servers that the session goes on without" }),
        history: Type.Array(
            Type.Object({
                atMs: Ms,
                source: Type.String(),
                epoch: Epoch,
                state: Type.Enum([...reservationStates]),
                servers: Type.Integer({ description: "Servers of the tree beside the source" }),
                short: Short,
            }),
            { description: "The last changes, latest last" },
        ),
    },
    { description: "What the source routing server says of the session's tree; of sessions that are going on" },
)
export type Reservation = Static<typeof Reservation>

export const Session = Type.Object({
    id: Id,
    title: Type.String(),
    with: Type.String({ description: "The group or room that was called" }),
    by: Type.String({ description: "The endpoint that booked it" }),
    start: Seconds,
    end: Seconds,
    state: Type.Enum([...sessionStates]),
    adhoc: Type.Boolean({ description: "Booked for now; ends when everybody has left" }),
    source: Type.Optional(Type.String({ description: "The routing server its tree starts from" })),
    sourceReason: Type.Optional(Type.String({ description: "Why that one" })),
    members: Type.Array(
        Type.Object({
            endpoint: Type.String(),
            name: Type.String(),
            status: Type.Enum([...invitationStatuses]),
            server: Type.Optional(Type.String({ description: "Where it has joined or is attached" })),
        }),
    ),
    createdMs: Ms,
    endedMs: Type.Optional(Ms),
    endReason: Type.Optional(Type.String()),
    recording: Type.Optional(
        Type.Enum([...recordingFormats], { description: "It is recorded at its source, in this form" }),
    ),
})
export const RecordSession = Type.Object({ format: Type.Enum([...recordingFormats]) }, { additionalProperties: false })
export type Session = Static<typeof Session>
export const SessionInFull = Type.Object({ ...Session.properties, reservation: Type.Optional(Reservation) })
export type SessionInFull = Static<typeof SessionInFull>

export const AskSession = Type.Object({
    members: Type.Array(Id, { minItems: 1, maxItems: limits.sessionMembers, description: "Endpoints and groups" }),
    start: Type.Optional(Type.Integer({ minimum: 0, maximum: 32503680000, description: "Unix seconds; absent: now" })),
    minutes: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000, default: 30 })),
    kbps: Type.Optional(Type.Integer(Kbps)),
})
export type AskSession = Static<typeof AskSession>
const Units = Type.Integer({ minimum: 0 })
export const Forecast = Type.Object(
    {
        fits: Type.Boolean({ description: "By all that the group server knows; what links carry the source knows" }),
        start: Seconds,
        end: Seconds,
        kbps: Type.Integer(Kbps),
        invited: Type.Array(
            Type.Object({
                endpoint: Type.String(),
                name: Type.String(),
                server: Type.Optional(Type.String({ description: "Where it is attached; absent: nowhere" })),
            }),
        ),
        source: Type.Optional(Type.String({ description: "The routing server that the tree would start from" })),
        sourceReason: Type.Optional(Type.String({ description: "Why that one" })),
        servers: Type.Array(
            Type.Object({
                server: Type.String(),
                members: Units,
                links: Type.Integer({ minimum: 0, description: "Links of the tree here, over the shortest ways" }),
                dspNeeded: Type.Integer({ minimum: 0, description: "One for each member and each link" }),
                dspFree: Type.Optional(Type.Integer({ minimum: 0, description: "Then; absent: not known" })),
            }),
        ),
        short: Type.Array(
            Type.Object({
                server: Type.String({ description: "Empty: no server at all" }),
                reason: Type.Enum([...reasons]),
                what: Type.String(),
                who: Type.Enum([...fixers]),
                next: Type.Optional(Seconds),
            }),
        ),
        busy: Type.Array(Type.Object({ endpoint: Type.String(), name: Type.String(), from: Seconds, until: Seconds }), {
            description: "Who has another session then",
        }),
        next: Type.Optional(Type.Integer({ description: "The next time that fits, as far as is known, Unix seconds" })),
    },
    { description: "What would become of a session" },
)
export type Forecast = Static<typeof Forecast>

export const ReleaseQuery = Type.Object({
    at: Id,
    to: Type.Optional(Type.String({ ...idText, description: "The link between the two; absent: the DSP units" })),
})
export const Release = Type.Object({
    next: Type.Optional(Type.Integer({ description: "Unix seconds; absent: no session that is going on uses it" })),
})
export type Release = Static<typeof Release>
export const BookSession = Type.Object({
    by: Type.Optional(
        Type.String({ maxLength: 24, description: "The endpoint that books; a member's own by default" }),
    ),
    with: Id,
    start: Type.Optional(Type.Integer({ minimum: 0, maximum: 32503680000, description: "Unix seconds; absent: now" })),
    minutes: Type.Integer({ minimum: 1, maximum: 1_000_000 }),
    title: Type.Optional(Title),
})
export const SessionQuery = Type.Object({
    ...PageQuery.properties,
    state: Type.Optional(Type.Enum([...sessionStates, "live"], { description: "live: all but ended" })),
    endpoint: Type.Optional(Id),
    from: Type.Optional(Seconds),
    to: Type.Optional(Seconds),
})

export const AuditEntry = Type.Object({
    seq: Type.Integer(),
    atMs: Ms,
    actor: Type.String(),
    action: Type.String(),
    subject: Type.String(),
    outcome: Type.String(),
    inputs: Type.Unknown({ description: "What the decision was made from" }),
})
export type AuditEntry = Static<typeof AuditEntry>
export const AuditQuery = Type.Object({
    ...PageQuery.properties,
    subject: Type.Optional(Type.String({ maxLength: 64 })),
    actor: Type.Optional(Type.String({ maxLength: 64 })),
    action: Type.Optional(Type.String({ maxLength: 64 })),
    session: Type.Optional(
        Type.String({ maxLength: 64, description: "A session: its booking and all that happened to it" }),
    ),
})

export const IssueToken = Type.Object({
    subject: Type.String({ minLength: 1, maxLength: 48, pattern: "^[A-Za-z0-9._@-]+$" }),
    role: Type.Enum([...roles]),
    endpoint: Type.Optional(Id),
    days: Type.Optional(Type.Integer({ minimum: 1, maximum: 3650, default: 30 })),
})
export const IssuedToken = Type.Object({ token: Type.String(), expiresMs: Ms })
export type IssuedToken = Static<typeof IssuedToken>

export const Readiness = Type.Object({ ready: Type.Boolean(), broker: Type.Boolean(), credentials: Type.Boolean() })
export type Readiness = Static<typeof Readiness>
