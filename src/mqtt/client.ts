/**
 * The firmware's MQTT 3.1.1 client: one connection, one subscription, QoS 1 out, QoS 0 and 1 in.
 *
 * Owns the connection's life: connect, keep alive, give up, back off, come back. Never looks into a payload and never
 * throws: what goes wrong is a counter, a callback with a code, or a `false`.
 *
 * Three fibers: `run` connects and reads, `write` is the only one that writes once connected, `deliver` calls the
 * application, one call at a time. `run` never waits for the application: an acknowledgement behind a message that is
 * being handled would never be read.
 *
 * Sessions: the broker keeps the session across reconnects (clean session 0), since a message that came while the
 * connection was down, or that found the inbox full, is then delivered afterwards and in order. A broker that was killed
 * has forgotten it: the outbox is sent again, the subscription is always made again, and the servers repeat what was not
 * answered. The first connection after a boot throws the old session away (clean session 1, then a goodbye), because
 * answers to a former life would be taken for answers to this one: request numbers start again with a boot.
 */

import * as ds from "@devicescript/core"
import { ApplianceEnded as Why } from "@devicescript/core"
import { guard, note } from "../ending"
import { type Connection, openConnection } from "../network"
import { Backoff } from "./backoff"
import { Inbox, type Incoming } from "./inbox"
import { Outbox } from "./outbox"
import {
    type ConnectFields,
    encodeConnect,
    encodeGoodbye,
    encodePing,
    encodePubAck,
    encodeSubscribe,
    PacketParser,
    Parsed,
} from "./packet"
import { newSignal, raise, raised } from "./signal"

enum Stage {
    /** CONNECT was sent. */
    Greeting = 0,
    /** SUBSCRIBE was sent. */
    Subscribing = 1,
    Up = 2,
}

const connectTimeoutMs = 4000
const answerTimeoutMs = 5000
const pollMs = 1000
const subscribePacketId = 65535
const subscribeRefused = 128
const topicBytesLimit = 128
/** Packets parsed, acknowledgements left unwritten, before the others have their turn. */
const turnPackets = 16
const goodbyeMs = 20
/** What the old socket still says must be over when there is a new one: the firmware could not tell them apart. */
const settleMs = 20

export interface MqttOptions extends ConnectFields {
    host: string
    port: number
    filter: string
    /** Largest payload, in and out. */
    maxPayloadBytes: number
    /** What may wait for `onMessage`. More is not lost at QoS 1: the broker delivers it again. */
    inboxMessages: number
    inboxBytes: number
}

export class MqttClient {
    // What the application gives before `start`.
    /** One at a time and in order. A QoS 1 message is acknowledged when this has returned, also when it threw. */
    onMessage: (topic: string, payload: Buffer) => Promise<void>
    /** Connected and subscribed: the place for the birth. Comes before messages of this connection are handled. */
    onConnected: () => Promise<void>
    /** A connection for which `onConnected` was called has ended. Must not wait. */
    onDisconnected: (why: number) => void
    /** CONNACK code 1..5 (4 wrong secret, 5 not allowed), or 128 for the subscription. Must not wait. */
    onRefused: (code: number) => void

    /** Why the last connection or attempt ended. */
    why: Why = Why.None
    /** Messages received, refused as too long, and connections after the first one. */
    received = 0
    refused = 0
    reconnects = 0
    outbox = new Outbox()

    private connections = 0
    /** Of this connection. */
    private parser: PacketParser
    private inbox: Inbox
    /** The one that is open. */
    private connection: Connection
    /** Numbers the connections. */
    private attempt = 0
    private stage = Stage.Greeting
    /** Why the connection is to end after what is to be written; why it ends now. */
    private leaving: Why = Why.None
    private ending: Why = Why.None
    /** CONNECT or SUBSCRIBE, until it is written. */
    private greeting: Buffer
    /** The session of a former boot is gone. */
    private forgotten = false
    /** `onConnected` is to be called; has been called. */
    private announce = false
    private announced = false
    private handled: Incoming
    private acknowledgements: number[] = []
    private pingDue = false
    private pingMs = 0
    private sentMs = 0
    private receivedMs = 0
    private upMs = 0
    private backoff = new Backoff()
    private toWrite = newSignal()
    private toDeliver = newSignal()

    constructor(private options: MqttOptions) {
        this.inbox = new Inbox(options.inboxMessages, options.inboxBytes)
    }

    /** For ever: what the settings say changes by a restart of the program. */
    start(): void {
        guard.start(this.run)
        guard.start(this.write)
        guard.start(this.deliver)
    }

    /**
     * Publishes at QoS 1, however many reconnects it takes. Whether it was taken: not when it is too long or the outbox is
     * full.
     */
    publish(topic: string, payload: string | Buffer, retain: boolean): boolean {
        const topicBytes = Buffer.from(topic)
        const payloadBytes = typeof payload === "string" ? Buffer.from(payload) : payload
        if (topicBytes.length < 1 || topicBytes.length > topicBytesLimit) return false
        if (payloadBytes.length > this.options.maxPayloadBytes) return false
        if (!this.outbox.add(topicBytes, payloadBytes, retain)) return false
        raise(this.toWrite)
        return true
    }

    private async run(): Promise<void> {
        while (true) {
            this.attempt++
            this.acknowledgements = []
            this.ending = Why.None
            this.stage = Stage.Greeting
            let why = Why.Unreachable
            const connection = await openConnection(this.options.host, this.options.port, connectTimeoutMs)
            if (connection) {
                this.parser = new PacketParser(topicBytesLimit, this.options.maxPayloadBytes)
                this.leaving = Why.None
                this.greeting = encodeConnect(this.options, !this.forgotten)
                this.sentMs = this.receivedMs = ds.millis()
                this.connection = connection
                raise(this.toWrite)
                why = await this.converse(connection)
                connection.close()
                this.connection = undefined
            }
            this.disconnected(this.ending === Why.None ? why : this.ending)
            await ds.sleep(this.delayMs())
        }
    }

    /** Listens until the connection ends; gives why it did. Never waits for anything but input, which would pile up. */
    private async converse(connection: Connection): Promise<Why> {
        let turn = 0
        while (this.ending === Why.None) {
            const late = this.overdue()
            if (late !== Why.None) return late
            const came = await this.receive(connection)
            if (came === null) return Why.Closed
            if (!came || this.leaving !== Why.None) continue
            for (let parsed = this.parser.next(); parsed !== Parsed.NeedMore; parsed = this.parser.next()) {
                const why = this.stage === Stage.Greeting ? this.greeted(parsed) : this.take(parsed)
                if (why !== Why.None) return why
                turn++
                if (turn % turnPackets === 0) await ds.sleep(0)
            }
            // Pieces that were queued are read without ever waiting.
            turn++
            if (turn % turnPackets === 0) await ds.sleep(0)
        }
        return Why.Closed
    }

    /** Feeds the parser what came. By itself, so that `converse` does not keep it while it waits for more. */
    private async receive(connection: Connection): Promise<boolean> {
        const data = await connection.receive(pollMs)
        if (!data) return data === null ? null : false
        this.receivedMs = ds.millis()
        if (this.leaving === Why.None) this.parser.feed(data)
        return true
    }

    /** What has not come in time, if anything; asks for a sign of life when it is time to. */
    private overdue(): Why {
        const now = ds.millis()
        if (this.stage !== Stage.Up) return now - this.sentMs > answerTimeoutMs ? Why.NoAnswer : Why.None
        const halfMs = this.options.keepaliveSeconds * 500
        if (this.pingMs > 0) return now - this.pingMs > halfMs ? Why.Silent : Why.None
        if (this.outbox.overdue(this.attempt, halfMs * 4)) return Why.Unacknowledged
        if (now - this.sentMs >= halfMs || now - this.receivedMs >= halfMs) {
            this.pingMs = now
            this.pingDue = true
            raise(this.toWrite)
        }
        return Why.None
    }

    private greeted(parsed: Parsed): Why {
        // An answer to a CONNECT that is not written yet would keep it from being written.
        if (parsed !== Parsed.ConnAck || this.greeting) return Why.Malformed
        if (this.parser.code !== 0) return this.refuse(this.parser.code)
        if (this.forgotten) {
            this.inbox.connected(this.parser.sessionPresent, this.handled)
            this.greeting = encodeSubscribe(subscribePacketId, this.options.filter)
            this.stage = Stage.Subscribing
            this.sentMs = ds.millis()
        } else {
            this.forgotten = true
            this.leaving = Why.Forgotten
        }
        raise(this.toWrite)
        return Why.None
    }

    private take(parsed: Parsed): Why {
        const parser = this.parser
        const packetId = parser.qos === 1 ? parser.packetId : 0
        switch (parsed) {
            case Parsed.Publish:
                if (this.inbox.add(parser.topic, parser.payload, packetId, this.attempt)) this.received++
                // From here on the inbox alone decides how long it stays in memory.
                parser.payload = undefined
                raise(this.toDeliver)
                return Why.None
            case Parsed.Refused:
                this.refused++
                if (packetId > 0) this.inbox.add(undefined, undefined, packetId, this.attempt)
                raise(this.toDeliver)
                return Why.None
            case Parsed.PubAck:
                this.outbox.acknowledged(parser.packetId, this.attempt)
                raise(this.toWrite)
                return Why.None
            case Parsed.PingResp:
                this.pingMs = 0
                return Why.None
            case Parsed.SubAck:
                if (this.stage !== Stage.Subscribing || this.greeting) return Why.Malformed
                if (parser.packetId !== subscribePacketId) return Why.Malformed
                if (parser.code >= subscribeRefused) return this.refuse(subscribeRefused)
                this.stage = Stage.Up
                this.upMs = ds.millis()
                if (this.connections > 0) this.reconnects++
                this.connections++
                this.announce = true
                raise(this.toDeliver)
                return Why.None
            default:
                return Why.Malformed
        }
    }

    private refuse(code: number): Why {
        this.onRefused(code)
        return Why.Refused
    }

    private disconnected(why: Why): void {
        this.why = why
        this.pingMs = 0
        this.pingDue = false
        this.announce = false
        this.outbox.disconnected()
        if (this.stage === Stage.Up) this.backoff.lost(this.upMs, ds.millis())
        if (!this.announced) return
        this.announced = false
        this.onDisconnected(why)
    }

    /** Until the next attempt; hardly any time when the last connection ended because we wanted it to. */
    private delayMs(): number {
        const why = this.why
        if (why === Why.Forgotten || why === Why.InboxFull) return settleMs
        return this.backoff.nextMs(why === Why.Refused, ds.millis())
    }

    private end(why: Why): void {
        if (this.ending !== Why.None) return
        this.ending = why
        if (this.connection) this.connection.close()
    }

    private async write(): Promise<void> {
        while (true) {
            const connection = this.connection
            const packet = connection && this.ending === Why.None ? this.nextPacket() : undefined
            if (packet) {
                this.sentMs = ds.millis()
                const sent = await connection.send(packet)
                if (!sent && connection === this.connection) this.end(Why.WriteFailed)
            } else if (connection && this.leaving !== Why.None && this.ending === Why.None)
                await this.sayGoodbye(connection)
            else await raised(this.toWrite)
        }
    }

    /** What is to be written next; undefined when there is nothing, or only the goodbye. */
    private nextPacket(): Buffer {
        const greeting = this.greeting
        this.greeting = undefined
        if (greeting) return greeting
        if (this.stage === Stage.Greeting || this.leaving !== Why.None) return undefined
        if (this.pingDue) {
            this.pingDue = false
            return encodePing()
        }
        if (this.acknowledgements.length > 0) return encodePubAck(this.acknowledgements.shift())
        const packet = this.outbox.next(this.attempt)
        if (!packet && this.inbox.overflowed && !this.inbox.first()) this.leaving = Why.InboxFull
        return packet
    }

    /** Ends the connection so that the broker does not publish the Will. */
    private async sayGoodbye(connection: Connection): Promise<void> {
        await connection.send(encodeGoodbye())
        // On ESP32 another task writes what the socket took; closing at once would cut it off.
        await ds.sleep(goodbyeMs)
        if (connection === this.connection) this.end(this.leaving)
    }

    private async deliver(): Promise<void> {
        while (true) {
            const item = this.inbox.first()
            if (this.announce) {
                this.announce = false
                this.announced = true
                await this.callApplication(undefined)
            } else if (item) {
                this.handled = item
                if (item.topic !== undefined) await this.callApplication(item)
                this.handled = undefined
                this.inbox.remove(item)
                await this.acknowledge(item)
                // Resets the VM's limit of steps: a handler that never waits would else use up everybody's.
                await ds.sleep(0)
            } else {
                if (this.inbox.overflowed) raise(this.toWrite)
                await raised(this.toDeliver)
            }
        }
    }

    /** With `item`, or with the news that the connection is up when there is none. */
    private async callApplication(item: Incoming): Promise<void> {
        try {
            if (item) await this.onMessage(item.topic, item.takePayload())
            else await this.onConnected()
        } catch (error: any) {
            note(`threw ${error.message}`)
        }
    }

    private async acknowledge(item: Incoming): Promise<void> {
        while (item.attempt === this.attempt && this.acknowledgements.length >= turnPackets) await ds.sleep(10)
        if (item.packetId === 0 || item.attempt !== this.attempt) return
        this.acknowledgements.push(item.packetId)
        raise(this.toWrite)
    }
}
