/** What the control API takes and answers, once for validation, types and OpenAPI. Times in ms, shares 0..1. */

import { type Static, Type } from "typebox"
import { limits } from "../../../protocol/limits.ts"
import { reservationLimits } from "../../../protocol/reservation.ts"
import { conditionLimits } from "../underlay/conditions.ts"

const closed = { additionalProperties: false }
const count = Type.Integer({ minimum: 0 })

/** A server's identifier, or the address of anything that sends to or hears from this server. */
export const PeerParams = Type.Object({ peer: Type.String({ minLength: 1, maxLength: limits.identifierBytes }) })
export const ToParams = Type.Object({ to: Type.String({ minLength: 1, maxLength: limits.identifierBytes }) })

export const State = Type.Object(
    {
        id: Type.String(),
        ip: Type.String(),
        boot: Type.Integer(),
        linkPort: Type.Integer(),
        mediaPort: Type.Integer(),
        registered: Type.Boolean({ description: "The group server has taken its hello" }),
        brokerConnected: Type.Boolean(),
        loadPercent: Type.Integer(),
        dspUnits: count,
        dspFree: count,
        endpoints: count,
        linksUp: count,
        uptimeSeconds: Type.Number(),
    },
    { description: "A routing server in short" },
)

const given = {
    delayMs: Type.Optional(Type.Number({ minimum: 0, maximum: conditionLimits.delayMs, description: "One way" })),
    jitterMs: Type.Optional(Type.Number({ minimum: 0, maximum: conditionLimits.jitterMs })),
    loss: Type.Optional(Type.Number({ minimum: 0, maximum: 1, description: "Share of datagrams" })),
    rateKbps: Type.Optional(
        Type.Number({ minimum: 0, maximum: conditionLimits.rateKbps, description: "Bottleneck; 0: none" }),
    ),
    queueBytes: Type.Optional(
        Type.Number({ minimum: conditionLimits.queueBytesMin, maximum: conditionLimits.queueBytes }),
    ),
    cut: Type.Optional(Type.Boolean({ description: "Nothing passes either way, and nobody is told" })),
}
export const ConditionsGiven = Type.Object(given, { ...closed, description: "What is left out is not emulated" })

export const Conditions = Type.Object(
    {
        delayMs: Type.Number(),
        jitterMs: Type.Number(),
        loss: Type.Number(),
        rateKbps: Type.Number(),
        queueBytes: Type.Number(),
        cut: Type.Boolean(),
    },
    {
        description:
            "The emulated network towards a server: what this end adds to what it sends, and whether it is cut",
    },
)

const datagrams = {
    ...{ sent: count, received: count, forged: count, replayed: count, malformed: count },
    late: Type.Integer({ minimum: 0, description: "Media dropped unread: the server was behind" }),
    congested: Type.Integer({ minimum: 0, description: "Media not sent: the system takes no more" }),
}
const Datagrams = Type.Object(datagrams)

export const Link = Type.Object({
    peer: Type.String(),
    up: Type.Boolean(),
    delayMs: Type.Optional(Type.Number({ description: "One way, smoothed; absent while it is not known" })),
    jitterMs: Type.Number(),
    loss: Type.Number(),
    datagrams: Datagrams,
    underlay: Conditions,
})

export const Underlay = Type.Object({
    far: Type.String({ description: "Identifier or address that was named" }),
    address: Type.Optional(Type.String()),
    conditions: Conditions,
    datagrams: Type.Optional(Type.Object({ passed: count, lost: count, overflowed: count, cut: count })),
})

export const Links = Type.Object({ links: Type.Array(Link), underlay: Type.Array(Underlay) })

export const Neighbour = Type.Object({
    server: Type.String(),
    outcome: Type.String({ description: "neighbour, refused, declined, not-needed or not-yet-tried" }),
    kind: Type.Optional(Type.String({ description: "static, dynamic, inbound or fix-up" })),
    up: Type.Optional(Type.Boolean()),
    test: Type.Optional(Type.String({ description: "The test that refused it" })),
    found: Type.Optional(Type.Number()),
    allowed: Type.Optional(Type.Number()),
    unit: Type.Optional(Type.String()),
    because: Type.Optional(Type.String()),
    path: Type.Optional(
        Type.Object({
            rttMs: Type.Number(),
            jitterP95Ms: Type.Number(),
            loss: Type.Number(),
            bandwidthKbps: Type.Number(),
            mutual: Type.Boolean(),
            hops: Type.Optional(Type.Integer()),
        }),
    ),
    text: Type.String({ description: "One line for a person" }),
})
export const Neighbours = Type.Object({ neighbours: Type.Array(Neighbour) })

export const Route = Type.Object({
    to: Type.String(),
    nextHop: Type.String(),
    delayMs: Type.Number({ description: "One way" }),
    hops: Type.Integer({ description: "Links on the way" }),
    alternate: Type.Optional(Type.String({ description: "Takes over at once when the next hop is lost" })),
})
export const Routes = Type.Object({ routes: Type.Array(Route) })

export const Explanation = Type.Object({
    from: Type.String(),
    to: Type.String(),
    reached: Type.Boolean(),
    delayMs: Type.Optional(Type.Number()),
    nextHop: Type.Optional(Type.String()),
    alternate: Type.Optional(Type.String()),
    hops: Type.Array(
        Type.Object({
            from: Type.String(),
            to: Type.String(),
            delayMs: Type.Number(),
            jitterMs: Type.Number(),
            lossPercent: Type.Number(),
        }),
    ),
    notChosen: Type.Array(
        Type.Object({
            neighbour: Type.String(),
            reason: Type.String(),
            delayMs: Type.Optional(Type.Number()),
            isAlternate: Type.Boolean(),
            text: Type.String(),
        }),
    ),
    text: Type.String({ description: "Why, in one line" }),
})

export const pingLimits = { count: 2000, seriesMs: 10_000 }
export const PingGiven = Type.Object(
    {
        count: Type.Optional(Type.Integer({ minimum: 1, maximum: pingLimits.count })),
        intervalMs: Type.Optional(Type.Integer({ minimum: 2, maximum: 10_000 })),
        timeoutMs: Type.Optional(Type.Integer({ minimum: 10, maximum: 5000 })),
    },
    closed,
)
const Echo = Type.Object({
    atMs: Type.Number({ description: "When it was sent, from the start of the series" }),
    rttMs: Type.Optional(Type.Number({ description: "Absent when it did not come back" })),
    hops: Type.Optional(Type.Integer({ description: "Links on the way there" })),
    reason: Type.Optional(Type.String()),
})
export const Ping = Type.Object({
    to: Type.String(),
    startMs: Type.Number({ description: "Unix time of the start" }),
    sent: count,
    answered: count,
    echoes: Type.Array(Echo),
})

const identifier = Type.String({ minLength: 1, maxLength: limits.identifierBytes })

export const ReservationsQuery = Type.Object({ sid: Type.Optional(identifier) }, closed)
export const Reservation = Type.Object({
    sid: Type.String(),
    epoch: Type.Integer({ description: "Of the attempt; grows with each" }),
    source: Type.String(),
    role: Type.String({ description: "source, destination or transit [claims 4, 18]" }),
    state: Type.String({ description: "collecting, reserving, committed or active" }),
    upstream: Type.Optional(Type.String()),
    children: Type.Array(Type.String()),
    kbps: Type.Integer({ description: "In each direction of each link" }),
    usageCount: Type.Integer({ description: "Destinations on the way here, this one included [claims 18, 20]" }),
})
export const Ledger = Type.Object({
    links: Type.Array(Type.Object({ peer: Type.String(), capacityKbps: Type.Number(), heldKbps: Type.Number() }), {
        description: "What is held from here to each neighbour",
    }),
    dspUnits: count,
    dspHeld: count,
})
export const Reservations = Type.Object({ reservations: Type.Array(Reservation), ledger: Ledger })

export const CanGiven = Type.Object(
    {
        destinations: Type.Array(identifier, { maxItems: reservationLimits.destinations }),
        kbps: Type.Integer({ minimum: 1, maximum: reservationLimits.bandwidthMaxKbps }),
    },
    closed,
)
export const Can = Type.Object({
    fits: Type.Boolean(),
    tree: Type.Array(Type.Object({ server: Type.String(), parent: Type.String() })),
    short: Type.Array(
        Type.Object({
            server: Type.String(),
            reason: Type.String(),
            what: Type.String(),
            at: Type.String(),
            to: Type.Optional(Type.String()),
        }),
    ),
})

const open = { additionalProperties: true }
const stream = {
    ...{ session: Type.String(), sent: count, received: count, lost: count, late: count, duplicates: count },
    concealed: Type.Integer({ minimum: 0, description: "Frames of 20 ms that were made up" }),
    jitterMs: Type.Number(),
    delayMs: Type.Number({ description: "Of the jitter buffer" }),
    levelDb: Type.Number({ description: "dBov" }),
    silentMs: Type.Number({ description: "-1: nothing has come yet" }),
}
const quality = {
    codec: Type.String(),
    muted: Type.Boolean({ description: "By the endpoint's word: nothing that comes is heard" }),
    plain: Type.Boolean({ description: "Without SRTP, by an operator's word" }),
    reports: Type.Integer({ minimum: 0, description: "RTCP compounds of the endpoint" }),
    lossInPercent: Type.Number({ description: "Of what the endpoint sends, over the last 8 s" }),
    lossOutPercent: Type.Number({ description: "Of what is sent to it, as it says" }),
    jitterOutMs: Type.Number({ description: "Of what it receives; -1: it has not said" }),
    roundTripMs: Type.Number({ description: "-1: not known" }),
    opinion: Type.Number({ description: "Mean opinion score by the E-model, of the worse direction, 1..4.5" }),
}
const counts = Type.Record(Type.String(), Type.Number())
export const Media = Type.Object({
    sessions: count,
    dspUnitsUsed: count,
    legs: Type.Array(Type.Object({ endpoint: Type.String(), ssrc: count, ...stream, ...quality }, open)),
    links: Type.Array(Type.Object({ peer: Type.String(), ...stream }, open), {
        description: "Links of sessions that are processed here",
    }),
    transit: Type.Array(
        Type.Object({
            ...{ session: Type.String(), from: Type.String(), labelIn: count },
            out: Type.Array(Type.Object({ peer: Type.String(), label: count })),
            ...{ packets: count, notSent: count },
        }),
        { description: "Sessions that pass through unread, by the label that their packets come under [claim 4]" },
    ),
    linkDatagrams: Type.Array(Type.Object({ peer: Type.String(), ...datagrams })),
    recordings: Type.Array(
        Type.Object({
            ...{ session: Type.String(), path: Type.String(), format: Type.String(), seconds: Type.Number() },
            lostSeconds: Type.Number({ description: "Not in the file: the disk was too slow or full" }),
        }),
        { description: "That run at present" },
    ),
    strayDatagrams: Type.Integer({ minimum: 0, description: "On the link port, of no link" }),
    datagrams: counts,
    ticks: counts,
    udp: Type.Union([Type.Literal("batch"), Type.Literal("dgram")], {
        description: "Whether datagrams cross into the system many at a time or one by one",
    }),
    heapBytes: Type.Integer({ minimum: 0, description: "Of the data plane's thread" }),
})

const portOf = (minimum: number, description: string) => Type.Integer({ minimum, maximum: 65535, description })
const ip = Type.String({ maxLength: 15, description: "IPv4" })
export const PlainParams = Type.Object({ sid: identifier, name: identifier })
export const PlainGiven = Type.Object(
    {
        codec: Type.Optional(Type.Enum(["pcmu", "opus"], { description: "Default pcmu" })),
        from: Type.Object(
            { ip, port: Type.Optional(portOf(0, "0 or left out: that of the first packet")) },
            { ...closed, description: "Where its packets come from" },
        ),
        to: Type.Optional(
            Type.Object(
                { ip, port: portOf(1, "UDP") },
                { ...closed, description: "Where it is sent to; left out: where its packets come from" },
            ),
        ),
        payloadType: Type.Optional(
            Type.Integer({ minimum: 0, maximum: 127, description: "Of its packets; default: the codec's" }),
        ),
    },
    closed,
)
export const Plain = Type.Object(
    {
        name: Type.String(),
        server: Type.String(),
        ip: Type.String({ description: "Where its packets go to" }),
        port: Type.Integer(),
        codec: Type.String(),
        payloadType: Type.Integer(),
    },
    { description: "A leg of a standard RTP sender or receiver, without SRTP" },
)

export const Health = Type.Object({ ok: Type.Boolean() })

export type State = Static<typeof State>
export type ConditionsGiven = Static<typeof ConditionsGiven>
export type Conditions = Static<typeof Conditions>
export type Link = Static<typeof Link>
export type Links = Static<typeof Links>
export type Neighbour = Static<typeof Neighbour>
export type Neighbours = Static<typeof Neighbours>
export type Route = Static<typeof Route>
export type Routes = Static<typeof Routes>
export type Explanation = Static<typeof Explanation>
export type PingGiven = Static<typeof PingGiven>
export type Echo = Static<typeof Echo>
export type Ping = Static<typeof Ping>
export type Reservation = Static<typeof Reservation>
export type Ledger = Static<typeof Ledger>
export type Reservations = Static<typeof Reservations>
export type Can = Static<typeof Can>
export type Media = Static<typeof Media>
export type PlainGiven = Static<typeof PlainGiven>
export type Plain = Static<typeof Plain>
