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

export interface Entry {
    entry: string
    /** Path of its board.json. */
    board: string
    /** In place of those of the manifest; `why` is then the reason. */
    budgets?: Partial<Budgets>
    why?: string
}

export interface Manifest {
    name: string
    version: string
    /** The first one is the program of the simulator. */
    entries: Record<string, Entry>
    settings: Record<string, string | number>
    budgets: Budgets
}

export function readManifest(path = fileURLToPath(new URL("../devicescript.json", import.meta.url))): Manifest {
    const manifest = JSON.parse(readFileSync(path, "utf8")) as Manifest
    if (typeof manifest.entries !== "object" || Object.keys(manifest.entries).length === 0)
        throw new Error(`${path}: "entries" must name at least one program`)
    for (const name of ["bytecodeBytes", "heapPeakBytes", "messageBytes", "sourceLines"] as const)
        if (!(manifest.budgets?.[name] > 0)) throw new Error(`${path}: "budgets.${name}" must be a number above 0`)
    for (const [name, { budgets, why }] of Object.entries(manifest.entries))
        if (budgets && !why)
            throw new Error(`${path}: entry "${name}" has budgets of its own, so "why" must tell the reason`)
    return manifest
}

/** What bounds one entry: the manifest's budgets, and its own in their place. */
export function budgetsOf(manifest: Manifest, name: string): Budgets {
    return { ...manifest.budgets, ...manifest.entries[name].budgets }
}

export type Figures = Record<"bytecodeBytes" | "heapPeakBytes" | "largestMessageBytes" | "sourceLines", number>

/** Which budget bounds which figure. */
export const budgetOf = {
    bytecodeBytes: "bytecodeBytes",
    heapPeakBytes: "heapPeakBytes",
    largestMessageBytes: "messageBytes",
    sourceLines: "sourceLines",
} as const

export function overBudget(figures: Figures, budgets: Budgets): (keyof Figures)[] {
    return (Object.keys(figures) as (keyof Figures)[]).filter(name => figures[name] > budgets[budgetOf[name]])
}
