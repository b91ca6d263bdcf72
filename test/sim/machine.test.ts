import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { heapOwners } from "../../build/heap-owners.ts"
import { realClock, VirtualClock } from "../../sim/clock.ts"
import { MemoryFlash } from "../../sim/vm/flash.ts"
import { verifyBytecode } from "../../sim/vm/machine.ts"
import { runProgram } from "../../sim/vm/program.ts"
import { debugFileOf, program } from "./programs.ts"

const hourMs = 3_600_000

describe("a machine", () => {
    test("runs a program on the real clock, soon after its start", async () => {
        const startMs = performance.now()
        const running = await runProgram({ bytecode: await program("trouble"), measureHeap: true })
        await running.line("> second 1")
        assert.ok(performance.now() - startMs < 10_000)
        assert.ok(running.heapPeakBytes > 1000 && running.heapPeakBytes < 16_000, `${running.heapPeakBytes}`)
        running.stop()
    })

    test("finds the fields of plain classes in whatever way a program reaches them", async () => {
        const clock = new VirtualClock()
        const running = await runProgram({ bytecode: await program("fields"), clock })
        clock.advance(2000)
        await running.line("> later 7 12 inner hidden changed 12 5 undefined 12")
        running.stop()
    })

    test("lives an hour of virtual time in moments, and loses no second of it", async () => {
        const clock = new VirtualClock()
        const running = await runProgram({ bytecode: await program("trouble"), clock })
        clock.advance(hourMs + 1000)
        const seconds = running.log.lines.filter(line => line.text.includes("second "))
        assert.deepEqual(
            seconds.map(line => line.text),
            [1, 2, 3, 600, 1200, 1800, 2400, 3000, 3600].map(second => `> second ${second}`),
        )
        const lastMs = seconds.at(-1)!.atMs
        assert.ok(lastMs > hourMs && lastMs < hourMs + 1000, `${lastMs}`)
        running.stop()
    })

    test("under virtual time does the same in each run", async () => {
        const bytecode = await program("trouble")
        const runs: string[] = []
        for (let run = 0; run < 2; run++) {
            const clock = new VirtualClock()
            const running = await runProgram({ bytecode, clock, random: () => 0.5 })
            clock.advance(60_000)
            runs.push(running.log.lines.map(line => `${line.atMs} ${line.text}`).join("\n"))
            running.stop()
        }
        assert.equal(runs[0], runs[1])
    })

    for (const [mode, code] of [
        ["throw", 60005],
        ["steps", 60001],
        ["memory", 60004],
    ] as const)
        test(`that panics (${mode}) tells the code and starts the program again after 5 s`, async () => {
            const clock = new VirtualClock()
            const running = await runProgram({ bytecode: await program("trouble"), clock, settings: { mode } })
            clock.advance(4000)
            assert.deepEqual(running.panics, [code])
            clock.advance(5000)
            const starts = running.log.lines.filter(line => line.text === `> mode ${mode}`)
            assert.equal(starts.length, 2)
            const pauseMs = starts[1].atMs - starts[0].atMs
            assert.ok(pauseMs > 5000 && pauseMs < 6000, `${pauseMs}`)
            running.stop()
        })

    test("measures its heap block by block, and all of it", async () => {
        const clock = new VirtualClock()
        const running = await runProgram({ bytecode: await program("trouble"), clock })
        assert.equal(running.machine.heap(), undefined, "there is no heap before the program starts")
        clock.advance(2000)
        const use = running.machine.heap()!
        assert.ok(use.blocks > 50)
        assert.ok(use.usedBytes + use.freeBytes > 65_000 && use.usedBytes + use.freeBytes <= 65_536)
        assert.ok(use.largestFreeBytes <= use.freeBytes)
        running.stop()
    })

    test("says whose the bytes of its heap are, all of them", async () => {
        const clock = new VirtualClock()
        const bytecode = await program("trouble")
        const running = await runProgram({ bytecode, clock })
        clock.advance(2000)
        const owners = heapOwners(running.machine.heapPicture()!, bytecode, debugFileOf("trouble"))
        const ownedBytes = owners.reduce((sum, owner) => sum + owner.bytes, 0)
        assert.equal(ownedBytes, running.machine.heap()!.usedBytes)
        assert.ok(
            owners.some(owner => owner.name === "call of main"),
            JSON.stringify(owners),
        )
        running.stop()
    })

    test("says nothing and does nothing after its power went", async () => {
        const clock = new VirtualClock()
        const running = await runProgram({ bytecode: await program("trouble"), clock })
        clock.advance(1500)
        running.stop()
        const lines = running.log.lines.length
        clock.advance(10_000)
        assert.equal(running.log.lines.length, lines)
        assert.equal(clock.pending, 0)
        assert.equal(running.machine.heap(), undefined)
    })

    test("keeps settings and program in its flash, and takes only changed ones", async () => {
        const flash = new MemoryFlash()
        let saves = 0
        const save = flash.save.bind(flash)
        flash.save = image => {
            saves++
            save(image)
        }
        const bytecode = await program("hello")
        const run = async (id: string | undefined) => {
            const running = await runProgram({ bytecode, flash, settings: { "p.id": id } })
            const said = await running.line("> hello")
            running.stop()
            return said
        }
        assert.equal(await run("board-ä"), "> hello board-ä 2 boot 1")
        const before = saves
        assert.equal(await run("board-ä"), "> hello board-ä 2 boot 2")
        assert.equal(saves - before, 1, "only the program itself has written its boot")
        assert.equal(await run(undefined), "> hello nobody 2 boot 3")
    })

    test("refuses damaged bytecode before it reaches a board", async () => {
        const bytecode = await program("hello")
        assert.equal(await verifyBytecode(realClock, bytecode), true)
        assert.equal(await verifyBytecode(realClock, bytecode.subarray(0, 700)), false)
        const flipped = Buffer.from(bytecode)
        flipped[2] ^= 0xff
        assert.equal(await verifyBytecode(realClock, flipped), false)
        await assert.rejects(runProgram({ bytecode: flipped }), /damaged/)
    })

    test("refuses a setting that its flash would drop without a word", async () => {
        const bytecode = await program("hello")
        await assert.rejects(runProgram({ bytecode, settings: { "a.very.long.key": 1 } }), /longer than 13 bytes/)
        await assert.rejects(runProgram({ bytecode, settings: { key: "x".repeat(300) } }), /longer than 220 bytes/)
    })
})
