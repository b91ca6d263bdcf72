/**
 * MQTT parties of tests, on the `mqtt` client: connected with a secret, refused with a CONNACK code, and with an inbox
 * whose messages are awaited one by one.
 */

import type { Socket } from "node:net"
import { connect, type IClientOptions, type IClientPublishOptions, type MqttClient } from "mqtt"
import { deadlineMs, within } from "./deadline.ts"

export interface Message {
    topic: string
    payload: Buffer
    retain: boolean
    qos: number
}

export interface BrokerAddress {
    host: string
    port: number
}

export interface TestParty {
    client: MqttClient
    /** Messages that nobody has awaited yet. */
    inbox: Message[]
    /** The next message that was not awaited yet, on `topic` where one is given; others stay. */
    next(topic?: string): Promise<Message>
    /** The next message on `topic`, parsed. */
    // biome-ignore lint/suspicious/noExplicitAny: tests know what they expect.
    nextJson(topic?: string): Promise<any>
    /** Resolves when it is acknowledged; fails when the broker closes the connection instead. */
    publish(topic: string, payload: string | Buffer | object, options?: IClientPublishOptions): Promise<void>
    /** The granted QoS, or 128 for a refusal. */
    subscribe(filter: string): Promise<number>
    /** Resolves when the broker or the network has closed the connection. */
    closed: Promise<void>
    end(): Promise<void>
    /** Goes without a farewell, so that the Will comes. */
    drop(): void
}

/** The CONNACK code that a login was refused with (0: it was accepted; -1: closed without one). */
export async function connackCode(broker: BrokerAddress, options: IClientOptions): Promise<number> {
    const client = connect({ ...base(broker), ...options })
    try {
        return await within(
            new Promise<number>(resolve => {
                client.once("connect", () => resolve(0))
                client.on("error", error => resolve((error as { code?: number }).code ?? -1))
                client.once("close", () => setImmediate(resolve, -1))
            }),
            "an answer to CONNECT",
        )
    } finally {
        client.end(true)
    }
}

/** Connects as `id`, whose user name is its client id. */
export async function connectParty(
    broker: BrokerAddress,
    id: string,
    secret: string,
    options: IClientOptions = {},
): Promise<TestParty> {
    const client = connect({ ...base(broker), clientId: id, username: id, password: secret, ...options })
    const inbox: Message[] = []
    const waiting: { topic: string | undefined; take: (message: Message) => void }[] = []
    client.on("message", (topic, payload, packet) => {
        const message = { topic, payload, retain: packet.retain, qos: packet.qos }
        const index = waiting.findIndex(one => one.topic === undefined || one.topic === topic)
        if (index < 0) inbox.push(message)
        else waiting.splice(index, 1)[0].take(message)
    })
    const closed = new Promise<void>(resolve => client.once("close", () => resolve()))
    await within(
        new Promise<void>((resolve, reject) => {
            client.once("connect", () => resolve())
            client.once("error", reject)
        }),
        `${id} to connect`,
    )
    // Nagle's algorithm would hold the second of two small packets back by 40 ms.
    ;(client.stream as Socket).setNoDelay(true)
    // A refusal later closes the connection, which tests await; an error without a listener would end the process.
    client.on("error", () => {})
    const next = (topic?: string): Promise<Message> => {
        const index = inbox.findIndex(message => topic === undefined || message.topic === topic)
        if (index >= 0) return Promise.resolve(inbox.splice(index, 1)[0])
        const message = new Promise<Message>(take => waiting.push({ topic, take }))
        return within(message, `a message for ${id}${topic ? ` on ${topic}` : ""}`)
    }
    return {
        client,
        inbox,
        next,
        nextJson: async topic => JSON.parse((await next(topic)).payload.toString("utf8")),
        publish: async (topic, payload, publishOptions) => {
            const bytes = typeof payload === "string" || Buffer.isBuffer(payload) ? payload : JSON.stringify(payload)
            const sent = client.publishAsync(topic, bytes, { qos: 1, ...publishOptions })
            sent.catch(() => {})
            // The client would keep it for a connection that never comes again.
            const unanswered = closed.then(() => {
                throw new Error(`closed before the publish on ${topic} was acknowledged`)
            })
            unanswered.catch(() => {})
            await within(Promise.race([sent, unanswered]), `${id} to publish on ${topic}`)
        },
        subscribe: async filter => {
            const granted = new Promise<number>((resolve, reject) => {
                client.subscribe(filter, { qos: 1 }, (error, _, packet) => {
                    const code = packet?.granted?.[0]
                    if (code !== undefined) resolve(code as number)
                    else reject(error ?? new Error("no SUBACK"))
                })
            })
            return within(granted, `${id} to subscribe to ${filter}`)
        },
        closed: within(closed, `${id} to be closed`, 4 * deadlineMs),
        end: async () => {
            await client.endAsync(true)
        },
        drop: () => {
            client.stream.destroy()
        },
    }
}

function base(broker: BrokerAddress): IClientOptions {
    return {
        host: broker.host,
        port: broker.port,
        protocolVersion: 4,
        clean: true,
        reconnectPeriod: 0,
        keepalive: 10,
        connectTimeout: deadlineMs,
    }
}
