#!/usr/bin/env node
/**
 * The `parley` command: makes sure that what it needs is installed and built, then runs cli/main.ts.
 * Plain JavaScript without dependencies, because it is the first thing that runs in a fresh clone.
 */
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const nodeFloor = 20

if (Number(process.versions.node.split(".")[0]) < nodeFloor) {
    process.stderr.write(`parley needs Node ${nodeFloor} or newer; this is ${process.version}. Install a newer Node.\n`)
    process.exit(1)
}

const needed = ["node_modules/tsx/package.json", "node_modules/commander/package.json", ".build/firmware.stamp"]
// What runs the firmware looks whether it is still the one of the sources; the set-up is quick when it is.
const runsFirmware = ["up", "demo"].includes(process.argv[2]) && process.env.PARLEY_SETUP !== "skip"
if (runsFirmware || needed.some(path => !existsSync(`${root}/${path}`))) {
    // Standard output belongs to the command's own answer (`--json`), so all of the set-up goes to standard error.
    const setup = spawnSync(process.execPath, [`${root}/build/setup.mjs`], { cwd: root, stdio: ["ignore", 2, 2] })
    if (setup.status !== 0) {
        const what = "set-up failed (see above)"
        const next = "put right what it says, then try again: node build/setup.mjs"
        if (process.argv.includes("--json")) {
            const error = { code: "set-up", what, who: "you", next, exit: "failed" }
            process.stderr.write(`${JSON.stringify({ error })}\n`)
        } else process.stderr.write(`parley: ${what}\n  who can fix it: you\n  next: ${next}\n`)
        process.exit(1)
    }
}

// Whoever reads the answer may stop reading it, as `head` does: that is no failure.
process.stdout.on("error", error => {
    if (error.code === "EPIPE") process.exit(0)
    throw error
})

const { register } = await import("tsx/esm/api")
register()
const { main } = await import("../cli/main.ts")
const code = await main(process.argv.slice(2))
// A part under `parley serve` may have set its own exit code; 0 must not hide it.
if (code !== 0) process.exitCode = code
