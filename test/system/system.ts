/**
 * The whole system for tests of what happens between its parts: a real broker (embedded or mosquitto), the group server,
 * routing servers on addresses of their own (two, or as many as are asked for) and as many simulated boards with the real
 * firmware and media engine, each near to one of the routing servers. Every part can be killed and started again.
 */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { compileFirmware, describeProblems } from "../../build/firmware.ts"
import { GroupClient } from "../../servers/group/client.ts"
import { type GroupServer, startGroupServer } from "../../servers/group/main.ts"
import { ControlClient } from "../../servers/routing/control/client.ts"
import { Board, type BoardStatus } from "../../sim/board.ts"
import { createMediaEngine } from "../../sim/media-engine/index.ts"
import type { MediaEngine } from "../../sim/media-engine/interface.ts"
import { readServices } from "../../sim/simulation.ts"
import { good } from "../group/servers.ts"
import { freePort, loopbackAddress } from "../support/addresses.ts"
import { startBrokerChild, startMosquitto } from "../support/broker.ts"
import { type Child, startScript } from "../support/child.ts"
import { eventually } from "../support/deadline.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const routingMain = resolve(root, "servers/routing/main.ts")
const speech = resolve(root, "sim/samples/speech.wav")
const farMs = 60
const holdMs = 60

export const patienceMs = 60_000
export const dspUnits = 16

export type BrokerKind = "embedded" | "mosquitto"

/** One way, both ways, between two routing servers. */
export type ServerDelay = [a: string, b: string, delayMs: number]

export interface Room {
    board: Board
    media: MediaEngine
}

export class System {
    readonly rooms = new Map<string, Room>()
    readonly servers = new Map<string, Child>()
    readonly ips: Record<string, string>
    client!: GroupClient
    #group!: GroupServer
    #broker!: Child
    readonly #kind: BrokerKind
    /** Each is a routing server `rs-<place>` with a board `board-<place>`. */
    readonly #places: readonly string[]
    readonly #folder = mkdtempSync(join(tmpdir(), "parley-system-"))
    #port = 0

    readonly #delays: readonly ServerDelay[]

    private constructor(kind: BrokerKind, places: readonly string[], delays: readonly ServerDelay[]) {
        this.#delays = delays
        this.#kind = kind
        this.#places = places
        this.ips = Object.fromEntries(places.map(place => [`rs-${place}`, loopbackAddress()]))
    }

    /** Everything runs and all boards show that they are ready; whoever gets an error has nothing to clean up. */
    static async start(
        kind: BrokerKind,
        places: readonly string[] = ["a", "b"],
        delays: readonly ServerDelay[] = [],
    ): Promise<System> {
        const system = new System(kind, places, delays)
        try {
            await system.#start()
            return system
        } catch (error) {
            await system.stop()
            throw error
        }
    }

    get credentials(): string {
        return join(this.#folder, "broker")
    }

    async #start(): Promise<void> {
        this.#port = await freePort()
        // The group server goes first: it writes what the broker lets in.
        await this.startGroup()
        const boards: Record<string, { near: string; secret: string }> = {}
        for (const id of Object.keys(this.ips)) {
            const { secret } = good(await this.client.enrolRoutingServer(id))
            writeFileSync(join(this.#folder, `${id}.secret`), secret, { mode: 0o600 })
        }
        for (const place of this.#places) {
            const id = `board-${place}`
            const { secret } = good(await this.client.enrolEndpoint(id, `Room ${id}`))
            boards[id] = { near: `rs-${place}`, secret }
        }
        good(await this.client.createGroup("all", "All", Object.keys(boards)))
        const pairs = this.#places.flatMap((a, i) =>
            this.#places.slice(i + 1).map(b => ({ a: `rs-${a}`, b: `rs-${b}` })),
        )
        good(await this.client.putStaticNeighbours(pairs))
        await this.startBroker()
        await Promise.all(Object.keys(this.ips).map(id => this.startServer(id)))

        const compiled = await compileFirmware(
            join(root, "boards/room-panel.ts"),
            join(root, `.build/test-appliance/system-${process.pid}.devs`),
        )
        if (!compiled.ok) throw new Error(describeProblems(compiled.problems))
        const bytecode = readFileSync(compiled.devsFile)
        for (const [id, { near, secret }] of Object.entries(boards)) await this.#makeRoom(id, near, secret, bytecode)
        await this.#linked()
        await Promise.all([...this.rooms.values()].map(({ board }) => board.powerOn()))
        for (const id of this.rooms.keys()) await this.reached(id, status => status.phase === "Idle")
    }

    async #makeRoom(id: string, near: string, secret: string, bytecode: Buffer): Promise<void> {
        const ipAddress = loopbackAddress()
        const services = readServices()
        const delaysMs: Record<string, number> = {}
        for (const [server, ip] of Object.entries(this.ips)) if (server !== near) delaysMs[ip] = farMs
        const media = createMediaEngine({ ipAddress, port: 0, delaysMs, services })
        const settings = { "p.id": id, "p.secret": secret, "p.host": "127.0.0.1", "p.port": this.#port }
        const board = await Board.create({ id, ipAddress, bytecode, services, media, settings })
        this.rooms.set(id, { board, media })
        await media.setMicrophone(speech, { loop: true })
    }

    async startBroker(): Promise<void> {
        const start = this.#kind === "mosquitto" ? startMosquitto : startBrokerChild
        this.#broker = await start(this.credentials, "127.0.0.1", this.#port)
    }

    killBroker(): Promise<unknown> {
        return this.#broker.kill()
    }

    async startGroup(): Promise<void> {
        const started = await startGroupServer({
            ...{ state: join(this.#folder, "group"), credentials: this.credentials },
            ...{ httpHost: "127.0.0.1", httpPort: 0, broker: `mqtt://127.0.0.1:${this.#port}` },
        })
        if (!started.ok) throw new Error(started.what)
        this.#group = started.server
        this.client = new GroupClient(started.server.url, started.server.adminToken)
    }

    stopGroup(): Promise<void> {
        return this.#group.stop()
    }

    async startServer(id: string): Promise<void> {
        const underlay = join(this.#folder, `${id}.underlay.json`)
        const far = this.#delays.filter(([a, b]) => a === id || b === id)
        const paths = Object.fromEntries(far.map(([a, b, delayMs]) => [a === id ? b : a, { delayMs }]))
        writeFileSync(underlay, JSON.stringify({ seed: 1, paths }))
        const child = await startScript(
            routingMain,
            [
                ...["--id", id, "--secret-file", join(this.#folder, `${id}.secret`), "--ip", this.ips[id]],
                ...["--link-port", "7400", "--media-port", "7500", "--broker", `mqtt://127.0.0.1:${this.#port}`],
                ...["--dsp-units", String(dspUnits), "--state", join(this.#folder, id)],
                ...["--control-port", "0"],
                ...["--underlay", underlay],
            ],
            { readyMs: patienceMs },
        )
        this.servers.set(id, child)
    }

    /** The control API of a routing server. */
    control(id: string): ControlClient {
        const { controlUrl } = this.servers.get(id)!.ready
        return ControlClient.fromTokenFile(controlUrl, join(this.#folder, id, "control.token"))
    }

    /** All routing servers have told the group server that the links between them are up. */
    async #linked(): Promise<void> {
        await eventually(
            async () => {
                const { items } = good(await this.client.listRoutingServers())
                const others = this.#places.length - 1
                const isLinked = items.every(
                    ({ links }) => links.filter(({ up, delayMs }) => up && delayMs !== undefined).length === others,
                )
                return items.length === others + 1 && isLinked
            },
            "the links between the routing servers",
            patienceMs,
        )
    }

    /** The status of a board once `holds` of it. */
    async reached(id: string, holds: (status: BoardStatus) => boolean): Promise<BoardStatus> {
        const { board } = this.rooms.get(id)!
        try {
            return await eventually(() => (holds(board.status()) ? board.status() : undefined), id, patienceMs)
        } catch (error) {
            const screen = board.display().lines.map(line => line.trimEnd())
            const shown = [JSON.stringify(board.status()), ...screen, ...board.log.last(10)]
            throw new Error(`${(error as Error).message}\n${shown.join("\n")}`)
        }
    }

    press(id: string, button: "call" | "mute"): void {
        this.rooms.get(id)!.board.press(button, holdMs)
    }

    /** Booked by the first board, and joined by a press of each. */
    async bookAndJoin(): Promise<string> {
        const { id: sid } = good(await this.client.book({ by: "board-a", with: "all", minutes: 30 }))
        await this.join()
        return sid
    }

    /** Waits for the reminder of each board and presses its button. */
    async join(): Promise<void> {
        for (const id of this.rooms.keys()) {
            await this.reached(id, status => status.phase === "Reminding")
            this.press(id, "call")
        }
        for (const id of this.rooms.keys()) await this.reached(id, status => status.phase === "InSession")
    }

    /** What the group server says of the members: "joined rs-a". */
    async members(sid: string): Promise<string[]> {
        const session = good(await this.client.getSession(sid))
        return session.members.map(({ status, server }) => (server ? `${status} ${server}` : status))
    }

    /** Legs that a routing server that runs has taken away. */
    get legsLost(): number {
        const lines = [...this.servers.values()].flatMap(server => server.stderr().split("\n"))
        return lines.filter(line => line.includes('"msg":"left"')).length
    }

    /** After a restart of the broker: waits until every part has registered anew. */
    async backAtBroker(): Promise<void> {
        const isBack = async () => {
            const statuses = await Promise.all([...this.rooms.values()].map(({ board }) => board.freshStatus()))
            if (!statuses.every(({ counters }) => (counters?.reconnects ?? 0) > 0)) return false
            for (const server of this.servers.values())
                if (server.stderr().split("registered with").length < 3) return false
            const { items } = good(await this.client.listEndpoints())
            return items.every(endpoint => endpoint.server !== undefined)
        }
        await eventually(isBack, "everybody to be back at the broker", patienceMs)
    }

    /** Waits until each hears another. */
    async hear(): Promise<void> {
        for (const [id, { media }] of this.rooms)
            await eventually(() => media.statistics().outputDb > -60, `${id} to hear the other`, patienceMs)
    }

    async stop(): Promise<void> {
        for (const { board, media } of this.rooms.values()) {
            board.powerOff()
            await media.stop()
        }
        await Promise.all([...this.servers.values()].map(server => server.stop()))
        await this.#group?.stop()
        await this.#broker?.stop()
        rmSync(this.#folder, { recursive: true, force: true })
    }
}
