/**
 * What is on its way to one client: one queue, in order, with a window of unacknowledged QoS 1 messages.
 *
 * Owns order and bounds of delivery. aedes itself writes every message at once, waits for slow readers with the whole
 * broker (its emitter has a common bound), and drops a message as a duplicate when one that was published later arrives
 * first, as happens between QoS 0, QoS 1 and retained messages. So here: a publisher never waits for a reader, an
 * appliance gets at most `limits.unacknowledged` messages ahead of its acknowledgements (its socket has no backpressure),
 * and who falls too far behind is disconnected. Never decides what may be read: the broker asks the rights.
 */

import type { AedesPublishPacket, Client } from "aedes"
import type { DeliveryLimits } from "./limits.ts"

type Deliver = (packet: AedesPublishPacket, done: () => void) => void

/** The parts of aedes' client that are not in its types. Checked once, so that another aedes fails at the first login. */
interface ClientInternals {
    deliver0: Deliver
    deliverQoS: Deliver
    duplicates: Record<string, number>
    subscriptions: Record<string, { qos: number }>
}

/** What aedes numbers its messages by; absent on retained ones. */
interface Numbered {
    brokerId?: string | null
    brokerCounter?: number
    messageId?: number
}

interface Waiting {
    packet: AedesPublishPacket & Numbered
    bytes: number
    /** Whether the client will acknowledge it. */
    acknowledged: boolean
}

/** A window that stays full this long is a client that lost its acknowledgements. */
const stalledMs = 20_000

export class Delivery {
    private client: Client & ClientInternals
    private limits: DeliveryLimits
    private tooSlow: (what: string) => void
    private nowMs: () => number
    private inner0: Deliver
    private innerQoS: Deliver
    private waiting: Waiting[] = []
    private head = 0
    private waitingBytes = 0
    private unacknowledged = 0
    private fullSinceMs = 0
    private lastCounter = 0
    private pumping = false
    private forwarded = false
    /** A persistent session: what was kept for it goes first, and is not here yet. */
    private awaiting: boolean

    constructor(client: Client, limits: DeliveryLimits, nowMs: () => number, tooSlow: (what: string) => void) {
        this.client = client as Client & ClientInternals
        this.limits = limits
        this.nowMs = nowMs
        this.awaiting = !client.clean
        this.tooSlow = tooSlow
        if (typeof this.client.deliver0 !== "function" || typeof this.client.deliverQoS !== "function")
            throw new Error("this aedes has other client internals; see servers/broker/delivery.ts")
        this.inner0 = this.client.deliver0
        this.innerQoS = this.client.deliverQoS
        // The publisher is released at once: it must not wait for this reader.
        this.client.deliver0 = (packet, done) => {
            this.push(packet, false)
            setImmediate(done)
        }
        this.client.deliverQoS = (packet, done) => {
            this.push(packet, packet.qos > 0 && this.client.subscriptions[packet.topic]?.qos !== 0)
            setImmediate(done)
        }
    }

    /** Takes down that aedes forwards a message now; called by the broker for each one that the rights let pass. */
    forwarding(): void {
        this.forwarded = true
    }

    /** What was kept for a persistent session: it goes before everything that has come since. */
    restored(packets: (AedesPublishPacket & Numbered)[]): void {
        const key = (packet: Numbered) => `${packet.brokerId} ${packet.brokerCounter}`
        const kept = new Set(packets.map(key))
        const since = this.waiting.slice(this.head).filter(({ packet }) => !packet.brokerId || !kept.has(key(packet)))
        const before = packets.map(packet => {
            // A new identifier: the old one may be given to a new message, and one acknowledgement would stand for both.
            const again = Object.assign(Object.create(Object.getPrototypeOf(packet)), packet, { messageId: undefined })
            return { packet: again, bytes: sizeOf(packet), acknowledged: true }
        })
        this.waiting = [...before, ...since]
        this.head = 0
        this.waitingBytes = this.waiting.reduce((sum, { bytes }) => sum + bytes, 0)
        this.awaiting = false
        this.pump()
    }

    /** The client has acknowledged one message. */
    acknowledged(): void {
        if (this.unacknowledged > 0) this.unacknowledged--
        this.fullSinceMs = 0
        this.pump()
    }

    private push(packet: AedesPublishPacket & Numbered, acknowledged: boolean): void {
        if (this.client.closed) return
        // Subscriptions that overlap bring one message several times, one after the other.
        if (packet.brokerId && packet.brokerCounter === this.lastCounter) return
        this.lastCounter = packet.brokerCounter ?? 0
        const bytes = sizeOf(packet)
        const behind = this.waiting.length - this.head
        if (behind >= this.limits.waitingMessages || this.waitingBytes + bytes > this.limits.waitingBytes) {
            this.tooSlow(`${behind} messages wait for its acknowledgements`)
            return
        }
        const socketBytes = (this.client.conn as { writableLength?: number }).writableLength ?? 0
        if (socketBytes > this.limits.socketBytes) {
            this.tooSlow(`it has not read ${socketBytes} bytes`)
            return
        }
        if (this.fullSinceMs > 0 && this.nowMs() - this.fullSinceMs > stalledMs) {
            this.tooSlow(`it has acknowledged nothing for ${stalledMs} ms`)
            return
        }
        this.waiting.push({ packet, bytes, acknowledged })
        this.waitingBytes += bytes
        this.pump()
    }

    private pump(): void {
        if (this.pumping || this.awaiting) return
        this.pumping = true
        while (this.head < this.waiting.length && !this.client.closed) {
            const next = this.waiting[this.head]
            if (next.acknowledged && this.unacknowledged >= this.limits.unacknowledged) {
                if (this.fullSinceMs === 0) this.fullSinceMs = this.nowMs()
                break
            }
            this.head++
            this.waitingBytes -= next.bytes
            // Ours is the order and the duplicates; aedes' own test would drop what comes after a later number.
            this.client.duplicates = Object.create(null)
            this.forwarded = false
            if (next.acknowledged) this.innerQoS(next.packet, nothing)
            else this.inner0(next.packet, nothing)
            if (next.acknowledged && this.forwarded) this.unacknowledged++
        }
        this.pumping = false
        if (this.head === this.waiting.length || this.head > 1024) {
            this.waiting = this.waiting.slice(this.head)
            this.head = 0
        }
    }
}

function sizeOf(packet: AedesPublishPacket): number {
    return packet.topic.length + packet.payload.length
}

function nothing(): void {}
