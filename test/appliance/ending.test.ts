/**
 * How a life of the program ends and what the group server hears of it: the real firmware, with a display whose driver
 * fails, in a virtual room; its hellos go to the core of the real group server.
 */

import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { before, describe, test } from "node:test"
import { fileURLToPath } from "node:url"
import { compileFirmware, describeProblems } from "../../build/firmware.ts"
import type { KnownCrash } from "../../servers/group/core/model.ts"
import { readServices } from "../../sim/simulation.ts"
import { MemoryFlash } from "../../sim/vm/flash.ts"
import { roomId, VirtualRoom } from "../../sim/world/appliance/room.ts"
import { Tool } from "../../sim/world/appliance/tool.ts"
import { World } from "../group/world.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
let bytecode: Uint8Array
let functions: { name: string; startpc: number }[]
before(async () => {
    console.info = console.debug = () => {}
    const entry = `${root}test/firmware/programs/ending.ts`
    const compiled = await compileFirmware(entry, `${root}.build/test-appliance/ending-${process.pid}.devs`)
    if (!compiled.ok) throw new Error(describeProblems(compiled.problems))
    bytecode = readFileSync(compiled.devsFile)
    functions = JSON.parse(readFileSync(compiled.debugFile, "utf8")).functions
    functions.sort((a, b) => a.startpc - b.startpc)
})

/** Of places in the program, two bytes each, by what the compiler wrote beside it. */
function functionsAt(places: Buffer): string[] {
    return Array.from({ length: places.length / 2 }, (_, i) => {
        const at = places.readUInt16LE(i * 2)
        return functions.findLast(({ startpc }) => startpc <= at)!.name
    })
}

const faults = { exception: 0, steps: 1, standstill: 2 }

async function start(fault: keyof typeof faults) {
    const flash = new MemoryFlash()
    const settings = { fault: faults[fault] }
    const room = await VirtualRoom.create({ bytecode, services: readServices(), flash, seed: 1, settings })
    const group = new World()
    group.do({ do: "enrolEndpoint", id: roomId, name: "Raum Ä", secretHash: "-" })
    let deaf = false
    room.servers.answers.hello = body => {
        const answer = group.ask("ep", roomId, "hello", body)
        if (deaf) return undefined
        return answer.ok ? { name: "Raum Ä", nowMs: room.servers.nowMs() } : { reason: answer.reason, who: answer.who }
    }
    const crashes = (): KnownCrash[] => group.state.durable.endpoints.get(roomId)!.crashes
    await room.board.powerOn()
    await room.shows(/Ready/)
    return {
        room,
        group,
        crashes,
        /** Presses, and sees the program come back and register. */
        async fail() {
            const boots = room.servers.requests("hello").length
            room.board.press("menu", 60)
            await room.until(() => room.servers.requests("hello").length > boots, "the next registration")
            await room.shows(/Ready/)
        },
        hear: (on: boolean) => {
            deaf = !on
        },
    }
}

describe("a life that ends by itself", () => {
    test("tells an exception with its text, what was logged before it, and what ran", async () => {
        const { room, group, crashes, fail } = await start("exception")
        const { boot, fw } = room.servers.requests("hello")[0]
        await fail()
        const [{ kind, text, boot: crashed, seconds, log, firmware }, ...others] = crashes()
        assert.deepEqual({ kind, crashed, firmware }, { kind: "exception", crashed: boot, firmware: fw })
        const [, places, what] = /^([0-9a-f]{4,16}) (.*)$/.exec(text)!
        assert.equal(what, "RangeError: no such row: 0")
        assert.deepEqual(functionsAt(Buffer.from(places, "hex")), ["showText", "runPanel", "guard"])
        assert.ok(seconds < 10, `${seconds} s`)
        assert.match(log, /\d+ phase 6, $/)
        assert.deepEqual(others, [])
        assert.equal(room.board.status().crashes, 0, "the machine saw a wanted restart")
        const entries = group.writes.flatMap(write => (write.table === "audit" ? write.put : []))
        assert.deepEqual(entries.find(one => one.action === "crash")?.inputs, crashes()[0])
        room.board.powerOff()
    })

    test("tells that it ended without a word when the machine stopped it for its steps", async () => {
        const { room, crashes, fail } = await start("steps")
        await fail()
        assert.equal(room.board.status().panic?.code, 60001)
        const [{ kind, text, log }] = crashes()
        assert.deepEqual({ kind, text, log }, { kind: "panic", text: "", log: "" })
        room.board.powerOff()
    })

    test("ends itself and tells so when a task stands still", async () => {
        const { room, crashes, fail } = await start("standstill")
        const atMs = room.clock.nowMs()
        await fail()
        const [{ kind, text }] = crashes()
        assert.deepEqual({ kind, text }, { kind: "stuck", text: "screen or main loop" })
        const tookMs = room.clock.nowMs() - atMs
        assert.ok(tookMs > 15_000 && tookMs < 20_000, `${tookMs} ms`)
        room.board.powerOff()
    })

    test("is told once, also when the first report is not answered", async () => {
        const { room, crashes, hear } = await start("exception")
        hear(false)
        room.board.press("menu", 60)
        await room.until(() => crashes().length > 0, "a report")
        await room.until(() => room.servers.requests("hello").length >= 3, "its repetition")
        hear(true)
        await room.shows(/Ready/)
        assert.equal(crashes().length, 1)
        const told = room.servers.requests("hello").length
        room.servers.lose()
        room.servers.isUp = true
        await room.until(() => room.servers.requests("hello").length > told, "a reconnect")
        assert.equal(room.servers.requests("hello").at(-1)!.crash, undefined)
        room.board.powerOff()
    })

    test("is not told of power that went, a reset, or a restart that a tool asked for", async () => {
        const { room, crashes } = await start("exception")
        await room.board.powerCycle()
        await room.shows(/Ready/)
        await room.board.reset()
        await room.pass(1000)
        await room.shows(/Ready/)
        const tool = new Tool(room)
        await tool.identity()
        tool.command("trySettings")
        await room.pass(10_000)
        await room.shows(/Ready/)
        assert.deepEqual(crashes(), [])
        assert.ok(room.servers.requests("hello").length >= 4)
        assert.ok(room.servers.requests("hello").every(hello => hello.crash === undefined))
        room.board.powerOff()
    })
})
