/**
 * A lock between processes, as a file that holds its owner's process id. A lock whose owner has died is taken over.
 */

import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { setTimeout as pause } from "node:timers/promises"

const retryMs = 50
const waitMaxMs = 180_000

export async function withLock<T>(path: string, work: () => Promise<T>): Promise<T> {
    const giveUpMs = performance.now() + waitMaxMs
    while (!take(path)) {
        if (performance.now() > giveUpMs)
            throw new Error(`${path} is held by process ${owner(path)}; remove it if that is wrong`)
        await pause(retryMs)
    }
    try {
        return await work()
    } finally {
        rmSync(path, { force: true })
    }
}

function take(path: string): boolean {
    try {
        writeFileSync(path, String(process.pid), { flag: "wx" })
        return true
    } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error
    }
    const pid = owner(path)
    if (pid > 0 && !alive(pid)) rmSync(path, { force: true })
    return false
}

/** 0 when it cannot be told: the file has just gone, or its owner is about to write its id. */
function owner(path: string): number {
    try {
        return Number(readFileSync(path, "utf8")) || 0
    } catch {
        return 0
    }
}

function alive(pid: number): boolean {
    try {
        process.kill(pid, 0)
        return true
    } catch (error) {
        return (error as NodeJS.ErrnoException).code === "EPERM"
    }
}
