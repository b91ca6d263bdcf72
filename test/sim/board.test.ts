import assert from "node:assert/strict"
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import type { Board } from "../../sim/board.ts"
import { VirtualClock } from "../../sim/clock.ts"
import type { BoardEvent } from "../../sim/events.ts"
import { boardWith } from "./programs.ts"

const pad = (text: string) => text.padEnd(20)
const greeted = (board: Board) => board.log.line("> hello", 30_000)
const shows = (board: Board, text: string) =>
    board.events.next(`"${text}" on the screen`, event => event.type === "screen" && event.lines[1].startsWith(text))

describe("a simulated board", () => {
    let folder: string
    before(() => {
        folder = mkdtempSync(join(tmpdir(), "parley-board-"))
    })
    after(() => rmSync(folder, { recursive: true }))

    test("starts its program with every role bound to its own hardware, whatever the order of the buttons", async () => {
        const board = await boardWith("hello", { settings: { "p.id": "room-1" } })
        await board.powerOn()
        await greeted(board)
        for (const button of ["mute", "call", "menu"] as const) {
            const shown = shows(board, button)
            board.press(button)
            await shown
            assert.deepEqual(board.display().lines, [pad("room-1"), pad(button), pad(""), pad("")])
        }
        const turned = shows(board, "knob 3")
        board.turn(3)
        await turned
        assert.equal(board.display().led, "#0080ff")
        await board.events.next("a tone", event => event.type === "buzzer").catch(() => {})
        const tone = board.display().tones.at(-1)!
        assert.ok(Math.abs(tone.hertz - 440) < 2 && tone.durationMs === 100, JSON.stringify(tone))
        board.powerOff()
    })

    test("reports a press at the time of the press, and what it does after it", async () => {
        const board = await boardWith("hello")
        await board.powerOn()
        await greeted(board)
        const heard: BoardEvent[] = []
        board.events.listen(event => heard.push(event))
        const beforeMs = performance.now()
        const shown = shows(board, "call")
        const atMs = board.press("call")!
        const screen = await shown
        assert.ok(atMs >= beforeMs && atMs <= screen.atMs)
        assert.equal(heard[0].type, "press")
        assert.equal(heard[0].atMs, atMs)
        board.powerOff()
    })

    test("tells the firmware when the network goes and when it is back", async () => {
        const board = await boardWith("hello")
        await board.powerOn()
        await greeted(board)
        const lost = shows(board, "no network")
        board.wifi.set({ up: false })
        await lost
        const back = shows(board, "network")
        board.wifi.set({ up: true })
        await back
        board.powerOff()
    })

    test("is dark and deaf without power, and remembers its flash when it is back", async () => {
        const flashFile = join(folder, "room-1.flash")
        const board = await boardWith("hello", { flashFile })
        await board.powerOn()
        assert.match(await greeted(board), /boot 1$/)
        board.powerOff()
        assert.equal(board.press("call"), undefined)
        assert.equal(board.turn(1), undefined)
        assert.equal(board.display().led, "#000000")
        assert.equal(board.status().power, "off")
        await board.powerOn()
        await board.log.line("boot 2", 30_000)
        board.powerOff()

        // Another process, later: the same flash.
        const later = await boardWith("hello", { flashFile })
        await later.powerOn()
        assert.match(await greeted(later), /boot 3$/)
        later.powerOff()
        assert.equal(statSync(flashFile).size, 64 * 4096)
        assert.equal(statSync(flashFile).mode & 0o077, 0, "the flash holds a secret")
        assert.equal(readFileSync(flashFile).includes("hello"), true)
    })

    test("survives a power switch that chatters", async () => {
        const board = await boardWith("hello")
        const switching: Promise<void>[] = []
        for (let i = 0; i < 20; i++) {
            switching.push(board.powerOn())
            if (i % 3 !== 0) board.powerOff()
        }
        await Promise.all(switching)
        board.powerOff()
        await board.powerOn()
        const starts = () => board.log.lines.filter(line => line.text.includes("> hello")).length
        const had = starts()
        await board.log.line("> hello", 30_000)
        const shown = shows(board, "call")
        board.press("call")
        await shown
        assert.ok(starts() <= had + 1, "one program runs")
        board.powerOff()
    })

    test("records a crash with its code and the end of its log, and runs again 5 s later", async () => {
        const clock = new VirtualClock()
        const board = await boardWith("trouble", { clock, settings: { mode: "throw" } })
        await board.powerOn()
        await clock.passUntil(() => board.status().crashes === 1, 3000)
        const { panic } = board.status()
        assert.equal(panic?.code, 60005)
        assert.match(panic.text, /exception/)
        assert.ok(panic.log.some(line => line.includes("on purpose")))
        assert.equal(await clock.passUntil(() => board.status().crashes === 2, 7000, 10), true)
        board.powerOff()
        await new Promise(resolve => setImmediate(resolve))
        assert.equal(clock.pending, 0, "nothing is left running without power")
    })

    test("starts afresh when the program resets it", async () => {
        const clock = new VirtualClock()
        const board = await boardWith("trouble", { clock, settings: { mode: "reset" } })
        await board.powerOn()
        const starts = () => board.log.lines.filter(line => line.text === "> mode reset").length
        assert.equal(await clock.passUntil(() => starts() >= 3, 10_000, 5), true)
        assert.equal(board.status().crashes, 0)
        board.powerOff()
    })

    test("refuses a file that is no flash image, and says what to do", async () => {
        const flashFile = join(folder, "wrong.flash")
        writeFileSync(flashFile, "not flash")
        await assert.rejects(boardWith("hello", { flashFile }), /no flash image.*remove it to start afresh/)
    })

    test("costs little when nobody uses it", async () => {
        const boards = await Promise.all([1, 2, 3].map(number => boardWith("hello", { id: `room-${number}` })))
        for (const board of boards) await board.powerOn()
        await Promise.all(boards.map(greeted))
        const before = process.cpuUsage()
        const beforeMs = performance.now()
        await new Promise(resolve => setTimeout(resolve, 2000))
        const { user, system } = process.cpuUsage(before)
        const percent = (user + system) / 10 / (performance.now() - beforeMs) / boards.length
        // 1 to 2 on a quiet machine; a busy one counts more for the same work.
        assert.ok(percent < 8, `${percent.toFixed(1)} % of a core for each idle board`)
        for (const board of boards) board.powerOff()
    })
})
