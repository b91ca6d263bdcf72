/**
 * RTCP (RFC 3550): sender and receiver reports, CNAME and BYE as one compound, written and read in place; and the clock
 * arithmetic of LSR and DLSR.
 *
 * Owns the layout, its validation and its limits. Never sends, never decides when a report is due (`rtp-reports.ts`).
 * Allocates nothing per compound: the reader fills an object that its caller keeps.
 */

export const rtcpLimits = {
    /** Largest compound that is read. */
    compoundBytes: 1200,
    /** Report blocks that are kept of one compound; a leg has one stream each way. */
    blocks: 4,
    /** Packets in one compound. */
    packets: 16,
    cnameBytes: 64,
}

export const rtcpTypes = { senderReport: 200, receiverReport: 201, description: 202, bye: 203, application: 204 }

const cnameItem = 1
const blockBytes = 24
const ntpEpochSeconds = 2208988800

/** Whether a datagram on a shared port is RTCP (RFC 5761, 4). */
export function isRtcp(packet: Uint8Array): boolean {
    return packet.length >= 8 && packet[0]! >> 6 === 2 && packet[1]! >= 192 && packet[1]! <= 223
}

/** What one side says of a stream that it receives. */
export class ReportBlock {
    ssrc = 0
    /** Of 256, since the report before. */
    fractionLost = 0
    /** Since the beginning; negative with duplicates. */
    lost = 0
    /** With the number of wraps in the upper half. */
    highestSequence = 0
    /** In ticks of the stream's clock. */
    jitter = 0
    /** The middle 32 bits of the last sender report's time, and the time since it came, in 1/65536 s; 0: none has come. */
    lastReport = 0
    sinceLastReport = 0
}

/** One compound. */
export class Compound {
    /** Who sends it. */
    ssrc = 0
    hasSenderReport = false
    /** Of the sender report: when it was sent (NTP, 32.32), the same moment on the stream's clock, what was sent by then. */
    ntpSeconds = 0
    ntpFraction = 0
    timestamp = 0
    packets = 0
    octets = 0
    readonly blocks = Array.from({ length: rtcpLimits.blocks }, () => new ReportBlock())
    blockCount = 0
    cname = ""
    /** It leaves. */
    isBye = false

    /** The block on this stream. */
    blockOn(ssrc: number): ReportBlock | undefined {
        for (let i = 0; i < this.blockCount; i++) if (this.blocks[i]!.ssrc === ssrc) return this.blocks[i]
        return undefined
    }
}

/**
 * Reads the compound in the first `bytes` of `packet`. "" when it is valid (RFC 3550, 6.1 and A.2): it begins with a report
 * that is not padded, its packets fill it exactly, only the last is padded. Else what is wrong with it; `compound` is then of no use.
 */
export function readRtcp(packet: Uint8Array, bytes: number, compound: Compound): string {
    if (bytes < 8 || bytes > rtcpLimits.compoundBytes || bytes % 4 !== 0) return "length"
    compound.hasSenderReport = false
    compound.blockCount = 0
    compound.cname = ""
    compound.isBye = false
    const firstType = packet[1]!
    if (firstType !== rtcpTypes.senderReport && firstType !== rtcpTypes.receiverReport) return "no report first"
    let at = 0
    for (let count = 0; at < bytes; count++) {
        if (count === rtcpLimits.packets) return "too many packets"
        if (at + 4 > bytes || packet[at]! >> 6 !== 2) return "version"
        let end = at + 4 + ((packet[at + 2]! << 8) | packet[at + 3]!) * 4
        const next = end
        if (end > bytes) return "length"
        if (packet[at]! & 0x20) {
            const padding = packet[end - 1]!
            if (count === 0 || end !== bytes || padding === 0 || padding % 4 !== 0 || at + 4 + padding > end)
                return "padding"
            end -= padding
        }
        const wrong = readPacket(packet, at, end, count === 0, compound)
        if (wrong) return wrong
        at = next
    }
    return ""
}

function readPacket(packet: Uint8Array, at: number, end: number, isFirst: boolean, compound: Compound): string {
    const count = packet[at]! & 0x1f
    switch (packet[at + 1]!) {
        case rtcpTypes.senderReport:
            if (end - at < 28 + count * blockBytes) return "sender report"
            if (isFirst) {
                compound.ssrc = read32(packet, at + 4)
                compound.hasSenderReport = true
                compound.ntpSeconds = read32(packet, at + 8)
                compound.ntpFraction = read32(packet, at + 12)
                compound.timestamp = read32(packet, at + 16)
                compound.packets = read32(packet, at + 20)
                compound.octets = read32(packet, at + 24)
            }
            return readBlocks(packet, at + 28, count, compound)
        case rtcpTypes.receiverReport:
            if (end - at < 8 + count * blockBytes) return "receiver report"
            if (isFirst) compound.ssrc = read32(packet, at + 4)
            return readBlocks(packet, at + 8, count, compound)
        case rtcpTypes.description:
            return readDescription(packet, at + 4, end, count, compound)
        case rtcpTypes.bye:
            if (end - at < 4 + count * 4) return "bye"
            for (let i = 0; i < count; i++) if (read32(packet, at + 4 + i * 4) === compound.ssrc) compound.isBye = true
            return ""
        default:
            // Others may be there, as long as they have a length.
            return ""
    }
}

function readBlocks(packet: Uint8Array, from: number, count: number, compound: Compound): string {
    for (let i = 0, at = from; i < count; i++, at += blockBytes) {
        // More than a leg can have are passed over.
        const block = compound.blocks[compound.blockCount]
        if (!block) return ""
        compound.blockCount++
        block.ssrc = read32(packet, at)
        block.fractionLost = packet[at + 4]!
        block.lost = ((packet[at + 5]! << 24) | (packet[at + 6]! << 16) | (packet[at + 7]! << 8)) >> 8
        block.highestSequence = read32(packet, at + 8)
        block.jitter = read32(packet, at + 12)
        block.lastReport = read32(packet, at + 16)
        block.sinceLastReport = read32(packet, at + 20)
    }
    return ""
}

function readDescription(packet: Uint8Array, from: number, end: number, count: number, compound: Compound): string {
    let at = from
    for (let chunk = 0; chunk < count; chunk++) {
        if (at + 8 > end) return "description"
        const isOurs = read32(packet, at) === compound.ssrc
        const start = at
        at += 4
        while (at < end && packet[at] !== 0) {
            if (at + 2 > end || at + 2 + packet[at + 1]! > end) return "description"
            const bytes = packet[at + 1]!
            if (isOurs && packet[at] === cnameItem) {
                if (bytes > rtcpLimits.cnameBytes) return "description"
                compound.cname = printable(packet, at + 2, bytes)
            }
            at += 2 + bytes
        }
        // A zero ends the list, and zeros fill up the word.
        if (at >= end) return "description"
        at = start + ((at - start) >> 2) * 4 + 4
    }
    return ""
}

/** Others' text is never more than printable ASCII here. */
function printable(packet: Uint8Array, at: number, bytes: number): string {
    let text = ""
    for (let i = at; i < at + bytes; i++) {
        const code = packet[i]!
        text += code >= 0x20 && code < 0x7f ? String.fromCharCode(code) : "?"
    }
    return text
}

/** What is to be written; the caller keeps and fills one. */
export class Report {
    ssrc = 0
    /** False: nothing has been sent since the last two reports, so this is a receiver report. */
    isSender = true
    ntpSeconds = 0
    ntpFraction = 0
    timestamp = 0
    packets = 0
    octets = 0
    /** What is received; undefined: nothing yet. */
    block: ReportBlock | undefined
    /** The SDES chunk; see `descriptionOf`. */
    description: Uint8Array = new Uint8Array(0)
    isBye = false
}

/** Room that any compound of `writeRtcp` fits into, and what SRTCP adds. */
export const reportBytesMax = 28 + blockBytes + (12 + rtcpLimits.cnameBytes) + 8 + 16

/** The SDES packet that says the CNAME; made once for a stream. */
export function descriptionOf(ssrc: number, cname: string): Uint8Array {
    const name = Buffer.from(cname, "latin1").subarray(0, rtcpLimits.cnameBytes)
    const bytes = 8 + (((2 + name.length) >> 2) + 1) * 4
    const packet = Buffer.alloc(bytes)
    packet[0] = 0x81
    packet[1] = rtcpTypes.description
    packet.writeUInt16BE(bytes / 4 - 1, 2)
    packet.writeUInt32BE(ssrc, 4)
    packet[8] = cnameItem
    packet[9] = name.length
    packet.set(name, 10)
    return packet
}

/** Writes a compound to the beginning of `packet` and returns its length. */
export function writeRtcp(packet: Uint8Array, report: Report): number {
    const { block, isSender } = report
    const bytes = (isSender ? 28 : 8) + (block ? blockBytes : 0)
    packet[0] = 0x80 | (block ? 1 : 0)
    packet[1] = isSender ? rtcpTypes.senderReport : rtcpTypes.receiverReport
    write16(packet, 2, bytes / 4 - 1)
    write32(packet, 4, report.ssrc)
    let at = 8
    if (isSender) {
        write32(packet, 8, report.ntpSeconds)
        write32(packet, 12, report.ntpFraction)
        write32(packet, 16, report.timestamp)
        write32(packet, 20, report.packets)
        write32(packet, 24, report.octets)
        at = 28
    }
    if (block) {
        write32(packet, at, block.ssrc)
        const lost = Math.max(-0x800000, Math.min(0x7fffff, block.lost))
        write32(packet, at + 4, (block.fractionLost << 24) | (lost & 0xffffff))
        write32(packet, at + 8, block.highestSequence)
        write32(packet, at + 12, block.jitter)
        write32(packet, at + 16, block.lastReport)
        write32(packet, at + 20, block.sinceLastReport)
        at += blockBytes
    }
    packet.set(report.description, at)
    at += report.description.length
    if (!report.isBye) return at
    packet[at] = 0x81
    packet[at + 1] = rtcpTypes.bye
    write16(packet, at + 2, 1)
    write32(packet, at + 4, report.ssrc)
    return at + 8
}

/** The seconds and the fraction of NTP of Unix milliseconds. */
export function ntpSecondsOf(unixMs: number): number {
    return (Math.floor(unixMs / 1000) + ntpEpochSeconds) >>> 0
}

export function ntpFractionOf(unixMs: number): number {
    return Math.floor(((unixMs % 1000) / 1000) * 4294967296) >>> 0
}

/** The middle 32 bits: seconds and 1/65536 seconds, which wrap after 18 hours. */
export function middleOf(ntpSeconds: number, ntpFraction: number): number {
    return (((ntpSeconds & 0xffff) << 16) | (ntpFraction >>> 16)) >>> 0
}

/** The round trip that a block tells, in ms (RFC 3550, 6.4.1); undefined when it tells none. */
export function roundTripMs(block: ReportBlock, nowUnixMs: number): number | undefined {
    if (block.lastReport === 0) return undefined
    const now = middleOf(ntpSecondsOf(nowUnixMs), ntpFractionOf(nowUnixMs))
    const ticks = (now - block.lastReport - block.sinceLastReport) | 0
    // Nobody's round trip is a minute; a little less than nothing is rounding.
    if (ticks < -66 || ticks > 60 * 65536) return undefined
    return Math.max(0, (ticks * 1000) / 65536)
}

function read32(packet: Uint8Array, at: number): number {
    return ((packet[at]! << 24) | (packet[at + 1]! << 16) | (packet[at + 2]! << 8) | packet[at + 3]!) >>> 0
}

function write16(packet: Uint8Array, at: number, value: number): void {
    packet[at] = value >>> 8
    packet[at + 1] = value
}

function write32(packet: Uint8Array, at: number, value: number): void {
    packet[at] = value >>> 24
    packet[at + 1] = value >>> 16
    packet[at + 2] = value >>> 8
    packet[at + 3] = value
}
