/**
 * The firmware's MQTT client, as bytecode in the VM, against a real broker in a process of its own.
 */

import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { groupServerId, hashSecret, writeCredentials } from "../../servers/broker/credentials.ts"
import { freePort } from "../support/addresses.ts"
import type { Child } from "../support/child.ts"
import { within } from "../support/deadline.ts"
import { connectParty, type TestParty } from "../support/mqtt.ts"
import { program, TestBoard } from "./test-board.ts"

const root = "parley/v1/ep/board-t"
const host = "127.0.0.1"

export interface SuiteBroker {
    name: string
    skip: false | string
    start(credentials: string, host: string, port: number): Promise<Child>
    /** The CONNACK code for a wrong secret. */
    wrongSecret: number
}

export function testWithBroker({ name, skip, start, wrongSecret }: SuiteBroker): void {
    describe(`the firmware's MQTT client with ${name}`, { skip }, () => {
        let bytecode: Uint8Array
        let credentials: string
        let broker: Child
        let port: number
        let group: TestParty
        let board: TestBoard | undefined

        const writeSecrets = (boardSecret: string) =>
            writeCredentials(credentials, [
                { id: "board-t", kind: "ep", hash: hashSecret(boardSecret) },
                { id: groupServerId, kind: "group", hash: hashSecret("group-secret") },
            ])
        const connectGroup = async () => {
            group = await connectParty({ host, port }, groupServerId, "group-secret")
            await group.subscribe("parley/v1/ep/+/out/group/+")
            await group.subscribe("parley/v1/ep/+/state")
        }
        const startBoard = async () => {
            board = await TestBoard.start(bytecode, { broker: { host, port } })
            return board
        }
        const tell = (verb: string, payload: string | Buffer = "") =>
            group.publish(`${root}/in/group/${verb}`, payload, { qos: 1 })
        /** received, published, refused, reconnects, dropped */
        const counters = async (of: TestBoard): Promise<number[]> => {
            const line = of.line(/^@ counters/)
            await tell("tell")
            return (await within(line, "the counters")).split(" ").slice(2).map(Number)
        }

        before(async () => {
            bytecode = await program("echo")
            credentials = mkdtempSync(join(tmpdir(), "parley-firmware-"))
            writeSecrets("board-t-secret")
            port = await freePort(host)
            broker = await start(credentials, host, port)
            await connectGroup()
        })
        after(async () => {
            board?.cutPower()
            await group?.end()
            await broker?.stop()
            rmSync(credentials, { recursive: true, force: true })
        })
        const fresh = async () => {
            board?.cutPower()
            const next = await startBoard()
            await within(next.line(/^@ up/, 0), "the board to be up").catch(error => {
                throw new Error(`${error.message}\n${next.tail()}`)
            })
            return next
        }

        test("publishes its birth, retained, and its Will comes when the power is cut", async () => {
            const up = await fresh()
            const birth = await group.next(`${root}/state`)
            assert.equal(birth.payload.toString(), "here")
            const will = new Promise<string>(resolve => {
                group.client.on("message", (topic, payload) => {
                    if (topic === `${root}/state`) resolve(payload.toString())
                })
            })
            up.cutPower()
            // mosquitto looks for silent clients each few seconds only.
            assert.equal(await within(will, "the Will", 60_000), "gone")
        })

        test("echoes 500 messages at QoS 1 with eight under way: none lost, none out of order", async () => {
            const up = await fresh()
            const many = 500
            const echoes: number[] = []
            let sent = 0
            const sendOne = () => {
                sent++
                return tell("echo", String(sent - 1).padEnd(200, "x"))
            }
            while (sent < 8) void sendOne()
            while (echoes.length < many) {
                const echo = await group.next(`${root}/out/group/echo`)
                echoes.push(Number.parseInt(echo.payload.toString(), 10))
                assert.equal(echo.payload.length, 200)
                if (sent < many) void sendOne()
            }
            assert.deepEqual(
                echoes,
                Array.from({ length: many }, (_, i) => i),
            )
            assert.deepEqual(up.panics, [])
            assert.ok(up.heapPeakBytes <= 32 * 1024, `heap peak ${up.heapPeakBytes}`)
        })

        test("refuses and counts a message that is too long, acknowledges it, and handles what follows", async () => {
            const up = await fresh()
            const [, , refusedBefore] = await counters(up)
            await tell("echo", Buffer.alloc(1025, 0x61))
            await tell("echo", Buffer.alloc(2048, 0x61))
            await tell("echo", Buffer.alloc(1024, 0x62))
            const echo = await group.next(`${root}/out/group/echo`)
            assert.equal(echo.payload.length, 1024)
            const [, , refused, reconnects] = await counters(up)
            assert.equal(refused - refusedBefore, 2)
            assert.equal(reconnects, 0)
        })

        test("goes on when the application throws", async () => {
            const up = await fresh()
            await tell("throw")
            await tell("parse", "{")
            await tell("parse", `${"[".repeat(1000)}`)
            await tell("echo", "still here")
            assert.equal((await group.next(`${root}/out/group/echo`)).payload.toString(), "still here")
            assert.deepEqual(up.panics, [])
        })

        test("handles a burst larger than its inbox completely and in order", async () => {
            const up = await fresh()
            const many = 60
            for (let i = 0; i < many; i++) void tell("slow", String(i).padEnd(300, "."))
            const handled: number[] = []
            await within(up.line(new RegExp(`^@ slow ${many - 1}\\.`), 0), "the last of the burst", 60_000)
            for (const line of up.lines)
                if (line.startsWith("@ slow ")) handled.push(Number.parseInt(line.slice(7), 10))
            // At least once: after a reconnect some come again, but each comes before any later one comes first.
            const firsts = handled.filter((value, index) => handled.indexOf(value) === index)
            assert.deepEqual(
                firsts,
                Array.from({ length: many }, (_, i) => i),
            )
        })

        test("keeps its outbox when the broker is killed, and is back within 3 s", async () => {
            const up = await fresh()
            const many = 120
            const seen: number[] = []
            void tell("count", String(many))
            const collect = async (until: number) => {
                while (seen.at(-1) !== until)
                    seen.push(Number((await group.next(`${root}/out/group/count`)).payload.toString()))
            }
            for (const cut of [20, 60]) {
                await within(collect(cut), `message ${cut}`)
                const down = up.line(/^@ down/)
                await broker.kill("SIGKILL")
                group.drop()
                await within(down, "the board to notice")
                const back = up.line(/^@ up/)
                broker = await start(credentials, host, port)
                const startedMs = performance.now()
                await connectGroup()
                await within(back, "the board to be back", 3000)
                assert.ok(performance.now() - startedMs < 3000)
            }
            await within(up.line(/^@ counted/, 0), "all messages to be acknowledged", 60_000)
            await within(collect(many - 1), "the last message")
            const firsts = seen.filter((value, index) => seen.indexOf(value) === index)
            // What was published while the group server was away is not its to see: order is, and no acknowledged loss.
            assert.deepEqual(
                firsts,
                [...firsts].sort((a, b) => a - b),
            )
            assert.deepEqual(up.panics, [])
        })

        test("says which refusal it met when its secret is wrong", async () => {
            board?.cutPower()
            writeSecrets("another-secret")
            await broker.kill()
            broker = await start(credentials, host, port)
            await connectGroup()
            const next = await startBoard()
            const refused = await within(next.line(/^@ refused/, 0), "the refusal", 60_000)
            assert.equal(refused, `@ refused ${wrongSecret}`)
        })
    })
}
