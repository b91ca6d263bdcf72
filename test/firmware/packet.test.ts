/**
 * `src/mqtt/packet.ts` on Node, against an MQTT implementation that is not ours. (In the VM it is tested with the client.)
 */

import assert from "node:assert/strict"
import { test } from "node:test"
import mqttPacket from "mqtt-packet"
import {
    encodeConnect,
    encodeGoodbye,
    encodePing,
    encodePubAck,
    encodePublish,
    encodeSubscribe,
    PacketParser,
    Parsed,
    stamp,
} from "../../src/mqtt/packet.ts"
import { drawSeed, seededRandom } from "../support/random.ts"

// biome-ignore lint/suspicious/noExplicitAny: the packets of another library.
function read(bytes: Buffer): any {
    const parser = mqttPacket.parser()
    const packets: unknown[] = []
    parser.on("packet", packet => packets.push(packet))
    parser.on("error", error => packets.push(error))
    assert.equal(parser.parse(bytes), 0, "bytes are left over")
    assert.equal(packets.length, 1)
    return packets[0]
}

test("writes CONNECT with user, secret and Will as others read it", () => {
    const fields = {
        id: "room-é",
        secret: "s3cret",
        keepaliveSeconds: 300,
        willTopic: "a/b",
        willPayload: "gone \u{1f600}",
    }
    const packet = read(encodeConnect(fields, false))
    assert.equal(packet.cmd, "connect")
    assert.equal(packet.protocolId, "MQTT")
    assert.equal(packet.protocolVersion, 4)
    assert.equal(packet.clean, false)
    assert.equal(packet.clientId, "room-é")
    assert.equal(packet.username, "room-é")
    assert.equal(packet.password.toString(), "s3cret")
    assert.equal(packet.keepalive, 300)
    assert.deepEqual(
        { ...packet.will, payload: packet.will.payload.toString() },
        { retain: true, qos: 1, topic: "a/b", payload: "gone \u{1f600}" },
    )
    const plain = read(encodeConnect({ id: "x", secret: "y", keepaliveSeconds: 1 }, true))
    assert.equal(plain.clean, true)
    assert.equal(plain.will, undefined)
})

test("writes PUBLISH of all sizes around the steps of its length field as others read it", () => {
    for (const size of [0, 1, 110, 111, 112, 113, 127, 128, 1024, 16370, 16384]) {
        for (const qos of [0, 1]) {
            const payload = Buffer.alloc(size, 7)
            const bytes = encodePublish(Buffer.from("parley/é"), payload, qos, size % 2 === 1)
            if (qos === 1) stamp(bytes, size, 54321, size > 1)
            const packet = read(bytes)
            assert.equal(packet.topic, "parley/é")
            assert.equal(packet.qos, qos)
            assert.equal(packet.retain, size % 2 === 1)
            assert.ok(packet.payload.equals(payload))
            if (qos === 1) assert.equal(packet.messageId, 54321)
            if (qos === 1) assert.equal(packet.dup, size > 1)
        }
    }
})

test("writes the small packets as others read them", () => {
    assert.equal(read(encodePubAck(65535)).messageId, 65535)
    const subscribe = read(encodeSubscribe(258, "a/#"))
    assert.equal(subscribe.messageId, 258)
    assert.equal(subscribe.subscriptions[0].topic, "a/#")
    assert.equal(subscribe.subscriptions[0].qos, 1)
    assert.equal(read(encodePing()).cmd, "pingreq")
    assert.equal(read(encodeGoodbye()).cmd, "disconnect")
})

test("reads what others write, however it is cut into pieces, and skips what is too long", () => {
    const random = seededRandom(drawSeed("packets in pieces"))
    for (let round = 0; round < 300; round++) {
        const expected: string[] = []
        const parts: Buffer[] = []
        for (let i = random.int(1, 12); i > 0; i--) {
            const kind = random.int(0, 5)
            const messageId = random.int(1, 65535)
            if (kind === 0) {
                parts.push(mqttPacket.generate({ cmd: "puback", messageId }))
                expected.push(`ack ${messageId}`)
            } else if (kind === 1) {
                parts.push(mqttPacket.generate({ cmd: "pingresp" }))
                expected.push("ping")
            } else {
                const qos = random.pick([0, 1] as const)
                const topic = `t/${"é".repeat(random.int(0, 63))}`
                const payload = random.bytes(random.pick([0, 5, 300, 1024, 1025, 1300, 20_000]))
                parts.push(
                    mqttPacket.generate({ cmd: "publish", topic, payload, qos, messageId, dup: false, retain: false }),
                )
                const head = payload.length <= 1024 ? `message ${topic} ${payload.length}` : "refused"
                expected.push(`${head} ${qos} ${qos === 1 ? messageId : ""}`)
            }
        }
        const parser = new PacketParser(128, 1024)
        const stream = Buffer.concat(parts)
        const got: string[] = []
        for (let at = 0; at < stream.length; ) {
            const size = random.pick([1, 2, 7, 100, 1024])
            parser.feed(Buffer.from(stream.subarray(at, at + size)))
            at += size
            for (let kind = parser.next(); kind !== Parsed.NeedMore; kind = parser.next()) {
                const id = `${parser.qos} ${parser.qos === 1 ? parser.packetId : ""}`
                if (kind === Parsed.PubAck) got.push(`ack ${parser.packetId}`)
                else if (kind === Parsed.PingResp) got.push("ping")
                else if (kind === Parsed.Publish) got.push(`message ${parser.topic} ${parser.payload.length} ${id}`)
                else if (kind === Parsed.Refused) got.push(`refused ${id}`)
                else assert.fail(`parsed as ${kind}`)
            }
        }
        assert.deepEqual(got, expected)
    }
})
