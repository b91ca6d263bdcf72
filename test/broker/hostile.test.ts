/**
 * Hostile bytes at the embedded broker, as a process of its own: whatever comes in, it lives, and serves the others.
 */

import assert from "node:assert/strict"
import type { Socket } from "node:net"
import { after, before, describe, test } from "node:test"
import { brokerLimits } from "../../servers/broker/limits.ts"
import { type Enrolled, enrolParties, startBrokerChild } from "../support/broker.ts"
import type { Child } from "../support/child.ts"
import { within } from "../support/deadline.ts"
import { connectParty } from "../support/mqtt.ts"
import { drawSeed, type SeededRandom, seededRandom } from "../support/random.ts"
import {
    connectPacket,
    openSocket,
    packet,
    socketClosed,
    subscribePacket,
    uint16,
    utf8Field,
} from "../support/raw-mqtt.ts"

describe("the embedded broker under hostile bytes", () => {
    let enrolled: Enrolled
    let broker: Child

    before(async () => {
        enrolled = enrolParties({ "room-a": "ep", "room-b": "ep", group: "group" })
        broker = await startBrokerChild(enrolled.dir)
    })
    after(async () => {
        await broker.stop()
        enrolled.remove()
    })

    /** From an address of its own, so that hostile ones do not have honest ones held off. */
    const open = (address: string): Promise<Socket> => openSocket(broker.ready as never, address)
    const answered = (socket: Socket) =>
        within(new Promise<Buffer>(resolve => socket.once("data", resolve)), "an answer to CONNECT")

    /** An honest endpoint and the group server still reach each other. */
    const serves = async () => {
        const group = await connectParty(broker.ready as never, "group", enrolled.secrets.group)
        const room = await connectParty(broker.ready as never, "room-b", enrolled.secrets["room-b"])
        await group.subscribe("parley/v1/+/+/out/group/#")
        await room.publish("parley/v1/ep/room-b/out/group/time", { id: 1 })
        assert.deepEqual(await group.nextJson(), { id: 1 })
        await room.end()
        await group.end()
        assert.equal(broker.process.exitCode, null)
    }

    test("outlives random and mutated packets before a login", async () => {
        const random = seededRandom(drawSeed("hostile before login"))
        const honest = connectPacket("room-a", enrolled.secrets["room-a"], { version: random.pick([3, 4, 5]) })
        for (let round = 0; round < 300; round++) {
            const socket = await open(`127.100.${random.int(0, 255)}.${random.int(1, 254)}`)
            const bytes = random.chance(0.3) ? random.bytes(random.int(1, 300)) : mutate(random, honest)
            socket.end(bytes)
            socket.resume()
            await socketClosed(socket)
        }
        await serves()
    })

    test("outlives random and mutated packets after a login", async () => {
        const random = seededRandom(drawSeed("hostile after login"))
        for (let round = 0; round < 300; round++) {
            const socket = await open("127.0.0.1")
            socket.write(connectPacket("room-a", enrolled.secrets["room-a"]))
            const connack = await answered(socket)
            assert.deepEqual([...connack.subarray(0, 4)], [0x20, 2, 0, 0])
            socket.resume()
            const honest = [
                subscribePacket(1, "parley/v1/ep/room-a/in/#"),
                packet(0x32, utf8Field("parley/v1/ep/room-a/out/group/hello"), uint16(2), Buffer.from("{}")),
                packet(0xa2, uint16(3), utf8Field("parley/v1/ep/room-a/in/#")),
                packet(0x31, utf8Field("parley/v1/ep/room-a/state"), Buffer.from("{}")),
                Buffer.from([0x40, 2, 0, random.int(0, 255)]),
                Buffer.from([0xc0, 0]),
            ]
            for (let i = random.int(1, 12); i > 0; i--)
                socket.write(random.chance(0.2) ? random.bytes(random.int(1, 60)) : mutate(random, random.pick(honest)))
            socket.end()
            await socketClosed(socket)
        }
        await serves()
    })

    test("closes a connection that announces a packet too large, before it has sent it", async () => {
        for (const size of [
            [0xff, 0xff, 0xff, 0x7f],
            [0x80, 0x80, 0x04],
        ]) {
            const socket = await open("127.0.0.1")
            socket.write(connectPacket("room-a", enrolled.secrets["room-a"]))
            await answered(socket)
            socket.resume()
            socket.write(Buffer.from([0x32, ...size]))
            await socketClosed(socket)
        }
        assert.match(broker.stderr(), /"reason":"tooLarge"/)
        await serves()
    })

    test("answers MQTT 5 by the code for its version, and closes", async () => {
        const socket = await open("127.0.0.1")
        // An empty list of properties follows the flags of version 5.
        const flags = Buffer.from([5, 0xc2, 0, 10, 0])
        socket.write(packet(0x10, utf8Field("MQTT"), flags, utf8Field("room-a"), utf8Field("room-a"), utf8Field("x")))
        assert.deepEqual([...(await answered(socket)).subarray(0, 2)], [0x20, 2])
        socket.resume()
        await socketClosed(socket)
    })

    test("bounds the connections that never log in, per address, and lets others in meanwhile", async () => {
        const idle: Socket[] = []
        const address = "127.99.0.1"
        for (let i = 0; i < brokerLimits.halfOpenPerAddress; i++) idle.push(await open(address))
        const over = await open(address)
        over.resume()
        await socketClosed(over)
        await serves()
        // A byte now and then does not keep them open either.
        for (const socket of idle) {
            socket.resume()
            socket.write(Buffer.from([0x10]))
        }
        await Promise.all(idle.map(socket => socketClosed(socket, 2 * brokerLimits.connectTimeoutMs)))
        await serves()
    })

    test("holds an address off that fails to log in again and again, and nobody else", async () => {
        const codes: number[] = []
        for (let i = 0; i < brokerLimits.failedLoginBurst + 5; i++) {
            const socket = await open("127.98.0.1")
            socket.write(connectPacket("room-a", "0".repeat(32)))
            codes.push((await answered(socket))[3])
            socket.destroy()
        }
        assert.equal(codes[0], 4)
        assert.equal(codes.at(-1), 3, "server unavailable: come back later")
        await serves()
        const hidden = broker.stderr().includes("0".repeat(32)) || broker.stderr().includes(enrolled.secrets["room-b"])
        assert.ok(!hidden, "no secret is ever logged")
    })
})

/** A packet with a few bytes changed, cut, repeated or inserted. */
function mutate(random: SeededRandom, honest: Buffer): Buffer {
    let bytes = Buffer.from(honest)
    for (let i = random.int(0, 3); i > 0 && bytes.length > 0; i--) {
        const at = random.int(0, bytes.length - 1)
        switch (random.int(0, 3)) {
            case 0:
                bytes[at] = random.int(0, 255)
                break
            case 1:
                bytes = bytes.subarray(0, at)
                break
            case 2:
                bytes = Buffer.concat([bytes.subarray(0, at), random.bytes(random.int(1, 8)), bytes.subarray(at)])
                break
            case 3:
                bytes = Buffer.concat([bytes, bytes.subarray(at)])
                break
        }
    }
    return bytes
}
