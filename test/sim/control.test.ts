import assert from "node:assert/strict"
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { fileURLToPath } from "node:url"
import { SimClient, type SimFailure, type SimResult } from "../../sim/client.ts"
import { problemsOf, type SimConfig } from "../../sim/config.ts"
import type { BoardEvent } from "../../sim/events.ts"
import { loopbackAddress } from "../support/addresses.ts"
import { type Child, startScript } from "../support/child.ts"
import { within } from "../support/deadline.ts"
import { needPackage } from "../support/system-package.ts"
import { program } from "./programs.ts"

const socat = needPackage("socat", "socat")
const simulator = fileURLToPath(new URL("../../sim/main.ts", import.meta.url))

function value<T>(result: SimResult<T>): T {
    if (!result.ok) assert.fail(`${result.code}: ${result.what}`)
    return result.value
}

function failure<T>(result: SimResult<T>): SimFailure {
    if (result.ok) assert.fail("it should have been refused")
    return result
}

const configOf = (folder: string, firmware?: string): SimConfig => ({
    boards: [
        { id: "room-1", name: "Room 1", secret: "secret", ip: loopbackAddress(), flash: "room-1.flash", mediaPort: 0 },
        { id: "room-2", ip: loopbackAddress(), mediaPort: 0, powered: false },
    ],
    broker: { host: "127.0.0.1", port: 1 },
    control: { host: "127.0.0.1", port: 0, tokenFile: join(folder, "sim.token") },
    firmware,
})

describe("the simulator's control API", () => {
    let folder: string
    let child: Child
    let sim: SimClient
    before(async () => {
        folder = mkdtempSync(join(tmpdir(), "parley-sim-"))
        const firmware = join(folder, "hello.devs")
        writeFileSync(firmware, await program("hello"))
        const file = join(folder, "sim.json")
        writeFileSync(file, JSON.stringify(configOf(folder, firmware)))
        child = await startScript(simulator, ["--config", file])
        sim = SimClient.fromTokenFile(child.ready.url, join(folder, "sim.token"))
    })
    after(async () => {
        await child?.stop()
        rmSync(folder, { recursive: true })
    })

    /** The events until one that `last` accepts, that one included. */
    async function until(
        events: AsyncIterable<BoardEvent>,
        last: (event: BoardEvent) => boolean,
    ): Promise<BoardEvent[]> {
        const heard: BoardEvent[] = []
        const collect = async () => {
            for await (const event of events) {
                heard.push(event)
                if (last(event)) return
            }
        }
        await within(collect(), "the awaited event")
        return heard
    }

    test("keeps its token where only its owner reads it, and answers nobody without it", async () => {
        assert.equal(statSync(join(folder, "sim.token")).mode & 0o777, 0o600)
        for (const token of ["", "wrong", readFileSync(join(folder, "sim.token"), "utf8").trim().slice(1)]) {
            const refused = failure(await new SimClient(child.ready.url, token).boards())
            assert.deepEqual([refused.status, refused.code], [401, "not-allowed"])
        }
    })

    test("lists the boards, with power only where it was asked for", async () => {
        const boards = value(await sim.boards())
        assert.deepEqual(
            boards.map(({ id, name, power }) => ({ id, name, power })),
            [
                { id: "room-1", name: "Room 1", power: "on" },
                { id: "room-2", name: "room-2", power: "off" },
            ],
        )
        assert.match(boards[0].firmware, /^[0-9a-f]{16}$/)
    })

    test("tells a press and what came of it as they happen, with their times", async () => {
        const events = value(await sim.events({ board: "room-1", types: ["press", "screen", "buzzer"] }))
        const { atMs } = value(await sim.press("room-1", "call"))
        const heard = await until(events, event => event.type === "buzzer")
        assert.deepEqual(
            heard.map(event => event.type),
            ["press", "screen", "buzzer"],
        )
        assert.equal(heard[0].atMs, atMs)
        assert.ok(atMs >= events.fromMs && heard[1].atMs >= atMs)
        const display = value(await sim.screen("room-1"))
        assert.deepEqual(
            display.lines.map(line => line.trimEnd()),
            ["room-1", "call", "", ""],
        )
        assert.equal(display.led, "#0080ff")
        const log = value(await sim.log("room-1", 3))
        assert.equal(log.length, 3)
        assert.ok(log.some(line => line.text === "> call"))
    })

    test("turns the knob, and switches power and radio", async () => {
        const screens = value(await sim.events({ board: "room-1", types: ["screen"] }))
        value(await sim.turn("room-1", -2))
        await until(screens, event => event.type === "screen" && event.lines[1].startsWith("knob -2"))

        assert.deepEqual(value(await sim.wifi("room-1", { lossPercent: 5 })), { up: true, lossPercent: 5, delayMs: 0 })
        const powers = value(await sim.events({ board: "room-2", types: ["power", "log"] }))
        assert.equal(value(await sim.power("room-2", "on")).power, "on")
        await until(powers, event => event.type === "log" && event.line.startsWith("> hello nobody"))
        assert.equal(value(await sim.power("room-2", "off")).power, "off")
        const refused = failure(await sim.press("room-2", "call"))
        assert.deepEqual([refused.status, refused.code, refused.who], [409, "no-power", "you"])
    })

    test("plugs a cable into a serial port and pulls it", { skip: socat.ok ? false : socat.why }, async () => {
        const { path } = value(await sim.serial("room-1", true))
        assert.ok(statSync(path!).isCharacterDevice())
        assert.equal(value(await sim.serial("room-1", true)).path, path)
        assert.equal(value(await sim.serial("room-1", false)).path, null)
        assert.throws(() => statSync(path!), { code: "ENOENT" })
    })

    test("refuses what makes no sense, and says what would", async () => {
        const unknown = failure(await sim.screen("nowhere"))
        assert.deepEqual([unknown.status, unknown.code], [404, "unknown-board"])
        assert.match(unknown.what, /room-1, room-2/)
        assert.equal(failure(await sim.press("room-1", "doorbell" as "call")).code, "malformed")
        assert.equal(failure(await sim.turn("room-1", 1.5)).code, "malformed")
        assert.equal(failure(await sim.wifi("room-1", { lossPercent: 101 })).code, "malformed")
        assert.equal(failure(await sim.wifi("room-1", { lost: 1 } as object)).code, "malformed")
        const missing = failure(await sim.media("room-1", { microphone: join(folder, "no.wav") }))
        assert.deepEqual([missing.status, missing.code], [422, "not-found"])
        const huge = await fetch(`${child.ready.url}/v1/boards/room-1/press`, {
            method: "POST",
            headers: { authorization: `Bearer ${readFileSync(join(folder, "sim.token"), "utf8").trim()}` },
            body: "x".repeat(100_000),
        })
        assert.ok(huge.status >= 400 && huge.status < 500)
        value(await sim.boards())
    })

    test("ends its streams and stops in good order on SIGTERM", async () => {
        const events = value(await sim.events())
        const ended = (async () => {
            for await (const _ of events);
        })()
        const exit = await child.stop()
        assert.deepEqual(exit, { code: 0, signal: null })
        await within(ended, "the end of the stream")
        assert.equal(failure(await sim.boards()).code, "unreachable")
    })
})

describe("the simulator's configuration", () => {
    const good = configOf("/tmp")

    test("is accepted when it is right", () => assert.deepEqual(problemsOf(good), []))

    for (const [mistake, content, said] of [
        ["a missing part", { boards: good.boards, broker: good.broker }, /control/],
        ["a misspelt name", { ...good, firmwear: "x" }, /firmwear/],
        ["no board", { ...good, boards: [] }, /\/boards/],
        [
            "a bad identifier",
            { ...good, boards: [{ ...good.boards[0], id: "Room 1" }] },
            /\/boards\/0\/id "Room 1" must be/,
        ],
        ["one board twice", { ...good, boards: [good.boards[0], good.boards[0]] }, /is there twice/],
        ["a bad address", { ...good, boards: [{ ...good.boards[0], ip: "1.2.3" }] }, /\/boards\/0\/ip "1.2.3"/],
        ["a port out of range", { ...good, broker: { host: "x", port: 70000 } }, /\/broker\/port/],
        ["a control API open to all", { ...good, control: { ...good.control, host: "0.0.0.0" } }, /loopback/],
        ["no object at all", 7, /object/],
    ] as const)
        test(`with ${mistake} is refused, naming the place`, () => {
            assert.match(problemsOf(content).join("\n"), said)
        })
})
