/**
 * What the application published and the broker has not acknowledged yet, in order and bounded.
 *
 * Owns packet identifiers, the window of messages in flight, and what is sent again after a reconnect. Never writes to a
 * socket: `next` gives the packet that is to be written.
 */

import * as ds from "@devicescript/core"
import { encodePublish, stamp } from "./packet"

class Outgoing {
    packet: Buffer
    payloadBytes: number
    /** 0 until it is first sent. */
    packetId = 0
    /** The connection in which it was last written, and when. */
    attempt = 0
    sentMs = 0
    tries = 0
}

const messagesLimit = 16
const bytesLimit = 6144
const inFlightLimit = 8
/** A message that the broker answers by closing the connection must not keep all others from being sent for ever. */
const triesLimit = 10

export class Outbox {
    /** Acknowledged. */
    published = 0
    /** Given up: the broker closed the connection each time. */
    dropped = 0

    private items: Outgoing[] = []
    private bytes = 0
    private lastPacketId = 0

    /** Whether there is room for it. */
    add(topic: Buffer, payload: Buffer, retain: boolean): boolean {
        const packet = encodePublish(topic, payload, 1, retain)
        if (this.items.length >= messagesLimit || this.bytes + packet.length > bytesLimit) return false
        const item = new Outgoing()
        item.packet = packet
        item.payloadBytes = payload.length
        this.items.push(item)
        this.bytes += item.packet.length
        return true
    }

    /** The next packet to write in connection `attempt`, or undefined while there is none or the window is full. */
    next(attempt: number): Buffer {
        let inFlight = 0
        for (const item of this.items) {
            if (item.attempt === attempt) inFlight++
            else if (inFlight >= inFlightLimit) return undefined
            else {
                if (item.packetId === 0) item.packetId = this.freePacketId()
                stamp(item.packet, item.payloadBytes, item.packetId, item.tries > 0)
                item.attempt = attempt
                item.sentMs = ds.millis()
                item.tries++
                return item.packet
            }
        }
        return undefined
    }

    acknowledged(packetId: number, attempt: number): void {
        for (const item of this.items)
            if (item.packetId === packetId && item.attempt === attempt) {
                this.published++
                this.remove(item)
                return
            }
    }

    /** Whether a message of this connection has waited longer than `limitMs` for its acknowledgement. */
    overdue(attempt: number, limitMs: number): boolean {
        const item = this.items[0]
        return !!item && item.attempt === attempt && ds.millis() - item.sentMs > limitMs
    }

    /** The connection is over: what was not acknowledged stays, in order. */
    disconnected(): void {
        const first = this.items[0]
        if (!first || first.tries < triesLimit) return
        this.dropped++
        this.remove(first)
        for (const item of this.items) item.tries = Math.min(item.tries, 1)
    }

    private remove(item: Outgoing): void {
        this.items.insert(this.items.indexOf(item), -1)
        this.bytes -= item.packet.length
    }

    /** 1..65535 and not in flight: 0 is no identifier, and a second message under one would be acknowledged by the first. */
    private freePacketId(): number {
        const id = this.lastPacketId >= 65535 ? 1 : this.lastPacketId + 1
        this.lastPacketId = id
        return this.items.some(item => item.packetId === id) ? this.freePacketId() : id
    }
}
