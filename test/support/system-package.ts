/**
 * Programs of the system that a test needs (mosquitto, gstreamer, ...).
 *
 * Owns finding them and, as root on Debian, installing them, one at a time across parallel test files. Never fails a test:
 * where a program cannot be had, the answer says what a person would install, and the test is reported as skipped.
 *
 *     const mosquitto = needPackage("mosquitto", "mosquitto")
 *     test("...", { skip: mosquitto.ok ? false : mosquitto.why }, ...)
 */

import { spawnSync } from "node:child_process"
import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"

export type SystemPackage = { ok: true; path: string } | { ok: false; why: string }

const lockPath = join(tmpdir(), "parley-system-package.lock")
const lockTimeoutMs = 300_000
const installTimeoutMs = 240_000
const policyPath = "/usr/sbin/policy-rc.d"

/** Makes sure that `binary` can be run; `debianPackage` is what brings it. Blocks while it installs. */
export function needPackage(binary: string, debianPackage: string): SystemPackage {
    const found = findBinary(binary)
    if (found) return { ok: true, path: found }
    if (process.getuid?.() !== 0 || !findBinary("apt-get"))
        return { ok: false, why: `needs ${binary}: install the package ${debianPackage}` }
    if (!takeLock()) return { ok: false, why: `needs ${binary}: another installation did not finish (${lockPath})` }
    try {
        return findBinary(binary) ? needPackage(binary, debianPackage) : install(binary, debianPackage)
    } finally {
        rmSync(lockPath, { recursive: true, force: true })
    }
}

/** Where a program is, also where only root's PATH has it (mosquitto is in /usr/sbin), or undefined. */
export function findBinary(binary: string): string | undefined {
    const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/local/sbin", "/usr/sbin", "/sbin"]
    for (const folder of folders) {
        if (!folder) continue
        const path = join(folder, binary)
        try {
            accessSync(path, constants.X_OK)
            return path
        } catch {
            // Not here; the next folder.
        }
    }
    return undefined
}

function install(binary: string, debianPackage: string): SystemPackage {
    // A package with a daemon would start it and take its port: not for a test.
    const ownPolicy = !existsSync(policyPath)
    if (ownPolicy) writeFileSync(policyPath, "#!/bin/sh\nexit 101\n", { mode: 0o755 })
    try {
        let problem = aptGet(["install", "-y", "--no-install-recommends", debianPackage])
        if (problem) {
            // The package lists are absent or old.
            problem = aptGet(["update"])
            if (!problem) problem = aptGet(["install", "-y", "--no-install-recommends", debianPackage])
        }
        const path = findBinary(binary)
        if (path) return { ok: true, path }
        return {
            ok: false,
            why: `needs ${binary}: apt-get could not install ${debianPackage}: ${problem || "no such binary"}`,
        }
    } finally {
        if (ownPolicy) rmSync(policyPath, { force: true })
    }
}

/** What went wrong, in one line, or "". */
function aptGet(words: string[]): string {
    const run = spawnSync("apt-get", ["-q", "-o", "DPkg::Lock::Timeout=120", ...words], {
        env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
        stdio: ["ignore", "ignore", "pipe"],
        timeout: installTimeoutMs,
        encoding: "utf8",
    })
    if (run.status === 0) return ""
    const lines = (run.stderr ?? "").split("\n").filter(line => line.startsWith("E:"))
    return lines[0] ?? run.error?.message ?? `exit ${run.status}`
}

/** A folder is the lock, since making one is atomic; the lock of a process that died is taken over. */
function takeLock(): boolean {
    const endMs = Date.now() + lockTimeoutMs
    const sleeper = new Int32Array(new SharedArrayBuffer(4))
    for (;;) {
        try {
            mkdirSync(lockPath)
            writeFileSync(join(lockPath, "pid"), String(process.pid))
            return true
        } catch {
            if (!holderLives()) {
                rmSync(lockPath, { recursive: true, force: true })
                continue
            }
            if (Date.now() > endMs) return false
            Atomics.wait(sleeper, 0, 0, 200)
        }
    }
}

let emptyLockSinceMs = 0

function holderLives(): boolean {
    let pid = 0
    try {
        pid = Number(readFileSync(join(lockPath, "pid"), "utf8"))
    } catch {
        // Between mkdir and the pid, or died there: a moment of patience, no more.
    }
    if (!pid) {
        if (emptyLockSinceMs === 0) emptyLockSinceMs = Date.now()
        return Date.now() - emptyLockSinceMs < 2000
    }
    emptyLockSinceMs = 0
    try {
        process.kill(pid, 0)
        return true
    } catch {
        return false
    }
}
