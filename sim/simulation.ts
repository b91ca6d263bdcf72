/**
 * All boards of one process, made from a configuration, with one stream of events. Owns their life from first power-on to
 * the end; the control API and tests reach the boards through it.
 */

import { readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import type { Outcome } from "../media/outcome.ts"
import { Board } from "./board.ts"
import { type Clock, realClock } from "./clock.ts"
import type { BoardConfig, SimConfig } from "./config.ts"
import { BoardEvents } from "./events.ts"
import { createMediaEngine } from "./media-engine/index.ts"
import { openPty, type Pty, type PtyRefusal } from "./serial/pty.ts"

const root = fileURLToPath(new URL("..", import.meta.url))
export const defaultFirmware = `${root}.build/firmware/room-panel.devs`
const servicesFile = `${root}.build/services.json`
const defaultMediaPort = 5004

export class Simulation {
    readonly boards = new Map<string, Board>()
    readonly events = new BoardEvents()
    readonly clock: Clock
    readonly #ports = new Map<string, Promise<Outcome<Pty, PtyRefusal>>>()
    readonly #portPaths = new Map<string, string>()

    private constructor(clock: Clock) {
        this.clock = clock
    }

    /** All boards, without power. Throws with a reason for people when firmware, flash or media are unusable. */
    static async create(config: SimConfig, clock: Clock = realClock): Promise<Simulation> {
        const simulation = new Simulation(clock)
        const bytecode = readBuilt(config.firmware ?? defaultFirmware, "the firmware")
        const services = readServices()
        const folder = join(dirname(config.control.tokenFile), "serial")
        for (const board of config.boards) {
            simulation.boards.set(board.id, await simulation.#make(board, config, bytecode, services))
            simulation.#portPaths.set(board.id, board.serial ?? join(folder, board.id))
        }
        return simulation
    }

    async #make(
        config: BoardConfig,
        { broker }: SimConfig,
        bytecode: Buffer,
        services: jdspec.ServiceSpec[],
    ): Promise<Board> {
        const { id } = config
        const media = createMediaEngine({
            ipAddress: config.ip,
            port: config.mediaPort ?? defaultMediaPort,
            delaysMs: config.delaysMs ?? {},
            jitterMs: config.jitterMs ?? 0,
            lossPercent: config.lossPercent ?? 0,
            clockPpm: config.clockPpm ?? 0,
            services,
            log: (event, details) =>
                this.events.emit({ board: id, atMs: this.clock.nowMs(), type: "media", what: event, details }),
        })
        const provisioned = config.secret !== undefined
        const board = await Board.create({
            id,
            name: config.name,
            ipAddress: config.ip,
            bytecode,
            services,
            flashFile: config.flash,
            settings: {
                "p.id": provisioned ? id : undefined,
                "p.secret": config.secret,
                "p.host": provisioned ? broker.host : undefined,
                "p.port": provisioned ? broker.port : undefined,
                ...(config.zoneMinutes === undefined ? {} : { tz: config.zoneMinutes }),
            },
            media,
            clock: this.clock,
            events: this.events,
        })
        for (const [what, outcome] of [
            [
                "microphone",
                config.microphone ? await media.setMicrophone(config.microphone, { loop: true }) : undefined,
            ],
            ["speaker", config.speaker ? await media.setSpeaker(config.speaker) : undefined],
        ] as const)
            if (outcome && !outcome.ok) throw new Error(`board ${id}: ${what}: ${outcome.what}`)
        return board
    }

    /** Switches on what is not configured to wait. */
    async start(config: SimConfig): Promise<void> {
        for (const { id, serial } of config.boards) {
            const plugged = serial === undefined ? undefined : await this.plugSerial(this.boards.get(id)!)
            if (plugged && !plugged.ok) throw new Error(`board ${id}: ${plugged.what}`)
        }
        const powered = config.boards.filter(board => board.powered !== false)
        await Promise.all(powered.map(board => this.boards.get(board.id)!.powerOn()))
    }

    /** Plugs a cable into the board's serial port, if there is none; the path at which a host opens it. */
    async plugSerial(board: Board): Promise<Outcome<{ path: string }, PtyRefusal>> {
        const path = this.#portPaths.get(board.id)!
        const present = this.#ports.get(board.id)
        const opening = present ?? openPty(path)
        this.#ports.set(board.id, opening)
        const opened = await opening
        if (!opened.ok) {
            this.#ports.delete(board.id)
            return opened
        }
        if (present) return { ok: true, value: { path } }
        board.serial.plug(opened.value.stream)
        // Somebody may have ended the program that makes the port.
        opened.value.stream.once("close", () => {
            if (this.#ports.get(board.id) === opening) this.#ports.delete(board.id)
        })
        return { ok: true, value: { path } }
    }

    /** Pulls the cable. */
    async unplugSerial(board: Board): Promise<void> {
        const opened = await this.#ports.get(board.id)
        this.#ports.delete(board.id)
        board.serial.unplug()
        if (opened?.ok) await opened.value.unplug()
    }

    /** Power off for all; resolves when recordings are complete. */
    async stop(): Promise<void> {
        for (const board of this.boards.values()) board.powerOff()
        await Promise.all([...this.boards.values()].map(board => this.unplugSerial(board)))
        await Promise.all([...this.boards.values()].map(board => board.media?.stop()))
    }
}

export function readServices(): jdspec.ServiceSpec[] {
    return JSON.parse(readBuilt(servicesFile, "the service specifications").toString("utf8"))
}

function readBuilt(path: string, what: string): Buffer {
    try {
        return readFileSync(path)
    } catch (error) {
        const code = (error as NodeJS.ErrnoException).code
        if (code !== "ENOENT") throw error
        throw new Error(`${what} is not there (${path}): run \`node build/setup.mjs\``)
    }
}
