/**
 * Prometheus metrics, in base units. Read from what the parts count anyway at the moment somebody asks.
 */

import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client"
import { sessionStates } from "../../protocol/messages.ts"
import { reservationStates } from "../../protocol/servers.ts"
import type { Engine } from "./engine.ts"
import type { Signalling } from "./signalling.ts"

/** Those that are counted also while there is none. */
const unreachedReasons = ["no-dsp", "no-bandwidth", "no-path", "unavailable"]

export function buildMetrics(engine: Engine, signalling: () => Signalling | undefined): Registry {
    const register = new Registry()
    const registers = [register]
    collectDefaultMetrics({ register })

    new Gauge({
        name: "parley_group_endpoints",
        help: "Enrolled endpoints",
        labelNames: ["online"],
        registers,
        collect() {
            const { durable, live } = engine.state
            const online = [...live.endpoints.values()].filter(state => state.on === 1).length
            this.set({ online: "yes" }, online)
            this.set({ online: "no" }, durable.endpoints.size - online)
        },
    })
    new Gauge({
        name: "parley_group_routing_servers",
        help: "Enrolled routing servers",
        labelNames: ["online"],
        registers,
        collect() {
            const { durable, live } = engine.state
            const online = [...live.servers.values()].filter(state => state.on === 1).length
            this.set({ online: "yes" }, online)
            this.set({ online: "no" }, durable.servers.size - online)
        },
    })
    new Gauge({
        name: "parley_group_sessions",
        help: "Sessions in memory by state; ended ones for a day",
        labelNames: ["state"],
        registers,
        collect() {
            const counts = new Map<string, number>(sessionStates.map(state => [state, 0]))
            for (const { state } of engine.state.durable.sessions.values())
                counts.set(state, (counts.get(state) ?? 0) + 1)
            for (const [state, count] of counts) this.set({ state }, count)
        },
    })
    new Gauge({
        name: "parley_group_reservations",
        help: "Sessions that are going on, by what their source says of their reservation",
        labelNames: ["state"],
        registers,
        collect() {
            const counts = new Map<string, number>(reservationStates.map(state => [state, 0]))
            for (const { told } of engine.state.live.reservations.values())
                if (told) counts.set(told.state, (counts.get(told.state) ?? 0) + 1)
            for (const [state, count] of counts) this.set({ state }, count)
        },
    })
    new Gauge({
        name: "parley_group_unreached_servers",
        help: "Member servers that sessions go on without, each counted once a session",
        labelNames: ["reason"],
        registers,
        collect() {
            const counts = new Map<string, number>(unreachedReasons.map(reason => [reason, 0]))
            for (const { unreached } of engine.state.live.reservations.values())
                for (const { reason } of unreached.values()) counts.set(reason, (counts.get(reason) ?? 0) + 1)
            this.reset()
            for (const [reason, count] of counts) this.set({ reason }, count)
        },
    })
    new Gauge({
        name: "parley_group_waiting_events",
        help: "Events that wait for the next batch",
        registers,
        collect() {
            this.set(engine.load)
        },
    })
    new Gauge({
        name: "parley_group_broker_connected",
        help: "1 while the broker is connected",
        registers,
        collect() {
            this.set(signalling()?.connected ? 1 : 0)
        },
    })

    count(register, "parley_group_events_total", "Events handled", () => engine.counters.events)
    count(register, "parley_group_batches_total", "Batches of events", () => engine.counters.batches)
    count(register, "parley_group_commit_failures_total", "Batches undone", () => engine.counters.commitFailures)
    count(register, "parley_group_commit_seconds_total", "Time in commits", () => engine.counters.commitSeconds)
    const mqtt = () => signalling()?.counters
    count(register, "parley_group_mqtt_requests_total", "Requests received", () => mqtt()?.requests ?? 0)
    count(register, "parley_group_mqtt_states_total", "States received", () => mqtt()?.states ?? 0)
    count(register, "parley_group_mqtt_malformed_total", "Messages refused as malformed", () => mqtt()?.malformed ?? 0)
    count(register, "parley_group_mqtt_limited_total", "Messages above a sender's rate", () => mqtt()?.limited ?? 0)
    count(register, "parley_group_mqtt_connections_total", "Connections made", () => mqtt()?.connections ?? 0)
    const out = () => signalling()?.outgoing
    const total = (name: "sent" | "replaced" | "dropped") => (out()?.ep[name] ?? 0) + (out()?.rs[name] ?? 0)
    count(register, "parley_group_mqtt_sent_total", "Messages sent", () => total("sent"))
    count(register, "parley_group_mqtt_replaced_total", "Queued pushes replaced by newer ones", () => total("replaced"))
    count(register, "parley_group_mqtt_dropped_total", "Messages dropped", () => total("dropped"))
    return register
}

/** A counter whose value is kept elsewhere. */
function count(register: Registry, name: string, help: string, read: () => number): void {
    new Counter({
        name,
        help,
        registers: [register],
        collect() {
            this.reset()
            this.inc(read())
        },
    })
}
