/**
 * The servers of one appliance in a virtual world: the broker at the far end of its socket, the group server and two routing
 * servers behind it, all without a process, a port or a promise of their own.
 *
 * Owns the connection (accepting, refusing, dropping it) and the agenda; what a server answers stands in `answers` and may be
 * replaced. Speaks MQTT by `mqtt-packet`; every word takes a millisecond on the virtual clock.
 */

import { EventEmitter } from "node:events"
import type { Duplex } from "node:stream"
import * as mqtt from "mqtt-packet"
import { limits } from "../../../protocol/limits.ts"
import type { Clock } from "../../clock.ts"
import { usualAnswers } from "./answers.ts"

const wayMs = 1
const refused = "connect ECONNREFUSED"

// biome-ignore lint/suspicious/noExplicitAny: messages of any kind, as played by whoever runs the room
type Body = Record<string, any>
type Answer = (body: Body, server: string) => object | undefined

export interface Said {
    verb: string
    /** "" is the group server. */
    server: string
    body: Body
}

export class Servers {
    /** Whether somebody listens at the broker's port. */
    isUp = true
    /** Return code of the broker for each CONNECT, by its user name and password. */
    admits: (id: string, secret: string) => number = () => 0
    /** Everything that the appliance has published since the last `forget`. */
    said: Said[] = []
    /** Of its last state message. */
    state: Body = {}
    answers: Record<string, Answer>
    /** Added to the time that the group server tells. */
    clockShiftMs = 0
    connections = 0
    readonly #clock: Clock
    readonly #id: string
    #stream: PlayedStream | undefined
    #version = 0
    #packetId = 0

    constructor(clock: Clock, id: string) {
        this.#clock = clock
        this.#id = id
        this.answers = {
            hello: () => ({ nowMs: this.nowMs(), name: "Raum Ä" }),
            ...usualAnswers(() => this.nowMs()),
            candidates: () => ({
                list: ["rs-near", "rs-far"].map((rs, i) => ({ rs, ip: `127.0.1.${11 + i}`, port: 7500, load: 0 })),
            }),
            attach: () => ({ load: 0 }),
            join: body => ({
                ...{ sid: body.sid, ip: "127.0.1.11", port: 7500, ssrc: 4000000001, pt: 0, frameMs: 20, people: 2 },
                key: "k".repeat(80),
            }),
        }
    }

    nowMs(): number {
        return Math.floor(this.#clock.wallMs()) + this.clockShiftMs
    }

    seconds(): number {
        return Math.floor(this.nowMs() / 1000)
    }

    requests(verb: string): Body[] {
        return this.said.filter(one => one.verb === verb).map(one => one.body)
    }

    forget(): void {
        this.said = []
    }

    /** The sessions that the appliance is to know of; what a session lacks is that of a weekly one, about to begin. */
    agenda(sessions: Body[], more = 0): void {
        const start = this.seconds()
        const usual = { sid: "s1", title: "Wöchentlich", from: "Room B", mine: 0, start, end: start + 3600 }
        const list = sessions.map(session => ({ ...usual, state: "opening", ...session }))
        this.push("group", "agenda", { n: ++this.#version, nowMs: this.nowMs(), list, more })
    }

    /** `from` is "group" or "rs/<id>". The broker lets nothing pass that is larger than its limit. */
    push(from: string, verb: string, body: object | string): void {
        const payload = typeof body === "string" ? body : JSON.stringify(body)
        if (Buffer.byteLength(payload) > limits.brokerApplianceBytes) return
        this.#packetId = (this.#packetId % 65535) + 1
        const topic = `parley/v1/ep/${this.#id}/in/${from}/${verb}`
        this.#stream?.say({
            cmd: "publish",
            topic,
            payload,
            qos: 1,
            dup: false,
            retain: false,
            messageId: this.#packetId,
        })
    }

    /** The broker is gone, and what stood on its socket. */
    lose(): void {
        this.isUp = false
        this.#stream?.fail("read ECONNRESET")
        this.#stream = undefined
    }

    dial(): Duplex {
        const stream = new PlayedStream(this.#clock, packet => this.#take(stream, packet))
        this.#clock.after(wayMs, () => {
            if (!this.isUp) return stream.fail(refused)
            this.connections++
            this.#stream = stream
            stream.emit("connect")
        })
        return stream as unknown as Duplex
    }

    #take(stream: PlayedStream, packet: mqtt.Packet) {
        switch (packet.cmd) {
            case "connect": {
                const returnCode = this.admits(packet.username ?? "", String(packet.password ?? ""))
                return stream.say({ cmd: "connack", returnCode, sessionPresent: false })
            }
            case "subscribe":
                return stream.say({ cmd: "suback", messageId: packet.messageId, granted: [1] })
            case "pingreq":
                return stream.say({ cmd: "pingresp" })
            case "publish":
                stream.say({ cmd: "puback", messageId: packet.messageId })
                this.#published(packet.topic, JSON.parse(String(packet.payload)))
        }
    }

    #published(topic: string, body: Body): void {
        const parts = topic.split("/")
        const verb = parts.at(-1)!
        if (verb === "state") {
            this.state = body
            return
        }
        const server = parts[5] === "rs" ? parts[6] : ""
        this.said.push({ verb, server, body })
        const answer = (this.answers[verb] ?? (() => ({})))(body, server)
        if (!answer) return
        const kind = "reason" in answer ? "refused" : "done"
        this.push(server === "" ? "group" : `rs/${server}`, kind, { re: body.id, ...answer })
    }
}

/** As much of a TCP stream as a board's socket uses. */
class PlayedStream extends EventEmitter {
    destroyed = false
    readonly writableLength = 0
    readonly #clock: Clock
    readonly #parser = mqtt.parser()

    constructor(clock: Clock, take: (packet: mqtt.Packet) => void) {
        super()
        this.#clock = clock
        this.#parser.on("packet", packet => {
            if (!this.destroyed) take(packet)
        })
    }

    say(packet: mqtt.Packet): void {
        const bytes = mqtt.generate(packet)
        this.#clock.after(wayMs, () => {
            if (!this.destroyed) this.emit("data", bytes)
        })
    }

    fail(text: string): void {
        if (this.destroyed) return
        this.emit("error", new Error(text))
        this.destroy()
    }

    write(data: Uint8Array): boolean {
        const bytes = Buffer.from(data)
        this.#clock.after(wayMs, () => {
            if (!this.destroyed) this.#parser.parse(bytes)
        })
        return true
    }

    end(): void {
        this.#clock.after(wayMs, () => this.destroy())
    }

    destroy(): void {
        if (this.destroyed) return
        this.destroyed = true
        this.emit("close")
    }

    pause(): void {}

    resume(): void {}
}
