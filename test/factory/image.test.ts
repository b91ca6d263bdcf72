import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { readManifest } from "../../build/manifest.ts"
import { type FactoryBoard, factoryBoards } from "../../cli/factory/boards.ts"
import { buildImage, compiledProgram, findBase, webToolsManifest } from "../../cli/factory/build.ts"
import { assembleImage, fstorOf } from "../../cli/factory/image.ts"
import { toGroupTopic } from "../../protocol/topics.ts"
import { realClock } from "../../sim/clock.ts"
import { MemoryFlash } from "../../sim/vm/flash.ts"
import { Machine } from "../../sim/vm/machine.ts"
import { BoardSocket } from "../../sim/vm/socket.ts"
import { Wifi } from "../../sim/wifi.ts"
import { enrolParties, startEmbeddedBroker } from "../support/broker.ts"
import { connectParty } from "../support/mqtt.ts"
import { dummyBase } from "./base.ts"

const run = promisify(execFile)
const tool = fileURLToPath(new URL("../../build/board-config.cjs", import.meta.url))

describe("the image of a board", () => {
    let folder: string
    let boards: FactoryBoard[]
    before(async () => {
        folder = mkdtempSync(join(tmpdir(), "parley-image-"))
        const outcome = await factoryBoards([])
        assert.ok(outcome.ok, JSON.stringify(outcome))
        boards = outcome.value
    })
    after(() => rmSync(folder, { recursive: true }))

    test("exists for the three boards of devicescript.json", () => {
        assert.deepEqual(
            boards.map(({ name, baseFile }) => [name, baseFile]),
            [
                ["room-panel", "devicescript-esp32s3-esp32s3_bare-0x0.bin"],
                ["box-3", "devicescript-esp32s3-esp32s3_bare-0x0.bin"],
                ["desk-unit", "devicescript-esp32c3-esp32c3_bare-0x0.bin"],
            ],
        )
    })

    test("decodes with DeviceScript's own decoder, and every board boots from its own flash contents and registers", async () => {
        const ids = boards.map(board => `unit-${board.name}`)
        const enrolled = enrolParties({ group: "group", ...Object.fromEntries(ids.map(id => [id, "ep" as const])) })
        const broker = await startEmbeddedBroker(enrolled.dir)
        const address = { host: "127.0.0.1", port: broker.port }
        const group = await connectParty(address, "group", enrolled.secrets.group)
        const machines: Machine[] = []
        const files: string[] = []
        try {
            await group.subscribe(toGroupTopic("ep", "+", "hello"))
            for (const board of boards) {
                const program = await compiledProgram(board)
                assert.ok(program.ok, JSON.stringify(program))
                const settings = {
                    "p.id": `unit-${board.name}`,
                    "p.secret": enrolled.secrets[`unit-${board.name}`],
                    "p.host": address.host,
                    "p.port": address.port,
                }
                const image = await buildImage(board, dummyBase(board), program.value, settings)
                assert.ok(image.ok, JSON.stringify(image))
                const file = join(folder, `${board.name}.bin`)
                writeFileSync(file, image.value.bytes)
                files.push(file)
                machines.push(await boot(fstorOf(board, image.value.bytes)))
            }
            const { stdout } = await run(process.execPath, [tool, "decode", ...files])
            for (const [i, { at, errors, settings }] of JSON.parse(stdout).entries()) {
                assert.deepEqual([at, errors], [0x9000, []])
                assert.equal(settings.archId, boards[i].archId)
                assert.ok(settings.pins.CALL > 0 && settings.pins.BUZZER > 0, stdout)
            }
            for (const board of boards) {
                const hello = await group.nextJson(toGroupTopic("ep", `unit-${board.name}`, "hello"))
                assert.equal(hello.board, board.name)
            }
        } finally {
            for (const machine of machines) machine.stop()
            await group.end()
            await broker.stop()
            enrolled.remove()
        }
    })

    test("is not built on a base for another chip, on something that is no firmware, or over data", () => {
        const [panel, , desk] = boards
        const fstor = new Uint8Array(panel.fstorBytes).fill(0xff)
        const occupied = Buffer.concat([dummyBase(panel), Buffer.alloc(panel.fstorOffset, 7)])
        for (const [base, pattern] of [
            [dummyBase(desk), /another chip/],
            [Buffer.alloc(100_000), /does not begin with E9/],
            [Buffer.alloc(10), /no firmware/],
            [occupied, /where program and settings belong/],
        ] as const) {
            const outcome = assembleImage(panel, base, fstor)
            assert.ok(!outcome.ok)
            assert.match(outcome.what, pattern)
        }
    })

    test("names the exact file that is missing, and where it belongs", () => {
        const outcome = findBase(boards[0], "", folder)
        assert.ok(!outcome.ok)
        assert.match(outcome.what, /devicescript-esp32s3-esp32s3_bare-0x0\.bin$/)
        assert.match(outcome.next!, /releases of microsoft\/devicescript-esp32/)
    })

    test("has a manifest as ESP Web Tools reads it", () => {
        assert.deepEqual(webToolsManifest(boards[2], readManifest().version, "desk-unit.bin").builds, [
            { chipFamily: "ESP32-C3", parts: [{ path: "desk-unit.bin", offset: 0 }] },
        ])
    })
})

/** A machine with nothing but this flash and a network. */
async function boot(contents: Uint8Array): Promise<Machine> {
    const flash = new MemoryFlash()
    flash.save(contents)
    const machine = await Machine.create({
        clock: realClock,
        deviceId: "70617231657930a1",
        flash,
        sockets: new BoardSocket({ clock: realClock, wifi: new Wifi() }),
    })
    machine.start()
    return machine
}
