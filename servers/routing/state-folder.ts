/**
 * Small files of a routing server that survive it: written whole or not at all, readable by the owner only.
 *
 * Owns the boot counter. Never keeps anything about sessions: a routing server that restarts has forgotten them, and
 * its new boot number says so.
 */

import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from "node:fs"
import { dirname, join } from "node:path"

export type Written = { ok: true } | { ok: false; what: string }

/** Writes beside the file and renames, so that a power cut leaves the old or the new one. */
export function writeWhole(path: string, content: string): Written {
    try {
        mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
        const beside = `${path}.new`
        const file = openSync(beside, "w", 0o600)
        try {
            writeSync(file, content)
            fsyncSync(file)
        } finally {
            closeSync(file)
        }
        renameSync(beside, path)
        return { ok: true }
    } catch (error) {
        return { ok: false, what: `${path} cannot be written: ${(error as Error).message}` }
    }
}

/** Where the token of the control API is left. */
export function tokenFileOf(folder: string): string {
    return join(folder, "control.token")
}

export type BootResult = { ok: true; boot: number } | { ok: false; what: string }

/** Counts this start. Neighbours and the group server take a new number as "it has forgotten everything". */
export function countBoot(folder: string): BootResult {
    const path = join(folder, "boot")
    let last = 0
    try {
        last = Number(readFileSync(path, "utf8").trim())
    } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT")
            return { ok: false, what: `${path} cannot be read: ${(error as Error).message}` }
    }
    if (!Number.isSafeInteger(last) || last < 0 || last >= 4294967295)
        return { ok: false, what: `${path} does not hold a boot number; write a number larger than any before` }
    const boot = last + 1
    const written = writeWhole(path, `${boot}\n`)
    return written.ok ? { ok: true, boot } : written
}
