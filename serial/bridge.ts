/**
 * The USB bridge of a board: frames that are meant for the port itself, to switch packets and the log on and off. They are
 * addressed to the service class, not to a device. Owns these frames; never opens a port.
 */

import { sealed } from "./framing.ts"
import { jacdac } from "./jacdac.ts"

export const bridgeCommands = { disablePackets: 0x80, enablePackets: 0x81, disableLog: 0x82, enableLog: 0x83 } as const

const addressedToClass = 4
const isCommand = 1
const loopback = 64
const broadcastMark = 0xaaaaaaaa
const broadcastService = 61
const frameBytes = 16

export function bridgeFrame(command: number): Buffer {
    const frame = Buffer.alloc(frameBytes)
    frame[2] = 4
    frame[3] = addressedToClass | isCommand | loopback
    frame.writeUInt32LE(jacdac.SRV_USB_BRIDGE, 4)
    frame.writeUInt32LE(broadcastMark, 8)
    frame[13] = broadcastService
    frame.writeUInt16LE(command, 14)
    return sealed(frame)
}

/** The answer of a board to such a frame: the same, as a report. */
export function bridgeAnswer(frame: Uint8Array): Buffer {
    const answer = Buffer.from(frame)
    answer[3]! &= ~isCommand
    return sealed(answer)
}

/** Which command of the bridge a frame is; undefined when it is for the bus. */
export function bridgeCommandOf(frame: Buffer): number | undefined {
    const isBridge = (frame[3]! & addressedToClass) !== 0 && frame.readUInt32LE(4) === jacdac.SRV_USB_BRIDGE
    return isBridge && frame.length >= frameBytes ? frame.readUInt16LE(14) : undefined
}
