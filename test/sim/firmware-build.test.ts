import assert from "node:assert/strict"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { compileFirmware, describeProblems } from "../../build/firmware.ts"
import { overBudget } from "../../build/manifest.ts"
import { bundlePath, sliceVm } from "../../build/vm-slice.ts"
import { programsFolder } from "./programs.ts"

describe("the build of the firmware", () => {
    let folder: string
    before(() => {
        folder = mkdtempSync(join(tmpdir(), "parley-build-"))
    })
    after(() => rmSync(folder, { recursive: true }))

    test("gives the same bytes for the same sources", async () => {
        const one = await compileFirmware(join(programsFolder, "hello.ts"), join(folder, "one.devs"))
        const two = await compileFirmware(join(programsFolder, "hello.ts"), join(folder, "two.devs"))
        assert.ok(one.ok && two.ok)
        assert.equal(two.cached, true)
        assert.deepEqual(readFileSync(one.devsFile), readFileSync(two.devsFile))
        assert.equal(one.bytes, readFileSync(one.devsFile).length)
        assert.ok(JSON.parse(readFileSync(one.debugFile, "utf8")).functions.length > 0)
    })

    test("says what does not compile and where, and leaves no older bytecode behind", async () => {
        const source = join(folder, "wrong.ts")
        const out = join(folder, "wrong.devs")
        writeFileSync(out, "older")
        writeFileSync(
            source,
            'import * as ds from "@devicescript/core"\nconst n: number = "text"\nconsole.log(n + ds.nothing)\n',
        )
        const result = await compileFirmware(source, out)
        assert.equal(result.ok, false)
        assert.equal(existsSync(out), false)
        const said = describeProblems(result.problems)
        assert.match(said, /wrong\.ts:2:\d+ Type 'string' is not assignable to type 'number'/)
        assert.match(said, /wrong\.ts:3:\d+ .*nothing/)
    })

    test("takes nothing into a program of files that it imports only types of", async () => {
        const typed = join(folder, "typed.ts")
        const untyped = join(folder, "untyped.ts")
        const types = join(folder, "types.ts")
        writeFileSync(
            types,
            'export interface Told { text: string }\nexport const heavy = "x".length + Math.random()\n',
        )
        writeFileSync(
            typed,
            'import type { Told } from "./types"\nconst told: Told = { text: "a" }\nconsole.log(told.text)\n',
        )
        writeFileSync(untyped, 'const told: { text: string } = { text: "a" }\nconsole.log(told.text)\n')
        const [one, two] = [
            await compileFirmware(typed, join(folder, "typed.devs")),
            await compileFirmware(untyped, join(folder, "untyped.devs")),
        ]
        assert.ok(one.ok && two.ok)
        assert.equal(one.bytes, two.bytes)
    })

    test("refuses what fields of plain classes cannot do", async () => {
        const source = join(folder, "plain.ts")
        const lines = [
            "class Plain { private hidden = 1; shown = 2; all() { return this.hidden } }",
            "const plain = new Plain()",
            "const other: Pick<Plain, 'shown'> = plain",
            "console.log(other.shown)",
            'console.log(plain["shown"])',
            "console.log({ ...plain }.shown)",
            "const { ...rest } = plain",
            "console.log(rest.shown)",
            "console.log((plain as any).shown)",
            "console.log(plain.shown + plain.all())",
        ]
        writeFileSync(source, `${lines.join("\n")}\n`)
        const result = await compileFirmware(source, join(folder, "plain.devs"))
        assert.ok(!result.ok)
        assert.deepEqual(
            result.problems.map(({ line, text }) => `${line} ${text.split(":")[0]}`),
            [
                "4 a field of a plain class through another type",
                "5 []",
                "6 ...",
                "7 ...",
                "8 a field of a plain class through another type",
                "9 any",
            ],
        )
    })

    test("says that a program does not exist", async () => {
        const result = await compileFirmware(join(folder, "none.ts"), join(folder, "none.devs"))
        assert.ok(!result.ok)
        assert.match(describeProblems(result.problems), /none\.ts no such file/)
    })

    test("takes the virtual machine out of the bundle with its licence, and refuses a bundle without it", () => {
        const { script, wasm } = sliceVm(readFileSync(bundlePath, "utf8"))
        assert.match(script, /MIT License/)
        assert.ok(script.length < 200_000 && wasm.length > 100_000)
        assert.throws(() => sliceVm("another bundle"), /holds no block.*2\.16\.4/)
        assert.throws(() => sliceVm("var require_devicescript_vm = __commonJS({ x() {} \n});"), /no WebAssembly/)
    })

    test("names every figure above its budget, and none that just meets it", () => {
        const budgets = { bytecodeBytes: 100, heapPeakBytes: 100, messageBytes: 100, sourceLines: 100 }
        const figures = { bytecodeBytes: 100, heapPeakBytes: 101, largestMessageBytes: 200, sourceLines: 1 }
        assert.deepEqual(overBudget(figures, budgets), ["heapPeakBytes", "largestMessageBytes"])
    })
})
