/**
 * The first call from end to end, as a person makes it: boards register, one books from its panel, all join by a press,
 * speech goes from one room to the others, a press mutes, all leave. Measures on the way [claims 1, 2, 6].
 *
 * Runs in a system of its own, beside any other. Every step either holds or ends the demo with its name.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import type { BoardStatus } from "../../sim/board.ts"
import { planLayout } from "../layout.ts"
import { type Failure, failure, type Outcome, success } from "../outcome.ts"
import { allRooms } from "../system/enrol.ts"
import { fromSim, simOfRun } from "../system/sim.ts"
import { type System, startSystem } from "../system/system.ts"
import { type Room, Rooms } from "./rooms.ts"
import { compare, Sound } from "./sound.ts"

export interface DemoFigures extends Record<string, number> {
    /** Power-on to registered, the slowest board. */
    registeredMs: number
    /** Power-on to attached to its routing server, the slowest board. */
    attachedMs: number
    /** Press to in session, median of the rooms. */
    joinMs: number
    /** Of what was said with what was heard, the worst listener. */
    correlation: number
    /** 95th percentile over time spoken, the worst listener. */
    mouthToEarMs: number
    packetsLost: number
    /** What the loudest listener hears of a muted room, dBov. */
    mutedLevelDb: number
}

export interface StepReport {
    name: string
    ok: boolean
    durationMs: number
    note: string
}

export interface DemoReport {
    figures: DemoFigures
    steps: StepReport[]
    /** Routing server of each board. */
    servers: Record<string, string>
}

export interface DemoOptions {
    wav?: string
    /** Keeps the state folder with logs and recordings. */
    keep?: boolean
    onStep?: (step: StepReport) => void
    onNote?: (text: string) => void
    signal?: AbortSignal
}

const sample = fileURLToPath(new URL("../../sim/samples/speech.wav", import.meta.url))
const attachWithinMs = 20_000
const stepWithinMs = 8_000
export const demoLimits = { correlation: 0.95, mutedLevelDb: -70 }

export async function runDemo(options: DemoOptions = {}): Promise<Outcome<DemoReport>> {
    const wav = options.wav ? resolve(options.wav) : sample
    if (!existsSync(wav))
        return failure("usage", "not-found", `there is no file ${wav}`, { who: "you", next: "parley demo --wav FILE" })
    const network = await freeNetwork()
    if (!network.ok) return network
    const folder = mkdtempSync(join(tmpdir(), "parley-demo-"))
    const demo = new Demo(wav, folder, network.value, options)
    const outcome = await demo.run()
    const keep = options.keep === true
    if (keep) options.onNote?.(`logs and recordings: ${folder}`)
    else rmSync(folder, { recursive: true, force: true })
    return outcome
}

class Demo {
    private readonly steps: StepReport[] = []
    private readonly servers: Record<string, string> = {}
    private readonly wav: string
    private readonly folder: string
    private readonly network: string
    private readonly options: DemoOptions
    private system: System | undefined
    private rooms: Rooms | undefined
    private sid = ""

    constructor(wav: string, folder: string, network: string, options: DemoOptions) {
        this.wav = wav
        this.folder = folder
        this.network = network
        this.options = options
    }

    async run(): Promise<Outcome<DemoReport>> {
        const outcome = await this.call()
        this.rooms?.stop()
        const stopped = await this.step("everything stops", async () => {
            await this.system?.stop()
            return success("")
        })
        if (!outcome.ok) return outcome
        return stopped.ok ? success({ figures: outcome.value, steps: this.steps, servers: this.servers }) : stopped
    }

    private async call(): Promise<Outcome<DemoFigures>> {
        const started = await this.step("the system starts", () => this.start())
        if (!started.ok) return started
        const rooms = started.value
        const [a, b, c] = rooms.rooms
        const listeners = [b, c]

        const ready = await this.step("all boards register and attach", () => this.waitReady(rooms))
        if (!ready.ok) return ready
        const apart = await this.step(`${a.id} is on another routing server than its listeners`, () =>
            this.checkApart(a, listeners),
        )
        if (!apart.ok) return apart
        const booked = await this.step(`${a.name} books a session with all rooms by its buttons`, () => this.book(a))
        if (!booked.ok) return booked
        const reminded = await this.step("all rooms are reminded", () => this.waitReminders(rooms, booked.value))
        if (!reminded.ok) return reminded
        const joined = await this.step("each room joins by one press", () => this.join(rooms))
        if (!joined.ok) return joined
        const sound = new Sound(rooms.sim, this.folder)
        const heard = await this.step(`${a.name} speaks, the others hear it`, () =>
            this.speak(rooms, sound, a, listeners),
        )
        if (!heard.ok) return heard
        const muted = await this.step(`${a.name} mutes by a press, the others hear nothing`, () =>
            this.mute(sound, a, listeners),
        )
        if (!muted.ok) return muted
        const left = await this.step("all rooms leave", () => this.leave(rooms))
        if (!left.ok) return left
        return success({ ...ready.value, ...joined.value, ...heard.value, ...muted.value })
    }

    private async start(): Promise<Outcome<Rooms>> {
        const layout = planLayout(this.network, 3, 3)
        const stateFolder = join(this.folder, "state")
        const { signal, onNote } = this.options
        const onEvent = (event: { type: string; part?: string }) => {
            if (event.type === "partDied") onNote?.(`${event.part} died`)
        }
        const started = await startSystem({ stateFolder, network: this.network, layout, onEvent }, signal)
        if (!started.ok) return started
        this.system = started.value
        const sim = simOfRun(started.value.run)
        if (!sim.ok) return sim
        const rooms = new Rooms(sim.value, layout.boards)
        this.rooms = rooms
        const listening = await rooms.listen()
        return listening.ok ? success(rooms) : listening
    }

    private async waitReady(rooms: Rooms) {
        const statuses: BoardStatus[] = []
        for (const room of rooms.rooms) {
            const shown = await room.person.waitFor("that it is ready", attachWithinMs, lines =>
                lines[1].startsWith("Ready"),
            )
            if (!shown.ok) return shown
            const status = fromSim(await rooms.sim.board(room.id))
            if (!status.ok) return status
            this.servers[room.id] = status.value.server
            statuses.push(status.value)
        }
        // The first phase after "registering": the group server knows the board and has told it the time.
        const registeredMs = Math.max(
            ...statuses.map(({ bootMs }) => bootMs.Choosing ?? bootMs.Attaching ?? bootMs.Idle ?? Infinity),
        )
        const attachedMs = Math.max(...statuses.map(({ bootMs }) => bootMs.Idle ?? Infinity))
        if (!Number.isFinite(registeredMs + attachedMs))
            return failure("failed", "not-measured", "a board did not tell when it registered", { who: "maker" })
        return success({ registeredMs: round(registeredMs), attachedMs: round(attachedMs) })
    }

    private async checkApart(a: Room, listeners: Room[]): Promise<Outcome<Record<string, string>>> {
        const same = listeners.find(room => this.servers[room.id] === this.servers[a.id])
        if (same)
            return failure("failed", "same-server", `${a.id} and ${same.id} both chose ${this.servers[a.id]}`, {
                who: "maker",
            })
        return success(this.servers)
    }

    /** As a person: CALL, whom, when, how long. Gives the simulator's time before it. */
    private async book({ person }: Room): Promise<Outcome<number>> {
        const pressed = await person.press("call")
        if (!pressed.ok) return pressed
        const whom = await person.choose("Whom?", allRooms.name, line => line.startsWith(allRooms.name))
        if (!whom.ok) return whom
        const when = await person.choose("When?", "Now", line => line === "Now")
        if (!when.ok) return when
        const long = await person.choose("How long?", "30 minutes", line => line === "30 minutes")
        return long.ok ? pressed : long
    }

    private async waitReminders(rooms: Rooms, fromMs: number): Promise<Outcome<undefined>> {
        for (const room of rooms.rooms) {
            const reminded = await rooms.reached(room.id, "Reminding", fromMs, stepWithinMs)
            if (!reminded.ok) return reminded
            const shown = await room.person.waitFor("CALL joins", stepWithinMs, lines =>
                lines[3].startsWith("CALL joins"),
            )
            if (!shown.ok) return shown
        }
        return success(undefined)
    }

    private async join(rooms: Rooms) {
        const times: number[] = []
        for (const room of rooms.rooms) {
            const pressed = await room.person.press("call")
            if (!pressed.ok) return pressed
            const joined = await rooms.reached(room.id, "InSession", pressed.value, stepWithinMs)
            if (!joined.ok) return joined
            times.push(joined.value.atMs - pressed.value)
        }
        const people = rooms.rooms.length
        for (const room of rooms.rooms) {
            const shown = await room.person.waitFor(`${people} in session`, stepWithinMs, lines =>
                lines[2].startsWith(`${people} in session`),
            )
            if (!shown.ok) return shown
            const status = fromSim(await rooms.sim.board(room.id))
            if (!status.ok) return status
            if (this.sid !== "" && this.sid !== status.value.session)
                return failure("failed", "other-session", `${room.id} is in another session`, { who: "maker" })
            this.sid = status.value.session
        }
        times.sort((x, y) => x - y)
        return success({ joinMs: round(times[Math.floor(times.length / 2)]) })
    }

    private async speak(rooms: Rooms, sound: Sound, a: Room, listeners: Room[]) {
        const screen = await a.person.screen()
        if (!screen.ok) return screen
        if (screen.value[2].includes("MUTED")) {
            const lifted = await this.pressMute(a, false)
            if (!lifted.ok) return lifted
        }
        const taken = await sound.playAndRecord(
            this.wav,
            a.id,
            listeners.map(room => room.id),
        )
        if (!taken.ok) return taken
        let correlation = 1
        let mouthToEarMs = 0
        for (const heard of taken.value.heard) {
            const measured = compare(taken.value.said, heard)
            if (!measured.ok) return measured
            correlation = Math.min(correlation, measured.value.correlation)
            mouthToEarMs = Math.max(mouthToEarMs, measured.value.delayP95Ms)
        }
        if (correlation < demoLimits.correlation)
            return failure(
                "failed",
                "distorted",
                `correlation ${correlation.toFixed(3)} is below ${demoLimits.correlation}`,
                { who: "maker" },
            )
        let packetsLost = 0
        for (const room of rooms.rooms) {
            const statistics = fromSim(await rooms.sim.mediaStatistics(room.id))
            if (!statistics.ok) return statistics
            packetsLost += statistics.value.lost
        }
        return success({ correlation: round(correlation, 4), mouthToEarMs: round(mouthToEarMs), packetsLost })
    }

    private async mute(sound: Sound, a: Room, listeners: Room[]) {
        const muted = await this.pressMute(a, true)
        if (!muted.ok) return muted
        const taken = await sound.playAndRecord(
            this.wav,
            a.id,
            listeners.map(room => room.id),
        )
        if (!taken.ok) return taken
        const { said, heard } = taken.value
        const short = heard.find(one => (one.stretch.samples.length * 1000) / 8000 < said.durationMs)
        if (short)
            return failure("failed", "not-recorded", `${short.room} recorded less than was said`, { who: "maker" })
        const mutedLevelDb = Math.max(...heard.map(one => one.levelDb))
        if (mutedLevelDb > demoLimits.mutedLevelDb)
            return failure("failed", "not-silent", `a muted room is heard at ${mutedLevelDb.toFixed(1)} dBov`, {
                who: "maker",
            })
        return success({ mutedLevelDb: round(mutedLevelDb) })
    }

    private async pressMute({ person }: Room, muted: boolean): Promise<Outcome<unknown>> {
        const pressed = await person.press("mute")
        if (!pressed.ok) return pressed
        return person.waitFor(muted ? "MUTED" : "no MUTED", stepWithinMs, lines => lines[2].includes("MUTED") === muted)
    }

    private async leave(rooms: Rooms): Promise<Outcome<undefined>> {
        for (const room of rooms.rooms) {
            const pressed = await room.person.press("call")
            if (!pressed.ok) return pressed
            const left = await rooms.reached(room.id, "Idle", pressed.value, stepWithinMs)
            if (!left.ok) return left
        }
        return success(undefined)
    }

    private async step<T>(name: string, act: () => Promise<Outcome<T>>): Promise<Outcome<T>> {
        const fromMs = performance.now()
        const aborted = this.options.signal?.aborted && this.steps.length > 0 && name !== "everything stops"
        const outcome: Outcome<T> = aborted ? failure("interrupted", "interrupted", "interrupted") : await act()
        const note = outcome.ok ? noteOf(outcome.value) : outcome.what
        const report = { name, ok: outcome.ok, durationMs: round(performance.now() - fromMs), note }
        this.steps.push(report)
        this.options.onStep?.(report)
        return outcome.ok ? outcome : this.named(name, outcome)
    }

    private named(step: string, failed: Failure): Failure {
        return { ...failed, what: `step "${step}": ${failed.what}`, details: { ...failed.details, step } }
    }
}

function noteOf(value: unknown): string {
    if (typeof value !== "object" || value === null || value instanceof Rooms) return ""
    return Object.entries(value)
        .map(([name, figure]) => `${name} ${figure}`)
        .join(", ")
}

function round(value: number, digits = 1): number {
    return Number(value.toFixed(digits))
}

/** A block of loopback addresses in which nobody listens: from 127.100 on, begun at a place that differs by process. */
async function freeNetwork(): Promise<Outcome<string>> {
    for (let i = 0; i < 50; i++) {
        const network = `127.${100 + ((process.pid + i * 7) % 150)}`
        if (await isFree(`${network}.1.1`, 1883)) return success(network)
    }
    return failure("failed", "address-in-use", "no block 127.100 to 127.249 is free for the demo", { who: "operator" })
}

function isFree(host: string, port: number): Promise<boolean> {
    return new Promise(resolve => {
        const server = createServer()
        server.once("error", () => resolve(false))
        server.listen(port, host, () => server.close(() => resolve(true)))
    })
}
