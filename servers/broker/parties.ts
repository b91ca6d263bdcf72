/**
 * The parties at the broker: who logs in, what each may publish and read, and what became of them.
 *
 * Owns the verdicts on live connections, with their logs and counts. Never listens, parses or delivers: `broker.ts` wires
 * it to aedes. Secrets never come into a log.
 */

import type { AedesPublishPacket, Client, ConnectPacket, PublishPacket, Subscription } from "aedes"
import type { Logger } from "pino"
import { limits } from "../../protocol/limits.ts"
import { mayRead, type Rights } from "../../protocol/rights.ts"
import { groupStateTopic, stateTopic } from "../../protocol/topics.ts"
import type { Connection, Connections } from "./connections.ts"
import { type CredentialEntry, groupServerId } from "./credentials.ts"
import { Delivery } from "./delivery.ts"
import type { FailedLogins } from "./failures.ts"
import type { KnownParties } from "./known.ts"
import { brokerLimits, deliveryLimits } from "./limits.ts"
import { decideLogin, type LoginAttempt, printable } from "./login.ts"
import type { BrokerMetrics } from "./metrics.ts"
import type { OfflineMemory } from "./offline.ts"
import { publishProblem, subscribeProblem } from "./publishing.ts"

export type LeaveReason =
    | "closed"
    | "takenOver"
    | "credentialsChanged"
    | "tooSlow"
    | "keepalive"
    | "refused"
    | "malformed"
    | "error"

export interface Party {
    client: Client
    entry: CredentialEntry
    rights: Rights
    delivery: Delivery
    refusedSubscriptions: number
    leaving: LeaveReason | undefined
}

export interface PartiesContext {
    log: Logger
    metrics: BrokerMetrics
    known: KnownParties
    connections: Connections
    failures: FailedLogins
}

export class Parties {
    private log: Logger
    private metrics: BrokerMetrics
    private known: KnownParties
    private connections: Connections
    private failures: FailedLogins
    /** The CONNECT of each client that logs in now. */
    private connects = new WeakMap<Client, ConnectPacket>()
    /** Also of clients that are gone, whose Will is still to come. */
    private parties = new WeakMap<Client, Party>()
    private connected = new Map<string, Party>()

    constructor(context: PartiesContext) {
        this.log = context.log
        this.metrics = context.metrics
        this.known = context.known
        this.connections = context.connections
        this.failures = context.failures
    }

    of(client: Client): Party | undefined {
        return this.parties.get(client)
    }

    /** Takes down why a party is about to go; the first reason counts. */
    leave(client: Client, reason: LeaveReason): void {
        const party = this.parties.get(client)
        if (party) party.leaving ??= reason
    }

    /** A client has sent its CONNECT; `login` follows. */
    connecting(client: Client, packet: ConnectPacket): void {
        this.connects.set(client, packet)
    }

    /** Undefined: welcome. Else the CONNACK code and why. */
    login(client: Client, userName: string | undefined, secret: Buffer | undefined) {
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

    /** Disconnects whom the new credentials do not let in any more, and forgets those who are gone. */
    credentialsChanged(removed: string[], memory: OfflineMemory): void {
        this.log.info({ credentials: this.known.size, removed: removed.length }, "credentials read again")
        for (const party of [...this.connected.values()]) {
            const entry = this.known.find(party.entry.id)
            if (entry && entry.hash === party.entry.hash && entry.kind === party.entry.kind) continue
            party.leaving ??= "credentialsChanged"
            party.client.close()
        }
        for (const id of removed)
            memory
                .forget(id, stateTopic("ep", id))
                .then(() => memory.forget(id, id === groupServerId ? groupStateTopic : stateTopic("rs", id)))
                .catch(error => this.log.error({ id, error: String(error) }, "not forgotten"))
    }

    refusePublish(client: Client | null, packet: PublishPacket): Error | undefined {
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

    grantSubscription(client: Client, subscription: Subscription): Subscription | null {
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

    forward(client: Client, packet: AedesPublishPacket): AedesPublishPacket | null {
        const party = this.parties.get(client)
        if (!party) return null
        if (!mayRead(party.rights, packet.topic)) {
            this.metrics.refusals.inc({ what: "delivery", reason: "notAllowed" })
            return null
        }
        this.metrics.messages.inc({ direction: "out" })
        this.metrics.bytes.inc({ direction: "out" }, packet.payload.length)
        party.delivery.forwarding()
        return packet
    }
}
