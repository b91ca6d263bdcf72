/**
 * The embedded MQTT broker: aedes with Parley's logins, rights and limits around it.
 *
 * Owns the life of each connection and what is said about it in logs and metrics. Never decides by itself: logins are
 * decided in `login.ts`, topics in `publishing.ts` by the table of `protocol/rights.ts`, frames in `framing.ts`, the pace
 * in `delivery.ts`.
 *
 * A publish against the rights or limits closes the connection. MQTT 3.1.1 knows no refusal of a publish: a broker
 * acknowledges and drops (as mosquitto does), so that the sender believes it stored, or closes; we close, unacknowledged.
 *
 * Retained states and sessions are kept in memory only; `offline.ts` says why that is enough.
 */

import { createServer, type Server, type Socket } from "node:net"
import {
    Aedes,
    type AedesPublishPacket,
    type Client,
    type ConnectPacket,
    type PublishPacket,
    type Subscription,
} from "aedes"
import { type Logger, pino } from "pino"
import { limits } from "../../protocol/limits.ts"
import { mayRead, maySubscribe, type Rights, rightsOf } from "../../protocol/rights.ts"
import { groupStateTopic, stateTopic } from "../../protocol/topics.ts"
import { type Connection, Connections } from "./connections.ts"
import type { CredentialEntry } from "./credentials.ts"
import { Delivery } from "./delivery.ts"
import { FailedLogins } from "./failures.ts"
import { KnownParties } from "./known.ts"
import { brokerLimits, deliveryLimits } from "./limits.ts"
import { decideLogin, type LoginAttempt, printable } from "./login.ts"
import { type BrokerMetrics, createMetrics, serveMetrics } from "./metrics.ts"
import { boundOfflineMemory, type OfflineMemory } from "./offline.ts"
import { portHolder } from "./port-holder.ts"
import { publishProblem, subscribeProblem } from "./publishing.ts"

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

type LeaveReason =
    | "closed"
    | "takenOver"
    | "credentialsChanged"
    | "tooSlow"
    | "keepalive"
    | "refused"
    | "malformed"
    | "error"

interface Party {
    client: Client
    entry: CredentialEntry
    rights: Rights
    delivery: Delivery
    refusedSubscriptions: number
    leaving: LeaveReason | undefined
}

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
    /** The CONNECT of each client that logs in now. */
    private connects = new WeakMap<Client, ConnectPacket>()
    /** Also of clients that are gone, whose Will is still to come. */
    private parties = new WeakMap<Client, Party>()
    private connected = new Map<string, Party>()

    constructor(options: BrokerOptions) {
        this.options = options
        this.log = options.log ?? pino({ enabled: false })
        this.known = new KnownParties(options.credentials, {
            changed: removed => this.credentialsChanged(removed),
            broken: problem => this.log.error({ code: problem.code, what: problem.what }, "credentials not taken over"),
        })
        this.aedes = new Aedes({
            // No common bound on messages on their way, or one slow reader holds up everybody: delivery.ts bounds each.
            concurrency: 0,
            connectTimeout: brokerLimits.connectTimeoutMs,
            drainTimeout: 10_000,
            maxTopicLevels: brokerLimits.topicLevels,
            maxInflightInbound: 1,
            maxClientsIdLength: limits.identifierBytes,
            preConnect: (client, packet, done) => {
                this.connects.set(client, packet)
                done(null, true)
            },
            authenticate: (client, userName, secret, done) => {
                const refusal = this.login(client, userName, secret)
                if (!refusal) done(null, true)
                else done(Object.assign(new Error(refusal.what), { returnCode: refusal.code as number }), null)
            },
            authorizePublish: (client, packet, done) => done(this.refusePublish(client, packet)),
            authorizeSubscribe: (client, subscription, done) =>
                done(null, this.grantSubscription(client, subscription)),
            authorizeForward: (client, packet) => this.forward(client, packet),
        })
    }

    async start(): Promise<BrokerOutcome> {
        const { host, port, metricsPort } = this.options
        const problem = this.known.open()
        if (problem) return { ok: false, code: "credentials", what: problem.what, who: problem.who }
        if (this.known.size === 0) this.log.warn({ folder: this.options.credentials }, "nobody is enrolled yet")
        await this.aedes.listen()
        this.memory = boundOfflineMemory(this.aedes, {
            messages: brokerLimits.offlineMessages,
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
        const party = client && this.parties.get(client)
        this.metrics.refusals.inc({ what: "packet", reason })
        if (party) party.leaving ??= "malformed"
        if (party || this.failures.failed(connection.address, Date.now()))
            this.log.warn({ id: party?.entry.id, address: connection.address, reason }, "packet refused")
        connection.socket.destroy()
    }

    private listenToAedes(): void {
        this.aedes.on("ack", (_, client) => this.parties.get(client)?.delivery.acknowledged())
        this.aedes.on("keepaliveTimeout", client => this.leave(client, "keepalive"))
        this.aedes.on("clientError", (client, error) => {
            const party = this.parties.get(client)
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

    private leave(client: Client, reason: LeaveReason): void {
        const party = this.parties.get(client)
        if (party) party.leaving ??= reason
    }

    // ---- login ----------------------------------------------------------------------------------------------------

    private login(client: Client, userName: string | undefined, secret: Buffer | undefined) {
        const packet = this.connects.get(client)!
        const connection = this.connections.of(client.conn)
        // Closed while its CONNECT was on its way through aedes.
        if (!connection) return { code: 3, what: "the connection is closed" }
        const attempt: LoginAttempt = {
            clientId: packet.clientId,
            userName,
            secret,
            keepaliveSeconds: packet.keepalive ?? 0,
            will: packet.will && {
                topic: packet.will.topic,
                payloadBytes: packet.will.payload.length,
                qos: packet.will.qos ?? 0,
                retain: packet.will.retain ?? false,
            },
        }
        const nowMs = Date.now()
        const context = {
            find: (id: string) => this.known.find(id),
            heldOff: this.failures.isHeldOff(connection.address, nowMs),
        }
        let outcome = decideLogin(attempt, context)
        // Enrolled a moment ago, before the file was looked at again.
        if (!outcome.ok && outcome.step === "secret" && this.known.reload()) outcome = decideLogin(attempt, context)
        this.metrics.logins.inc({ outcome: outcome.ok ? "ok" : outcome.step })
        if (!outcome.ok) {
            const { step, code, what } = outcome
            if (this.failures.failed(connection.address, nowMs))
                this.log.warn(
                    { id: printable(attempt.clientId), address: connection.address, step, code, what },
                    "login refused",
                )
            return { code, what }
        }
        this.welcome(client, connection, outcome.entry, outcome.rights)
        return undefined
    }

    private welcome(client: Client, connection: Connection, entry: CredentialEntry, rights: Rights): void {
        const { id, kind } = entry
        const before = this.connected.get(id)
        if (before) {
            before.leaving ??= "takenOver"
            this.log.info({ id, address: connection.address }, "takes over from its earlier connection")
        }
        const delivery = new Delivery(client, deliveryLimits(kind), Date.now, what => {
            this.leave(client, "tooSlow")
            this.log.warn({ id, what }, "disconnected: too slow")
            client.close()
        })
        const party: Party = { client, entry, rights, delivery, refusedSubscriptions: 0, leaving: undefined }
        this.parties.set(client, party)
        this.connected.set(id, party)
        this.connections.loggedIn(connection)
        if (kind === "ep") connection.framing.publishBytes = limits.brokerApplianceBytes
        this.metrics.connections.inc({ kind })
        this.log.info({ id, kind, address: connection.address }, "connected")
        connection.socket.once("close", () => {
            if (this.connected.get(id) === party) this.connected.delete(id)
            const reason = party.leaving ?? "closed"
            this.metrics.connections.dec({ kind })
            this.metrics.disconnects.inc({ reason })
            this.log.info({ id, reason }, "disconnected")
        })
    }

    private credentialsChanged(removed: string[]): void {
        this.log.info({ credentials: this.known.size, removed: removed.length }, "credentials read again")
        for (const party of [...this.connected.values()]) {
            const entry = this.known.find(party.entry.id)
            if (entry && entry.hash === party.entry.hash && entry.kind === party.entry.kind) continue
            party.leaving ??= "credentialsChanged"
            party.client.close()
        }
        for (const id of removed)
            this.memory
                .forget(id, stateTopic("ep", id))
                .then(() => this.memory.forget(id, id === "group" ? groupStateTopic : stateTopic("rs", id)))
                .catch(error => this.log.error({ id, error: String(error) }, "not forgotten"))
    }

    // ---- messages -------------------------------------------------------------------------------------------------

    private refusePublish(client: Client | null, packet: PublishPacket): Error | undefined {
        const party = client ? this.parties.get(client) : undefined
        if (!party) return new Error("nobody publishes without a login")
        const { topic, qos, retain } = packet
        const problem = publishProblem(party.rights, { topic, qos, retain, payloadBytes: packet.payload.length })
        if (problem) {
            party.leaving ??= "refused"
            this.metrics.refusals.inc({ what: "publish", reason: problem.reason })
            const told = { id: party.entry.id, topic: printable(topic), reason: problem.reason, what: problem.what }
            this.log.warn(told, "publish refused")
            return new Error(problem.what)
        }
        // The Will of a party that is not enrolled any more is told, but not kept.
        if (retain && !this.known.find(party.entry.id)) packet.retain = false
        this.metrics.messages.inc({ direction: "in" })
        this.metrics.bytes.inc({ direction: "in" }, packet.payload.length)
        return undefined
    }

    private grantSubscription(client: Client, subscription: Subscription): Subscription | null {
        const party = this.parties.get(client)
        if (!party) return null
        const { topic, qos } = subscription
        const held = (client as Client & { subscriptions: Record<string, unknown> }).subscriptions
        // A filter that it already has may be subscribed again.
        const problem = subscribeProblem(party.rights, topic, qos, topic in held ? 0 : Object.keys(held).length)
        if (!problem) return subscription
        this.metrics.refusals.inc({ what: "subscribe", reason: problem.reason })
        const told = { id: party.entry.id, filter: printable(topic), reason: problem.reason, what: problem.what }
        this.log.warn(told, "subscription refused")
        if (++party.refusedSubscriptions > brokerLimits.refusalsPerConnection) {
            party.leaving ??= "refused"
            client.close()
        }
        return null
    }

    private forward(client: Client, packet: AedesPublishPacket): AedesPublishPacket | null {
        const party = this.parties.get(client)
        if (!party) return null
        if (!mayRead(party.rights, packet.topic)) {
            this.metrics.refusals.inc({ what: "delivery", reason: "notAllowed" })
            return null
        }
        this.metrics.messages.inc({ direction: "out" })
        this.metrics.bytes.inc({ direction: "out" }, packet.payload.length)
        party.delivery.forwarding(packet)
        return packet
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
