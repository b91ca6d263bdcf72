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

/** Values are written as JSON, which is what `readSetting` of the firmware reads; bytes as they are. Undefined removes a setting. */
export type Settings = Record<string, string | number | Uint8Array | undefined>

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

function encode(key: string, value: Settings[string]): Buffer | undefined {
    if (Buffer.byteLength(key) > keyBytesMax)
        throw new Error(`setting "${key}": the name is longer than ${keyBytesMax} bytes`)
    if (value === undefined) return undefined
    const bytes = value instanceof Uint8Array ? Buffer.from(value) : Buffer.from(JSON.stringify(value))
    if (bytes.length > valueBytesMax)
        throw new Error(`setting "${key}": the value is longer than ${valueBytesMax} bytes`)
    return bytes
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

    let settingsIndex = 0
    const answers = new Map<string, Buffer>()
    const machine = await Machine.create({
        clock,
        deviceId,
        flash,
        onFrame: frame => {
            for (const packet of packetsOf(frame)) {
                settingsIndex ||= serviceIndexIn(packet, services.settings)
                if (packet.command || packet.serviceIndex !== settingsIndex || packet.code !== settingsGet) continue
                const end = packet.payload.indexOf(0)
                if (end > 0)
                    answers.set(packet.payload.toString("utf8", 0, end), Buffer.from(packet.payload.subarray(end + 1)))
            }
        },
    })
    machine.start()
    const send = (code: number, payload: Buffer) =>
        machine.receive(commandFrame(deviceId, settingsIndex, code, payload))
    try {
        if (!clock.advanceUntil(() => settingsIndex > 0, answerMs))
            throw new Error("the machine does not announce itself")
        for (const { key, value } of wanted) {
            const name = Buffer.from(key)
            send(settingsGet, name)
            if (!clock.advanceUntil(() => answers.has(key), answerMs))
                throw new Error("the machine's settings do not answer")
            const present = answers.get(key)!
            if (value === undefined ? present.length === 0 : value.equals(present)) continue
            send(
                value === undefined ? settingsDelete : settingsSet,
                value ? Buffer.concat([name, Buffer.of(0), value]) : name,
            )
            // Long enough for the machine to write it down, far too short for a program to start.
            clock.advance(50)
        }
        if (programChanges) {
            const result = machine.deploy(bytecode)
            if (result !== 0) throw new Error(`the program could not be written into the flash (${result})`)
        }
    } finally {
        machine.stop()
    }
}
