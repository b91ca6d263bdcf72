/**
 * The group server's MQTT connection: requests and states in, answers and pushes out.
 *
 * Owns the connection, birth and Will, the limits on what comes in and the queues of what goes out. Never decides: what
 * passes the limits goes to the engine, whose answers come back after their commit.
 */

import type { Socket } from "node:net"
import mqtt, { type IPublishPacket, type MqttClient } from "mqtt"
import type { Logger } from "pino"
import { limits } from "../../protocol/limits.ts"
import { isIdentifier } from "../../protocol/text.ts"
import {
    fromGroupTopic,
    groupStateTopic,
    type ParsedTopic,
    type PartyKind,
    parseTopic,
    topicRoot,
} from "../../protocol/topics.ts"
import { Rate } from "../rate.ts"
import type { Answer, GroupEvent, Send } from "./core/model.ts"
import { refuse } from "./core/outcome.ts"
import { Outbox } from "./outbox.ts"

export interface SignallingOptions {
    /** `mqtt://host:port`. */
    broker: string
    /** The password of the user `group`. */
    secret: string
    boot: number
    log: Logger
    submit(event: GroupEvent): Promise<Answer | undefined>
}

const requestRates = { ep: { perSecond: 20, burst: 60 }, rs: { perSecond: 500, burst: 2000 } }
const stateRate = { perSecond: 50, burst: 100 }
/** States that came too fast are looked at again this often; only the newest of each sender counts. */
const heldStatesMs = 100
const reconnectMs = 500

export class Signalling {
    connected = false
    readonly counters = { requests: 0, states: 0, malformed: 0, limited: 0, oversize: 0, connections: 0 }
    private readonly options: SignallingOptions
    private readonly client: MqttClient
    private readonly outboxes: Record<PartyKind, Outbox>
    private readonly requestRates: Record<PartyKind, Rate>
    private readonly refusalRate = new Rate({ perSecond: 1, burst: 1 })
    private readonly stateRate = new Rate(stateRate)
    private readonly heldStates = new Map<string, { topic: ParsedTopic; payload: Buffer; retained: boolean }>()
    private heldTimer: NodeJS.Timeout | undefined
    private lastProblem = ""

    constructor(options: SignallingOptions) {
        this.options = options
        this.requestRates = { ep: new Rate(requestRates.ep), rs: new Rate(requestRates.rs) }
        const publish = (send: Send, acknowledged: () => void) => this.publish(send, acknowledged)
        this.outboxes = {
            ep: new Outbox({ unacknowledged: limits.unacknowledged, waiting: 64 }, publish),
            rs: new Outbox({ unacknowledged: 64, waiting: 20_000 }, publish),
        }
        this.client = this.connect()
    }

    send(messages: Send[]): void {
        // While the broker is away nothing is kept: after the connection everybody is told anew.
        if (!this.connected) return
        for (const message of messages) this.outboxes[message.kind].add(message)
    }

    get outgoing() {
        return { ep: this.outboxes.ep.counters, rs: this.outboxes.rs.counters }
    }

    /** Says good-bye in the state topic, as the Will would. */
    async stop(): Promise<void> {
        if (this.heldTimer) clearTimeout(this.heldTimer)
        if (this.connected) {
            const goodbye = this.client.publishAsync(groupStateTopic, this.state(0), { qos: 1, retain: true })
            const patience = new Promise(resolve => setTimeout(resolve, 1000).unref())
            await Promise.race([goodbye.catch(() => undefined), patience])
        }
        this.connected = false
        await this.client.endAsync(!this.client.connected)
    }

    private connect(): MqttClient {
        const { broker, secret, log } = this.options
        const client = mqtt.connect(broker, {
            clientId: "group",
            username: "group",
            password: secret,
            protocolVersion: 4,
            clean: true,
            resubscribe: false,
            queueQoSZero: false,
            keepalive: limits.keepaliveSeconds,
            reconnectPeriod: reconnectMs,
            // Refused is not for ever: the broker may not have read our credentials yet.
            reconnectOnConnackError: true,
            connectTimeout: 5000,
            will: { topic: groupStateTopic, payload: Buffer.from(this.state(0)), qos: 1, retain: true },
        })
        client.on("connect", () => {
            // Small writes would wait 40 ms for each other's acknowledgement.
            ;(client.stream as Socket).setNoDelay(true)
            void this.onConnect()
        })
        client.on("close", () => {
            if (this.connected) {
                log.warn("broker connection lost")
                void this.options.submit({ type: "connection", up: false })
            }
            this.connected = false
            this.outboxes.ep.clear()
            this.outboxes.rs.clear()
        })
        client.on("error", error => {
            // The client tries again twice a second; say each problem once.
            const problem = error.message || String((error as NodeJS.ErrnoException).code)
            if (problem !== this.lastProblem) log.warn({ problem }, "broker not reached")
            this.lastProblem = problem
        })
        client.on("message", (topic, payload, packet) => this.onMessage(topic, payload, packet))
        return client
    }

    private async onConnect(): Promise<void> {
        this.counters.connections++
        this.lastProblem = ""
        try {
            // The retained states that come with these are what pushes are renewed from, so they must find us ready.
            this.connected = true
            void this.options.submit({ type: "connection", up: true })
            await this.client.subscribeAsync([`${topicRoot}/+/+/out/group/#`, `${topicRoot}/+/+/state`], { qos: 1 })
            await this.client.publishAsync(groupStateTopic, this.state(1), { qos: 1, retain: true })
            this.options.log.info({ broker: this.options.broker, boot: this.options.boot }, "broker connected")
        } catch (error) {
            this.connected = false
            this.options.log.warn({ err: error }, "broker refused the subscription")
            this.client.stream.destroy()
        }
    }

    private state(on: 0 | 1): string {
        return JSON.stringify({ boot: this.options.boot, on })
    }

    private onMessage(name: string, payload: Buffer, packet: IPublishPacket): void {
        const topic = parseTopic(name)
        if (!topic || !isIdentifier(topic.id)) {
            this.counters.malformed++
            return
        }
        if (topic.direction === "state") this.onState(topic, payload, packet.retain)
        else if (topic.direction === "out" && topic.peer === "group") this.onRequest(topic, payload)
    }

    private onRequest(topic: ParsedTopic, payload: Buffer): void {
        const { kind, id: from, verb } = topic
        const nowMs = performance.now()
        this.counters.requests++
        if (!this.requestRates[kind].take(from, nowMs)) {
            this.counters.limited++
            // One refusal a second tells it; a refusal for each would double the flood.
            if (this.refusalRate.take(`${kind} ${from}`, nowMs))
                this.answer(kind, from, requestIdOf(this.parse(kind, payload)), tooFast(kind))
            return
        }
        const message = this.parse(kind, payload)
        const id = requestIdOf(message)
        if (id === undefined) {
            // Without an id nobody could match an answer.
            this.counters.malformed++
            this.options.log.warn({ from: `${kind}:${from}`, verb, bytes: payload.length }, "malformed: message.id")
            return
        }
        void this.options.submit({ type: "request", kind, from, verb, message }).then(answer => {
            if (!answer) return
            if (!answer.ok && answer.reason === "malformed") this.counters.malformed++
            this.answer(kind, from, id, answer)
        })
    }

    private onState(topic: ParsedTopic, payload: Buffer, retained: boolean): void {
        const sender = `${topic.kind} ${topic.id}`
        this.counters.states++
        if (this.heldStates.has(sender) || !this.stateRate.take(sender, performance.now())) {
            this.counters.limited++
            this.heldStates.set(sender, { topic, payload, retained })
            this.heldTimer ??= setTimeout(() => this.releaseStates(), heldStatesMs)
            return
        }
        this.submitState(topic, payload, retained)
    }

    private releaseStates(): void {
        this.heldTimer = undefined
        const held = [...this.heldStates.values()]
        this.heldStates.clear()
        for (const { topic, payload, retained } of held) this.onState(topic, payload, retained)
    }

    private submitState(topic: ParsedTopic, payload: Buffer, retained: boolean): void {
        const { kind, id: from } = topic
        // An empty retained message is how a state is taken back.
        if (payload.length === 0) return
        const state = this.parse(kind, payload)
        void this.options.submit({ type: "state", kind, from, state, retained }).then(answer => {
            if (!answer || answer.ok) return
            this.counters.malformed++
            this.options.log.warn({ from: `${kind}:${from}`, what: answer.what }, "state refused")
        })
    }

    /** The JSON in a payload, or undefined when it is none or too large. */
    private parse(kind: PartyKind, payload: Buffer): unknown {
        const most = kind === "ep" ? limits.brokerApplianceBytes : limits.brokerMessageBytes
        if (payload.length > most) return undefined
        try {
            return JSON.parse(payload.toString("utf8"))
        } catch {
            return undefined
        }
    }

    private answer(kind: PartyKind, to: string, re: number | undefined, answer: Answer): void {
        if (re === undefined) return
        if (answer.ok) this.send([{ kind, to, verb: "done", message: { re, ...answer.fields } }])
        else {
            const { reason, what, who, next } = answer
            const message = next === undefined ? { re, reason, what, who } : { re, reason, what, who, next }
            this.send([{ kind, to, verb: "refused", message }])
        }
    }

    private publish(send: Send, acknowledged: () => void): void {
        const payload = JSON.stringify(send.message)
        const most = send.kind === "ep" ? limits.messageToApplianceBytes : limits.brokerMessageBytes
        if (Buffer.byteLength(payload) > most) {
            this.counters.oversize++
            this.options.log.error(
                { to: send.to, verb: send.verb, bytes: payload.length },
                "message too large, not sent",
            )
            acknowledged()
            return
        }
        this.client.publish(fromGroupTopic(send.kind, send.to, send.verb), payload, { qos: 1 }, () => acknowledged())
    }
}

function requestIdOf(message: unknown): number | undefined {
    const id = (message as { id?: unknown } | null | undefined)?.id
    return typeof id === "number" && Number.isInteger(id) && id >= 1 && id <= 4294967295 ? id : undefined
}

function tooFast(kind: PartyKind): Answer {
    return refuse("too-many", `at most ${requestRates[kind].perSecond} requests a second`, "maker")
}
