/**
 * The routing server's MQTT connection: events in, messages and the retained state out.
 *
 * Owns the connection with its birth and Will, reconnecting, subscriptions, and the order and size of what goes out. Never
 * decides: what passes the validation goes to the core.
 */

import { connect as connectTcp } from "node:net"
import { MqttClient } from "mqtt"
import type { Logger } from "pino"
import { limits } from "../../protocol/limits.ts"
import type { ServerState } from "../../protocol/servers.ts"
import {
    endpointToServerTopic,
    groupStateTopic,
    inboxFilter,
    serverToEndpointTopic,
    stateTopic,
    toGroupTopic,
} from "../../protocol/topics.ts"
import { Rate } from "../rate.ts"
import type { Event } from "./core/model.ts"
import { readInbound } from "./inbound.ts"
import { backOffMs } from "./link/back-off.ts"
import { Outbox } from "./outbox.ts"

export interface SignallingOptions {
    id: string
    secret: string
    broker: { host: string; port: number }
    /** Our own address: connections are made from it [claim 2]. */
    ip: string
    boot: number
    log: Logger
    submit: (event: Event) => void
}

const backOff = { firstMs: 250, maxMs: 5000 }
const stopWithinMs = 2000
/** Filters in one SUBSCRIBE, which brokers limit in size. */
const filtersPerSubscribe = 32
/** Of one endpoint. */
const requestRate = { perSecond: 20, burst: 60 }

export class Signalling {
    readonly counters = { received: 0, dropped: 0, limited: 0, oversize: 0, connections: 0 }
    /** Resolves with the first connection whose subscriptions are granted. */
    readonly ready: Promise<void>
    readonly #options: SignallingOptions
    readonly #client: MqttClient
    readonly #outbox = new Outbox((outgoing, acknowledged) =>
        this.#client.publish(outgoing.topic, outgoing.payload, { qos: 1 }, acknowledged),
    )
    readonly #rate = new Rate(requestRate)
    readonly #followed = new Set<string>()
    #becameReady = () => {}
    #attempt = 0
    #connected = false
    #lastProblem = ""

    constructor(options: SignallingOptions) {
        this.#options = options
        this.ready = new Promise(resolve => {
            this.#becameReady = resolve
        })
        const { id, secret, broker, ip, boot } = options
        this.#client = new MqttClient(
            () => connectTcp({ host: broker.host, port: broker.port, localAddress: ip, noDelay: true }),
            {
                clientId: id,
                username: id,
                password: secret,
                protocolVersion: 4,
                // What was on its way to us when the connection broke comes after it.
                clean: false,
                resubscribe: false,
                queueQoSZero: false,
                keepalive: limits.keepaliveSeconds,
                connectTimeout: 5000,
                reconnectPeriod: backOff.firstMs,
                // A refusal is not for ever: the operator may enrol us meanwhile.
                reconnectOnConnackError: true,
                will: {
                    topic: stateTopic("rs", id),
                    payload: Buffer.from(JSON.stringify({ boot, on: 0 } satisfies ServerState)),
                    qos: 1,
                    retain: true,
                },
            },
        )
        this.#client.on("connect", () => this.#onConnect())
        this.#client.on("message", (topic, payload) => this.#onMessage(topic, payload))
        this.#client.on("error", error => this.#tell(error.message))
        this.#client.on("close", () => this.#onClose())
        this.#client.on("reconnect", () => {
            this.#client.options.reconnectPeriod = backOffMs(this.#attempt++, Math.random(), backOff)
        })
    }

    get connected(): boolean {
        return this.#connected
    }

    toGroup(verb: string, message: object) {
        // Requests to the group server are repeated by the core, so nothing is kept for a broker that is away.
        if (!this.#connected) return
        this.#client.publish(toGroupTopic("rs", this.#options.id, verb), JSON.stringify(message), { qos: 1 }, ignore)
    }

    toEndpoint(ep: string, verb: string, message: object, replaces?: string) {
        const payload = JSON.stringify(message)
        if (Buffer.byteLength(payload) > limits.messageToApplianceBytes) {
            this.counters.oversize++
            this.#options.log.error({ ep, verb, bytes: payload.length }, "message too large, not sent")
            return
        }
        const topic = serverToEndpointTopic(ep, this.#options.id, verb)
        this.#outbox.add(ep, replaces === undefined ? { topic, payload } : { topic, payload, replaces })
    }

    follow(ep: string) {
        this.#followed.add(ep)
        // Also while the first subscriptions are on their way: what was kept for us comes before they are granted.
        if (!this.#client.connected) return
        this.#client.subscribe(stateTopic("ep", ep), { qos: 1 }, (error, grants) => {
            const refused = grants?.some(grant => grant.qos > 2)
            if (refused || (error && this.#connected))
                this.#options.log.warn({ ep, reason: error?.message ?? "refused" }, "state cannot be followed")
        })
    }

    unfollow(ep: string) {
        this.#followed.delete(ep)
        if (this.#client.connected) this.#client.unsubscribe(stateTopic("ep", ep), () => {})
    }

    /** Retained. Only while connected: each connection begins with the present state anyway. */
    publishState(state: ServerState) {
        if (!this.#connected) return
        const options = { qos: 1, retain: true } as const
        this.#client.publish(stateTopic("rs", this.#options.id), JSON.stringify(state), options, ignore)
    }

    /** Says what is still to be said, then good-bye in the state topic as the Will would. */
    async stop(): Promise<void> {
        const { id, boot } = this.#options
        if (this.#connected) {
            await within(this.#outbox.idle())
            const state: ServerState = { boot, on: 0 }
            const goodbye = this.#client.publishAsync(stateTopic("rs", id), JSON.stringify(state), {
                qos: 1,
                retain: true,
            })
            await within(goodbye.catch(() => undefined))
        }
        this.#connected = false
        // An `end` without force waits for messages that nobody may ever acknowledge.
        await within(this.#client.endAsync(!this.#client.connected).catch(() => undefined))
        this.#client.end(true)
    }

    #onConnect() {
        const { id, broker, log } = this.#options
        const filters = [inboxFilter("rs", id), endpointToServerTopic("+", id, "#"), groupStateTopic]
        const all = [...filters, ...[...this.#followed].map(ep => stateTopic("ep", ep))]
        this.#subscribe(all, problem => {
            if (problem) {
                // Deaf is worse than away: only a new connection asks again.
                this.#client.stream.destroy()
                return this.#tell(problem)
            }
            this.#attempt = 0
            this.#lastProblem = ""
            this.#client.options.reconnectPeriod = backOffMs(0, Math.random(), backOff)
            this.#connected = true
            this.counters.connections++
            log.info({ broker: `${broker.host}:${broker.port}` }, "connected to the broker")
            this.#options.submit({ type: "connected" })
            this.#becameReady()
        })
    }

    /** In parts, one after the other; what is wrong, or undefined. */
    #subscribe(filters: string[], done: (problem: string | undefined) => void) {
        this.#client.subscribe(filters.slice(0, filtersPerSubscribe), { qos: 1 }, (error, grants) => {
            if (error) return done(`subscribing failed: ${error.message}`)
            const refused = grants?.find(grant => grant.qos > 2)
            if (refused) return done(`the broker does not let us read ${refused.topic}`)
            const rest = filters.slice(filtersPerSubscribe)
            if (rest.length === 0) done(undefined)
            else this.#subscribe(rest, done)
        })
    }

    #onClose() {
        if (!this.#connected) return this.#tell("connection closed")
        this.#connected = false
        this.#options.log.warn("connection to the broker lost")
        this.#options.submit({ type: "disconnected" })
    }

    #onMessage(topic: string, payload: Buffer) {
        this.counters.received++
        const { id, log, submit } = this.#options
        const inbound = readInbound(id, topic, payload)
        if (inbound.kind === "drop") {
            this.counters.dropped++
            if (payload.length > 0) log.warn({ topic, reason: inbound.what }, "message dropped")
            return
        }
        const ep = inbound.kind === "refuse" ? inbound.ep : "ep" in inbound.event ? inbound.event.ep : undefined
        if (ep !== undefined && !this.#rate.take(ep, performance.now())) {
            // Not even an answer: whoever is asked too often repeats its request, or has expired.
            this.counters.limited++
            return
        }
        if (inbound.kind === "event") return submit(inbound.event)
        const { re, reason } = inbound
        this.toEndpoint(inbound.ep, "refused", { re, reason, what: inbound.what.slice(0, 64), who: "maker" })
    }

    /** Says once what is wrong, and again when it is something else or has lasted for a while. */
    #tell(problem: string) {
        const { broker, log } = this.#options
        if (problem === this.#lastProblem && this.#attempt % 10 !== 0) return
        if (problem === "connection closed" && this.#lastProblem !== "") return
        this.#lastProblem = problem
        const at = `${broker.host}:${broker.port}`
        log.warn({ broker: at, attempt: this.#attempt, reason: problem }, "not connected to the broker; trying again")
    }
}

function ignore() {}

async function within(work: Promise<unknown>): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const patience = new Promise(resolve => {
        timer = setTimeout(resolve, stopWithinMs)
    })
    await Promise.race([work, patience])
    clearTimeout(timer)
}
