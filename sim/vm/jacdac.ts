/**
 * Jacdac frames and packets, as far as the VM host itself speaks them: to start a program and to reach the settings of a
 * machine. Hardware uses jacdac-ts instead.
 *
 *     0 crc16 LE of the rest   2 size of what follows the header   3 flags   4 device id (8)   12 packets
 *     packet: 0 size of the payload   1 service index   2 command LE   4 payload, padded to a multiple of 4
 */

const headerBytes = 12
const packetHeaderBytes = 4
const flagCommand = 1
const announceCommand = 0

export const services = { manager: 0x1134ea2b, settings: 0x1107dc4a, roles: 0x1e4b7e66 }
/** Set of the register that starts the program by itself (0x2000 | 0x81). */
export const setAutostart = 0x2081
export const settingsGet = 0x80
export const settingsSet = 0x81
export const settingsDelete = 0x84

export interface JacdacPacket {
    deviceId: string
    command: boolean
    serviceIndex: number
    code: number
    payload: Buffer
}

/** One command to a service of a device, as a frame. */
export function commandFrame(deviceId: string, serviceIndex: number, code: number, payload: Uint8Array): Buffer {
    const size = (packetHeaderBytes + payload.length + 3) & ~3
    const frame = Buffer.alloc(headerBytes + size)
    frame[2] = size
    frame[3] = flagCommand
    frame.write(deviceId, 4, "hex")
    frame[12] = payload.length
    frame[13] = serviceIndex
    frame.writeUInt16LE(code, 14)
    frame.set(payload, 16)
    frame.writeUInt16LE(crc16(frame.subarray(2)), 0)
    return frame
}

/** The packets of a frame; none when it is not one. */
export function packetsOf(frame: Uint8Array): JacdacPacket[] {
    const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.length)
    const packets: JacdacPacket[] = []
    if (bytes.length < headerBytes || bytes[2] === 0xff) return packets
    const end = Math.min(bytes.length, headerBytes + bytes[2])
    const deviceId = bytes.toString("hex", 4, 12)
    for (let at = headerBytes; at + packetHeaderBytes <= end; ) {
        const size = bytes[at]
        if (at + packetHeaderBytes + size > end) break
        packets.push({
            deviceId,
            command: (bytes[3] & flagCommand) !== 0,
            serviceIndex: bytes[at + 1],
            code: bytes.readUInt16LE(at + 2),
            payload: bytes.subarray(at + packetHeaderBytes, at + packetHeaderBytes + size),
        })
        at += (packetHeaderBytes + size + 3) & ~3
    }
    return packets
}

/** The index of a service in a device's announcement, or 0 when this is none or lacks the service. */
export function serviceIndexIn(packet: JacdacPacket, serviceClass: number): number {
    if (packet.command || packet.serviceIndex !== 0 || packet.code !== announceCommand) return 0
    for (let at = 4; at + 4 <= packet.payload.length; at += 4)
        if (packet.payload.readUInt32LE(at) === serviceClass) return at / 4
    return 0
}

/** CRC-16-CCITT, start 0xffff. */
function crc16(bytes: Uint8Array): number {
    let crc = 0xffff
    for (const byte of bytes) {
        crc ^= byte << 8
        for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff
    }
    return crc
}
