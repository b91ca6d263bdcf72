/**
 * Provisioning: puts settings and the program into a flash image, as a maker's flashing station does before a board ships.
 *
 * Runs the flash on a machine of its own under virtual time, so that it takes milliseconds, and changes only what differs:
 * settings that the firmware keeps for itself stay.
 */

import { VirtualClock } from "../clock.ts"
import { FileFlash, type Flash } from "./flash.ts"
import {
    commandFrame,
    packetsOf,
    serviceIndexIn,
    services,
    settingsDelete,
    settingsGet,
    settingsSet,
} from "./jacdac.ts"
import { Machine, padToBlock, verifyBytecode } from "./machine.ts"

/** Values are written as JSON, which is what `readSetting` of the firmware reads. Undefined removes a setting. */
export type Settings = Record<string, string | number | undefined>

export interface ProvisionOptions {
    flash: Flash
    deviceId: string
    bytecode: Uint8Array
    settings: Settings
}

const keyBytesMax = 13
const valueBytesMax = 220
const answerMs = 1000

/** Throws when a setting does not fit, or the bytecode is not acceptable to the machine. */
export async function provision(options: ProvisionOptions): Promise<void> {
    const wanted = Object.entries(options.settings).map(([key, value]) => ({ key, value: encode(key, value) }))
    const work = () => writeAll(options, wanted)
    if (options.flash instanceof FileFlash) await options.flash.hold(work)
    else await work()
}

function encode(key: string, value: string | number | undefined): Buffer | undefined {
    if (Buffer.byteLength(key) > keyBytesMax)
        throw new Error(`setting "${key}": the name is longer than ${keyBytesMax} bytes`)
    if (value === undefined) return undefined
    const bytes = Buffer.from(JSON.stringify(value))
    if (bytes.length > valueBytesMax)
        throw new Error(`setting "${key}": the value is longer than ${valueBytesMax} bytes`)
    return bytes
}

/** What a machine finds in its flash under `keys`; empty where there is nothing. Changes nothing. */
export async function readSettings(
    flash: Flash,
    deviceId: string,
    keys: readonly string[],
): Promise<Map<string, Buffer>> {
    const clock = new VirtualClock()
    const copy: Flash = { load: () => flash.load(), save: () => {} }
    const bench = await SettingsBench.start(clock, copy, deviceId)
    try {
        const found = new Map<string, Buffer>()
        for (const key of keys) found.set(key, bench.read(key))
        return found
    } finally {
        bench.machine.stop()
    }
}

/** A machine on the maker's bench, asked for its settings before its program starts. */
class SettingsBench {
    readonly machine: Machine
    readonly #clock: VirtualClock
    readonly #deviceId: string
    readonly #index: number
    readonly #answers: Map<string, Buffer>

    private constructor(
        machine: Machine,
        clock: VirtualClock,
        deviceId: string,
        index: number,
        answers: Map<string, Buffer>,
    ) {
        this.machine = machine
        this.#clock = clock
        this.#deviceId = deviceId
        this.#index = index
        this.#answers = answers
    }

    static async start(clock: VirtualClock, flash: Flash, deviceId: string): Promise<SettingsBench> {
        let index = 0
        const answers = new Map<string, Buffer>()
        const machine = await Machine.create({
            clock,
            deviceId,
            flash,
            onFrame: frame => {
                for (const packet of packetsOf(frame)) {
                    index ||= serviceIndexIn(packet, services.settings)
                    if (packet.command || packet.serviceIndex !== index || packet.code !== settingsGet) continue
                    const end = packet.payload.indexOf(0)
                    if (end > 0)
                        answers.set(
                            packet.payload.toString("utf8", 0, end),
                            Buffer.from(packet.payload.subarray(end + 1)),
                        )
                }
            },
        })
        machine.start()
        if (clock.advanceUntil(() => index > 0, answerMs))
            return new SettingsBench(machine, clock, deviceId, index, answers)
        machine.stop()
        throw new Error("the machine does not announce itself")
    }

    send(code: number, payload: Buffer): void {
        this.machine.receive(commandFrame(this.#deviceId, this.#index, code, payload))
    }

    read(key: string): Buffer {
        this.#answers.delete(key)
        this.send(settingsGet, Buffer.from(key))
        if (!this.#clock.advanceUntil(() => this.#answers.has(key), answerMs))
            throw new Error("the machine's settings do not answer")
        return this.#answers.get(key)!
    }
}

async function writeAll(
    options: ProvisionOptions,
    wanted: { key: string; value: Buffer | undefined }[],
): Promise<void> {
    const { flash, deviceId, bytecode } = options
    const clock = new VirtualClock()
    const program = Buffer.from(padToBlock(bytecode))
    const programChanges = Buffer.from(flash.load()).indexOf(program) < 0
    if (programChanges && !(await verifyBytecode(clock, bytecode)))
        throw new Error("the machine refuses this bytecode: it is damaged or made for another version")

    const bench = await SettingsBench.start(clock, flash, deviceId)
    try {
        for (const { key, value } of wanted) {
            const name = Buffer.from(key)
            const present = bench.read(key)
            if (value === undefined ? present.length === 0 : value.equals(present)) continue
            bench.send(
                value === undefined ? settingsDelete : settingsSet,
                value ? Buffer.concat([name, Buffer.of(0), value]) : name,
            )
            // Long enough for the machine to write it down, far too short for a program to start.
            clock.advance(50)
        }
        if (programChanges) {
            const result = bench.machine.deploy(bytecode)
            if (result !== 0) throw new Error(`the program could not be written into the flash (${result})`)
        }
    } finally {
        bench.machine.stop()
    }
}
