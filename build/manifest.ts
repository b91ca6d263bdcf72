/**
 * devicescript.json, the appliance manifest: entries (a program per board), default settings, budgets.
 * Reads and checks it; never writes it.
 */

import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

export interface Budgets {
    bytecodeBytes: number
    heapPeakBytes: number
    messageBytes: number
    sourceLines: number
}

export interface Manifest {
    name: string
    version: string
    entries: Record<string, { entry: string; board: string }>
    settings: Record<string, string | number>
    budgets: Budgets
}

export function readManifest(path = fileURLToPath(new URL("../devicescript.json", import.meta.url))): Manifest {
    const manifest = JSON.parse(readFileSync(path, "utf8")) as Manifest
    if (typeof manifest.entries !== "object" || Object.keys(manifest.entries).length === 0)
        throw new Error(`${path}: "entries" must name at least one program`)
    for (const name of ["bytecodeBytes", "heapPeakBytes", "messageBytes", "sourceLines"] as const)
        if (!(manifest.budgets?.[name] > 0)) throw new Error(`${path}: "budgets.${name}" must be a number above 0`)
    return manifest
}
