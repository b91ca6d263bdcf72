/**
 * The first call from end to end, as people make it: boards register, one books from its panel, all join by a press,
 * speech goes from one room to the others, a press mutes, all leave. Measured on the way [claims 1, 2, 6].
 *
 * Runs in a system of its own, beside any other. Owns the order and the report; every step holds or ends the demo by name.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join as joinPath, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { soundRate } from "../../media/codec.ts"
import { loadWav } from "../../media/wav.ts"
import { planLayout } from "../layout.ts"
import { type Failure, failure, type Outcome, success } from "../outcome.ts"
import { freeNetwork } from "../system/ports.ts"
import { simOfRun } from "../system/sim.ts"
import { type System, startSystem } from "../system/system.ts"
import { book, checkApart, join, leave, mute, speak, waitReady, waitReminders } from "./first-call.ts"
import { Rooms } from "./rooms.ts"
import { Sound } from "./sound.ts"

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
    /** By all media engines. */
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
    /** What is said; the project's sample when absent. */
    wav?: string
    /** Keeps the folder with logs and recordings. */
    keep?: boolean
    onStep?: (step: StepReport) => void
    onNote?: (text: string) => void
    signal?: AbortSignal
}

export const sampleWav = fileURLToPath(new URL("../../sim/samples/speech.wav", import.meta.url))
const boards = 3
const servers = 3

export async function runDemo(options: DemoOptions = {}): Promise<Outcome<DemoReport>> {
    const wav = options.wav === undefined ? sampleWav : resolve(options.wav)
    const sound = await loadWav(wav, soundRate)
    if (!sound.ok) return failure("usage", sound.code, sound.what, { who: "you", next: "parley demo --wav FILE" })
    const network = await freeNetwork(boards, servers, process.pid)
    if (!network.ok) return network
    const folder = mkdtempSync(joinPath(tmpdir(), "parley-demo-"))
    const outcome = await new Demo(wav, folder, network.value, options).run()
    if (options.keep === true) options.onNote?.(`logs and recordings: ${folder}`)
    else rmSync(folder, { recursive: true, force: true })
    return outcome
}

class Demo {
    private readonly steps: StepReport[] = []
    private servers: Record<string, string> = {}
    private system: System | undefined
    private rooms: Rooms | undefined
    private readonly wav: string
    private readonly folder: string
    private readonly network: string
    private readonly options: DemoOptions

    constructor(wav: string, folder: string, network: string, options: DemoOptions) {
        this.wav = wav
        this.folder = folder
        this.network = network
        this.options = options
    }

    async run(): Promise<Outcome<DemoReport>> {
        const figures = await this.call()
        this.rooms?.stop()
        const stopped = await this.step("everything stops", () => this.stop(), false)
        if (!figures.ok) return figures
        if (!stopped.ok) return stopped
        return success({ figures: figures.value, steps: this.steps, servers: this.servers })
    }

    private async call(): Promise<Outcome<DemoFigures>> {
        // Not interruptible from outside: it looks at the signal itself, and must have ended before everything stops.
        const started = await this.step("the system starts", () => this.start(), false)
        if (!started.ok) return started
        const rooms = started.value
        const [speaker, ...listeners] = rooms.rooms
        const sound = new Sound(rooms.sim, this.folder)

        const ready = await this.step("all boards register and attach", () => waitReady(rooms))
        if (!ready.ok) return ready
        const { servers, ...boot } = ready.value
        this.servers = servers
        const apart = await this.step(`${speaker.id} is on another routing server than its listeners`, async () =>
            checkApart(servers, speaker, listeners),
        )
        if (!apart.ok) return apart
        const booked = await this.step(`${speaker.name} books all rooms by its buttons and knob`, () => book(speaker))
        if (!booked.ok) return booked
        const reminded = await this.step("all rooms are reminded", () => waitReminders(rooms, booked.value))
        if (!reminded.ok) return reminded
        const joined = await this.step("each room joins by one press", () => join(rooms))
        if (!joined.ok) return joined
        const heard = await this.step(`${speaker.name} speaks, the others hear it`, () =>
            speak(rooms, sound, this.wav, speaker, listeners),
        )
        if (!heard.ok) return heard
        const muted = await this.step(`${speaker.name} mutes by a press, the others hear nothing`, () =>
            mute(rooms, sound, this.wav, speaker, listeners),
        )
        if (!muted.ok) return muted
        const left = await this.step("all rooms leave", () => leave(rooms))
        if (!left.ok) return left
        return success({ ...boot, ...joined.value, ...heard.value, ...muted.value })
    }

    private async start(): Promise<Outcome<Rooms>> {
        const { signal, onNote } = this.options
        const layout = planLayout(this.network, boards, servers)
        const started = await startSystem(
            {
                stateFolder: joinPath(this.folder, "state"),
                network: this.network,
                layout,
                onEvent: event => {
                    if (event.type === "partDied")
                        onNote?.(`${event.part} died: ${event.end.log.slice(-3).join(" / ")}`)
                },
            },
            signal,
        )
        if (!started.ok) return started
        this.system = started.value
        const sim = simOfRun(started.value.run)
        if (!sim.ok) return sim
        this.rooms = new Rooms(sim.value, layout.boards)
        const listening = await this.rooms.listen()
        return listening.ok ? success(this.rooms) : listening
    }

    private async stop(): Promise<Outcome<undefined>> {
        await this.system?.stop()
        const died = this.system?.died ?? []
        if (died.length === 0) return success(undefined)
        const what = `${died.map(death => death.part).join(", ")} died during the demo`
        return failure("failed", "part-died", what, { who: "maker", details: { log: died[0].end.log } })
    }

    private async step<T>(name: string, act: () => Promise<Outcome<T>>, mayInterrupt = true): Promise<Outcome<T>> {
        const fromMs = performance.now()
        const { signal } = this.options
        const outcome = signal && mayInterrupt ? await Promise.race([act(), interruption(signal)]) : await act()
        const note = outcome.ok ? noteOf(outcome.value) : outcome.what
        const report = { name, ok: outcome.ok, durationMs: Math.round(performance.now() - fromMs), note }
        this.steps.push(report)
        this.options.onStep?.(report)
        return outcome.ok ? outcome : named(name, outcome)
    }
}

function named(step: string, failed: Failure): Failure {
    return { ...failed, what: `step "${step}": ${failed.what}`, details: { ...failed.details, step } }
}

function interruption(signal: AbortSignal): Promise<Failure> {
    const interrupted = failure("interrupted", "interrupted", "interrupted")
    if (signal.aborted) return Promise.resolve(interrupted)
    return new Promise(resolve => signal.addEventListener("abort", () => resolve(interrupted), { once: true }))
}

function noteOf(value: unknown): string {
    if (typeof value !== "object" || value === null || value instanceof Rooms) return ""
    return Object.entries(value)
        .filter(([, figure]) => typeof figure !== "object")
        .map(([name, figure]) => `${name} ${figure}`)
        .join(", ")
}
