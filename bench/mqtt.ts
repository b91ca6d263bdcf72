/**
 * The firmware's MQTT client against the embedded broker and against mosquitto: nothing lost, nothing reordered, little
 * memory, and back soon after the broker was killed.
 *
 * The device is the real client in the real virtual machine (`test/firmware/programs/echo.ts`); it sends each message back.
 * The other side is a group server in this process that keeps at most eight messages unanswered.
 *
 * - steady: `messages` of 200 B each way at QoS 1. Each must come back once and in order.
 * - killed: the broker is killed (kill -9) and restarted while messages flow. What was in its memory is gone, so the sender
 *   repeats what was not answered, as every party of Parley does; lost is what never comes back.
 */

import { mkdtempSync, rmSync } from "node:fs"
import type { Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { connectAsync, type MqttClient } from "mqtt"
import { hashSecret, newSecret, writeCredentials } from "../servers/broker/credentials.ts"
import { program, TestBoard } from "../test/firmware/test-board.ts"
import { freePort } from "../test/support/addresses.ts"
import { startBrokerChild, startMosquitto } from "../test/support/broker.ts"
import type { Child } from "../test/support/child.ts"
import { eventually, within } from "../test/support/deadline.ts"
import { type SeededRandom, seededRandom } from "../test/support/random.ts"
import { needPackage } from "../test/support/system-package.ts"
import type { Bench } from "./run.ts"

const deviceId = "board-t"
const deviceSecret = "board-t-secret"
const requestTopic = `parley/v1/ep/${deviceId}/in/group/queue`
const answerFilter = `parley/v1/ep/${deviceId}/out/group/echo`
const payloadBytes = 200
const windowMessages = 8
const host = "127.0.0.1"
/** A message unanswered for so long is repeated while brokers are being killed. */
const repeatMs = 1000
const stallMs = 20_000

type StartBroker = (credentials: string, host: string, port: number) => Promise<Child>
const brokers: Record<string, StartBroker> = { aedes: startBrokerChild, mosquitto: startMosquitto }

interface Outcome {
    messages: number
    lost: number
    reordered: number
    duplicates: number
    heapPeakBytes: number
    reconnectMs: number
    killedMessages: number
    messagesPerSecond: number
}

export const mqttBench: Bench = {
    summary: "the firmware's MQTT client against aedes and mosquitto: lost, reordered, heap, reconnect",
    options: {
        messages: "each way at each broker (10000)",
        kills: "of each broker while messages flow (20)",
        broker: "aedes or mosquitto instead of both",
        seed: "of the moments of the kills",
    },
    async run(options, progress) {
        const messages = count("messages", options.messages, 10_000)
        const kills = count("kills", options.kills, 20)
        const seed = count("seed", options.seed, 1 + Math.floor(Math.random() * 0x7ffffffe))
        if (options.broker !== undefined && !Object.hasOwn(brokers, options.broker))
            throw new Error(`--broker must be one of ${Object.keys(brokers).join(", ")}`)
        const names = options.broker === undefined ? Object.keys(brokers) : [options.broker]
        if (names.includes("mosquitto")) {
            const mosquitto = needPackage("mosquitto", "mosquitto")
            if (!mosquitto.ok) throw new Error(mosquitto.why)
        }
        const random = seededRandom(seed)
        const bytecode = await program("echo")
        const outcomes: Outcome[] = []
        for (const name of names)
            outcomes.push(
                await measure(brokers[name], bytecode, messages, kills, random, text => progress(`${name}: ${text}`)),
            )
        const of = (pick: (outcome: Outcome) => number) => outcomes.map(pick)
        const sum = (values: number[]) => values.reduce((total, value) => total + value, 0)
        return {
            seed,
            figures: {
                messages: Math.min(...of(outcome => outcome.messages)),
                lost: sum(of(outcome => outcome.lost)),
                reordered: sum(of(outcome => outcome.reordered)),
                heapPeakBytes: Math.max(...of(outcome => outcome.heapPeakBytes)),
                reconnectMs: Math.max(...of(outcome => outcome.reconnectMs)),
                duplicates: sum(of(outcome => outcome.duplicates)),
                kills: kills * names.length,
                killedMessages: sum(of(outcome => outcome.killedMessages)),
                messagesPerSecond: Math.min(...of(outcome => outcome.messagesPerSecond)),
            },
        }
    },
}

async function measure(
    start: StartBroker,
    bytecode: Uint8Array,
    messages: number,
    kills: number,
    random: SeededRandom,
    progress: (text: string) => void,
): Promise<Outcome> {
    const credentials = mkdtempSync(join(tmpdir(), "parley-bench-"))
    const secret = newSecret()
    writeCredentials(credentials, [
        { id: deviceId, kind: "ep", hash: hashSecret(deviceSecret) },
        { id: "group", kind: "group", hash: hashSecret(secret) },
    ])
    const port = await freePort(host)
    let broker: Child | undefined
    let board: TestBoard | undefined
    let sender: Sender | undefined
    try {
        broker = await start(credentials, host, port)
        board = await TestBoard.start(bytecode, { broker: { host, port } })
        await within(board.line(/^@ up 1$/, 0), "the device to connect", stallMs)
        sender = await Sender.connect(port, secret)

        const fromMs = performance.now()
        await sender.exchange(messages, Number.POSITIVE_INFINITY, sent => progress(`${sent} of ${messages} messages`))
        const tookMs = performance.now() - fromMs
        const steady = { reordered: sender.reordered, duplicates: sender.duplicates }
        const answered = sender.answered
        progress(`${answered} messages each way in ${Math.round(tookMs)} ms`)

        let reconnectMs = 0
        let killed = 0
        if (kills > 0) {
            const flow = sender.exchange(Number.POSITIVE_INFINITY, repeatMs, () => {})
            // Looked at when it ends; a failure in between must not be an unhandled one.
            flow.catch(() => {})
            for (; killed < kills; killed++) {
                const wanted = sender.answered + random.int(10, 300)
                await within(
                    Promise.race([flow, eventually(() => sender!.answered >= wanted, "messages to flow", stallMs)]),
                    "",
                    stallMs,
                )
                const downAgain = board.line(/^@ up \d+$/)
                await broker.kill("SIGKILL")
                broker = await start(credentials, host, port)
                const backMs = performance.now()
                await within(downAgain, "the device to come back", stallMs)
                const tookBackMs = Math.round(performance.now() - backMs)
                reconnectMs = Math.max(reconnectMs, tookBackMs)
                progress(`kill ${killed + 1}: back after ${tookBackMs} ms`)
            }
            sender.enough()
            await within(flow, "the last answers", 2 * stallMs)
        }
        if (board.panics.length > 0) throw new Error(`the device panicked: ${board.panics.join(", ")}\n${board.tail()}`)
        return {
            messages: answered,
            lost: sender.unanswered,
            ...steady,
            heapPeakBytes: board.heapPeakBytes,
            reconnectMs,
            killedMessages: sender.answered - answered,
            messagesPerSecond: Math.round((answered / tookMs) * 1000),
        }
    } finally {
        board?.cutPower()
        await sender?.end()
        await broker?.kill()
        rmSync(credentials, { recursive: true, force: true })
    }
}

/** The group server's side: a window of messages, each awaited back. */
class Sender {
    answered = 0
    reordered = 0
    duplicates = 0
    private client: MqttClient
    /** By number: when it was last sent. */
    private open = new Map<number, number>()
    private nextNumber = 0
    private expected = 0
    private limit = 0
    private wake: () => void = () => {}

    private constructor(client: MqttClient) {
        this.client = client
        client.on("message", (_, payload) => this.take(Number(payload.subarray(0, 10).toString("latin1"))))
        client.on("error", () => {})
        // The client leaves Nagle's algorithm on, which holds an answer back by 40 ms; a server would switch it off as well.
        const withoutDelay = () => (client.stream as Socket).setNoDelay(true)
        client.on("connect", withoutDelay)
        withoutDelay()
    }

    static async connect(port: number, secret: string): Promise<Sender> {
        const client = await connectAsync({
            host,
            port,
            protocolVersion: 4,
            clientId: "group",
            username: "group",
            password: secret,
            reconnectPeriod: 100,
        })
        const sender = new Sender(client)
        await client.subscribeAsync(answerFilter, { qos: 1 })
        return sender
    }

    get unanswered(): number {
        return this.open.size
    }

    /** Sends up to `messages`, eight at most unanswered, and resolves when all are answered (or given up for lost). */
    async exchange(messages: number, repeatAfterMs: number, progress: (sent: number) => void): Promise<void> {
        const from = this.nextNumber
        this.limit = from + messages
        let movedMs = performance.now()
        let answered = this.answered
        for (;;) {
            while (this.open.size < windowMessages && this.nextNumber < this.limit) {
                this.send(this.nextNumber++)
                if ((this.nextNumber - from) % 2500 === 0) progress(this.nextNumber - from)
            }
            if (this.open.size === 0) return
            let timer: NodeJS.Timeout | undefined
            await new Promise<void>(resolve => {
                this.wake = resolve
                timer = setTimeout(resolve, 100)
            })
            clearTimeout(timer)
            const nowMs = performance.now()
            if (this.answered > answered) {
                answered = this.answered
                movedMs = nowMs
            }
            // Nothing moves any more: what is open is lost.
            if (nowMs - movedMs > stallMs) return
            for (const [number, sentMs] of this.open) if (nowMs - sentMs > repeatAfterMs) this.send(number)
        }
    }

    /** No further messages. */
    enough(): void {
        this.limit = this.nextNumber
        this.wake()
    }

    async end(): Promise<void> {
        await this.client.endAsync(true)
    }

    private send(number: number): void {
        this.open.set(number, performance.now())
        this.client.publish(requestTopic, String(number).padStart(10, "0").padEnd(payloadBytes, "x"), { qos: 1 })
    }

    private take(number: number): void {
        if (!this.open.delete(number)) this.duplicates++
        else {
            this.answered++
            if (number < this.expected) this.reordered++
            this.expected = Math.max(this.expected, number + 1)
        }
        this.wake()
    }
}

function count(name: string, text: string | undefined, otherwise: number): number {
    if (text === undefined) return otherwise
    if (!/^[0-9]{1,9}$/.test(text)) throw new Error(`--${name} must be a whole number, not ${text}`)
    return Number(text)
}
