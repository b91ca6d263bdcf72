/**
 * Real parts for the tests of the group server: an MQTT broker (aedes) on loopback, a group server in this process, and
 * MQTT parties that speak as an endpoint or routing server.
 */

import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { type AddressInfo, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Aedes } from "aedes"
import mqtt, { type MqttClient } from "mqtt"
import { GroupClient } from "../../servers/group/client.ts"
import { type GroupServer, startGroupServer } from "../../servers/group/main.ts"

/** How long an awaited event may take before the test fails. */
export const patienceMs = 10_000

export interface Broker {
    url: string
    aedes: Aedes
    stop(): Promise<void>
}

/** An open broker; rights and logins are the subject of the broker's own tests. */
export async function startBroker(): Promise<Broker> {
    const aedes = await Aedes.createBroker()
    const server = createServer(aedes.handle)
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    const { port } = server.address() as AddressInfo
    const stop = async () => {
        await new Promise<void>(resolve => aedes.close(() => resolve()))
        await new Promise<void>(resolve => server.close(() => resolve()))
    }
    return { url: `mqtt://127.0.0.1:${port}`, aedes, stop }
}

export interface Running {
    server: GroupServer
    client: GroupClient
    folder: string
    stop(): Promise<void>
}

/** A group server with a state folder of its own; without a broker it simply never connects. */
export async function startGroup(broker = "mqtt://127.0.0.1:1"): Promise<Running> {
    const folder = mkdtempSync(join(tmpdir(), "parley-group-"))
    const credentials = join(folder, "broker")
    const state = join(folder, "group")
    const started = await startGroupServer({ state, httpHost: "127.0.0.1", httpPort: 0, broker, credentials })
    if (!started.ok) throw new Error(started.what)
    const { server } = started
    const stop = async () => {
        await server.stop()
        rmSync(folder, { recursive: true, force: true })
    }
    return { server, client: new GroupClient(server.url, server.adminToken), folder, stop }
}

/** The value of a result that must be good. */
export function good<T>(result: { ok: true; value: T } | { ok: false; problem: unknown }): T {
    if (!result.ok) throw new Error(`refused: ${JSON.stringify(result.problem)}`)
    return result.value
}

export interface Received {
    topic: string
    verb: string
    message: Record<string, unknown>
}

/** One MQTT client that speaks as an endpoint or routing server and keeps what it is sent. */
export class Party {
    readonly received: Received[] = []
    private readonly waiting = new Set<() => void>()
    private readonly kind: "ep" | "rs"
    private readonly id: string
    readonly client: MqttClient
    private requests = 0

    private constructor(kind: "ep" | "rs", id: string, client: MqttClient) {
        this.kind = kind
        this.id = id
        this.client = client
        client.on("message", (topic, payload) => {
            const verb = topic.slice(topic.lastIndexOf("/") + 1)
            this.received.push({ topic, verb, message: JSON.parse(payload.toString()) })
            for (const wake of [...this.waiting]) wake()
        })
    }

    static async connect(broker: string, kind: "ep" | "rs", id: string): Promise<Party> {
        const client = await mqtt.connectAsync(broker, { clientId: id, username: id, reconnectPeriod: 100 })
        const party = new Party(kind, id, client)
        await client.subscribeAsync([`parley/v1/${kind}/${id}/in/#`, "parley/v1/group/state"], { qos: 1 })
        return party
    }

    publish(verb: string, payload: string): Promise<unknown> {
        return this.client.publishAsync(`parley/v1/${this.kind}/${this.id}/out/group/${verb}`, payload, { qos: 1 })
    }

    state(state: Record<string, unknown>): Promise<unknown> {
        const topic = `parley/v1/${this.kind}/${this.id}/state`
        return this.client.publishAsync(topic, JSON.stringify(state), { qos: 1, retain: true })
    }

    /** Asks and waits for the answer; `refused` has a reason. */
    async ask(verb: string, message: Record<string, unknown> = {}): Promise<Received> {
        this.requests++
        const id = (message.id as number) ?? this.requests
        await this.publish(verb, JSON.stringify({ ...message, id }))
        return this.next(one => one.message.re === id)
    }

    hello(boot = 1): Promise<Received> {
        return this.kind === "ep"
            ? this.ask("hello", { v: 1, boot, board: "test", fw: "0", caps: [] })
            : this.ask("hello", {
                  v: 1,
                  boot,
                  ip: "127.0.0.1",
                  linkPort: 7400,
                  mediaPort: 7500,
                  fingerprint: "cd".repeat(32),
                  dspUnits: 8,
              })
    }

    /** The first message, received already or yet to come, that fits; it is taken out. */
    next(fits: (one: Received) => boolean): Promise<Received> {
        return new Promise((resolve, reject) => {
            const look = () => {
                const index = this.received.findIndex(fits)
                if (index < 0) return
                finish()
                resolve(this.received.splice(index, 1)[0])
            }
            const timer = setTimeout(() => {
                finish()
                reject(new Error(`${this.id}: nothing came in ${patienceMs} ms; has ${JSON.stringify(this.received)}`))
            }, patienceMs)
            const finish = () => {
                clearTimeout(timer)
                this.waiting.delete(look)
            }
            this.waiting.add(look)
            look()
        })
    }

    async close(): Promise<void> {
        await this.client.endAsync(true)
    }
}

/** Waits until the group server has its broker. */
export async function connected(party: Party, boot: number): Promise<void> {
    await party.next(one => one.topic === "parley/v1/group/state" && one.message.on === 1 && one.message.boot === boot)
}
