/**
 * The heaviest day of an appliance, for measuring what it needs: the real firmware on a simulated board with its media
 * engine, at the embedded broker. The servers are scripted here because they say the largest things that the protocol and
 * its limits allow, which real ones rarely do.
 *
 * Owns the script and the counting of messages. What is measured is judged in `build.ts`.
 */

import { createSocket, type Socket } from "node:dgram"
import { setTimeout as pause } from "node:timers/promises"
import { limits } from "../protocol/limits.ts"
import { probeAnswers, probeAsks, readProbe } from "../protocol/probe.ts"
import { endpointToServerTopic, serverToEndpointTopic, toGroupTopic } from "../protocol/topics.ts"
import { Board } from "../sim/board.ts"
import type { ButtonName } from "../sim/hardware/hardware.ts"
import { createMediaEngine } from "../sim/media-engine/index.ts"
import { readServices } from "../sim/simulation.ts"
import type { HeapPicture } from "../sim/vm/heap.ts"
import { loopbackAddress } from "../test/support/addresses.ts"
import { enrolParties, startEmbeddedBroker } from "../test/support/broker.ts"
import { eventually } from "../test/support/deadline.ts"
import { connectParty, type TestParty } from "../test/support/mqtt.ts"

export interface HeavyResult {
    heapPeakBytes: number
    /** The memory at that peak; only with `collectAlways`. */
    heapPicture: HeapPicture | undefined
    largestMessageBytes: number
    /** Payloads to and from the appliance. */
    messages: number
    /** Phases that it went through, with the time from power-on. */
    bootMs: Partial<Record<string, number>>
}

/** What `re` adds to an answer. */
const answerBytes = 20

type Progress = (text: string) => void

const boardId = "b".repeat(limits.identifierBytes)
const servers = Array.from(
    { length: limits.candidates },
    (_, i) => `rs-${String(i).padStart(limits.identifierBytes - 3, "0")}`,
)
/** Two bytes a character, so that texts are largest in every way. */
const wide = (bytes: number) => "ä".repeat(bytes / 2)
const identifier = (kind: string, i: number) => `${kind}-${i}`.padEnd(limits.identifierBytes, "x")
const nowSeconds = () => Math.floor(Date.now() / 1000)

/**
 * Throws when a step of the script does not come about, with the screen as it was. `collectAlways`: garbage is collected
 * before every allocation, so that the heap peak is of what is alive.
 */
export async function liveHeavyDay(
    bytecode: Uint8Array,
    progress: Progress,
    { collectAlways = false } = {},
): Promise<HeavyResult> {
    const room = new HeavyRoom(collectAlways)
    try {
        await room.open(bytecode)
        await room.live(progress)
        return await room.result()
    } finally {
        await room.close()
    }
}

class HeavyRoom {
    #board!: Board
    #group!: TestParty
    #routing = new Map<string, TestParty>()
    #probes = new Map<string, Socket>()
    #ends: (() => unknown)[] = []
    #agendaVersion = 0
    #largest = 0
    #messages = 0
    readonly #collectAlways: boolean

    constructor(collectAlways: boolean) {
        this.#collectAlways = collectAlways
    }

    async open(bytecode: Uint8Array): Promise<void> {
        const kinds = Object.fromEntries(servers.map(rs => [rs, "rs" as const]))
        const enrolled = enrolParties({ [boardId]: "ep", group: "group", ...kinds })
        this.#ends.push(() => enrolled.remove())
        const broker = await startEmbeddedBroker(enrolled.dir)
        this.#ends.push(() => broker.stop())
        const address = { host: "127.0.0.1", port: broker.port }
        this.#group = await this.#party(address, "group", enrolled.secrets.group)
        await this.#group.subscribe(toGroupTopic("ep", "+", "#"))
        await this.#group.subscribe("parley/v1/ep/+/state")
        for (const rs of servers) {
            const party = await this.#party(address, rs, enrolled.secrets[rs])
            await party.subscribe(endpointToServerTopic("+", rs, "#"))
            this.#routing.set(rs, party)
            this.#probes.set(rs, await this.#probeServer())
        }
        const ipAddress = loopbackAddress()
        const services = readServices()
        const media = createMediaEngine({ ipAddress, port: 0, services, recordSeconds: 0 })
        this.#board = await Board.create({
            id: boardId,
            ipAddress,
            bytecode,
            services,
            media,
            measureHeap: true,
            collectAlways: this.#collectAlways,
            settings: {
                "p.id": boardId,
                "p.secret": enrolled.secrets[boardId],
                "p.host": address.host,
                "p.port": address.port,
            },
        })
        this.#ends.push(async () => {
            this.#board.powerOff()
            await media.stop()
        })
    }

    async close(): Promise<void> {
        for (const end of this.#ends.reverse()) await end()
    }

    async live(progress: Progress): Promise<void> {
        progress("powering on, registering, choosing among 8 routing servers")
        await this.#board.powerOn()
        await this.#board.reached("Idle")

        progress("a full agenda, again and again")
        for (let i = 0; i < 24; i++) await this.#agenda("scheduled")
        await this.#shows(/Ready|\d\d:\d\d/)

        for (let booking = 0; booking < 3; booking++) {
            progress(`booking ${booking + 1} through full pages of the directory`)
            await this.#press("call", />00/)
            for (let entry = 1; entry <= 2 * this.#pageEntries + booking; entry++) {
                this.#board.turn(1)
                await this.#shows(new RegExp(`>${String(entry).padStart(2, "0")}`))
            }
            await this.#press("call", />Now/)
            for (let i = 0; i < 12; i++) this.#board.turn(booking + 1)
            await this.#press("call", /minutes/)
            await this.#press("call", booking === 2 ? /[Bb]usy|taken|\?|!|No|not/ : /Booked/)
            await this.#agenda("scheduled")
        }

        for (let session = 0; session < 4; session++) {
            progress(`session ${session + 1}: reminded, joined, muted, left`)
            await this.#agenda("open")
            await this.#board.reached("Reminding")
            await this.#press("call", /in session/)
            for (let people = 1; people <= 12; people++)
                for (const [rs, party] of this.#routing)
                    if (rs === this.#board.status().server)
                        await this.#send(party, serverToEndpointTopic(boardId, rs, "roster"), {
                            sid: this.#sid,
                            people: people + 50,
                            speaker: people % 2 === 0 ? wide(limits.nameBytes) : "Somebody else",
                            rec: 1,
                            loss: people,
                        })
            await this.#press("mute", /MUTED/)
            this.#board.turn(-3)
            await this.#press("mute", /^(?!.*MUTED)/s)
            if (session === 1) {
                progress("its routing server dies in the session")
                this.#kill(this.#board.status().server)
                await eventually(
                    async () => this.#probes.has((await this.#board.freshStatus()).server),
                    "another server",
                )
                await this.#board.reached("InSession")
            }
            await this.#press("menu", />/)
            await this.#press("call", />/)
            await this.#press("menu", />/)
            await this.#press("menu", /in session|Network loses/)
            await this.#agenda("ended")
            await this.#press("call", /CALL calls|Ready|\d\d:\d\d/)
            await this.#board.reached(["Idle", "Reminding"])
        }
    }

    async result(): Promise<HeavyResult> {
        const status = await this.#board.freshStatus()
        if (status.crashes > 0)
            throw new Error(`the firmware crashed: ${status.panic?.text}\n${status.panic?.log.join("\n")}`)
        return {
            heapPeakBytes: status.heapPeakBytes,
            heapPicture: this.#board.heapPicture,
            largestMessageBytes: this.#largest,
            messages: this.#messages,
            bootMs: status.bootMs,
        }
    }

    get #sid(): string {
        return identifier("s", this.#agendaVersion)
    }

    async #party(address: { host: string; port: number }, id: string, secret: string): Promise<TestParty> {
        const party = await connectParty(address, id, secret)
        this.#ends.push(() => party.end())
        party.client.on("message", (topic, payload) => {
            this.#count(payload)
            if (!topic.endsWith("/state"))
                this.#answer(party, id, topic.split("/").at(-1)!, JSON.parse(payload.toString()))
        })
        return party
    }

    #count(payload: { length: number }): void {
        this.#messages++
        this.#largest = Math.max(this.#largest, payload.length)
    }

    async #send(party: TestParty, topic: string, body: object): Promise<void> {
        const payload = Buffer.from(JSON.stringify(body))
        if (payload.length > limits.messageToApplianceBytes) throw new Error(`${topic}: ${payload.length} bytes`)
        this.#count(payload)
        await party.publish(topic, payload, { qos: 1 })
    }

    /** Answers as large as they may be. */
    #answer(party: TestParty, id: string, verb: string, body: { id: number; from?: number; sid?: string }): void {
        const answer = this.#answerTo(id, verb, body)
        if (!answer || (id !== "group" && !this.#probes.has(id))) return
        const kind = "reason" in answer ? "refused" : "done"
        const topic =
            id === "group" ? `parley/v1/ep/${boardId}/in/group/${kind}` : serverToEndpointTopic(boardId, id, kind)
        this.#send(party, topic, { re: body.id, ...answer }).catch(error => {
            // The room is being closed; a message too large is a fault of this script and shows as a missing step.
            process.stderr.write(`heavy room: ${(error as Error).message}\n`)
        })
    }

    #bookings = 0
    /** How many entries of the directory go into one message. */
    #pageEntries: number = limits.directoryPage

    #answerTo(id: string, verb: string, body: { from?: number; sid?: string }): object | undefined {
        switch (verb) {
            case "hello":
                return { nowMs: Date.now(), name: wide(limits.nameBytes) }
            case "time":
                return { nowMs: Date.now() }
            case "candidates":
                return {
                    list: [...this.#probes].map(([rs, socket]) => ({
                        rs,
                        ip: socket.address().address,
                        port: socket.address().port,
                        load: 100,
                    })),
                }
            case "directory": {
                const from = body.from ?? 0
                const list = Array.from({ length: limits.directoryPage }, (_, i) => ({
                    id: identifier("g", from + i),
                    name: String(from + i).padStart(2, "0") + wide(limits.nameBytes - 2),
                    kind: "group",
                }))
                const page = fitted({ list, next: 65_535 }, answerBytes)
                this.#pageEntries = page.list.length
                return { ...page, next: from < 24 ? from + page.list.length : undefined }
            }
            case "book":
                this.#bookings++
                if (this.#bookings === 3)
                    return { reason: "busy", what: wide(64), who: "organiser", next: nowSeconds() + 86_400 }
                return { sid: identifier("s", 999), start: nowSeconds(), end: nowSeconds() + 1800 }
            case "attach":
                return { load: 100 }
            case "join": {
                const { address, port } = this.#probes.get(id)?.address() ?? { address: "127.0.0.1", port: 9 }
                const ssrc = 4_294_967_295
                const key = "k".repeat(80)
                return {
                    sid: body.sid,
                    ip: address,
                    port,
                    ssrc,
                    pt: 0,
                    frameMs: 20,
                    people: limits.sessionMembers,
                    key,
                }
            }
            default:
                return {}
        }
    }

    /** As many sessions with the longest texts as fit into one message; the first one is in `state`. */
    async #agenda(state: "scheduled" | "open" | "ended"): Promise<void> {
        this.#agendaVersion++
        const start = nowSeconds() + 3600
        const list = Array.from({ length: limits.agendaSessions }, (_, i) => ({
            sid: i === 0 ? this.#sid : identifier("t", i),
            title: wide(limits.titleBytes),
            from: wide(limits.nameBytes),
            mine: i % 2,
            start: i === 0 && state !== "scheduled" ? nowSeconds() - 10 : start + i * 3600,
            end: start + i * 3600 + 1800,
            state: i === 0 ? state : "scheduled",
        })).slice(state === "ended" ? 1 : 0)
        const message = fitted({ n: this.#agendaVersion, nowMs: Date.now(), list, more: 500 }, 0)
        await this.#send(this.#group, `parley/v1/ep/${boardId}/in/group/agenda`, message)
    }

    #kill(rs: string): void {
        this.#probes.get(rs)?.close()
        this.#probes.delete(rs)
    }

    async #press(button: ButtonName, pattern: RegExp): Promise<void> {
        this.#board.press(button, 30)
        await this.#shows(pattern)
        // A finger has to let go before it can press again.
        await pause(70)
    }

    async #shows(pattern: RegExp): Promise<void> {
        const screen = () =>
            this.#board
                .display()
                .lines.map(line => line.trimEnd())
                .join("\n")
        await eventually(() => pattern.test(screen()), `${pattern} on the screen`).catch(error => {
            throw new Error(`${error.message}; it shows\n${screen()}\n${this.#board.log.last(10).join("\n")}`)
        })
    }

    async #probeServer(): Promise<Socket> {
        const socket = createSocket("udp4")
        socket.on("message", (datagram, from) => {
            if (readProbe(datagram)?.kind !== probeAsks) return
            const answer = Buffer.from(datagram)
            answer[5] = probeAnswers
            socket.send(answer, from.port, from.address)
        })
        await new Promise<void>(resolve => socket.bind(0, loopbackAddress(), resolve))
        this.#ends.push(() => {
            if ([...this.#probes.values()].includes(socket)) socket.close()
        })
        return socket
    }
}

/** The message with only as many of its list as the limit takes; `spareBytes` are left for what is added to it. */
function fitted<Message extends { list: object[] }>(message: Message, spareBytes: number): Message {
    const list = [...message.list]
    const size = () => Buffer.byteLength(JSON.stringify({ ...message, list })) + spareBytes
    while (list.length > 0 && size() > limits.messageToApplianceBytes) list.pop()
    return { ...message, list }
}
