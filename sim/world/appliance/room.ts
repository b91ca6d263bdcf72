/**
 * A room in a virtual world: the real firmware on a simulated board with all its hardware, while servers and media engine are
 * played and time passes only in `until` and `pass`. One seed gives one run.
 */

import { Board } from "../../board.ts"
import { VirtualClock } from "../../clock.ts"
import type { ButtonName } from "../../hardware/hardware.ts"
import type { Flash } from "../../vm/flash.ts"
import type { Settings } from "../../vm/provision.ts"
import { Random } from "../random.ts"
import { VirtualEngine } from "./engine.ts"
import { Servers } from "./servers.ts"

const stepMs = 5
/** Nobody watches so closely what happens in a long while. */
const longMs = 10_000
const longStepMs = 25
const holdMs = 60
export const roomId = "board-a"

export interface RoomOptions {
    bytecode: Uint8Array
    services: jdspec.ServiceSpec[]
    flash: Flash
    seed: number
    settings?: Settings
    /** Nothing is written into the flash before the power comes. */
    isProvisioned?: boolean
    /** False: no media engine is plugged in. */
    hasEngine?: boolean
    startWallMs?: number
}

export class VirtualRoom {
    readonly clock: VirtualClock
    readonly servers: Servers
    readonly engine: VirtualEngine
    readonly board: Board

    private constructor(clock: VirtualClock, servers: Servers, engine: VirtualEngine, board: Board) {
        this.clock = clock
        this.servers = servers
        this.engine = engine
        this.board = board
    }

    /** Without power yet. */
    static async create(options: RoomOptions): Promise<VirtualRoom> {
        const { bytecode, services, flash, seed, settings, isProvisioned, hasEngine = true, startWallMs } = options
        const clock = new VirtualClock(startWallMs)
        const servers = new Servers(clock, roomId)
        const engine = new VirtualEngine(clock, services)
        const random = new Random(seed)
        const board = await Board.create({
            id: roomId,
            ipAddress: engine.address.ip,
            bytecode,
            services,
            clock,
            flash,
            media: hasEngine ? engine.face : undefined,
            isProvisioned,
            dial: () => servers.dial(),
            random: () => random.fraction(),
            randomBytes: bytes => Uint8Array.from({ length: bytes }, () => random.word() & 255),
            settings: {
                "p.id": roomId,
                "p.secret": "secret-of-board-a",
                "p.host": "broker",
                "p.port": 1883,
                ...settings,
            },
        })
        return new VirtualRoom(clock, servers, engine, board)
    }

    screen(): string {
        const lines = this.board.display().lines.map(line => line.trimEnd())
        return lines.join("\n")
    }

    /** Lets time pass until it holds; throws with the screen and the log when it does not within `limitMs`. */
    async until(holds: () => boolean, what: string, limitMs = 60_000): Promise<void> {
        if (await this.clock.passUntil(holds, limitMs, stepMs)) return
        const seen = [`not within ${limitMs} virtual ms: ${what}; it shows`, this.screen(), ...this.board.log.last(10)]
        throw new Error(seen.join("\n"))
    }

    async shows(pattern: RegExp, limitMs?: number): Promise<void> {
        await this.until(() => pattern.test(this.screen()), `${pattern} on the screen`, limitMs)
    }

    async pass(ms: number): Promise<void> {
        await this.clock.passUntil(() => false, ms, ms > longMs ? longStepMs : stepMs)
    }

    /** Presses, and lets go before anything else. */
    async press(button: ButtonName, pattern: RegExp): Promise<void> {
        const atMs = this.clock.nowMs()
        this.board.press(button, holdMs)
        await this.shows(pattern)
        await this.until(() => this.clock.nowMs() > atMs + 2 * holdMs, "the release")
    }
}
