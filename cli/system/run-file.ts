/**
 * `<state>/run.json`: where the running system is, for the other commands. Written when `parley up` is ready, removed when
 * it stops; one that a killed `up` left behind is told by its dead process. Never starts or stops anything.
 */
import { accessSync, constants, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { failure, messageOf, type Outcome, success } from "../outcome.ts"
import type { PartKind } from "./child.ts"

export interface RunningPart {
    name: string
    kind: PartKind
    pid: number
    address: string
    /** Of a routing server: its control API. */
    controlUrl?: string
    controlTokenFile?: string
}

export interface Run {
    version: 1
    pid: number
    /** When that process started, where the system tells it: a later process may have the same number. */
    bornAt: string
    /** "starting" until every part is ready. */
    phase: "starting" | "up"
    network: string
    broker: string
    groupUrl: string
    adminTokenFile: string
    simUrl: string
    simTokenFile: string
    parts: RunningPart[]
}

export function runFilePath(stateFolder: string): string {
    return join(stateFolder, "run.json")
}

export function writeRun(stateFolder: string, run: Run): void {
    const path = runFilePath(stateFolder)
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    writeFileSync(`${path}.tmp`, `${JSON.stringify(run, null, 2)}\n`, { mode: 0o600 })
    renameSync(`${path}.tmp`, path)
}

/** Takes the state folder for this process; refused while another `up` lives in it. */
export function claimRun(stateFolder: string, run: Run): Outcome<{ stalePid?: number }> {
    const path = runFilePath(stateFolder)
    try {
        mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
        accessSync(dirname(path), constants.R_OK | constants.W_OK | constants.X_OK)
    } catch (error) {
        return failure("failed", "state-unusable", `the state folder cannot be used: ${messageOf(error)}`, {
            who: "you",
            next: "take a folder that you may write: parley up --state DIR",
        })
    }
    const earlier = loadRun(path)
    if (earlier && isRunning(earlier))
        return failure(
            "failed",
            "already-running",
            `a system already runs in ${stateFolder} (process ${earlier.pid})`,
            {
                who: "you",
                next: "use it (parley doctor), stop it (parley stop), or take another folder and block (parley up --state DIR --network 127.40)",
                details: { pid: earlier.pid },
            },
        )
    rmSync(path, { force: true })
    try {
        // "wx": of two that start at the same moment one gets the folder.
        writeFileSync(path, `${JSON.stringify(run, null, 2)}\n`, { mode: 0o600, flag: "wx" })
    } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST")
            return failure("failed", "state-unusable", `the state folder cannot be used: ${messageOf(error)}`, {
                who: "you",
                next: "make room on the disk, or take another folder: parley up --state DIR",
            })
        return failure("failed", "already-running", `another parley up has just started in ${stateFolder}`, {
            who: "you",
            next: "use that one (parley doctor), or take another folder and block (parley up --state DIR --network 127.40)",
        })
    }
    return success({ stalePid: earlier?.pid })
}

export function removeRun(stateFolder: string): void {
    rmSync(runFilePath(stateFolder), { force: true })
}

/** The system that runs in this state folder, or why there is none. */
export function findRun(stateFolder: string): Outcome<Run> {
    const path = runFilePath(stateFolder)
    const run = loadRun(path)
    if (!run && isForbidden(stateFolder))
        return failure("failed", "state-unusable", `${stateFolder} belongs to another user`, {
            who: "you",
            next: "run the command as the user that runs parley up",
        })
    if (!run)
        return failure("notRunning", "not-running", `no system runs in ${stateFolder}`, {
            who: "you",
            next: "parley up (or say where it runs: --state DIR)",
        })
    if (!isRunning(run))
        return failure(
            "notRunning",
            "stale-run",
            `the system in ${stateFolder} (process ${run.pid}) is gone; it did not stop cleanly`,
            {
                who: "you",
                next: "parley up",
                details: { pid: run.pid },
            },
        )
    return success(run)
}

function isForbidden(folder: string): boolean {
    try {
        accessSync(folder, constants.R_OK | constants.X_OK)
        return false
    } catch (error) {
        return (error as NodeJS.ErrnoException).code === "EACCES"
    }
}

function loadRun(path: string): Run | undefined {
    try {
        const value = JSON.parse(readFileSync(path, "utf8")) as Run
        if (value.version !== 1 || !Number.isInteger(value.pid) || !Array.isArray(value.parts)) return undefined
        return value
    } catch {
        return undefined
    }
}

/** Start of a process in clock ticks since boot (Linux), else "". */
export function bornAt(pid: number): string {
    try {
        const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
        // The name in parentheses may hold anything; the fields after it are numbers. The 22nd of all is the start.
        return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? ""
    } catch {
        return ""
    }
}

function isRunning(run: Run): boolean {
    return isAlive(run.pid) && bornAt(run.pid) === run.bornAt
}

export function isAlive(pid: number): boolean {
    try {
        process.kill(pid, 0)
        return true
    } catch (error) {
        return (error as NodeJS.ErrnoException).code === "EPERM"
    }
}
