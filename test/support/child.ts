/**
 * Child processes of tests: started, awaited until they say on standard output that they are ready, and stopped by pid.
 * A child that its test forgot dies with the test process.
 */

import { type ChildProcess, spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { eventually, within } from "./deadline.ts"

// biome-ignore lint/suspicious/noExplicitAny: every program says something else when it is ready.
export type Ready = Record<string, any>

export interface Exit {
    code: number | null
    signal: NodeJS.Signals | null
}

export interface Child {
    process: ChildProcess
    /** The JSON of the ready line. */
    ready: Ready
    /** Further lines of standard output. */
    lines: string[]
    /** The last 64 KB of standard error. */
    stderr(): string
    exited: Promise<Exit>
    /** SIGTERM, then SIGKILL after `graceMs`. */
    stop(graceMs?: number): Promise<Exit>
    /** At once, by `signal` (SIGKILL when not given). */
    kill(signal?: NodeJS.Signals): Promise<Exit>
}

export interface ChildOptions {
    /** For messages. */
    name?: string
    env?: NodeJS.ProcessEnv
    cwd?: string
    readyMs?: number
    /** "pipe": the test writes to `process.stdin`. */
    stdin?: "ignore" | "pipe"
    /** For a program that prints no ready line: asked again and again until it gives what `ready` shall be. */
    probe?: () => Promise<Ready | undefined>
    /** What makes a line of standard output the ready line; the default: JSON with `ready: true`. */
    isReady?: (line: string) => Ready | undefined
}

const stderrKept = 65_536
const living = new Set<ChildProcess>()
process.on("exit", () => {
    for (const child of living) child.kill("SIGKILL")
})
// As the test runner ends a file that takes too long: without this nobody would hear of an exit.
process.once("SIGTERM", () => process.exit(143))

/** Starts a TypeScript file of this repository by tsx. */
export function startScript(file: string, words: string[], options: ChildOptions = {}): Promise<Child> {
    return startChild(process.execPath, ["--import", "tsx", file, ...words], { name: file, ...options })
}

/** Starts a program and resolves when it is ready; an early exit or a late start is an error with its standard error. */
export async function startChild(command: string, words: string[], options: ChildOptions = {}): Promise<Child> {
    const name = options.name ?? command
    const child = spawn(command, words, {
        cwd: options.cwd,
        env: options.env ?? process.env,
        stdio: [options.stdin ?? "ignore", "pipe", "pipe"],
    })
    living.add(child)
    let stderr = ""
    child.stderr!.setEncoding("utf8").on("data", (text: string) => {
        stderr = (stderr + text).slice(-stderrKept)
    })
    const exited = new Promise<Exit>((resolve, reject) => {
        child.once("error", reject)
        // "close" and not "exit": what the child said last is then read.
        child.once("close", (code, signal) => resolve({ code, signal }))
    })
    exited.then(
        () => living.delete(child),
        () => living.delete(child),
    )
    const lines: string[] = []
    const isReady = options.isReady ?? readyJson
    const ready = new Promise<Ready>(resolve => {
        let waiting = true
        createInterface({ input: child.stdout! }).on("line", line => {
            const value = waiting ? isReady(line) : undefined
            if (value === undefined) lines.push(line)
            else {
                waiting = false
                resolve(value)
            }
        })
    })
    let starting = true
    const up = options.probe
        ? eventually(() => (starting ? options.probe?.() : {}), `${name} to be ready`, options.readyMs)
        : ready
    const early = exited.then(exit => {
        throw new Error(`${name} ended before it was ready (${exit.code ?? exit.signal}):\n${stderr}`)
    })
    early.catch(() => {})
    const kill = async (signal: NodeJS.Signals = "SIGKILL") => {
        if (child.exitCode === null && child.signalCode === null) child.kill(signal)
        return within(exited, `${name} to end after ${signal}`)
    }
    const stop = async (graceMs = 15_000) => {
        if (child.exitCode !== null || child.signalCode !== null) return exited
        const timer = setTimeout(() => child.kill("SIGKILL"), graceMs)
        child.kill("SIGTERM")
        const exit = await within(exited, `${name} to stop`, graceMs + 15_000)
        clearTimeout(timer)
        return exit
    }
    try {
        const value = await within(Promise.race([up, early]), `${name} to be ready`, options.readyMs)
        return { process: child, ready: value, lines, stderr: () => stderr, exited, stop, kill }
    } catch (error) {
        child.kill("SIGKILL")
        throw error
    } finally {
        starting = false
    }
}

/** Runs a program to its end. */
export async function runScript(
    file: string,
    words: string[],
    limitMs = 60_000,
): Promise<Exit & { out: string; err: string }> {
    const child = spawn(process.execPath, ["--import", "tsx", file, ...words], { stdio: ["ignore", "pipe", "pipe"] })
    living.add(child)
    let out = ""
    let err = ""
    child.stdout.setEncoding("utf8").on("data", text => {
        out = (out + text).slice(-1_000_000)
    })
    child.stderr.setEncoding("utf8").on("data", text => {
        err = (err + text).slice(-stderrKept)
    })
    const exit = new Promise<Exit>((resolve, reject) => {
        child.once("error", reject)
        child.once("close", (code, signal) => resolve({ code, signal }))
    })
    try {
        return { ...(await within(exit, `${file} to end`, limitMs)), out, err }
    } finally {
        if (child.exitCode === null) child.kill("SIGKILL")
        living.delete(child)
    }
}

function readyJson(line: string): Ready | undefined {
    if (!line.startsWith("{")) return undefined
    try {
        const value = JSON.parse(line)
        return value.ready === true ? value : undefined
    } catch {
        return undefined
    }
}
