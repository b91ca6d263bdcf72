/**
 * RTP headers (RFC 3550), read and written in place.
 *
 * Owns the header's layout and its validation. Allocates nothing per packet: the reader fills a header object that the
 * caller keeps. Never looks at the payload, never at RTCP.
 */

export const rtpHeaderBytes = 12
/** Largest datagram that is taken for RTP: an Ethernet frame's worth. */
export const rtpPacketBytesMax = 1500

/** One parsed header. `payloadOffset` and `payloadBytes` say where the payload lies, without CSRCs, extension and padding. */
export class RtpHeader {
    marker = false
    payloadType = 0
    sequence = 0
    timestamp = 0
    ssrc = 0
    payloadOffset = 0
    payloadBytes = 0
}

/**
 * Reads the header of the packet in the first `bytes` of `packet` into `header`. False when it is not valid RTP; `header` is then
 * of no use.
 */
export function readRtp(packet: Uint8Array, header: RtpHeader, bytes = packet.length): boolean {
    if (bytes < rtpHeaderBytes || bytes > rtpPacketBytesMax) return false
    const first = packet[0]!
    if (first >> 6 !== 2) return false
    const second = packet[1]!
    // RFC 5761: these values of the second byte are RTCP on a shared port.
    if (second >= 192 && second <= 223) return false

    let offset = rtpHeaderBytes + (first & 0x0f) * 4
    if (offset > bytes) return false
    if (first & 0x10) {
        if (offset + 4 > bytes) return false
        offset += 4 + ((packet[offset + 2]! << 8) | packet[offset + 3]!) * 4
        if (offset > bytes) return false
    }
    let end = bytes
    if (first & 0x20) {
        const padding = packet[bytes - 1]!
        if (padding === 0 || offset + padding > bytes) return false
        end -= padding
    }

    header.marker = (second & 0x80) !== 0
    header.payloadType = second & 0x7f
    header.sequence = (packet[2]! << 8) | packet[3]!
    header.timestamp = ((packet[4]! << 24) | (packet[5]! << 16) | (packet[6]! << 8) | packet[7]!) >>> 0
    header.ssrc = ((packet[8]! << 24) | (packet[9]! << 16) | (packet[10]! << 8) | packet[11]!) >>> 0
    header.payloadOffset = offset
    header.payloadBytes = end - offset
    return true
}

/** Writes a plain header (no CSRC, extension or padding) into the first 12 bytes of `packet`. Numbers wrap by themselves. */
export function writeRtp(
    packet: Uint8Array,
    marker: boolean,
    payloadType: number,
    sequence: number,
    timestamp: number,
    ssrc: number,
): void {
    packet[0] = 0x80
    packet[1] = (marker ? 0x80 : 0) | (payloadType & 0x7f)
    packet[2] = (sequence >> 8) & 0xff
    packet[3] = sequence & 0xff
    packet[4] = (timestamp >>> 24) & 0xff
    packet[5] = (timestamp >>> 16) & 0xff
    packet[6] = (timestamp >>> 8) & 0xff
    packet[7] = timestamp & 0xff
    packet[8] = (ssrc >>> 24) & 0xff
    packet[9] = (ssrc >>> 16) & 0xff
    packet[10] = (ssrc >>> 8) & 0xff
    packet[11] = ssrc & 0xff
}

/** How far 16-bit `to` is ahead of `from`, -32768..32767. */
export function sequenceDistance(to: number, from: number): number {
    return ((to - from) << 16) >> 16
}

/** How far 32-bit `to` is ahead of `from`, -2^31..2^31-1. */
export function timestampDistance(to: number, from: number): number {
    return (to - from) | 0
}
