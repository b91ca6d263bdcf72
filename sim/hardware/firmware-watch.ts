/**
 * Listens to the firmware's own Jacdac service (services/appliance.md) and keeps what it told last.
 *
 * Finds the service wherever the firmware announces it, reads its registers then and when somebody asks for its counters,
 * and takes what an event tells. Never writes anything to the firmware, and asks as little as it can: the machine sends 50
 * packets a second at most, answers among them.
 */

import { type Counters, countersRegister, readCounters } from "../../serial/appliance-counters.ts"
import type { Clock } from "../clock.ts"
import { commandFrame, packetsOf, serviceIndexIn } from "../vm/jacdac.ts"

export const applianceClass = 0x1a5b3c21

const getRegister = 0x1000
const eventFlag = 0x8000
const phaseRegister = 0x180
const serverRegister = 0x181
const sessionRegister = 0x182
const phaseChangedEvent = 0x80

export const phases = [
    "Unprovisioned",
    "Connecting",
    "Refused",
    "Registering",
    "Choosing",
    "Attaching",
    "Idle",
    "Reminding",
    "Joining",
    "InSession",
    "Leaving",
] as const
export type Phase = (typeof phases)[number]

export interface FirmwareState {
    /** Undefined until the firmware has told. */
    phase: Phase | undefined
    server: string
    session: string
    counters: Counters | undefined
}

export interface FirmwareWatchOptions {
    clock: Clock
    onFrame: (frame: Uint8Array) => void
    /** With the time at which the frame came. */
    onPhase?: (phase: Phase, atMs: number) => void
}

export class FirmwareWatch {
    readonly #options: FirmwareWatchOptions
    #deviceId = ""
    #index = 0
    #lastEvent = -1
    #askedMs = Number.NEGATIVE_INFINITY
    #waiting: (() => void)[] = []
    state: FirmwareState = { phase: undefined, server: "", session: "", counters: undefined }

    constructor(options: FirmwareWatchOptions) {
        this.#options = options
    }

    /** A frame from the firmware. */
    receive(frame: Uint8Array): void {
        // Commands are for hardware; most of what the firmware sends is that.
        if ((frame[3] & 1) !== 0) return
        for (const packet of packetsOf(frame)) {
            if (packet.serviceIndex === 0) {
                const index = serviceIndexIn(packet, applianceClass)
                if (index > 0 && (index !== this.#index || packet.deviceId !== this.#deviceId)) {
                    this.#deviceId = packet.deviceId
                    this.#index = index
                    this.#ask()
                }
                continue
            }
            if (packet.deviceId !== this.#deviceId || packet.serviceIndex !== this.#index) continue
            if ((packet.code & eventFlag) !== 0) this.#onEvent(packet.code, packet.payload)
            else if ((packet.code & 0xf000) === getRegister) this.#onReport(packet.code & 0xfff, packet.payload)
        }
    }

    /** The firmware has restarted: what it told is void. */
    reset(): void {
        this.#deviceId = ""
        this.#index = 0
        this.#lastEvent = -1
        this.state = { phase: undefined, server: "", session: "", counters: undefined }
    }

    /** The state with counters not older than a moment, or the last known when the firmware does not answer in time. */
    async fresh(limitMs = 150): Promise<FirmwareState> {
        if (this.#index === 0) return this.state
        await new Promise<void>(resolve => {
            const done = () => {
                timer.cancel()
                resolve()
            }
            const timer = this.#options.clock.after(limitMs, () => {
                this.#waiting = this.#waiting.filter(other => other !== done)
                resolve()
            })
            this.#waiting.push(done)
            this.#ask()
        })
        return this.state
    }

    #ask(): void {
        const nowMs = this.#options.clock.nowMs()
        // Answers come in order, so one question is enough for all who ask at the same time.
        if (nowMs - this.#askedMs < 5 && this.#waiting.length > 1) return
        this.#askedMs = nowMs
        this.#read(phaseRegister, serverRegister, sessionRegister, countersRegister)
    }

    #read(...wanted: number[]): void {
        for (const register of wanted)
            this.#options.onFrame(commandFrame(this.#deviceId, this.#index, getRegister | register, Buffer.alloc(0)))
    }

    #onEvent(code: number, payload: Buffer): void {
        const counter = (code >> 8) & 0x7f
        // Events are sent three times.
        if (counter === this.#lastEvent) return
        this.#lastEvent = counter
        if ((code & 0xff) !== phaseChangedEvent || payload.length < 1) return
        const serverEnd = payload.indexOf(0, 1)
        if (serverEnd > 0) {
            const session = payload.toString("utf8", serverEnd + 1)
            this.state = { ...this.state, server: payload.toString("utf8", 1, serverEnd), session }
        }
        this.#enter(payload[0])
    }

    #onReport(register: number, payload: Buffer): void {
        switch (register) {
            case phaseRegister:
                if (payload.length >= 1) this.#enter(payload[0])
                return
            case serverRegister:
                this.state = { ...this.state, server: textOf(payload) }
                return
            case sessionRegister:
                this.state = { ...this.state, session: textOf(payload) }
                return
            case countersRegister: {
                const counters = readCounters(payload)
                if (!counters) return
                this.state = { ...this.state, counters }
                const waiting = this.#waiting
                this.#waiting = []
                for (const done of waiting) done()
            }
        }
    }

    #enter(number: number): void {
        const phase = phases[number]
        if (phase === undefined || phase === this.state.phase) return
        this.state = { ...this.state, phase }
        this.#options.onPhase?.(phase, this.#options.clock.nowMs())
    }
}

function textOf(payload: Buffer): string {
    const end = payload.indexOf(0)
    return payload.toString("utf8", 0, end < 0 ? payload.length : end)
}
