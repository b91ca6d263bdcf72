/**
 * MQTT 3.1.1 byte by byte, for tests of what a well-behaved client never does: acknowledging nothing, sending nonsense.
 */

import { connect, type Socket } from "node:net"
import { within } from "./deadline.ts"
import type { BrokerAddress } from "./mqtt.ts"

export function utf8Field(value: string): Buffer {
    const bytes = Buffer.from(value)
    return Buffer.concat([uint16(bytes.length), bytes])
}

export function uint16(value: number): Buffer {
    return Buffer.from([value >> 8, value & 255])
}

/** A packet with the right remaining length. */
export function packet(first: number, ...body: Buffer[]): Buffer {
    const whole = Buffer.concat(body)
    const length: number[] = []
    let left = whole.length
    do {
        length.push((left & 127) | (left > 127 ? 128 : 0))
        left >>= 7
    } while (left > 0)
    return Buffer.concat([Buffer.from([first, ...length]), whole])
}

export function connectPacket(id: string, secret: string, options: { version?: number; clean?: boolean } = {}): Buffer {
    const flags = Buffer.from([options.version ?? 4, options.clean === false ? 0xc0 : 0xc2, 0, 10])
    return packet(0x10, utf8Field("MQTT"), flags, utf8Field(id), utf8Field(id), utf8Field(secret))
}

export function subscribePacket(messageId: number, filter: string): Buffer {
    return packet(0x82, uint16(messageId), utf8Field(filter), Buffer.from([1]))
}

/** An open socket to the broker, from a loopback address of its own where one is given. */
export async function openSocket(broker: BrokerAddress, localAddress?: string): Promise<Socket> {
    const socket = connect({ host: broker.host, port: broker.port, localAddress })
    socket.on("error", () => {})
    await within(new Promise<void>(resolve => socket.once("connect", () => resolve())), "a connection")
    return socket
}

export function socketClosed(socket: Socket, limitMs?: number): Promise<void> {
    const closed = new Promise<void>(resolve => (socket.destroyed ? resolve() : socket.once("close", () => resolve())))
    return within(closed, "the socket to be closed", limitMs)
}

export interface RawMessage {
    messageId: number
    payload: string
}

/** A client that acknowledges when it is told to, and never before. */
export class RawClient {
    readonly socket: Socket
    /** Messages at QoS 1 in order of arrival. */
    readonly messages: RawMessage[] = []
    sessionPresent = false
    private pending: Buffer = Buffer.alloc(0)
    private heard: () => void = () => {}
    private packets: number[] = []

    private constructor(socket: Socket) {
        this.socket = socket
        socket.on("data", chunk => this.take(chunk))
    }

    /** Connected, logged in, and subscribed to `filter`. */
    static async start(
        broker: BrokerAddress,
        id: string,
        secret: string,
        filter: string,
        clean = true,
    ): Promise<RawClient> {
        const client = new RawClient(await openSocket(broker))
        client.socket.write(connectPacket(id, secret, { clean }))
        await client.until(() => client.packets.includes(2), "CONNACK")
        client.socket.write(subscribePacket(1, filter))
        await client.until(() => client.packets.includes(9), "SUBACK")
        return client
    }

    acknowledge(message: RawMessage): void {
        this.socket.write(packet(0x40, uint16(message.messageId)))
    }

    /** Waits until so many messages have come. */
    count(messages: number): Promise<void> {
        return this.until(() => this.messages.length >= messages, `${messages} messages`)
    }

    /** A round trip to the broker: what it has written before is then here. */
    async ping(): Promise<void> {
        const before = this.packets.filter(kind => kind === 13).length
        this.socket.write(Buffer.from([0xc0, 0]))
        await this.until(() => this.packets.filter(kind => kind === 13).length > before, "PINGRESP")
    }

    private async until(holds: () => boolean, what: string): Promise<void> {
        const come = new Promise<void>(resolve => {
            this.heard = () => {
                if (holds()) resolve()
            }
        })
        this.heard()
        await within(come, what)
    }

    private take(chunk: Buffer): void {
        this.pending = Buffer.concat([this.pending, chunk])
        for (;;) {
            let length = 0
            let at = 1
            let byte = 128
            while (byte & 128 && at < this.pending.length) {
                byte = this.pending[at]
                length += (byte & 127) * 128 ** (at - 1)
                at++
            }
            if (byte & 128 || this.pending.length < at + length) break
            this.packet(this.pending[0], this.pending.subarray(at, at + length))
            this.pending = this.pending.subarray(at + length)
        }
        this.heard()
    }

    private packet(first: number, body: Buffer): void {
        this.packets.push(first >> 4)
        if (first >> 4 === 2) this.sessionPresent = (body[0] & 1) === 1
        if ((first & 0xf6) !== 0x32) return
        const topicBytes = body.readUInt16BE(0)
        const payload = body.subarray(4 + topicBytes).toString("utf8")
        this.messages.push({ messageId: body.readUInt16BE(2 + topicBytes), payload })
    }
}
