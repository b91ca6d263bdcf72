/**
 * What crosses the HTTP API, described once: the schema validates, documents (OpenAPI) and gives the type.
 * Times: `...Ms` are Unix milliseconds, `start`/`end`/`from`/`to` Unix seconds.
 */

import { type Static, Type } from "typebox"
import { limits } from "../../../protocol/limits.ts"
import { sessionStates } from "../../../protocol/messages.ts"
import { invitationStatuses } from "../core/model.ts"
import { roles } from "./tokens.ts"

export const Id = Type.String({
    minLength: 1,
    maxLength: limits.identifierBytes,
    pattern: "^[a-z0-9][a-z0-9-]*$",
    description: "1..24 of a-z, 0-9 and -",
})
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
    createdMs: Ms,
})
export type Endpoint = Static<typeof Endpoint>
export const EnrolEndpoint = Type.Object({ id: Id, name: Name })
export const RenameEndpoint = Type.Object({ name: Name })
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
    endpoints: Type.Optional(Type.Integer()),
    links: Type.Array(Link),
    createdMs: Ms,
})
export type RoutingServer = Static<typeof RoutingServer>
export const EnrolRoutingServer = Type.Object({ id: Id })
export const EnrolledRoutingServer = Type.Object({ id: Id, secret: Secret })
export type EnrolledRoutingServer = Static<typeof EnrolledRoutingServer>

const Members = Type.Array(Id, { maxItems: limits.sessionMembers })
export const Group = Type.Object({ id: Id, name: Type.String(), members: Type.Array(Type.String()), createdMs: Ms })
export type Group = Static<typeof Group>
export const CreateGroup = Type.Object({ id: Id, name: Name, members: Type.Optional(Members) })
export const PutMembers = Type.Object({ members: Members })

export const Neighbours = Type.Object({
    pairs: Type.Array(Type.Object({ a: Id, b: Id }), { maxItems: 20_000 }),
})
export type Neighbours = Static<typeof Neighbours>

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
})
export type Session = Static<typeof Session>
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
