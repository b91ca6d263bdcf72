/**
 * What the application published and the broker has not acknowledged yet, in order and bounded.
 *
 * Owns packet identifiers, the window of messages in flight, and what is sent again after a reconnect. Never writes to a
 * socket: `next` gives the packet that is to be written.
 */

import * as ds from "@devicescript/core"
import { encodePublish, stamp } from "./packet"

enum Fate {
    Open = 0,
    Done = 1,
    GivenUp = 2,
}

export class Outgoing {
    packet: Buffer
    payloadBytes: number
    qos: number
    /** 0 until it is first sent. */
    packetId = 0
    /** The connection in which it was last written, and when. */
    attempt = 0
    sentMs = 0
    tries = 0
    private fate = Fate.Open
    /** Who waits for its fate. */
    private fiber: ds.Fiber

    /** Waits for its fate: whether the broker has it (QoS 1), whether it was written (QoS 0). */
    async settled(): Promise<boolean> {
        this.fiber = ds.Fiber.self()
        while (this.fate === Fate.Open) await ds.suspend()
        return this.fate === Fate.Done
    }

    settle(fate: Fate): void {
        this.fate = fate
        if (this.fiber?.suspended) this.fiber.resume(undefined)
    }
}

const messagesLimit = 16
const bytesLimit = 6144
const inFlightLimit = 8
/** A message that the broker answers by closing the connection must not keep all others from being sent for ever. */
const triesLimit = 10

export class Outbox {
    /** Acknowledged at QoS 1, written at QoS 0. */
    published = 0
    /** Given up: QoS 0 without a connection, or the broker closed the connection each time. */
    dropped = 0

    private items: Outgoing[] = []
    private bytes = 0
    private lastPacketId = 0

    hasRoom(bytes: number): boolean {
        return this.items.length < messagesLimit && this.bytes + bytes <= bytesLimit
    }

    add(topic: Buffer, payload: Buffer, qos: number, retain: boolean): Outgoing {
        const item = new Outgoing()
        item.packet = encodePublish(topic, payload, qos, retain)
        item.payloadBytes = payload.length
        item.qos = qos
        this.items.push(item)
        this.bytes += item.packet.length
        return item
    }

    /** The next packet to write in connection `attempt`, or undefined while there is none or the window is full. */
    next(attempt: number): Buffer {
        let inFlight = 0
        for (const item of this.items) {
            if (item.attempt === attempt) inFlight++
            else if (item.qos === 0) {
                this.settle(item, Fate.Done)
                return item.packet
            } else if (inFlight >= inFlightLimit) return undefined
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
                this.settle(item, Fate.Done)
                return
            }
    }

    /** Whether a message of this connection has waited longer than `limitMs` for its acknowledgement. */
    overdue(attempt: number, limitMs: number): boolean {
        const item = this.items[0]
        return !!item && item.attempt === attempt && ds.millis() - item.sentMs > limitMs
    }

    /** The connection is over: what was not acknowledged stays, in order; QoS 0 does not. */
    disconnected(): void {
        for (const item of this.items.slice()) if (item.qos === 0) this.settle(item, Fate.GivenUp)
        const first = this.items[0]
        if (!first || first.tries < triesLimit) return
        this.settle(first, Fate.GivenUp)
        for (const item of this.items) item.tries = Math.min(item.tries, 1)
    }

    giveUpAll(): void {
        while (this.items.length > 0) this.settle(this.items[0], Fate.GivenUp)
    }

    private settle(item: Outgoing, fate: Fate): void {
        this.items.insert(this.items.indexOf(item), -1)
        this.bytes -= item.packet.length
        if (fate === Fate.Done) this.published++
        else this.dropped++
        item.settle(fate)
    }

    /** 1..65535 and not in flight: 0 is no identifier, and a second message under one would be acknowledged by the first. */
    private freePacketId(): number {
        let id = this.lastPacketId
        let taken = true
        while (taken) {
            id = id >= 65535 ? 1 : id + 1
            taken = false
            for (const item of this.items) if (item.packetId === id) taken = true
        }
        this.lastPacketId = id
        return id
    }
}
