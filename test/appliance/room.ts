/**
 * A room for tests: the real firmware on a simulated board with the real media engine, at the embedded broker with its
 * rights. Only the servers are scripted: what they answer stands in `answers`, and routing servers return probes.
 */

import { createSocket, type Socket } from "node:dgram"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { compileFirmware, describeProblems } from "../../build/firmware.ts"
import { probeAnswers, probeAsks, readProbe } from "../../protocol/probe.ts"
import { Board, type BoardStatus } from "../../sim/board.ts"
import { createMediaEngine } from "../../sim/media-engine/index.ts"
import type { MediaEngine } from "../../sim/media-engine/interface.ts"
import { readServices } from "../../sim/simulation.ts"
import { loopbackAddress } from "../support/addresses.ts"
import { type Enrolled, enrolParties, startEmbeddedBroker } from "../support/broker.ts"
import { eventually } from "../support/deadline.ts"
import { connectParty, type TestParty } from "../support/mqtt.ts"

const entry = fileURLToPath(new URL("../../boards/room-panel.ts", import.meta.url))
const outFolder = fileURLToPath(new URL("../../.build/test-appliance/", import.meta.url))
const holdMs = 60
const routingServers = ["rs-near", "rs-far"]

type Answer = (body: any, server: string) => object | undefined

export class Room {
    readonly id = "board-a"
    readonly published: { verb: string; server: string; body: any }[] = []
    readonly answers: Record<string, Answer>
    board!: Board
    media!: MediaEngine
    #parties: TestParty[] = []
    #probes = new Map<string, Socket>()
    #enrolled!: Enrolled
    #broker!: Awaited<ReturnType<typeof startEmbeddedBroker>>
    #agendaVersion = 0

    private constructor() {
        this.answers = {
            hello: () => ({ nowMs: Date.now(), name: "Raum Ä" }),
            time: () => ({ nowMs: Date.now() }),
            candidates: () => ({
                list: [...this.#probes].map(([rs, socket]) => ({
                    rs,
                    ip: socket.address().address,
                    port: socket.address().port,
                    load: 0,
                })),
            }),
            attach: () => ({ load: 0 }),
            join: (body, server) => {
                const { address, port } = this.#probes.get(server)!.address()
                return {
                    sid: body.sid,
                    ip: address,
                    port,
                    ssrc: 4000000001,
                    pt: 0,
                    frameMs: 20,
                    people: 2,
                    key: "k".repeat(80),
                }
            },
            directory: () => ({
                list: [
                    { id: "team", name: "Team", kind: "group" },
                    { id: "board-b", name: "Room B", kind: "room" },
                ],
            }),
            book: body => ({
                sid: "s1",
                start: body.start || Math.floor(Date.now() / 1000),
                end: Math.floor(Date.now() / 1000) + 1800,
            }),
        }
    }

    /** Without power yet. */
    static async create(
        settings: Record<string, string | number | undefined> = {},
        { withMedia = true } = {},
    ): Promise<Room> {
        const room = new Room()
        room.#enrolled = enrolParties({ "board-a": "ep", group: "group", "rs-near": "rs", "rs-far": "rs" })
        room.#broker = await startEmbeddedBroker(room.#enrolled.dir)
        const address = { host: "127.0.0.1", port: room.#broker.port }
        for (const id of ["group", ...routingServers]) {
            const party = await connectParty(address, id, room.#enrolled.secrets[id])
            room.#parties.push(party)
            await party.subscribe(id === "group" ? "parley/v1/ep/+/out/group/#" : `parley/v1/ep/+/out/rs/${id}/#`)
            party.client.on("message", (topic, payload) => room.#take(party, id, topic, JSON.parse(payload.toString())))
        }
        for (const rs of routingServers) room.#probes.set(rs, await room.#probeServer(rs))

        const compiled = await compileFirmware(entry, `${outFolder}room-panel-${process.pid}.devs`)
        if (!compiled.ok) throw new Error(describeProblems(compiled.problems))
        const ipAddress = loopbackAddress()
        const services = readServices()
        room.media = createMediaEngine({ ipAddress, port: 0, services })
        room.board = await Board.create({
            id: room.id,
            ipAddress,
            bytecode: readFileSync(compiled.devsFile),
            services,
            media: withMedia ? room.media : undefined,
            settings: {
                "p.id": room.id,
                "p.secret": room.#enrolled.secrets["board-a"],
                "p.host": address.host,
                "p.port": address.port,
                ...settings,
            },
        })
        return room
    }

    async close(): Promise<void> {
        this.board.powerOff()
        await this.media.stop()
        for (const socket of this.#probes.values()) socket.close()
        for (const party of this.#parties) await party.end()
        await this.#broker.stop()
        this.#enrolled.remove()
    }

    /** The routing server is gone: it neither answers probes nor requests. */
    kill(rs: string): void {
        this.#probes.get(rs)?.close()
        this.#probes.delete(rs)
    }

    /** The broker forgets the secret and throws the device out. */
    changeSecret(): void {
        this.#enrolled.enrol("board-a", "ep")
    }

    async agenda(...sessions: object[]): Promise<void> {
        const now = Math.floor(Date.now() / 1000)
        const list = sessions.map(session => ({
            sid: "s1",
            title: "Wöchentlich",
            from: "Room B",
            mine: 0,
            start: now,
            end: now + 3600,
            state: "opening",
            ...session,
        }))
        const message = { n: ++this.#agendaVersion, nowMs: Date.now(), list, more: 0 }
        await this.#parties[0].publish(`parley/v1/ep/${this.id}/in/group/agenda`, message)
    }

    async push(rs: string, verb: string, body: object | string): Promise<void> {
        await this.#parties[1 + routingServers.indexOf(rs)].publish(`parley/v1/ep/${this.id}/in/rs/${rs}/${verb}`, body)
    }

    requests(verb: string): any[] {
        return this.published.filter(one => one.verb === verb).map(one => one.body)
    }

    /** Resolves with the screen when it matches. */
    async shows(pattern: RegExp): Promise<string> {
        const screen = () =>
            this.board
                .display()
                .lines.map(line => line.trimEnd())
                .join("\n")
        try {
            return await eventually(() => (pattern.test(screen()) ? screen() : undefined), `${pattern} on the screen`)
        } catch (error) {
            throw new Error(`${(error as Error).message}; it shows\n${screen()}\n${this.board.log.last(10).join("\n")}`)
        }
    }

    async press(button: "call" | "menu" | "mute", pattern: RegExp): Promise<void> {
        const atMs = performance.now()
        this.board.press(button, holdMs)
        await this.shows(pattern)
        // A finger has to let go before it can press again.
        await eventually(() => performance.now() > atMs + 2 * holdMs, "the release")
    }

    async status(): Promise<BoardStatus> {
        return this.board.freshStatus()
    }

    #take(party: TestParty, id: string, topic: string, body: any): void {
        const verb = topic.split("/").at(-1)!
        this.published.push({ verb, server: id, body })
        if (id !== "group" && !this.#probes.has(id)) return
        const answer = (this.answers[verb] ?? (() => ({})))(body, id)
        if (!answer) return
        const kind = "reason" in answer ? "refused" : "done"
        const from = id === "group" ? "group" : `rs/${id}`
        void party.publish(`parley/v1/ep/${this.id}/in/${from}/${kind}`, { re: body.id, ...answer }).catch(() => {})
    }

    /** Answers probes as a routing server does; the far one takes its time. */
    async #probeServer(rs: string): Promise<Socket> {
        const socket = createSocket("udp4")
        socket.on("message", (datagram, from) => {
            if (readProbe(datagram)?.kind !== probeAsks) return
            const answer = Buffer.from(datagram)
            answer[5] = probeAnswers
            const send = () => {
                if (this.#probes.get(rs) === socket) socket.send(answer, from.port, from.address)
            }
            if (rs === "rs-far") setTimeout(send, 15)
            else send()
        })
        await new Promise<void>(resolve => socket.bind(0, loopbackAddress(), resolve))
        return socket
    }
}
