import assert from "node:assert/strict"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import type { FactoryBoard } from "../../cli/factory/boards.ts"
import { flashImage } from "../../cli/factory/flash.ts"
import { eventually } from "../support/deadline.ts"
import { needPackage } from "../support/system-package.ts"
import { dummyBase } from "./base.ts"
import { RomLoader } from "./rom.ts"

const socat = needPackage("socat", "socat")
const board = { name: "room-panel", archId: "esp32s3" } as FactoryBoard

describe("flashing", { skip: socat.ok ? false : socat.why }, () => {
    let folder: string
    let pty: ChildProcess
    before(async () => {
        folder = mkdtempSync(join(tmpdir(), "parley-flash-"))
        const ends = ["a", "b"].map(name => `pty,raw,echo=0,link=${join(folder, name)}`)
        pty = spawn("socat", ends, { stdio: "ignore" })
        await eventually(() => existsSync(join(folder, "a")) && existsSync(join(folder, "b")), "a PTY")
    })
    after(async () => {
        pty.kill()
        await once(pty, "close")
        rmSync(folder, { recursive: true })
    })

    test("synchronises, knows the chip, writes the image and compares what the chip says it holds", async () => {
        const rom = await RomLoader.open(join(folder, "b"), 9)
        const image = dummyBase(board)
        const lines: string[] = []
        const options = {
            board,
            image,
            path: join(folder, "a"),
            baud: 115_200,
            progress: (text: string) => lines.push(text),
        }
        const outcome = await flashImage(options)
        assert.ok(outcome.ok, JSON.stringify({ outcome, lines, seen: [...rom.seen] }))
        assert.equal(outcome.value.chip, "ESP32-S3")
        assert.ok(rom.flash.subarray(0, image.length).equals(image))
        await rom.close()
    })

    test("refuses a board with another chip", async () => {
        const rom = await RomLoader.open(join(folder, "b"), 5)
        const image = dummyBase(board)
        const outcome = await flashImage({ board, image, path: join(folder, "a"), baud: 115_200, progress: () => {} })
        assert.ok(!outcome.ok)
        assert.deepEqual([outcome.code, rom.flash.every(byte => byte === 0xff)], ["wrong-chip", true])
        await rom.close()
    })
})
