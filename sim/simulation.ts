/**
 * All boards of one process, made from a configuration, with one stream of events. Owns their life from first power-on to
 * the end; the control API and tests reach the boards through it.
 */

import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { Board } from "./board.ts"
import { type Clock, realClock } from "./clock.ts"
import type { BoardConfig, SimConfig } from "./config.ts"
import { BoardEvents } from "./events.ts"
import { createMediaEngine } from "./media-engine/index.ts"

const root = fileURLToPath(new URL("..", import.meta.url))
export const defaultFirmware = `${root}.build/firmware/room-panel.devs`
const servicesFile = `${root}.build/services.json`
const defaultMediaPort = 5004

export class Simulation {
    readonly boards = new Map<string, Board>()
    readonly events = new BoardEvents()
    readonly clock: Clock

    private constructor(clock: Clock) {
        this.clock = clock
    }

    /** All boards, without power. Throws with a reason for people when firmware, flash or media are unusable. */
    static async create(config: SimConfig, clock: Clock = realClock): Promise<Simulation> {
        const simulation = new Simulation(clock)
        const bytecode = readBuilt(config.firmware ?? defaultFirmware, "the firmware")
        const services = readServices()
        for (const board of config.boards)
            simulation.boards.set(board.id, await simulation.#make(board, config, bytecode, services))
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
        const powered = config.boards.filter(board => board.powered !== false)
        await Promise.all(powered.map(board => this.boards.get(board.id)!.powerOn()))
    }

    /** Power off for all; resolves when recordings are complete. */
    async stop(): Promise<void> {
        for (const board of this.boards.values()) board.powerOff()
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
