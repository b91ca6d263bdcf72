/**
 * A field tool on the bus of a virtual room: asks the firmware's service (services/appliance.md) for its registers and gives it
 * commands, as frames.
 */

import { applianceClass } from "../../hardware/firmware-watch.ts"
import { commandFrame, packetsOf, serviceIndexIn } from "../../vm/jacdac.ts"
import type { VirtualRoom } from "./room.ts"

const registers = { health: 0x184, identity: 0x185, trial: 0x186, verdicts: 0x187 }
const commands = { trySettings: 0x80, selfTest: 0x81, identify: 0x82, factoryReset: 0x83 }
const getRegister = 0x1000

export interface Health {
    clockErrorMs: number
    ended: number
    denial: number
    media: number
    reason: string
    socket: string
}

export class Tool {
    readonly #room: VirtualRoom
    #deviceId = ""
    #index = 0
    #answers = new Map<number, Buffer>()

    constructor(room: VirtualRoom) {
        this.#room = room
        room.board.onFrame(frame => this.#take(frame))
    }

    command(name: keyof typeof commands, payload = Buffer.alloc(0)): void {
        this.#room.board.sendFrame(commandFrame(this.#deviceId, this.#index, commands[name], payload))
    }

    async health(): Promise<Health> {
        const bytes = await this.#read("health")
        const [reason, socket] = textsOf(bytes.subarray(7))
        return {
            clockErrorMs: bytes.readUInt32LE(0),
            ended: bytes[4],
            denial: bytes[5],
            media: bytes[6],
            reason,
            socket,
        }
    }

    async identity(): Promise<{ id: string; board: string; name: string; firmware: string }> {
        const [id, board, name, firmware] = textsOf(await this.#read("identity"))
        return { id, board, name, firmware }
    }

    async trial(): Promise<number> {
        return (await this.#read("trial"))[0]
    }

    async verdicts(): Promise<number[]> {
        return [...(await this.#read("verdicts"))]
    }

    async #read(name: keyof typeof registers): Promise<Buffer> {
        const code = getRegister | registers[name]
        this.#answers.delete(code)
        const ask = () => this.#room.board.sendFrame(commandFrame(this.#deviceId, this.#index, code, Buffer.alloc(0)))
        await this.#room.until(() => this.#index > 0, "the service's announcement")
        ask()
        await this.#room.until(() => this.#answers.has(code), `the register ${name}`, 2000)
        return this.#answers.get(code)!
    }

    #take(frame: Uint8Array): void {
        if ((frame[3] & 1) !== 0) return
        for (const packet of packetsOf(frame)) {
            const index = serviceIndexIn(packet, applianceClass)
            if (index > 0) {
                this.#deviceId = packet.deviceId
                this.#index = index
            } else if (packet.deviceId === this.#deviceId && packet.serviceIndex === this.#index)
                this.#answers.set(packet.code, Buffer.from(packet.payload))
        }
    }
}

/** Texts one after the other, each but the last with a NUL after it. */
function textsOf(bytes: Buffer): string[] {
    return bytes.toString("utf8").split("\0")
}
