/**
 * What the broker counts, in Prometheus' words, and the small HTTP server that shows it.
 *
 * Owns the names of the metrics. Never knows ids or secrets: labels are of small, fixed sets.
 */

import { createServer, type Server } from "node:http"
import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client"

export interface BrokerMetrics {
    registry: Registry
    connections: Gauge<"kind">
    halfOpen: Gauge
    credentials: Gauge
    logins: Counter<"outcome">
    refusals: Counter<"what" | "reason">
    messages: Counter<"direction">
    bytes: Counter<"direction">
    disconnects: Counter<"reason">
    offlineDropped: Counter
}

/** `now`: what is measured when somebody looks. */
export function createMetrics(now: { halfOpen(): number; credentials(): number }): BrokerMetrics {
    const registry = new Registry()
    const registers = [registry]
    return {
        registry,
        connections: new Gauge({
            name: "parley_broker_connections",
            help: "Parties that are logged in",
            labelNames: ["kind"],
            registers,
        }),
        halfOpen: new Gauge({
            name: "parley_broker_half_open_connections",
            help: "Connections that have not logged in yet",
            registers,
            collect() {
                this.set(now.halfOpen())
            },
        }),
        credentials: new Gauge({
            name: "parley_broker_credentials",
            help: "Parties that could log in",
            registers,
            collect() {
                this.set(now.credentials())
            },
        }),
        logins: new Counter({
            name: "parley_broker_logins_total",
            help: "Logins by outcome: ok, or the step that refused",
            labelNames: ["outcome"],
            registers,
        }),
        refusals: new Counter({
            name: "parley_broker_refusals_total",
            help: "Connections, packets, publishes, subscriptions and deliveries that were refused, by reason",
            labelNames: ["what", "reason"],
            registers,
        }),
        messages: new Counter({
            name: "parley_broker_messages_total",
            help: "Messages published by parties (in) and forwarded to them (out)",
            labelNames: ["direction"],
            registers,
        }),
        bytes: new Counter({
            name: "parley_broker_payload_bytes_total",
            help: "Payload bytes published by parties (in) and forwarded to them (out)",
            labelNames: ["direction"],
            registers,
        }),
        disconnects: new Counter({
            name: "parley_broker_disconnects_total",
            help: "Logged in parties that went, by reason",
            labelNames: ["reason"],
            registers,
        }),
        offlineDropped: new Counter({
            name: "parley_broker_offline_dropped_total",
            help: "Messages not kept for a party that was away, because its queue was full",
            registers,
        }),
    }
}

/** Serves /metrics, /livez and /readyz. */
export async function serveMetrics(metrics: BrokerMetrics, host: string, port: number): Promise<Server> {
    collectDefaultMetrics({ register: metrics.registry })
    const server = createServer((request, response) => {
        const path = (request.url ?? "").split("?")[0]
        if (request.method !== "GET") response.writeHead(405).end()
        else if (path === "/livez" || path === "/readyz") response.writeHead(200).end("ok\n")
        else if (path === "/metrics")
            metrics.registry.metrics().then(
                text => response.writeHead(200, { "content-type": metrics.registry.contentType }).end(text),
                () => response.writeHead(500).end(),
            )
        else response.writeHead(404).end()
    })
    server.requestTimeout = 5_000
    server.headersTimeout = 5_000
    server.maxConnections = 32
    await new Promise<void>((resolve, reject) => {
        server.once("error", reject)
        server.listen({ host, port }, resolve)
    })
    return server
}
