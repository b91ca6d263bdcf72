/**
 * MQTT 3.1.1 packets as bytes: what a client sends is encoded, what a broker sends is parsed.
 *
 * Owns the format and the limits of size. Never touches a socket, a timer or the state of a connection. Whatever bytes
 * are fed, parsing ends in a value (`Parsed.Malformed` at worst), never in an exception; memory is bounded by one packet
 * of the largest size that is accepted. Larger messages are skipped as they stream by.
 * Keeps to what DeviceScript and Node have in common, so that tests run the same code on both.
 */

import { isUtf8 } from "./text"

export interface ConnectFields {
    /** Client identifier and user name. */
    id: string
    secret: string
    keepaliveSeconds: number
    /** Published by the broker, QoS 1 and retained, when the connection ends without a goodbye. */
    willTopic?: string
    willPayload?: string
}

export enum Parsed {
    NeedMore = 0,
    ConnAck = 1,
    Publish = 2,
    /** A PUBLISH that is too long or has no usable topic: `qos` and `packetId` are set, nothing else is. */
    Refused = 3,
    PubAck = 4,
    SubAck = 5,
    PingResp = 6,
    /** The stream is lost: only a new connection helps. */
    Malformed = 7,
}

const dupFlag = 8
const nothing = Buffer.alloc(0)

/** A packet of `length` bytes after its fixed header; those bytes are its last ones and still zero. */
function allocate(first: number, length: number): Buffer {
    let headerBytes = 2
    for (let rest = length >> 7; rest > 0; rest = rest >> 7) headerBytes++
    const packet = Buffer.alloc(headerBytes + length)
    packet[0] = first
    let rest = length
    for (let i = 1; i < headerBytes; i++) {
        packet[i] = (rest & 127) | (i < headerBytes - 1 ? 128 : 0)
        rest = rest >> 7
    }
    return packet
}

/** Writes `field` with its length before it; gives the offset after it. */
function putField(packet: Buffer, at: number, field: Buffer): number {
    packet[at] = field.length >> 8
    packet[at + 1] = field.length & 255
    packet.set(field, at + 2)
    return at + 2 + field.length
}

export function encodeConnect(fields: ConnectFields, cleanSession: boolean): Buffer {
    const texts = [Buffer.from(fields.id)]
    // User name and password, then perhaps the clean session and a Will (retained, QoS 1).
    let flags = 0xc0
    if (cleanSession) flags |= 0x02
    if (fields.willTopic) {
        flags |= 0x2c
        texts.push(Buffer.from(fields.willTopic), Buffer.from(fields.willPayload ?? ""))
    }
    texts.push(Buffer.from(fields.id), Buffer.from(fields.secret))
    let length = 10
    for (const text of texts) length += 2 + text.length
    const packet = allocate(0x10, length)
    const keepalive = fields.keepaliveSeconds
    let at = packet.length - length
    packet.set(Buffer.from([0, 4, 0x4d, 0x51, 0x54, 0x54, 4, flags, keepalive >> 8, keepalive & 255]), at)
    at += 10
    for (const text of texts) at = putField(packet, at, text)
    return packet
}

/** At QoS 1 the packet identifier is still 0: `stamp` writes it. */
export function encodePublish(topic: Buffer, payload: Buffer, qos: number, retain: boolean): Buffer {
    const packet = allocate(0x30 | (qos << 1) | (retain ? 1 : 0), 2 + topic.length + qos * 2 + payload.length)
    putField(packet, packet.length - payload.length - qos * 2 - topic.length - 2, topic)
    packet.set(payload, packet.length - payload.length)
    return packet
}

/** Writes the packet identifier into an encoded QoS 1 PUBLISH, and marks it when it was sent before. */
export function stamp(packet: Buffer, payloadBytes: number, packetId: number, again: boolean): void {
    const at = packet.length - payloadBytes - 2
    packet[at] = packetId >> 8
    packet[at + 1] = packetId & 255
    if (again) packet[0] = packet[0] | dupFlag
}

export function encodePubAck(packetId: number): Buffer {
    return Buffer.from([0x40, 2, packetId >> 8, packetId & 255])
}

/** Asks for one filter at QoS 1. */
export function encodeSubscribe(packetId: number, filter: string): Buffer {
    const text = Buffer.from(filter)
    const length = 5 + text.length
    const packet = allocate(0x82, length)
    const at = packet.length - length
    packet[at] = packetId >> 8
    packet[at + 1] = packetId & 255
    packet[putField(packet, at + 2, text)] = 1
    return packet
}

export function encodePing(): Buffer {
    return Buffer.from([0xc0, 0])
}

export function encodeGoodbye(): Buffer {
    return Buffer.from([0xe0, 0])
}

/** Reads packets out of a stream that comes in pieces: `feed` a piece, then `next` until it needs more. */
export class PacketParser {
    /** Of the packet that `next` gave last. */
    packetId = 0
    qos = 0
    topic = ""
    payload: Buffer = nothing
    /** CONNACK: the refusal or 0. SUBACK: the granted QoS or 128. */
    code = 0
    sessionPresent = false

    private piece: Buffer = nothing
    private at = 0
    /** The first byte of the packet under way, -1 between packets. */
    private first = -1
    /** Its bytes after the fixed header, so far as the header has been read. */
    private length = 0
    /** What the next byte of the length counts; 0 when the length is complete. */
    private weight = 1
    /** The bytes of a packet that spans pieces. */
    private body: Buffer | undefined
    /** Bytes of it that have come. */
    private have = 0

    constructor(
        private topicLimitBytes: number,
        private payloadLimitBytes: number,
    ) {}

    feed(piece: Buffer): void {
        this.piece = piece
        this.at = 0
    }

    next(): Parsed {
        const piece = this.piece
        while (this.weight > 0) {
            if (this.at >= piece.length) return this.needMore()
            const byte = piece[this.at]
            this.at++
            if (this.first < 0) this.first = byte
            else {
                this.length += (byte & 127) * this.weight
                if (byte < 128) this.weight = 0
                else if (this.weight === 128 * 128 * 128) return Parsed.Malformed
                else this.weight *= 128
            }
        }
        const length = this.length
        // Of a message that is too long only the front is kept: enough to refuse and acknowledge it.
        const keptBytes = Math.min(length, 4 + this.topicLimitBytes + this.payloadLimitBytes)
        if (keptBytes < length && this.first >> 4 !== 3) return Parsed.Malformed

        const came = Math.min(piece.length - this.at, length - this.have)
        let body = piece
        let start = this.at
        if (came < length) {
            if (!this.body) this.body = Buffer.alloc(keptBytes)
            body = this.body
            const kept = Math.min(came, keptBytes - this.have)
            if (kept > 0) body.set(piece.slice(start, start + kept), this.have)
            start = 0
        }
        this.have += came
        this.at += came
        if (this.have < length) return this.needMore()
        const first = this.first
        this.first = -1
        this.length = 0
        this.weight = 1
        this.body = undefined
        this.have = 0
        return this.decode(body, start, first, length)
    }

    /** The piece is read: it must not stay in memory until the next one comes. */
    private needMore(): Parsed {
        this.piece = nothing
        this.at = 0
        return Parsed.NeedMore
    }

    private decode(body: Buffer, start: number, first: number, length: number): Parsed {
        if (first >> 4 === 3) return this.decodePublish(body, start, first, length)
        if (length >= 2) this.packetId = body[start] * 256 + body[start + 1]
        if (first === 0x40 && length === 2 && this.packetId > 0) return Parsed.PubAck
        if (first === 0xd0 && length === 0) return Parsed.PingResp
        if (first === 0x20 && length === 2 && body[start] < 2) {
            this.sessionPresent = body[start] === 1
            this.code = body[start + 1]
            return Parsed.ConnAck
        }
        if (first === 0x90 && length === 3 && this.packetId > 0) {
            this.code = body[start + 2]
            return Parsed.SubAck
        }
        return Parsed.Malformed
    }

    private decodePublish(body: Buffer, start: number, first: number, length: number): Parsed {
        this.qos = (first >> 1) & 3
        if (this.qos > 1 || length < 2) return Parsed.Malformed
        const topicLength = body[start] * 256 + body[start + 1]
        const head = 2 + topicLength + this.qos * 2
        if (head > length) return Parsed.Malformed
        const payloadAt = start + head
        if (payloadAt > body.length) {
            // The identifier of a message whose topic alone is over every limit was not kept: it stays unacknowledged.
            this.qos = 0
            return Parsed.Refused
        }
        if (this.qos === 1) {
            this.packetId = body[payloadAt - 2] * 256 + body[payloadAt - 1]
            if (this.packetId === 0) return Parsed.Malformed
        }
        // A broker that lets such a message pass would send it again after every reconnect, so it is refused, which
        // acknowledges it, and not an error of the stream.
        if (topicLength < 1 || topicLength > this.topicLimitBytes) return Parsed.Refused
        if (length - head > this.payloadLimitBytes) return Parsed.Refused
        const topicBytes = body.slice(start + 2, start + 2 + topicLength)
        if (!isUtf8(topicBytes)) return Parsed.Refused
        this.topic = topicBytes.toString()
        this.payload = body.slice(payloadAt, start + length)
        return Parsed.Publish
    }
}
