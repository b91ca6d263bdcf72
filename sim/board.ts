/**
 * A simulated board: machine, hardware, radio, media engine and flash memory under one power switch.
 *
 * Owns power, restarts and what is known of crashes. A power cut is instant and without a goodbye: the peers of its sockets
 * hear nothing. Never interprets what the firmware does; what it tells about itself comes through `FirmwareWatch`.
 */

import { createHash } from "node:crypto"
import type { Counters } from "../serial/appliance-counters.ts"
import { type Clock, realClock, type Timer } from "./clock.ts"
import { BoardEvents, type BoardHappening } from "./events.ts"
import { FirmwareWatch, type Phase } from "./hardware/firmware-watch.ts"
import { type ButtonName, type Display, Hardware, screenColumns, screenRows } from "./hardware/hardware.ts"
import type { MediaEngine } from "./media-engine/interface.ts"
import { BoardSerial } from "./serial/board-serial.ts"
import { FileFlash, type Flash, MemoryFlash } from "./vm/flash.ts"
import type { HeapPicture, HeapUse } from "./vm/heap.ts"
import { type LogLine, LogRing } from "./vm/log.ts"
import { Machine, type MachineEnd } from "./vm/machine.ts"
import { provision, type Settings } from "./vm/provision.ts"
import { BoardSocket, type Dial } from "./vm/socket.ts"
import { Wifi, type WifiState } from "./wifi.ts"

export interface BoardOptions {
    id: string
    /** What people call it; the firmware does not know it. */
    name?: string
    /** The board's own IPv4 address: connections come from it. */
    ipAddress: string
    bytecode: Uint8Array
    /** Compiled specs of the project's own services (`.build/services.json`). */
    services: jdspec.ServiceSpec[]
    /** Written into the flash before the first power-on; keys of `src/settings.ts`. */
    settings?: Settings
    /** Path of the flash image; without it the flash lives as long as this object. */
    flashFile?: string
    /** In place of a file. */
    flash?: Flash
    /** The flash has a program and settings, and is taken as it is. */
    isProvisioned?: boolean
    media?: MediaEngine
    clock?: Clock
    events?: BoardEvents
    dial?: Dial
    random?: () => number
    /** What the machine takes for its randomness; the default is the host's. */
    randomBytes?: (bytes: number) => Uint8Array
    /** Measures the heap after every turn of the run loop. */
    measureHeap?: boolean
    /** Collects garbage before every allocation: slow; the measured heap is then what is alive. */
    collectAlways?: boolean
}

export interface Crash {
    atMs: number
    /** Code of the panic (60001 and up); 0 for a fault of the machine itself. */
    code: number
    text: string
    /** The end of the log as it was then. */
    log: string[]
}

export interface BoardStatus {
    id: string
    name: string
    ip: string
    power: "on" | "off"
    phase: Phase | null
    server: string
    session: string
    counters: Counters | null
    /** The last crash since the simulator started. */
    panic: Crash | null
    crashes: number
    /** Milliseconds since power-on. */
    uptimeMs: number
    /** First 16 digits of the SHA-256 of the bytecode. */
    firmware: string
    /** Milliseconds from power-on to the first time in each phase. */
    bootMs: Partial<Record<Phase, number>>
    /** When the power came, on the simulator's clock. */
    poweredAtMs: number | null
    wifi: WifiState
    heap: HeapUse | null
    heapPeakBytes: number
}

/** As the board: a crashed program starts again after 5 s; the machine does that itself, faults are ours. */
const faultRestartMs = 5000
const resetMs = 50
const crashLogLines = 20

const panicTexts: Record<number, string> = {
    60000: "reboot",
    60001: "too many steps without a pause",
    60002: "internal error",
    60004: "out of memory",
    60005: "an exception that nobody caught",
    60006: "calls nested too deeply",
}

export class Board {
    readonly id: string
    readonly name: string
    readonly events: BoardEvents
    readonly wifi = new Wifi()
    readonly log: LogRing
    readonly media: MediaEngine | undefined
    /** The USB port: whoever plugs a stream into it is on the board's bus. */
    readonly serial: BoardSerial
    readonly #options: BoardOptions
    readonly #clock: Clock
    readonly #flash: Flash
    readonly #watch: FirmwareWatch
    readonly #firmware: string
    #listeners: ((frame: Uint8Array) => void)[] = []
    #machine: Machine | undefined
    #hardware: Hardware | undefined
    #poweredAtMs: number | undefined
    #bootMs: Partial<Record<Phase, number>> = {}
    #restart: Timer | undefined
    #crash: Crash | undefined
    #crashes = 0
    #heapPeakBytes = 0
    #heapPicture: HeapPicture | undefined
    /** Counts power switches, so that work of a former power-on does not act on a later one. */
    #epoch = 0

    private constructor(options: BoardOptions, flash: Flash) {
        this.id = options.id
        this.name = options.name ?? options.id
        this.#options = options
        this.#clock = options.clock ?? realClock
        this.events = options.events ?? new BoardEvents()
        this.log = new LogRing(this.#clock)
        this.media = options.media
        this.#flash = flash
        this.#firmware = createHash("sha256").update(options.bytecode).digest("hex").slice(0, 16)
        this.#watch = new FirmwareWatch({
            clock: this.#clock,
            onFrame: frame => this.#machine?.receive(frame),
            onPhase: (phase, atMs) => this.#onPhase(phase, atMs),
        })
        this.serial = new BoardSerial(frame => {
            this.#machine?.receive(frame)
            this.#hardware?.receive(frame)
        })
        this.wifi.onChange(() => this.#emit({ type: "wifi", ...this.wifi.state }))
    }

    /** A board with its flash provisioned, without power. Throws when the flash or the bytecode is unusable. */
    static async create(options: BoardOptions): Promise<Board> {
        const kept = options.flashFile === undefined ? new MemoryFlash() : new FileFlash(options.flashFile)
        const { bytecode, settings = {}, flash = kept } = options
        if (!options.isProvisioned) await provision({ flash, deviceId: machineId(options.id), bytecode, settings })
        return new Board(options, flash)
    }

    get power(): "on" | "off" {
        return this.#poweredAtMs === undefined ? "off" : "on"
    }

    get phase(): Phase | undefined {
        return this.#watch.state.phase
    }

    /** Resolves when the program is about to start. Nothing happens when the power is on already. */
    async powerOn(): Promise<void> {
        if (this.#poweredAtMs !== undefined) return
        const epoch = ++this.#epoch
        this.#poweredAtMs = this.#clock.nowMs()
        this.#bootMs = {}
        this.#emit({ type: "power", on: true })
        if (this.media) {
            const started = await this.media.start()
            if (epoch !== this.#epoch) return
            // The room is deaf and mute then, which is for the firmware to notice; the board itself runs.
            if (!started.ok) this.#say(`! media engine: ${started.what}`)
        }
        this.#hardware = new Hardware({
            clock: this.#clock,
            deviceId: hardwareId(this.id),
            wifi: this.wifi,
            ipAddress: this.#options.ipAddress,
            services: this.#options.services,
            media: this.media?.server,
            onFrame: frame => {
                this.serial.frame(frame)
                this.#machine?.receive(frame)
            },
            onEvent: event => this.#emit(event),
        })
        await this.#boot(epoch)
    }

    /** Cuts the power: at once, whatever the board is doing. */
    powerOff(): void {
        if (this.#poweredAtMs === undefined) return
        this.#epoch++
        this.#poweredAtMs = undefined
        this.#restart?.cancel()
        this.#machine?.stop()
        this.#machine = undefined
        this.#hardware?.stop()
        this.#hardware = undefined
        this.#watch.reset()
        this.serial.reset()
        void this.media?.stop()
        this.#emit({ type: "power", on: false })
    }

    async powerCycle(): Promise<void> {
        this.powerOff()
        await this.powerOn()
    }

    /** A restart of the machine alone, as by its reset pin: hardware and media engine keep their power. */
    async reset(): Promise<void> {
        if (this.#poweredAtMs === undefined) return
        const epoch = ++this.#epoch
        this.#restart?.cancel()
        this.#machine?.stop()
        await this.#boot(epoch)
    }

    /** The time of the press, or undefined without power. */
    press(button: ButtonName, holdMs?: number): number | undefined {
        const atMs = this.#hardware?.press(button, holdMs)
        if (atMs !== undefined) this.#emit({ type: "press", button }, atMs)
        return atMs
    }

    /** Turns the knob by clicks; the time, or undefined without power. */
    turn(steps: number): number | undefined {
        const atMs = this.#hardware?.turn(steps)
        if (atMs !== undefined) this.#emit({ type: "turn", steps }, atMs)
        return atMs
    }

    display(): Display {
        const dark = { lines: Array<string>(screenRows).fill(" ".repeat(screenColumns)), led: "#000000", tones: [] }
        return this.#hardware?.display() ?? dark
    }

    logLines(): readonly LogLine[] {
        return this.log.lines
    }

    /** What is known without asking the firmware; `freshStatus` asks it for its counters first. */
    status(): BoardStatus {
        const { phase, server, session, counters } = this.#watch.state
        return {
            id: this.id,
            name: this.name,
            ip: this.#options.ipAddress,
            power: this.power,
            phase: phase ?? null,
            server,
            session,
            counters: counters ?? null,
            panic: this.#crash ?? null,
            crashes: this.#crashes,
            uptimeMs: this.#poweredAtMs === undefined ? 0 : this.#clock.nowMs() - this.#poweredAtMs,
            firmware: this.#firmware,
            bootMs: { ...this.#bootMs },
            poweredAtMs: this.#poweredAtMs ?? null,
            wifi: this.wifi.state,
            heap: this.#machine?.heap() ?? null,
            heapPeakBytes: this.#heapPeakBytes,
        }
    }

    /** The memory at the peak of the heap; kept with `collectAlways`, when all that it holds is alive. */
    get heapPicture(): HeapPicture | undefined {
        return this.#heapPicture
    }

    /** From now on garbage is collected before every allocation, or as usual: what the heap then holds is alive. */
    stressCollector(on: boolean): void {
        this.#machine?.stressCollector(on)
    }

    /** Every frame of the firmware from now on. */
    onFrame(listener: (frame: Uint8Array) => void): void {
        this.#listeners.push(listener)
    }

    /** A frame from another device on the bus, as from a tool at the serial port. */
    sendFrame(frame: Uint8Array): void {
        this.#machine?.receive(frame)
    }

    async freshStatus(): Promise<BoardStatus> {
        await this.#watch.fresh()
        return this.status()
    }

    /** Resolves when the board is in one of `wanted`; rejects with what it shows instead after `limitMs` of real time. */
    async reached(wanted: Phase | Phase[], limitMs = 30_000): Promise<Phase> {
        const list = Array.isArray(wanted) ? wanted : [wanted]
        const now = this.phase
        if (now && list.includes(now)) return now
        try {
            const event = await this.events.next(
                `${this.id} in ${list.join(" or ")}`,
                event => event.board === this.id && event.type === "phase" && list.includes(event.phase),
                limitMs,
            )
            return (event as { phase: Phase }).phase
        } catch (error) {
            const shown = [...this.display().lines, ...this.log.last(15)].join("\n")
            throw new Error(`${(error as Error).message}; it is in ${this.phase ?? "no phase"}\n${shown}`)
        }
    }

    async #boot(epoch: number): Promise<void> {
        this.#watch.reset()
        this.serial.reset()
        const machine = await Machine.create({
            clock: this.#clock,
            deviceId: machineId(this.id),
            flash: this.#flash,
            sockets: new BoardSocket({
                clock: this.#clock,
                wifi: this.wifi,
                localAddress: this.#options.ipAddress,
                dial: this.#options.dial,
                random: this.#options.random,
            }),
            random: this.#options.randomBytes,
            onFrame: frame => {
                // In the middle of a turn, where what the turn needs most is not collected yet.
                if (this.#options.measureHeap) this.#measureHeap()
                this.serial.frame(frame)
                for (const listener of this.#listeners) listener(frame)
                this.#watch.receive(frame)
                this.#hardware?.receive(frame)
            },
            onLog: line => this.#say(line),
            onPanic: code => this.#onPanic(code),
            onEnd: end => this.#onEnd(end),
            onTurn: this.#options.measureHeap ? () => this.#measureHeap() : undefined,
        })
        if (epoch !== this.#epoch) return machine.stop()
        this.#machine = machine
        machine.start()
        if (this.#options.collectAlways) machine.stressCollector(true)
        // The hardware first, so that every role is bound when the program starts.
        this.#hardware?.announce()
        machine.startProgram()
    }

    #onPhase(phase: Phase, atMs: number): void {
        if (this.#poweredAtMs !== undefined) this.#bootMs[phase] ??= atMs - this.#poweredAtMs
        const { server, session } = this.#watch.state
        this.#emit({ type: "phase", phase, server, session }, atMs)
    }

    /** The machine starts the program again by itself, a second after a wanted end and five after a panic. */
    #onPanic(code: number): void {
        this.#watch.reset()
        if (code !== 0) this.#crashed(code, panicTexts[code] ?? "unknown panic")
    }

    #onEnd(end: MachineEnd): void {
        this.#machine = undefined
        this.#watch.reset()
        if (end.type === "fault") this.#crashed(0, end.text)
        const epoch = ++this.#epoch
        this.#restart = this.#clock.after(end.type === "fault" ? faultRestartMs : resetMs, () => {
            if (epoch === this.#epoch)
                this.#boot(epoch).catch(error => this.#say(`! restart: ${(error as Error).message}`))
        })
    }

    #crashed(code: number, text: string): void {
        this.#crashes++
        this.#crash = { atMs: this.#clock.nowMs(), code, text, log: this.log.last(crashLogLines) }
        this.#emit({ type: "panic", code, text })
    }

    #measureHeap(): void {
        const usedBytes = this.#machine?.heap()?.usedBytes ?? 0
        if (usedBytes <= this.#heapPeakBytes) return
        this.#heapPeakBytes = usedBytes
        if (this.#options.collectAlways) this.#heapPicture = this.#machine?.heapPicture()
    }

    #say(line: string): void {
        this.log.add(line)
        this.serial.log(line)
        this.#emit({ type: "log", line })
    }

    #emit(happening: BoardHappening, atMs = this.#clock.nowMs()): void {
        this.events.emit({ board: this.id, atMs, ...happening })
    }
}

/** Jacdac ids that stay the same for a board, so that its roles and settings do. */
export function machineId(id: string): string {
    return createHash("sha256").update(`machine ${id}`).digest("hex").slice(0, 16)
}

export function hardwareId(id: string): string {
    return createHash("sha256").update(`hardware ${id}`).digest("hex").slice(0, 16)
}
