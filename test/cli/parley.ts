/**
 * The `parley` command as tests run it: as a process, the way people do. Systems get a state folder and a block of
 * loopback addresses of their own, so that test files can run at the same time.
 */
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { type Child, type Exit, startChild } from "../support/child.ts"
import { within } from "../support/deadline.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const bin = join(root, "bin/parley.mjs")

export interface Ended extends Exit {
    out: string
    err: string
}

/** A folder that is removed by `remove`. */
export function temporaryFolder(): { path: string; remove(): void } {
    const path = mkdtempSync(join(tmpdir(), "parley-cli-"))
    return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

/** Runs a command to its end, in `cwd`, with only the given PARLEY_ variables. */
export async function parley(words: string[], cwd: string, environment: NodeJS.ProcessEnv = {}): Promise<Ended> {
    const child = spawn(process.execPath, [bin, ...words], {
        cwd,
        env: { ...cleanEnvironment(), ...environment },
        stdio: ["ignore", "pipe", "pipe"],
    })
    let out = ""
    let err = ""
    child.stdout.setEncoding("utf8").on("data", text => {
        out += text
    })
    child.stderr.setEncoding("utf8").on("data", text => {
        err += text
    })
    const ended = new Promise<Ended>((resolve, reject) => {
        child.once("error", reject)
        child.once("close", (code, signal) => resolve({ code, signal, out, err }))
    })
    try {
        return await within(ended, `parley ${words.join(" ")}`, 60_000)
    } finally {
        if (child.exitCode === null) child.kill("SIGKILL")
    }
}

/** `parley up --json`, ready when everything is up. */
export function up(words: string[], cwd: string): Promise<Child> {
    return startChild(process.execPath, [bin, "up", "--json", ...words], {
        name: "parley up",
        cwd,
        env: cleanEnvironment(),
        readyMs: 60_000,
        isReady: line => {
            const value = JSON.parse(line)
            return value.phase === "up" ? value : undefined
        },
    })
}

/** A block of its own for each test process: below those of the demo (127.100 and on), above the default. */
export function ownNetwork(): string {
    return `127.${10 + (process.pid % 50)}`
}

function cleanEnvironment(): NodeJS.ProcessEnv {
    // The runner has set everything up; test files that run at the same time must not do it again.
    const environment: NodeJS.ProcessEnv = { ...process.env }
    for (const name of Object.keys(environment))
        if (name.startsWith("PARLEY_") || name === "NO_COLOR") delete environment[name]
    return { ...environment, PARLEY_SETUP: "skip" }
}
