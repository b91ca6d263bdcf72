/**
 * Kills the group server's process (SIGKILL) in the middle of bookings, at seeded random instants, again and again:
 * every booking and cancellation that was acknowledged is there afterwards, and none is doubled.
 *
 * All real: the process, the embedded broker with the credentials that the group server writes, MQTT and HTTP clients that
 * repeat a request under the same id until they have an answer.
 */

import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import mqtt, { type MqttClient } from "mqtt"
import { GroupClient } from "../../servers/group/client.ts"
import type { Session } from "../../servers/group/http/schemas.ts"
import { freePort } from "../support/addresses.ts"
import { startEmbeddedBroker } from "../support/broker.ts"
import { type Child, startScript } from "../support/child.ts"
import { type SeededRandom, seededRandom } from "../support/random.ts"
import { good } from "./servers.ts"

export interface KillOptions {
    kills: number
    seed: number
    /** No further kill after this time; the check comes all the same. */
    limitMs?: number
    /** The script of the group server; another one only to prove that the proof sees what is wrong. */
    script?: string
    /** Told after each kill. */
    progress?: (line: string) => void
}

export interface KillFigures {
    kills: number
    /** Bookings that were acknowledged. */
    acknowledged: number
    cancelled: number
    /** Requests that had to be sent again. */
    repeated: number
    lost: number
    doubled: number
    /** Sessions of one room that overlap. */
    overlapping: number
    /** From the start of the process until it listens, slowest. */
    readyMs: number
}

interface Booked {
    sid: string
    booker: string
    start: number
    /** Acknowledged, too. */
    cancelled: boolean
}

const main = resolve(import.meta.dirname, "../../servers/group/main.ts")
/** Rooms that book over each way; each calls a room of its own, so that only time can make them busy. */
const bookers = 4
const repeatMs = 400
/** A server that is not there is asked again after this time; sooner would slow its start. */
const downMs = 200
/** Keeps each room under the rate that the server allows. */
const paceMs = 15
/** Live bookings that each room keeps; the oldest is cancelled beyond. */
const liveBookings = 15
const slotSeconds = 600

export async function killInBookings(options: KillOptions): Promise<KillFigures> {
    const random = seededRandom(options.seed)
    const folder = mkdtempSync(join(tmpdir(), "parley-kill-"))
    const run = new KillRun(folder, random, options)
    try {
        return await run.play()
    } finally {
        await run.close()
        rmSync(folder, { recursive: true, force: true })
    }
}

class KillRun {
    private readonly folder: string
    private readonly random: SeededRandom
    private readonly options: KillOptions
    private readonly booked: Booked[] = []
    private readonly asked = new Map<string, number>()
    private readonly figures: KillFigures
    private readonly closing: (() => Promise<unknown>)[] = []
    private process: Child | undefined
    private client: GroupClient | undefined
    private broker = ""
    private port = 0
    private stopping = false
    private acknowledgements = 0
    private wake: (() => void) | undefined

    constructor(folder: string, random: SeededRandom, options: KillOptions) {
        this.folder = folder
        this.random = random
        this.options = options
        const none = { acknowledged: 0, cancelled: 0, repeated: 0, lost: 0, doubled: 0, overlapping: 0, readyMs: 0 }
        this.figures = { kills: 0, ...none }
    }

    async play(): Promise<KillFigures> {
        // The group server comes first: it writes the credentials that the broker needs, and waits for it.
        const port = await freePort()
        this.broker = `mqtt://127.0.0.1:${port}`
        await this.start()
        const secrets = await this.enrol()
        const broker = await startEmbeddedBroker(join(this.folder, "broker"), { port })
        this.closing.push(() => broker.stop())

        const pumps = Array.from({ length: bookers }, (_, index) => this.httpPump(`web-${index}`, `hall-${index}`))
        for (let index = 0; index < bookers; index++) {
            const id = `room-${index}`
            const client = await mqtt.connectAsync(this.broker, {
                clientId: id,
                username: id,
                password: secrets.get(id),
            })
            this.closing.push(() => client.endAsync(true))
            pumps.push(this.mqttPump(client, id, `den-${index}`))
        }
        const pumping = Promise.all(pumps)
        // Should a pump fail, the run fails with it and not later.
        pumping.catch(() => this.wake?.())
        const failed = pumping.then(() => undefined)
        const untilMs = performance.now() + (this.options.limitMs ?? Number.POSITIVE_INFINITY)
        while (this.figures.kills < this.options.kills && performance.now() < untilMs) {
            await Promise.race([this.acknowledged(this.random.int(1, 40)), failed])
            await new Promise(done => setTimeout(done, this.random.int(0, 20)))
            await this.process!.kill("SIGKILL")
            this.figures.kills++
            await this.start()
            const { kills, acknowledged } = this.figures
            this.options.progress?.(`kill ${kills} of ${this.options.kills}: ${acknowledged} bookings acknowledged`)
        }
        await Promise.race([this.acknowledged(10), failed])
        this.stopping = true
        await pumping
        await this.verify()
        return this.figures
    }

    async close(): Promise<void> {
        this.stopping = true
        for (const one of this.closing.reverse()) await one()
        await this.process?.kill("SIGKILL")
    }

    private async start(): Promise<void> {
        const startedMs = performance.now()
        const words = ["--state", join(this.folder, "group"), "--credentials", join(this.folder, "broker")]
        words.push("--http-host", "127.0.0.1", "--http-port", String(this.port), "--broker", this.broker)
        this.process = await startScript(this.options.script ?? main, words, {
            env: { ...process.env, PARLEY_LOG_LEVEL: "warn" },
        })
        this.figures.readyMs = Math.max(this.figures.readyMs, Math.round(performance.now() - startedMs))
        const url = new URL(this.process.ready.url)
        this.port = Number(url.port)
        this.client ??= new GroupClient(url.href, readFileSync(join(this.folder, "group/admin.token"), "utf8").trim())
    }

    private async enrol(): Promise<Map<string, string>> {
        const secrets = new Map<string, string>()
        for (const kind of ["web", "hall", "room", "den"])
            for (let index = 0; index < bookers; index++) {
                const { id, secret } = good(await this.client!.enrolEndpoint(`${kind}-${index}`, `${kind} ${index}`))
                secrets.set(id, secret)
            }
        return secrets
    }

    /** Fulfilled after so many more acknowledgements. */
    private acknowledged(count: number): Promise<void> {
        const goal = this.acknowledgements + count
        return new Promise(done => {
            this.wake = () => {
                if (this.acknowledgements >= goal || this.stopping) done()
            }
        })
    }

    /** A slot that this room has not asked for before: tomorrow and later. */
    private nextStart(booker: string): number {
        const slot = (this.asked.get(booker) ?? 0) + 1
        this.asked.set(booker, slot)
        return (Math.ceil(Date.now() / 86_400_000) + 1) * 86_400 + slot * slotSeconds
    }

    private noteBooked(booker: string, start: number, sid: string): void {
        this.booked.push({ sid, booker, start, cancelled: false })
        this.figures.acknowledged++
        this.acknowledgements++
        this.wake?.()
    }

    private noteCancelled(one: Booked): void {
        one.cancelled = true
        this.figures.cancelled++
        this.acknowledgements++
        this.wake?.()
    }

    /** It was acknowledged and is not there any more. */
    private noteUnknown(one: Booked): void {
        this.figures.lost++
        this.booked.splice(this.booked.indexOf(one), 1)
    }

    /** The oldest booking of a room that has too many. */
    private surplus(booker: string): Booked | undefined {
        const live = this.booked.filter(one => one.booker === booker && !one.cancelled)
        return live.length > liveBookings ? live[0] : undefined
    }

    private async httpPump(booker: string, target: string): Promise<void> {
        for (let count = 0; !this.stopping; count++) {
            const start = this.nextStart(booker)
            const booking = { by: booker, with: target, start, minutes: slotSeconds / 60 }
            const session = await this.persist(() => this.client!.book(booking, `${booker}.${count}`))
            if (session) this.noteBooked(booker, start, session.id)
            const surplus = this.surplus(booker)
            if (surplus) {
                const cancelled = await this.persist(async () => wrap(await this.client!.cancelSession(surplus.sid)))
                if (cancelled === "done") this.noteCancelled(surplus)
                if (cancelled === "unknown-session") this.noteUnknown(surplus)
            }
            await pace()
        }
    }

    /** Asks over HTTP until there is an answer. Undefined when the run ended before. */
    private async persist<T>(
        ask: () => Promise<{ ok: true; value: T } | { ok: false; problem: { code: string } }>,
    ): Promise<T | undefined> {
        while (!this.stopping) {
            const result = await ask()
            if (result.ok) return result.value
            const { code } = result.problem
            if (code !== "unreachable" && code !== "unavailable") throw new Error(JSON.stringify(result.problem))
            this.figures.repeated++
            await pause(downMs)
        }
        return undefined
    }

    private async mqttPump(client: MqttClient, booker: string, target: string): Promise<void> {
        const asker = new Asker(client, booker, () => {
            this.figures.repeated++
        })
        await client.subscribeAsync(`parley/v1/ep/${booker}/in/#`, { qos: 1 })
        const stopped = () => this.stopping
        const hello = () => asker.ask("hello", { v: 1, boot: 1, board: "test", fw: "0", caps: [] }, stopped)
        await hello()
        while (!this.stopping) {
            const start = this.nextStart(booker)
            const booking = { boot: 1, with: target, start, minutes: slotSeconds / 60 }
            const done = await asker.ask("book", booking, stopped)
            if (done === "not-registered") {
                // The hello was acknowledged once.
                this.figures.lost++
                await hello()
                continue
            }
            if (typeof done === "object") this.noteBooked(booker, start, String(done.sid))
            const surplus = this.surplus(booker)
            if (surplus) {
                const cancelled = await asker.ask("cancel", { sid: surplus.sid }, stopped)
                if (cancelled === "unknown-session") this.noteUnknown(surplus)
                else if (typeof cancelled === "object") this.noteCancelled(surplus)
            }
            await pace()
        }
    }

    private async verify(): Promise<void> {
        const sessions = good(
            await this.client!.all(cursor =>
                this.client!.listSessions(cursor ? { limit: 200, cursor } : { limit: 200 }),
            ),
        )
        const byId = new Map(sessions.map(session => [session.id, session]))
        for (const { sid, booker, start, cancelled } of this.booked) {
            const kept = byId.get(sid)
            const there = kept?.by === booker && kept.start === start
            if (!there || (cancelled && kept.state !== "ended")) this.figures.lost++
            // What nobody cancelled is still planned; a cancellation without an acknowledgement may have happened.
            if (there && !cancelled && kept.state === "ended" && !this.isSurplus(sid)) this.figures.lost++
        }
        const slots = new Set<string>()
        for (const { by, start } of sessions) {
            if (slots.has(`${by} ${start}`)) this.figures.doubled++
            slots.add(`${by} ${start}`)
        }
        this.figures.overlapping = overlaps(sessions)
    }

    private isSurplus(sid: string): boolean {
        const one = this.booked.find(booking => booking.sid === sid)
        return one !== undefined && this.surplus(one.booker) === one
    }
}

/** Requests over MQTT, each repeated under its id until it is answered. */
class Asker {
    private readonly client: MqttClient
    private readonly id: string
    private readonly repeated: () => void
    private readonly answers = new Map<number, (answer: { verb: string; message: Record<string, unknown> }) => void>()
    private requests = 0

    constructor(client: MqttClient, id: string, repeated: () => void) {
        this.client = client
        this.id = id
        this.repeated = repeated
        client.on("message", (topic, payload) => {
            const message = JSON.parse(payload.toString())
            this.answers.get(message.re)?.({ verb: topic.slice(topic.lastIndexOf("/") + 1), message })
        })
    }

    /**
     * The fields of `done`, or "unknown-session"; undefined when `stopped` before. Another refusal than "try again" is an
     * error.
     */
    async ask(
        verb: string,
        body: object,
        stopped: () => boolean,
    ): Promise<Record<string, unknown> | "unknown-session" | "not-registered" | undefined> {
        const id = ++this.requests
        const payload = JSON.stringify({ id, ...body })
        const topic = `parley/v1/ep/${this.id}/out/group/${verb}`
        for (let tries = 0; !stopped(); tries++) {
            if (tries > 0) this.repeated()
            const answer = new Promise<{ verb: string; message: Record<string, unknown> } | undefined>(resolve => {
                const timer = setTimeout(() => resolve(undefined), repeatMs)
                this.answers.set(id, given => {
                    clearTimeout(timer)
                    resolve(given)
                })
            })
            await this.client.publishAsync(topic, payload, { qos: 1 })
            const given = await answer
            if (!given) continue
            if (given.verb === "done") {
                this.answers.delete(id)
                return given.message
            }
            const { reason } = given.message
            if (reason === "unknown-session" || reason === "not-registered") return reason
            if (reason !== "unavailable" && reason !== "too-many")
                throw new Error(`${verb} ${payload}: ${JSON.stringify(given.message)}`)
            await pace()
        }
        return undefined
    }
}

function overlaps(sessions: Session[]): number {
    const byRoom = new Map<string, Session[]>()
    for (const session of sessions)
        if (session.state !== "ended")
            for (const { endpoint } of session.members) {
                const own = byRoom.get(endpoint) ?? []
                byRoom.set(endpoint, own)
                own.push(session)
            }
    let count = 0
    for (const own of byRoom.values()) {
        own.sort((a, b) => a.start - b.start)
        for (let index = 1; index < own.length; index++) if (own[index].start < own[index - 1].end) count++
    }
    return count
}

/** A session that is not there is a finding and no error of the run. */
function wrap<P extends { code: string }>(result: { ok: true; value: undefined } | { ok: false; problem: P }) {
    if (result.ok) return { ok: true as const, value: "done" as const }
    const { problem } = result
    return problem.code === "unknown-session"
        ? { ok: true as const, value: "unknown-session" as const }
        : { ok: false as const, problem }
}

function pace(): Promise<void> {
    return pause(paceMs)
}

function pause(ms: number): Promise<void> {
    return new Promise(done => setTimeout(done, ms))
}
