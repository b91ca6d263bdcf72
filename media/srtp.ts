/**
 * SRTP and SRTCP (RFC 3711) with the profile AES_CM_128_HMAC_SHA1_80: what is sent is encrypted and authenticated, what comes
 * is verified, taken once and decrypted. All in place.
 *
 * Owns the key derivation, the packet index with its roll-over counter, and the replay windows. Never chooses keys (they come
 * over the signalling) and never shows them. One `SrtpSender` or `SrtpReceiver` for each direction and master key.
 * Allocates nothing for a packet, but for what node:crypto gives back where it has to make the key stream.
 */

import { aesBlockBytes, aesBlocks, type BlockCipher, openAes } from "./aes.ts"
import { HmacSha1 } from "./hmac-sha1.ts"
import { rtpHeaderBytes, sequenceDistance } from "./rtp.ts"

/** A master key and its salt, as they are handed out: 16 and 14 bytes. */
export const masterBytes = 30
/** What SRTP adds to a packet, and SRTCP to a compound. */
export const srtpTagBytes = 10
export const srtcpTrailerBytes = 14
/** With the roll-over counter in each packet (RFC 4771, R = 1): a receiver can begin in the middle of a stream. */
export const srtpCarriedTagBytes = 14

const keyBytes = 16
const saltBytes = 14
const authBytes = 20
const rtcpHeaderBytes = 8
const encryptedFlag = 0x80000000
/** Streams that one receiver keeps apart: an endpoint has one, and an old one while it changes. */
const streamsMostDefault = 8
const windowSize = 128
const indexLast = 2 ** 48 - 1
const rtcpIndexLast = 2 ** 31 - 1
/** Longest key stream of one packet, in blocks: an Ethernet frame's worth. */
const blocksMost = 96
const packetBytesMost = blocksMost * aesBlockBytes

/** Labels of the key derivation (RFC 3711, 4.3.2). */
enum Label {
    RtpKey = 0,
    RtpAuth = 1,
    RtpSalt = 2,
    RtcpKey = 3,
    RtcpAuth = 4,
    RtcpSalt = 5,
}

export type SrtpRefusal = "malformed" | "forged" | "replayed" | "too-many-streams"

/** Session key, salt or authentication key: `bytes` of key stream under the master key, at the label. */
export function deriveSrtp(master: Uint8Array, label: number, bytes: number): Uint8Array {
    const count = Math.ceil(bytes / aesBlockBytes)
    const blocks = aesBlocks(count)
    for (let block = 0; block < count; block++) {
        blocks.bytes.set(master.subarray(keyBytes, keyBytes + saltBytes), block * aesBlockBytes)
        blocks.bytes[block * aesBlockBytes + 7]! ^= label
        blocks.bytes[block * aesBlockBytes + 15] = block
    }
    const stream = openAes(master.subarray(0, keyBytes)).encrypt(blocks, count * aesBlockBytes)
    return Uint8Array.from(stream.subarray(0, bytes))
}

/** A stream that goes on gets the key stream of so many packets at once: a call costs more than what it computes. */
const packetsAhead = 16
const counters = aesBlocks(packetsAhead * blocksMost)
const counterView = new DataView(counters.bytes.buffer)
const noStream = new Uint8Array(0)

/** Encryption and authentication of one direction for RTP, or for RTCP. */
class Transform {
    private readonly cipher: BlockCipher
    private readonly salt: DataView
    private readonly hmac: HmacSha1
    /** Key stream of the packets `first` to `first + count - 1` of the stream `ssrc`, `blocks` of 16 bytes for each. */
    private stream: Uint8Array = noStream
    private ssrc = 0
    private first = 0
    private count = 0
    private blocks = 0
    /** The most that one of them has needed. */
    private blocksUsed = 0

    constructor(
        master: Uint8Array,
        keyLabel: Label,
        authLabel: Label,
        saltLabel: Label,
        private readonly ahead: number,
    ) {
        this.cipher = openAes(deriveSrtp(master, keyLabel, keyBytes))
        const salt = new Uint8Array(16)
        salt.set(deriveSrtp(master, saltLabel, saltBytes))
        this.salt = new DataView(salt.buffer)
        this.hmac = new HmacSha1(deriveSrtp(master, authLabel, authBytes))
    }

    /** Adds the key stream to `packet` between `from` and `to`: encrypts and decrypts. `index`: 48 bits. */
    crypt(packet: Uint8Array, from: number, to: number, ssrc: number, index: number): void {
        const blocks = (to - from + 15) >> 4
        if (blocks <= 0) return
        const isKnown = ssrc === this.ssrc && index >= this.first && index < this.first + this.count
        if (!isKnown || blocks > this.blocks) this.advance(ssrc, index, blocks)
        if (blocks > this.blocksUsed) this.blocksUsed = blocks
        const { stream } = this
        // Whole and small, though an index has 48 bits: the loop must not count in floating point.
        const at = ((index - this.first) * this.blocks * 16 - from) | 0
        for (let i = from; i < to; i++) packet[i]! ^= stream[at + i]!
    }

    /** Makes key stream from this packet on: of it alone, unless it follows on what was made before. */
    private advance(ssrc: number, index: number, blocks: number): void {
        const goesOn = ssrc === this.ssrc && index > this.first && index <= this.first + this.count
        const count = goesOn ? this.ahead : 1
        // Until there is another key stream, none is known: what was used once must not be used again.
        this.count = 0
        this.blocks = goesOn ? Math.max(blocks, this.blocksUsed) : blocks
        this.blocksUsed = 0
        this.ssrc = ssrc
        this.first = index
        const { salt } = this
        const word0 = salt.getUint32(0)
        const word1 = salt.getUint32(4) ^ ssrc
        let at = 0
        for (let packet = index; packet < index + count; packet++) {
            const word2 = salt.getUint32(8) ^ Math.floor(packet / 65536)
            const word3 = salt.getUint32(12) ^ ((packet & 0xffff) << 16)
            for (let block = 0; block < this.blocks; block++, at += 16) {
                counterView.setUint32(at, word0)
                counterView.setUint32(at + 4, word1)
                counterView.setUint32(at + 8, word2)
                counterView.setUint32(at + 12, word3 ^ block)
            }
        }
        this.stream = this.cipher.encrypt(counters, at)
        this.count = count
    }

    /** Writes the tag of the first `bytes` to `at`. */
    sign(packet: Uint8Array, bytes: number, suffix: number | undefined, at = bytes): void {
        const tag = this.hmac.of(packet, bytes, suffix)
        for (let i = 0; i < srtpTagBytes; i++) packet[at + i] = tag[i]!
    }

    /** Whether the tag at `at` is right, in a time that says nothing of where it is wrong. */
    isSigned(packet: Uint8Array, bytes: number, suffix: number | undefined, at = bytes): boolean {
        const tag = this.hmac.of(packet, bytes, suffix)
        let difference = 0
        for (let i = 0; i < srtpTagBytes; i++) difference |= tag[i]! ^ packet[at + i]!
        return difference === 0
    }
}

function rtpTransform(master: Uint8Array): Transform {
    return new Transform(master, Label.RtpKey, Label.RtpAuth, Label.RtpSalt, packetsAhead)
}

function rtcpTransform(master: Uint8Array): Transform {
    return new Transform(master, Label.RtcpKey, Label.RtcpAuth, Label.RtcpSalt, 1)
}

/** What is sent under one master key with one SSRC: nothing is ever sent twice under an index, or it could be read. */
export class SrtpSender {
    private readonly rtp: Transform
    private readonly rtcp: Transform
    private rollOver = 0
    private lastSequence = -1
    private rtcpIndex = 0

    /** `carriesRollOver`: the far side may begin in the middle. */
    constructor(
        master: Uint8Array,
        private readonly carriesRollOver = false,
    ) {
        this.rtp = rtpTransform(master)
        this.rtcp = rtcpTransform(master)
    }

    /**
     * Protects the RTP packet in the first `bytes` of `packet`, which has room for `srtpTagBytes` more (`srtpCarriedTagBytes`
     * where the roll-over counter is carried); sequence numbers must grow. Returns its new length; 0 when it must not be sent, as one
     * that is longer than any.
     */
    protect(packet: Uint8Array, bytes: number): number {
        if (bytes > packetBytesMost) return 0
        const sequence = read16(packet, 2)
        if (this.lastSequence >= 0 && sequence <= this.lastSequence) {
            // Not ahead: the same one again, which would give the key stream away.
            if (sequenceDistance(sequence, this.lastSequence) <= 0) return 0
            this.rollOver++
        }
        if (this.rollOver > 0xffffffff) return 0
        this.lastSequence = sequence
        this.rtp.crypt(packet, payloadOffset(packet), bytes, readSsrc(packet, 8), this.rollOver * 65536 + sequence)
        if (!this.carriesRollOver) {
            this.rtp.sign(packet, bytes, this.rollOver)
            return bytes + srtpTagBytes
        }
        write32(packet, bytes, this.rollOver)
        this.rtp.sign(packet, bytes, this.rollOver, bytes + 4)
        return bytes + srtpCarriedTagBytes
    }

    /** Protects the RTCP compound in the first `bytes` of `packet`, which has room for `srtcpTrailerBytes` more. */
    protectRtcp(packet: Uint8Array, bytes: number): number {
        if (bytes > packetBytesMost || this.rtcpIndex >= rtcpIndexLast) return 0
        const index = ++this.rtcpIndex
        this.rtcp.crypt(packet, rtcpHeaderBytes, bytes, readSsrc(packet, 4), index)
        write32(packet, bytes, (encryptedFlag | index) >>> 0)
        this.rtcp.sign(packet, bytes + 4, undefined)
        return bytes + srtcpTrailerBytes
    }
}

/** Where one stream stands: its highest index, and which of those below it have come. */
class Stream {
    private highest = -1
    private readonly seen = new Uint32Array(windowSize / 32)

    constructor(readonly ssrc: number) {}

    /** The index that a sequence number most probably means (RFC 3711, 3.3.1); negative: from before the stream. */
    indexOf(sequence: number): number {
        if (this.highest < 0) return sequence
        return this.highest + sequenceDistance(sequence, this.highest & 0xffff)
    }

    isFresh(index: number): boolean {
        if (index > this.highest) return index <= indexLast
        if (index < 0 || index <= this.highest - windowSize) return false
        return (this.seen[(index >>> 5) & 3]! & (1 << (index & 31))) === 0
    }

    /** Only after the tag was found right: a forger could move the window. */
    accept(index: number): void {
        if (index > this.highest) {
            const from = Math.max(this.highest + 1, index - windowSize + 1)
            for (let i = from; i <= index; i++) this.seen[(i >>> 5) & 3]! &= ~(1 << (i & 31))
            this.highest = index
        }
        this.seen[(index >>> 5) & 3]! |= 1 << (index & 31)
    }
}

/** What is received under one master key. Streams with another SSRC begin by themselves, once one of their packets is right. */
export class SrtpReceiver {
    private readonly rtp: Transform
    private readonly rtcp: Transform
    private readonly streams: Stream[] = []
    private readonly rtcpStreams: Stream[] = []
    private readonly tagBytes: number

    constructor(
        master: Uint8Array,
        private readonly carriesRollOver = false,
        private readonly streamsMost = streamsMostDefault,
    ) {
        this.tagBytes = carriesRollOver ? srtpCarriedTagBytes : srtpTagBytes
        this.rtp = rtpTransform(master)
        this.rtcp = rtcpTransform(master)
    }

    /** Makes plain RTP of `packet`, and returns its length, or why it must be dropped; `packet` is then as it was. */
    unprotect(packet: Uint8Array): number | SrtpRefusal {
        const bytes = packet.length - this.tagBytes
        if (bytes < rtpHeaderBytes || packet.length > packetBytesMost || packet[0]! >> 6 !== 2) return "malformed"
        const from = payloadOffset(packet)
        if (from > bytes) return "malformed"
        const ssrc = readSsrc(packet, 8)
        const stream = find(this.streams, ssrc)
        const sequence = read16(packet, 2)
        let index = stream ? stream.indexOf(sequence) : sequence
        if (this.carriesRollOver) index = read32(packet, bytes) * 65536 + sequence
        if (stream && !stream.isFresh(index)) return "replayed"
        if (!this.rtp.isSigned(packet, bytes, Math.floor(index / 65536), packet.length - srtpTagBytes)) return "forged"
        if (!accept(this.streams, stream, ssrc, index, this.streamsMost)) return "too-many-streams"
        this.rtp.crypt(packet, from, bytes, ssrc, index)
        return bytes
    }

    /** The same for an RTCP compound. */
    unprotectRtcp(packet: Uint8Array): number | SrtpRefusal {
        const bytes = packet.length - srtcpTrailerBytes
        if (bytes < rtcpHeaderBytes || packet.length > packetBytesMost || packet[0]! >> 6 !== 2) return "malformed"
        const trailer = read32(packet, bytes)
        const index = trailer & rtcpIndexLast
        const ssrc = readSsrc(packet, 4)
        const stream = find(this.rtcpStreams, ssrc)
        if (stream && !stream.isFresh(index)) return "replayed"
        if (!this.rtcp.isSigned(packet, bytes + 4, undefined)) return "forged"
        if (!accept(this.rtcpStreams, stream, ssrc, index, this.streamsMost)) return "too-many-streams"
        if (trailer >= encryptedFlag) this.rtcp.crypt(packet, rtcpHeaderBytes, bytes, ssrc, index)
        return bytes
    }
}

function find(streams: readonly Stream[], ssrc: number): Stream | undefined {
    for (let i = 0; i < streams.length; i++) if (streams[i]!.ssrc === ssrc) return streams[i]
    return undefined
}

function accept(streams: Stream[], known: Stream | undefined, ssrc: number, index: number, most: number): boolean {
    let stream = known
    if (!stream) {
        // Forgetting one would let its packets be played once more.
        if (streams.length >= most) return false
        stream = new Stream(ssrc)
        streams.push(stream)
    }
    stream.accept(index)
    return true
}

/** Where the payload begins, behind CSRCs and extension; beyond the packet's end when it is no RTP. */
function payloadOffset(packet: Uint8Array): number {
    let offset = rtpHeaderBytes + (packet[0]! & 0x0f) * 4
    if (packet[0]! & 0x10) {
        if (offset + 4 > packet.length) return packet.length + 1
        offset += 4 + read16(packet, offset + 2) * 4
    }
    return offset
}

function read16(packet: Uint8Array, at: number): number {
    return (packet[at]! << 8) | packet[at + 1]!
}

/** Signed: half of them would be numbers of 33 bits, each of which makes an object when it is handed over. */
function readSsrc(packet: Uint8Array, at: number): number {
    return (packet[at]! << 24) | (packet[at + 1]! << 16) | (packet[at + 2]! << 8) | packet[at + 3]!
}

function read32(packet: Uint8Array, at: number): number {
    return readSsrc(packet, at) >>> 0
}

function write32(packet: Uint8Array, at: number, value: number): void {
    packet[at] = value >>> 24
    packet[at + 1] = value >>> 16
    packet[at + 2] = value >>> 8
    packet[at + 3] = value
}
