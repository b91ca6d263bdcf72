/**
 * Prometheus metrics of a routing server, in base units. Read from what the parts count anyway at the moment somebody asks.
 */

import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client"
import type { LegStatistics } from "../media/interface.ts"
import type { RoutingServer } from "../server.ts"

const neighbourKinds = ["static", "dynamic", "inbound", "fix-up"]

type Labels = Record<string, string>
type Samples = [labels: Labels, value: number][]

export function buildMetrics(server: RoutingServer): Registry {
    const register = new Registry()
    collectDefaultMetrics({ register })
    const gauge = (name: string, help: string, labelNames: string[], read: () => Samples) =>
        new Gauge({
            name: `parley_routing_${name}`,
            help,
            labelNames,
            registers: [register],
            collect() {
                this.reset()
                for (const [labels, value] of read()) this.set(labels, value)
            },
        })
    /** Counters whose values are kept elsewhere. */
    const counter = (name: string, help: string, labelNames: string[], read: () => Samples) =>
        new Counter({
            name: `parley_routing_${name}_total`,
            help,
            labelNames,
            registers: [register],
            collect() {
                this.reset()
                for (const [labels, value] of read()) this.inc(labels, value)
            },
        })
    const links = () => server.links.snapshot()
    const ofLinks = (read: (link: ReturnType<typeof links>[number]) => number): Samples =>
        links().map(link => [{ peer: link.rs }, read(link)])

    gauge("registered", "1 while the group server knows this life of the server", [], () => [
        [{}, server.registered ? 1 : 0],
    ])
    gauge("broker_connected", "1 while the broker is connected", [], () => [[{}, server.brokerConnected ? 1 : 0]])
    gauge("link_up", "1 while the link to a neighbour is up", ["peer"], () => ofLinks(link => (link.up ? 1 : 0)))
    gauge("link_delay_seconds", "Smoothed one-way delay of a link that is up", ["peer"], () =>
        links().flatMap(({ rs, delay }) => (delay === undefined ? [] : ([[{ peer: rs }, delay / 100_000]] as Samples))),
    )
    gauge("link_jitter_seconds", "Smoothed change of the delay", ["peer"], () => ofLinks(link => link.jitter / 100_000))
    gauge("link_loss_ratio", "Hellos lost of the last 128", ["peer"], () => ofLinks(link => link.lossPermille / 1000))
    counter("link_datagrams", "Datagrams of links", ["peer", "direction"], () =>
        links().flatMap(
            ({ rs, counters }): Samples => [
                [{ peer: rs, direction: "sent" }, counters.sent],
                [{ peer: rs, direction: "received" }, counters.received],
            ],
        ),
    )
    counter("link_datagrams_refused", "Datagrams of links that were dropped", ["peer", "reason"], () => [
        ...links().flatMap(
            ({ rs, counters: { forged, replayed, malformed, late, congested } }): Samples => [
                [{ peer: rs, reason: "forged" }, forged],
                [{ peer: rs, reason: "replayed" }, replayed],
                [{ peer: rs, reason: "malformed" }, malformed],
                [{ peer: rs, reason: "late" }, late],
                [{ peer: rs, reason: "congested" }, congested],
            ],
        ),
        [{ peer: "", reason: "no-link" }, server.links.stray],
    ])
    gauge("underlay_paths", "Paths on which a network is emulated; 0 in production", [], () => [
        [{}, server.underlay.size],
    ])

    gauge("neighbours", "Neighbours by how they became some", ["kind"], () => {
        const counts = new Map(neighbourKinds.map(kind => [kind, 0]))
        for (const { kind } of server.neighbourTrace()) if (kind) counts.set(kind, (counts.get(kind) ?? 0) + 1)
        return [...counts].map(([kind, value]) => [{ kind }, value])
    })
    gauge("routes", "Servers that the routing table reaches", [], () => [[{}, server.routes().length]])
    gauge("link_state_servers", "Servers whose advertisements are known", [], () => [
        [{}, server.topology.databaseSize],
    ])
    counter("topology_events", "Events of neighbour choice, link state and routes", ["event"], () =>
        Object.entries(server.topology.counters).map(([event, value]) => [{ event: dashed(event) }, value]),
    )
    counter("route_changes", "Routes that moved to another next hop", [], () => [
        [{}, server.topology.counters.routeChanges],
    ])
    counter("advertisements", "Link-state advertisements that were new here and flooded on", [], () => [
        [{}, server.topology.counters.advertisements],
    ])
    counter("routed_datagrams", "Routed datagrams, by what became of them", ["outcome"], () =>
        Object.entries(server.forwarder.counters).map(([outcome, value]) => [{ outcome: dashed(outcome) }, value]),
    )
    counter("transit_packets", "Packets of sessions in transit [claim 4]", ["outcome"], () =>
        Object.entries(server.data.links.transit).map(([outcome, value]) => [{ outcome: dashed(outcome) }, value]),
    )
    counter("transit_session_packets", "Packets of one session in transit", ["session", "from", "label"], () =>
        server.data.latest.transitEntries.map(({ sid, from, labelIn, packets }) => [
            { session: sid, from, label: String(labelIn) },
            packets,
        ]),
    )
    counter(
        "media_stream_packets",
        "Packets of a leg, or of a session on a link",
        ["session", "with", "direction"],
        () => {
            const { legs, links } = server.data.latest.media
            const streams = [
                ...legs.map(leg => [leg.endpoint, leg] as const),
                ...links.map(link => [link.peer, link] as const),
            ]
            return streams.flatMap(
                ([far, { session, sent, received, lost }]): Samples => [
                    [{ session, with: far, direction: "sent" }, sent],
                    [{ session, with: far, direction: "received" }, received],
                    [{ session, with: far, direction: "lost" }, lost],
                ],
            )
        },
    )
    gauge("data_plane_heap_bytes", "Heap of the data plane's thread", [], () => [[{}, server.data.latest.heapBytes]])

    const state = () => server.snapshot()
    gauge("dsp_units", "DSP units by use", ["state"], () => {
        const { dspUnits = 0, dspFree = 0 } = state()
        return [
            [{ state: "free" }, dspFree],
            [{ state: "held" }, dspUnits - dspFree],
        ]
    })
    gauge("reservations", "Attempts that the server has a part in", ["role", "state"], () => {
        const counts = new Map<string, [Labels, number]>()
        for (const { role, state: now } of server.reserver.attempts()) {
            const key = `${role} ${now}`
            counts.set(key, [{ role, state: now }, (counts.get(key)?.[1] ?? 0) + 1])
        }
        return [...counts.values()]
    })
    const holdings = () => server.reserver.holdings().links
    gauge("reserved_bits_per_second", "Bandwidth held towards a neighbour [claims 18, 20]", ["peer"], () =>
        holdings().map(({ peer, heldKbps }) => [{ peer }, heldKbps * 1000]),
    )
    gauge("reservable_bits_per_second", "Bandwidth that may be held towards a neighbour", ["peer"], () =>
        holdings().map(({ peer, capacityKbps }) => [{ peer }, capacityKbps * 1000]),
    )
    counter("reservation_messages", "Messages of reservations, by what became of them", ["outcome"], () =>
        Object.entries(server.reserver.counters).map(([outcome, value]) => [{ outcome: dashed(outcome) }, value]),
    )
    gauge("load_ratio", "Share of its capacity that is in use", [], () => [[{}, (state().load ?? 0) / 100]])
    gauge("endpoints", "Endpoints that are attached", [], () => [[{}, state().endpoints ?? 0]])

    const media = () => server.data.latest.media
    gauge("media_sessions", "Sessions with sound here", [], () => [[{}, media().sessions]])
    gauge("media_channels", "Legs of endpoints and links of trees", ["kind"], () => {
        const { legs, links } = media()
        return [
            [{ kind: "leg" }, legs.length],
            [{ kind: "link" }, links.length],
        ]
    })
    const ofLegs =
        (of: (leg: LegStatistics) => number, isKnown = (_leg: LegStatistics) => true) =>
        () =>
            media()
                .legs.filter(isKnown)
                .map((leg): [Labels, number] => [{ session: leg.session, endpoint: leg.endpoint }, of(leg)])
    gauge(
        "leg_loss_ratio",
        "Packets lost over the last 8 s, in the worse direction",
        ["session", "endpoint"],
        ofLegs(leg => Math.max(leg.lossInPercent, leg.lossOutPercent) / 100),
    )
    gauge(
        "leg_jitter_seconds",
        "Interarrival jitter of what the endpoint sends",
        ["session", "endpoint"],
        ofLegs(leg => leg.jitterMs / 1000),
    )
    gauge(
        "leg_round_trip_seconds",
        "Round trip by RTCP",
        ["session", "endpoint"],
        ofLegs(
            leg => leg.roundTripMs / 1000,
            leg => leg.roundTripMs >= 0,
        ),
    )
    gauge(
        "leg_opinion_score",
        "Mean opinion score by the E-model, 1 to 4.5",
        ["session", "endpoint"],
        ofLegs(leg => leg.opinion),
    )
    counter("media_datagrams", "Datagrams on the media port, by what became of them", ["outcome"], () => {
        const { received: _all, ...rest } = media().datagrams
        return Object.entries(rest).map(([outcome, value]) => [{ outcome: dashed(outcome) }, value])
    })
    counter("media_ticks", "Ticks of the mixer", ["outcome"], () => {
        const { done, late, skipped } = media().ticks
        return [
            [{ outcome: "done" }, done],
            [{ outcome: "late" }, late],
            [{ outcome: "skipped" }, skipped],
        ]
    })
    gauge("media_tick_lateness_p99_seconds", "Lateness of ticks", [], () => [[{}, media().ticks.latenessP99Ms / 1000]])
    counter("signalling_messages", "Messages over the broker, by what became of them", ["outcome"], () =>
        Object.entries(server.signallingCounters).map(([outcome, value]) => [{ outcome: dashed(outcome) }, value]),
    )
    return register
}

/** probesAnswered -> probes-answered */
function dashed(name: string): string {
    return name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)
}
