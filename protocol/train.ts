/**
 * Packet trains between routing servers, from which the capacity of a path is estimated: equal packets sent back to back
 * leave the narrowest link as far apart as it takes to send one. Never imported by the firmware.
 *
 *     packet   0  "PLTR"   4  version 1   5  kind 1   6  index u8   7  count u8   8  tag u32 BE   12.. 0   1200 bytes in all
 *     answer   0  "PLTR"   4  version 1   5  kind 2   6  packets that came u8   7  count u8   8  tag u32 BE
 *              12  for each that came, in order: index u8, time since the first one in us u24 BE (at most 16.7 s)
 *
 * One answer comes for a whole train, and it is shorter than one packet of it; only servers of the list are answered. So
 * nobody gains anything by a forged source address. The first byte is that of an endpoint's probe (`probe.ts`), the fourth
 * is not.
 */

export const trainPacketBytes = 1200
export const trainPacketsMax = 48
const magic = 0x504c5452
const headBytes = 12
const packetKind = 1
const answerKind = 2
const longestUs = 0xffffff

export interface TrainPacket {
    index: number
    count: number
    tag: number
}

export interface TrainArrival {
    index: number
    /** Since the first packet that came. */
    afterUs: number
}

export interface TrainAnswer {
    count: number
    tag: number
    arrivals: TrainArrival[]
}

export function writeTrainPacket(packet: TrainPacket): Buffer {
    const datagram = Buffer.alloc(trainPacketBytes)
    writeHead(datagram, packetKind, packet.index, packet.count, packet.tag)
    return datagram
}

export function readTrainPacket(datagram: Buffer): TrainPacket | undefined {
    if (datagram.length !== trainPacketBytes || kindOf(datagram) !== packetKind) return undefined
    const [index, count] = [datagram[6], datagram[7]]
    if (count < 2 || count > trainPacketsMax || index >= count) return undefined
    return { index, count, tag: datagram.readUInt32BE(8) }
}

export function writeTrainAnswer(answer: TrainAnswer): Buffer {
    const datagram = Buffer.alloc(headBytes + 4 * answer.arrivals.length)
    writeHead(datagram, answerKind, answer.arrivals.length, answer.count, answer.tag)
    let at = headBytes
    for (const { index, afterUs } of answer.arrivals) {
        datagram[at] = index
        at = datagram.writeUIntBE(Math.max(0, Math.min(longestUs, Math.round(afterUs))), at + 1, 3)
    }
    return datagram
}

export function readTrainAnswer(datagram: Buffer): TrainAnswer | undefined {
    if (datagram.length < headBytes || kindOf(datagram) !== answerKind) return undefined
    const [came, count] = [datagram[6], datagram[7]]
    if (came > count || count > trainPacketsMax || datagram.length !== headBytes + 4 * came) return undefined
    const arrivals: TrainArrival[] = []
    for (let at = headBytes; at < datagram.length; at += 4) {
        const arrival = { index: datagram[at], afterUs: datagram.readUIntBE(at + 1, 3) }
        const before = arrivals.at(-1)
        if (arrival.index >= count || (before && arrival.afterUs < before.afterUs)) return undefined
        arrivals.push(arrival)
    }
    return { count, tag: datagram.readUInt32BE(8), arrivals }
}

function writeHead(datagram: Buffer, kind: number, sixth: number, seventh: number, tag: number): void {
    datagram.writeUInt32BE(magic, 0)
    datagram[4] = 1
    datagram[5] = kind
    datagram[6] = sixth
    datagram[7] = seventh
    datagram.writeUInt32BE(tag, 8)
}

function kindOf(datagram: Buffer): number | undefined {
    return datagram.readUInt32BE(0) === magic && datagram[4] === 1 ? datagram[5] : undefined
}
