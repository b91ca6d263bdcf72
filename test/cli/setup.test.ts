import assert from "node:assert/strict"
import { spawn, spawnSync } from "node:child_process"
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, test } from "node:test"
import { fileURLToPath } from "node:url"

const setup = fileURLToPath(new URL("../../build/setup.mjs", import.meta.url))

/** A checkout with one dependency, in itself, and without a VM to build: its set-up runs npm, and ends at what comes next. */
function makeCheckout(): string {
    const root = mkdtempSync(join(tmpdir(), "parley-setup-"))
    mkdirSync(join(root, "build"))
    mkdirSync(join(root, ".build"))
    cpSync(setup, join(root, "build/setup.mjs"))
    const dependencies = { part: "file:part" }
    const packages = {
        "": { dependencies },
        "node_modules/part": { resolved: "part", link: true },
        part: { version: "1.0.0" },
    }
    const write = (path: string, content: object) => writeFileSync(join(root, path), JSON.stringify(content))
    mkdirSync(join(root, "part"))
    write("part/package.json", { name: "part", version: "1.0.0" })
    write("package.json", { name: "checkout", dependencies })
    write("package-lock.json", { name: "checkout", lockfileVersion: 3, requires: true, packages })
    return root
}

async function setUp(root: string): Promise<string> {
    const child = spawn(process.execPath, ["build/setup.mjs"], { cwd: root, stdio: ["ignore", "ignore", "pipe"] })
    let said = ""
    for await (const text of child.stderr.setEncoding("utf8")) said += text
    return said
}

describe("the set-up of a checkout", () => {
    test("two at a time do not install beside each other: the second waits, and finds it done", async () => {
        const root = makeCheckout()
        try {
            const said = await Promise.all([setUp(root), setUp(root)])
            assert.equal(said.join("").match(/: npm ci$/gm)?.length, 1, said.join("\n---\n"))
            assert.equal(existsSync(join(root, ".build/setup.lock")), false, "the lock is gone with its process")
            for (const text of said) assert.match(text, /build\/vm-slice.ts failed/)
        } finally {
            rmSync(root, { recursive: true })
        }
    })

    test("goes on where one was killed that held the lock", async () => {
        const root = makeCheckout()
        try {
            const gone = spawnSync(process.execPath, ["-e", ""]).pid
            writeFileSync(join(root, ".build/setup.lock"), `${gone}`)
            assert.match(await setUp(root), /: npm ci$/m)
        } finally {
            rmSync(root, { recursive: true })
        }
    })
})
