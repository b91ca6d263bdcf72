/**
 * The embedded MQTT broker: aedes with Parley's logins, rights and limits around it.
 *
 * Owns the listener and the wiring of aedes. Never decides by itself: logins are
 * decided in `login.ts`, topics in `publishing.ts` by the table of `protocol/rights.ts`, frames in `framing.ts`, the pace
 * in `delivery.ts`; `parties.ts` asks them.
 *
 * A publish against the rights or limits closes the connection. MQTT 3.1.1 knows no refusal of a publish: a broker
 * acknowledges and drops (as mosquitto does), so that the sender believes it stored, or closes; we close, unacknowledged.
 *
 * Retained states and sessions are kept in memory only; `offline.ts` says why that is enough.
 */

import { createServer, type Server, type Socket } from "node:net"
import { Aedes, type Client } from "aedes"
import { type Logger, pino } from "pino"
import { limits } from "../../protocol/limits.ts"
import { maySubscribe, rightsOf } from "../../protocol/rights.ts"
import { type Connection, Connections } from "./connections.ts"
import { FailedLogins } from "./failures.ts"
import { KnownParties } from "./known.ts"
import { brokerLimits, keptMessages } from "./limits.ts"
import { printable } from "./login.ts"
import { type BrokerMetrics, createMetrics, serveMetrics } from "./metrics.ts"
import { boundOfflineMemory, type OfflineMemory } from "./offline.ts"
import { Parties } from "./parties.ts"
import { portHolder } from "./port-holder.ts"

export interface BrokerOptions {
    host: string
    /** 0: any free port. */
    port: number
    /** Folder of `credentials.json`. */
    credentials: string
    /** Port of /metrics, /livez and /readyz on the same host; none when absent. */
    metricsPort?: number
    log?: Logger
}

export interface RunningBroker {
    host: string
    port: number
    metricsPort: number | undefined
    metrics: BrokerMetrics
    /** Reads the credentials again now, if they changed, instead of within half a second. */
    reloadCredentials(): void
    stop(): Promise<void>
}

export type BrokerOutcome =
    | { ok: true; broker: RunningBroker }
    | { ok: false; code: "credentials" | "addressInUse" | "cannotListen"; what: string; who: "operator" }

export async function startBroker(options: BrokerOptions): Promise<BrokerOutcome> {
    const broker = new Broker(options)
    return broker.start()
}

class Broker {
    private options: BrokerOptions
    private log: Logger
    private metrics = createMetrics({
        halfOpen: () => this.connections.halfOpenCount,
        credentials: () => this.known.size,
    })
    private known: KnownParties
    private connections = new Connections(brokerLimits)
    private failures = new FailedLogins(brokerLimits)
    private aedes: Aedes
    private memory!: OfflineMemory
    private parties: Parties

    constructor(options: BrokerOptions) {
        this.options = options
        this.log = options.log ?? pino({ enabled: false })
        this.known = new KnownParties(options.credentials, {
            changed: removed => this.parties.credentialsChanged(removed, this.memory),
            broken: problem => this.log.error({ code: problem.code, what: problem.what }, "credentials not taken over"),
        })
        const { log, metrics, known, connections, failures } = this
        this.parties = new Parties({ log, metrics, known, connections, failures })
        this.aedes = new Aedes({
            // No common bound on messages on their way, or one slow reader holds up everybody: delivery.ts bounds each.
            concurrency: 0,
            connectTimeout: brokerLimits.connectTimeoutMs,
            drainTimeout: 10_000,
            maxTopicLevels: brokerLimits.topicLevels,
            maxInflightInbound: 1,
            maxClientsIdLength: limits.identifierBytes,
            preConnect: (client, packet, done) => {
                this.parties.connecting(client, packet)
                done(null, true)
            },
            authenticate: (client, userName, secret, done) => {
                const refusal = this.parties.login(client, userName, secret)
                if (!refusal) done(null, true)
                else done(Object.assign(new Error(refusal.what), { returnCode: refusal.code as number }), null)
            },
            authorizePublish: (client, packet, done) => done(this.parties.refusePublish(client, packet)),
            authorizeSubscribe: (client, subscription, done) =>
                done(null, this.parties.grantSubscription(client, subscription)),
            authorizeForward: (client, packet) => this.parties.forward(client, packet),
        })
    }

    async start(): Promise<BrokerOutcome> {
        const { host, port, metricsPort } = this.options
        const problem = this.known.open()
        if (problem) return { ok: false, code: "credentials", what: problem.what, who: problem.who }
        if (this.known.size === 0) this.log.warn({ folder: this.options.credentials }, "nobody is enrolled yet")
        await this.aedes.listen()
        this.memory = boundOfflineMemory(this.aedes, {
            bytes: brokerLimits.sessionBytes,
            messages: id => {
                const entry = this.known.find(id)
                return entry ? keptMessages(entry.kind) : 0
            },
            restored: (client, packets) => this.parties.of(client)?.delivery.restored(packets),
            maySubscribe: (id, filter) => {
                const entry = this.known.find(id)
                return entry !== undefined && maySubscribe(rightsOf(entry.kind, entry.id), filter)
            },
            dropped: () => this.metrics.offlineDropped.inc(),
        })
        this.listenToAedes()
        const server = createServer({ noDelay: true }, socket => this.accept(socket))
        let metricsServer: Awaited<ReturnType<typeof serveMetrics>> | undefined
        let listening = port
        try {
            await new Promise<void>((resolve, reject) => {
                server.once("error", reject)
                server.listen({ host, port }, resolve)
            })
            listening = metricsPort ?? 0
            if (metricsPort !== undefined) metricsServer = await serveMetrics(this.metrics, host, metricsPort)
        } catch (error) {
            await this.stop(server, undefined)
            return listenProblem(host, listening, error as NodeJS.ErrnoException)
        }
        server.on("error", error => this.log.error({ error: error.message }, "listener"))
        const address = server.address() as { address: string; port: number }
        this.log.info({ host: address.address, port: address.port, credentials: this.known.size }, "listening")
        return {
            ok: true,
            broker: {
                host: address.address,
                port: address.port,
                metricsPort: (metricsServer?.address() as { port: number } | undefined)?.port,
                metrics: this.metrics,
                reloadCredentials: () => this.known.reload(),
                stop: () => this.stop(server, metricsServer),
            },
        }
    }

    private async stop(
        server: Server,
        metricsServer: Awaited<ReturnType<typeof serveMetrics>> | undefined,
    ): Promise<void> {
        this.known.close()
        const closed = new Promise<void>(resolve => server.close(() => resolve()))
        metricsServer?.close()
        metricsServer?.closeAllConnections()
        await new Promise<void>(resolve => this.aedes.close(() => resolve()))
        this.connections.closeAll()
        await closed
        this.log.info("stopped")
    }

    // ---- connections ----------------------------------------------------------------------------------------------

    private accept(socket: Socket): void {
        const connection = this.connections.accept(socket, wrong => this.malformed(wrong))
        if (typeof connection === "string") {
            this.metrics.refusals.inc({ what: "connection", reason: connection })
            socket.on("error", () => {})
            socket.destroy()
            return
        }
        this.aedes.handle(socket)
    }

    private malformed(connection: Connection): void {
        const reason = connection.problem!
        const client = (connection.socket as Socket & { client?: Client }).client
        const party = client && this.parties.of(client)
        this.metrics.refusals.inc({ what: "packet", reason })
        if (client) this.parties.leave(client, "malformed")
        if (party || this.failures.failed(connection.address, Date.now()))
            this.log.warn({ id: party?.entry.id, address: connection.address, reason }, "packet refused")
        connection.socket.destroy()
    }

    private listenToAedes(): void {
        this.aedes.on("ack", (_, client) => this.parties.of(client)?.delivery.acknowledged())
        this.aedes.on("keepaliveTimeout", client => this.parties.leave(client, "keepalive"))
        this.aedes.on("clientError", (client, error) => {
            const party = this.parties.of(client)
            if (!party || party.leaving) return
            party.leaving = "error"
            this.log.info({ id: party.entry.id, error: printable(error.message) }, "connection failed")
        })
        this.aedes.on("connectionError", (client, error) => {
            const connection = this.connections.of(client.conn)
            if (!connection || connection.problem) return
            this.metrics.refusals.inc({ what: "connection", reason: "noLogin" })
            if (this.failures.failed(connection.address, Date.now()))
                this.log.warn(
                    { address: connection.address, error: printable(error.message) },
                    "connection without login",
                )
        })
        // Nothing of ours raises it; without a listener it would end the process.
        ;(this.aedes as unknown as NodeJS.EventEmitter).on("error", error =>
            this.log.error({ error: String(error) }, "broker"),
        )
    }
}

function listenProblem(host: string, port: number, error: NodeJS.ErrnoException): BrokerOutcome {
    if (error.code !== "EADDRINUSE")
        return {
            ok: false,
            code: "cannotListen",
            what: `cannot listen on ${host}:${port}: ${error.message}`,
            who: "operator",
        }
    const holder = portHolder(host, port)
    const by = holder ? `process ${holder.pid} (${holder.command})` : "another program"
    const what = `${host}:${port} is in use by ${by}; stop it, or choose another address by --host and --port`
    return { ok: false, code: "addressInUse", what, who: "operator" }
}
