/**
 * One part of the system as a child process: started, waited for until its ready line, logged, watched, stopped.
 * Never restarts it: a part that dies is reported with its last words.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { failure, messageOf, type Outcome, success } from "../outcome.ts"
import { LogFile } from "./log-file.ts"

export type PartKind = "broker" | "group" | "routing" | "sim"

export interface PartPlan {
    name: string
    kind: PartKind
    /** The address that people see: host:port. */
    address: string
    /** The main file, relative to the repository. */
    main: string
    args: string[]
    /** Where a routing server leaves the token of its control API. */
    controlTokenFile?: string
}

export type PartState = "starting" | "ready" | "stopping" | "stopped" | "died"

export interface PartEnd {
    code: number | null
    signal: string | null
    log: string[]
}

const root = fileURLToPath(new URL("../..", import.meta.url))
const leash = new URL("./leash.mjs", import.meta.url).href
const readyWithinMs = 30_000

export class Part {
    readonly plan: PartPlan
    state: PartState = "starting"
    /** The JSON object of the ready line. */
    ready: Record<string, unknown> = {}
    /** Called once, when the process ends without having been asked to. */
    onDeath: (end: PartEnd) => void = () => {}
    private readonly log: LogFile
    private process: ChildProcess | undefined
    private ended: Promise<void> = Promise.resolve()

    constructor(plan: PartPlan, logFolder: string) {
        this.plan = plan
        this.log = new LogFile(`${logFolder}/${plan.name}.log`)
    }

    get pid(): number | undefined {
        return this.process?.pid
    }

    get lastLines(): string[] {
        return [...this.log.lastLines]
    }

    start(): Promise<Outcome<Record<string, unknown>>> {
        const args = ["--import", import.meta.resolve("tsx"), "--import", leash, this.plan.main, ...this.plan.args]
        // In a process group of its own: Ctrl-C in the terminal reaches only `parley up`, which then stops the parts in order.
        const child = spawn(process.execPath, args, {
            cwd: root,
            detached: true,
            stdio: ["ignore", "pipe", "pipe", "ipc"],
        })
        this.process = child
        this.state = "starting"
        this.ended = new Promise(resolve => {
            child.once("close", () => resolve())
            child.once("error", () => resolve())
        })
        return new Promise(resolve => {
            const timer = setTimeout(
                () => settle(this.notReady("timeout", "no ready line came in time")),
                readyWithinMs,
            )
            const settle = (outcome: Outcome<Record<string, unknown>>) => {
                clearTimeout(timer)
                resolve(outcome)
            }
            child.stdout?.setEncoding("utf8").on("data", (piece: string) =>
                this.log.take(piece, line => {
                    const ready = this.state === "starting" ? readyLine(line) : undefined
                    if (!ready) return
                    this.ready = ready
                    this.state = "ready"
                    settle(success(ready))
                }),
            )
            child.stderr?.setEncoding("utf8").on("data", (piece: string) => this.log.take(piece))
            child.once("error", error => {
                this.state = "died"
                settle(this.notReady("failed", messageOf(error)))
            })
            child.once("close", (code, signal) => {
                this.log.end()
                const before = this.state
                this.state = before === "stopping" ? "stopped" : "died"
                if (before === "starting") settle(this.notReady("failed", `it ended with ${signal ?? `code ${code}`}`))
                if (before === "ready") this.onDeath({ code, signal, log: this.lastLines })
            })
        })
    }

    /** Asks it to stop, and kills it when it has not by then. */
    async stop(withinMs: number): Promise<void> {
        const child = this.process
        if (!child || this.state === "died" || this.state === "stopped") return
        this.state = "stopping"
        child.kill("SIGTERM")
        const timer = setTimeout(() => child.kill("SIGKILL"), withinMs)
        await this.ended
        clearTimeout(timer)
    }

    kill(): void {
        if (this.state !== "died" && this.state !== "stopped") this.process?.kill("SIGKILL")
    }

    private notReady(exit: "failed" | "timeout", why: string) {
        return failure(exit, "part-not-ready", `${this.plan.name} did not start: ${why}`, {
            who: "operator",
            next: `read ${this.log.path}`,
            details: { part: this.plan.name, log: this.lastLines },
        })
    }
}

function readyLine(line: string): Record<string, unknown> | undefined {
    if (!line.startsWith("{")) return undefined
    try {
        const value: unknown = JSON.parse(line)
        return (value as { ready?: unknown } | null)?.ready === true ? (value as Record<string, unknown>) : undefined
    } catch {
        return undefined
    }
}
