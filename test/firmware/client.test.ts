/**
 * The firmware's MQTT client, as bytecode in the VM, under virtual time with a broker that the test plays: what a real
 * broker does rarely or never.
 */

import assert from "node:assert/strict"
import { before, test } from "node:test"
import { VirtualClock } from "../../sim/clock.ts"
import { connAck, packet, pingResp, pubAck, publish, subAck } from "./hostile.ts"
import { PlayedSocket } from "./played-socket.ts"
import { program, TestBoard } from "./test-board.ts"

const inbox = "parley/v1/ep/board-t/in/group"
let bytecode: Uint8Array

before(async () => {
    bytecode = await program("echo")
})

interface Stage {
    clock: VirtualClock
    socket: PlayedSocket
    board: TestBoard
    /** Lets time pass until it holds; a failure otherwise. */
    until(holds: () => boolean, what: string, limitMs?: number): void
    /** Plays a right handshake on the present or next connection. */
    greet(sessionPresent?: number): void
    /** Connected, subscribed, birth acknowledged. */
    up(): void
    tell(verb: string, payload: string | Buffer, packetId: number): void
}

async function stage(): Promise<Stage> {
    const clock = new VirtualClock()
    const socket = new PlayedSocket(clock)
    const board = await TestBoard.start(bytecode, { clock, sockets: socket })
    const until = (holds: () => boolean, what: string, limitMs = 60_000) => {
        assert.ok(clock.advanceUntil(holds, limitMs), `${what}: not within ${limitMs} virtual ms\n${board.tail()}`)
    }
    const greet = (sessionPresent = 0) => {
        until(() => socket.greeted(), "CONNECT")
        socket.tell(connAck(sessionPresent))
        until(() => socket.written.has("subscribe"), "SUBSCRIBE")
        socket.tell(subAck())
        clock.advance(20)
    }
    const up = () => {
        // The first connection of a boot only throws the old session away.
        until(() => socket.greeted(), "CONNECT")
        socket.tell(connAck())
        until(() => socket.written.has("disconnect"), "the goodbye of the first connection")
        until(() => socket.opens === 2, "the second connection")
        socket.acknowledges = true
        greet()
        assert.deepEqual(board.lines, ["@ up 1"])
    }
    const tell = (verb: string, payload: string | Buffer, packetId: number) =>
        socket.tell(publish(`${inbox}/${verb}`, payload, 1, packetId))
    return { clock, socket, board, until, greet, up, tell }
}

test("throws the session of a former boot away, then asks the broker to keep one", async () => {
    const { socket, until } = await stage()
    until(() => socket.greeted(), "CONNECT")
    assert.equal(socket.written.cleanSession, true)
    socket.tell(connAck())
    until(() => socket.written.has("disconnect"), "the goodbye")
    until(() => socket.opens === 2 && socket.greeted(), "the second connection")
    assert.equal(socket.written.cleanSession, false)
})

test("gives a broker up that falls silent, within its keepalive", async () => {
    const { clock, socket, board, until, up } = await stage()
    up()
    until(() => socket.written.has("pingreq"), "PINGREQ")
    socket.tell(pingResp())
    const silentFromMs = clock.nowMs()
    until(() => board.lines.includes("@ down 7"), "the end of the connection")
    const tookMs = clock.nowMs() - silentFromMs
    assert.ok(tookMs <= 4000 + 2 * 1000, `noticed after ${tookMs} ms`)
    until(() => socket.opens === 3, "the next connection", 1000)
})

test("gives a broker up that never answers CONNECT or SUBSCRIBE", async () => {
    const { clock, socket, until } = await stage()
    until(() => socket.greeted(), "CONNECT")
    until(() => socket.opens === 2, "another attempt after no CONNACK", 10_000)
    until(() => socket.greeted(), "CONNECT")
    socket.tell(connAck())
    until(() => socket.opens === 3, "the connection that counts")
    until(() => socket.greeted(), "CONNECT")
    socket.tell(connAck())
    until(() => socket.written.has("subscribe"), "SUBSCRIBE")
    const fromMs = clock.nowMs()
    until(() => socket.opens === 4, "another attempt after no SUBACK", 10_000)
    assert.ok(clock.nowMs() - fromMs >= 5000)
})

test("comes back after bytes that are not MQTT", async () => {
    const { socket, board, until, up, greet } = await stage()
    up()
    socket.tell(Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0x01]))
    until(() => board.lines.includes("@ down 8"), "the end of the connection")
    greet()
    assert.equal(board.lines.at(-1), "@ up 2")
    assert.deepEqual(board.panics, [])
})

test("sends what was not acknowledged again, marked, in order and under the same identifiers", async () => {
    const { clock, socket, board, until, up, greet, tell } = await stage()
    up()
    socket.acknowledges = false
    for (let i = 0; i < 11; i++) tell("queue", `m${i}`, i + 1)
    until(() => socket.written.payloads.includes("m7"), "the window to fill")
    clock.advance(500)
    assert.equal(socket.written.payloads.includes("m8"), false, "a ninth message is in flight")
    const ids = socket.written.publishes.filter(each => each.payload.startsWith("m")).map(each => each.packetId)
    assert.equal(new Set(ids).size, 8)
    socket.tell(pubAck(ids[0]))
    until(() => socket.written.payloads.includes("m8"), "the window to move")

    socket.say({ type: "close" })
    until(() => board.lines.includes("@ down 4"), "the end of the connection")
    until(() => socket.greeted(), "CONNECT")
    socket.acknowledges = true
    greet()
    until(() => socket.written.payloads.includes("m10"), "the rest of the outbox")
    const again = socket.written.publishes.filter(each => each.payload.startsWith("m"))
    assert.deepEqual(
        again.map(each => each.payload),
        Array.from({ length: 10 }, (_, i) => `m${i + 1}`),
    )
    assert.deepEqual(
        again.map(each => each.again),
        [...Array(8).fill(true), false, false],
    )
    assert.deepEqual(
        again.slice(0, 7).map(each => each.packetId),
        ids.slice(1),
    )
})

test("acknowledges a message only when it was handled, and refused ones in their turn", async () => {
    const { clock, socket, until, up, tell } = await stage()
    up()
    tell("slow", "first", 21)
    socket.tell(publish(`${inbox}/echo`, Buffer.alloc(5000), 1, 22))
    clock.advance(15)
    assert.deepEqual(socket.written.acknowledged, [])
    until(() => socket.written.acknowledged.length === 2, "both acknowledgements")
    assert.deepEqual(socket.written.acknowledged, [21, 22])
})

test("takes packets that come byte by byte, and many in one piece", async () => {
    const { socket, until, up } = await stage()
    up()
    for (const byte of publish(`${inbox}/echo`, "byte by byte", 1, 5)) socket.tell(Buffer.from([byte]))
    until(() => socket.written.payloads.includes("byte by byte"), "the echo")
    socket.tell(Buffer.concat(Array.from({ length: 9 }, (_, i) => publish(`${inbox}/echo`, `p${i}`, 1, 30 + i))))
    until(() => socket.written.payloads.includes("p8"), "the last echo")
    const echoes = socket.written.payloads.filter(payload => payload.startsWith("p"))
    assert.deepEqual(
        echoes,
        Array.from({ length: 9 }, (_, i) => `p${i}`),
    )
})

test("keeps topics and payloads in UTF-8 whole, refuses a topic that is none", async () => {
    const { socket, board, until, up, tell } = await stage()
    up()
    tell("echo", "é漢\u{1f600}", 1)
    until(() => socket.written.payloads.includes("é漢\u{1f600}"), "the echo")
    socket.tell(publish(Buffer.from([0x61, 0xff, 0xfe]), "", 1, 2))
    tell("tell", "", 3)
    until(() => board.lines.some(line => line.startsWith("@ counters")), "the counters")
    assert.equal(board.lines.find(line => line.startsWith("@ counters"))!.split(" ")[4], "1")
    assert.ok(socket.written.acknowledged.includes(2))
})

test("tries again in 0.15 to 0.3 s, then slower, and for a minute at least each 2.4 s", async () => {
    const { clock, socket, board, until, up, greet } = await stage()
    up()
    clock.advance(3000)
    socket.tell(pingResp())
    const delays: number[] = []
    socket.outcome = () => "error"
    let lastMs = clock.nowMs()
    let opens = socket.opens
    socket.say({ type: "close" })
    while (clock.nowMs() < 58_000) {
        until(() => socket.opens > opens, "another attempt")
        opens = socket.opens
        delays.push(clock.nowMs() - lastMs)
        lastMs = clock.nowMs()
    }
    assert.ok(delays[0] >= 140 && delays[0] <= 330, `first ${delays[0]} ms`)
    assert.ok(Math.max(...delays) <= 2500, `longest ${Math.max(...delays)} ms`)
    clock.advance(200_000)
    const quiet = socket.opens
    clock.advance(60_000)
    assert.ok(socket.opens - quiet <= 7, `${socket.opens - quiet} attempts a minute after long`)
    assert.ok(socket.opens - quiet >= 2)
    socket.outcome = () => "open"
    greet()
    assert.equal(board.lines.at(-1), "@ up 2")
})

test("gives a message up that makes the broker close the connection each time, and sends the next", async () => {
    const { socket, board, until, up, greet, tell } = await stage()
    up()
    socket.acknowledges = false
    tell("queue", "poison", 1)
    until(() => socket.written.payloads.includes("poison"), "the poison")
    tell("queue", "good", 2)
    let closed = 0
    while (socket.written.payloads.includes("poison") && closed < 30) {
        closed++
        socket.say({ type: "close" })
        greet()
    }
    assert.equal(closed, 10)
    socket.acknowledges = true
    until(() => socket.written.payloads.includes("good"), "the message behind it")
    assert.deepEqual(board.panics, [])
})

test("refuses a CONNACK, SUBACK or PUBLISH of a kind that it did not ask for", async () => {
    const { clock, socket, board, until, up, greet } = await stage()
    up()
    const wrong = [connAck(), subAck(), packet(0x34, [0, 1, 97, 0, 5]), packet(0x62, [0, 1]), packet(0x40, [0, 0])]
    for (const bytes of wrong) {
        const before = board.lines.length
        socket.tell(bytes)
        until(() => board.lines.slice(before).includes("@ down 8"), `the end after ${bytes.toString("hex")}`)
        greet()
        clock.advance(1500)
    }
    assert.deepEqual(board.panics, [])
})
