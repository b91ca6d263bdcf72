/**
 * The firmware's own Jacdac service, asked as a field tool asks it: with frames on the bus. Virtual time.
 */

import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { before, describe, test } from "node:test"
import { fileURLToPath } from "node:url"
import { compileFirmware, describeProblems } from "../../build/firmware.ts"
import { machineId } from "../../sim/board.ts"
import { readServices } from "../../sim/simulation.ts"
import { type Flash, MemoryFlash } from "../../sim/vm/flash.ts"
import { provision, readSettings, type Settings } from "../../sim/vm/provision.ts"
import { flashOf, RecordingFlash } from "../../sim/world/appliance/recording-flash.ts"
import { roomId, VirtualRoom } from "../../sim/world/appliance/room.ts"
import { Tool } from "../../sim/world/appliance/tool.ts"

const entry = fileURLToPath(new URL("../../src/main.ts", import.meta.url))
const outFile = fileURLToPath(new URL(`../../.build/test-appliance/service-${process.pid}.devs`, import.meta.url))
const verdict = { answers: 2, askPerson: 3, used: 4 }
const trial = { trying: 1, accepted: 2, failed: 3, interrupted: 4, invalid: 5 }

let bytecode: Uint8Array
before(async () => {
    console.info = console.debug = () => {}
    const compiled = await compileFirmware(entry, outFile)
    if (!compiled.ok) throw new Error(describeProblems(compiled.problems))
    bytecode = readFileSync(compiled.devsFile)
})

async function roomWith(settings: Settings = {}, flash: Flash = new MemoryFlash(), isProvisioned = false) {
    const services = readServices()
    const room = await VirtualRoom.create({ bytecode, services, flash, seed: 1, settings, isProvisioned })
    await room.board.powerOn()
    const tool = new Tool(room)
    return { room, tool, flash }
}

const settled = async (flash: Flash, key: string) =>
    (await readSettings(flash, machineId(roomId), [key])).get(key)!.toString()

describe("the appliance's service", () => {
    test("tells who it is and that all is well", async () => {
        const { room, tool } = await roomWith()
        await room.shows(/Ready/)
        assert.deepEqual(await tool.identity(), {
            id: roomId,
            board: "room-panel",
            name: "Raum Ä",
            firmware: (await tool.identity()).firmware,
        })
        const { clockErrorMs, denial, media, reason, socket } = await tool.health()
        assert.ok(clockErrorMs < 250, `${clockErrorMs}`)
        assert.deepEqual({ denial, media, reason, socket }, { denial: 0, media: 1, reason: "", socket: "" })
        room.board.powerOff()
    })

    test("tells what the socket said, what the broker refused and which reason a server gave", async () => {
        const { room, tool } = await roomWith()
        room.servers.isUp = false
        await room.until(() => room.board.phase === "Connecting", "an attempt")
        await room.pass(3000)
        const { clockErrorMs, ended, socket } = await tool.health()
        assert.deepEqual({ clockErrorMs, ended }, { clockErrorMs: 4_294_967_295, ended: 3 })
        assert.match(socket, /^tcp:\/\/broker:1883: connect ECONNREFUSED/)
        room.servers.isUp = true
        room.servers.admits = () => 4
        await room.shows(/wrong secret/)
        assert.equal((await tool.health()).denial, 4)
        room.servers.admits = () => 0
        room.servers.answers.candidates = () => ({ reason: "no-servers", who: "operator" })
        await room.shows(/No server answers/)
        assert.equal((await tool.health()).reason, "no-servers")
        room.board.powerOff()
    })

    test("tests its parts: what answers, what a person must see, hear and press", async () => {
        const { room, tool } = await roomWith()
        await room.shows(/Ready/)
        assert.deepEqual(await tool.verdicts(), [0, 0, 0, 0, 0, 0, 0, 0])
        tool.command("selfTest")
        await room.shows(/Self-test\nPress and turn\nCALL MENU MUTE knob/)
        await room.press("mute", /CALL MENU {2}knob/)
        assert.equal(room.engine.muted, false, "the test mutes nothing")
        room.board.turn(1)
        await room.shows(/CALL MENU\n/)
        const { answers, askPerson, used } = verdict
        assert.deepEqual(await tool.verdicts(), [
            answers,
            askPerson,
            askPerson,
            answers,
            askPerson,
            askPerson,
            used,
            used,
        ])
        await room.press("call", /MENU/)
        await room.press("menu", /Ready/)
        room.board.powerOff()
    })

    test("shows which one is meant, for ten seconds", async () => {
        const { room, tool } = await roomWith()
        await room.shows(/Ready/)
        tool.command("identify")
        await room.shows(/This one is meant\nboard-a/)
        const colours = new Set<string>()
        await room.pass(300)
        for (let i = 0; i < 8; i++) {
            colours.add(room.board.display().led)
            await room.pass(250)
        }
        assert.equal(colours.size, 2, "it blinks")
        await room.shows(/Ready/, 9000)
        room.board.powerOff()
    })
})

describe("settings that are tried", () => {
    const candidates = { "n.host": "other", "n.secret": "new-secret" }
    /** The broker "other" takes only the new secret. */
    const isWelcome = (_: string, secret: string) => (secret === "new-secret" ? 0 : 4)

    test("replace the old ones once the appliance is registered with them", async () => {
        const { room, tool, flash } = await roomWith(candidates)
        await room.shows(/Ready/)
        room.servers.admits = isWelcome
        tool.command("trySettings")
        await room.until(() => room.board.phase === undefined, "the restart")
        await room.until(() => room.board.phase === "Idle", "a new life")
        await room.pass(1000)
        assert.equal(await tool.trial(), trial.accepted)
        assert.equal(await settled(flash, "p.host"), '"other"')
        assert.equal(await settled(flash, "p.secret"), '"new-secret"')
        assert.equal(await settled(flash, "p.id"), `"${roomId}"`)
        assert.equal(await settled(flash, "n.secret"), "")
        room.board.powerOff()
    })

    test("give way to the old ones when they do not work within 30 s", async () => {
        const { room, tool, flash } = await roomWith(candidates)
        await room.shows(/Ready/)
        tool.command("trySettings")
        room.servers.admits = (_, secret) => (secret === "new-secret" ? 4 : 0)
        await room.shows(/wrong secret/)
        assert.equal(await tool.trial(), trial.trying)
        await room.shows(/Ready/)
        assert.equal(await tool.trial(), trial.failed)
        assert.equal(await settled(flash, "p.host"), '"broker"')
        assert.equal(await settled(flash, "n.host"), "")
        room.board.powerOff()
    })

    test("give way to the old ones when the power goes during the trial", async () => {
        const { room, tool } = await roomWith(candidates)
        await room.shows(/Ready/)
        tool.command("trySettings")
        room.servers.admits = (_, secret) => (secret === "new-secret" ? 4 : 0)
        await room.shows(/wrong secret/)
        await room.board.powerCycle()
        await room.shows(/Ready/)
        assert.equal(await tool.trial(), trial.interrupted)
        room.board.powerOff()
    })

    test("are all old or all new, and work, when the power goes at any flash write of a trial", async () => {
        const first = new MemoryFlash()
        const { room: maker } = await roomWith(candidates, first)
        maker.board.powerOff()
        const recording = new RecordingFlash(first.load())
        const { room, tool } = await roomWith(candidates, recording)
        await room.shows(/Ready/)
        const before = recording.writes.length
        tool.command("trySettings")
        await room.until(() => room.board.phase === undefined, "the restart")
        await room.until(() => room.board.phase === "Idle", "a new life")
        await room.pass(1000)
        room.board.powerOff()
        const writes = recording.writes.slice(before)
        assert.ok(writes.length >= 10, `${writes.length} writes`)
        for (const [index, { after }] of writes.entries()) {
            const flash = flashOf(after)
            const { room: next } = await roomWith(candidates, flash, true)
            await next.shows(/Ready/)
            await next.pass(1000)
            next.board.powerOff()
            const [host, secret] = [await settled(flash, "p.host"), await settled(flash, "p.secret")]
            const isOld = host === '"broker"' && secret === '"secret-of-board-a"'
            const isNew = host === '"other"' && secret === '"new-secret"'
            assert.ok(isOld || isNew, `after write ${index}: ${host} with ${secret}`)
        }
    })

    test("are not tried when they are of a wrong form", async () => {
        const { room, tool } = await roomWith({ "n.id": "No/such+id" })
        await room.shows(/Ready/)
        tool.command("trySettings")
        await room.until(() => room.board.phase === undefined, "the restart")
        await room.until(() => room.board.phase === "Idle", "a new life")
        assert.equal(await tool.trial(), trial.invalid)
        room.board.powerOff()
    })
})

describe("a factory reset", () => {
    test("leaves neither identity nor secret nor schedule in the flash, and needs its magic number", async () => {
        const secret = "the-secret-that-must-go"
        const { room, tool, flash } = await roomWith({ "p.secret": secret, "n.secret": "candidate-that-must-go" })
        await room.shows(/Ready/)
        room.servers.agenda([{ title: "Board meeting" }])
        await room.shows(/Board meeting/)
        await room.pass(1000)
        tool.command("factoryReset", Buffer.from([1, 2, 3, 4]))
        await room.pass(2000)
        assert.ok(Buffer.from(flash.load()).includes(secret))
        tool.command("factoryReset", Buffer.from([0x00, 0x70, 0x5e, 0x7e]))
        await room.shows(/Not set up yet/)
        const image = Buffer.from(flash.load())
        for (const gone of [secret, "candidate-that-must-go", "Board meeting", `"${roomId}"`])
            assert.equal(image.includes(gone), false, `"${gone}" is still in the flash`)
        // It can be set up again.
        room.board.powerOff()
        const settings = { "p.id": roomId, "p.secret": "fresh", "p.host": "broker" }
        await provision({ flash, deviceId: machineId(roomId), bytecode, settings })
        await room.board.powerOn()
        await room.shows(/Ready/)
        room.board.powerOff()
    })
})
