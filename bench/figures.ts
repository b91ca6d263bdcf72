/**
 * How a command reports what it measured: one JSON object as the last line of standard output.
 *
 *     {"figures": {name: number}, "machine": {...}, "seed": ...}
 *
 * Owns the shape and what is said about the machine. Never measures.
 */
import { arch, availableParallelism, cpus, loadavg, platform, release, totalmem } from "node:os"

export interface Machine {
    node: string
    platform: string
    arch: string
    release: string
    cpu: string
    cores: number
    memoryBytes: number
    /** Of the last minute: figures from a busy machine are to be read with care. */
    load: number
}

export interface FiguresReport {
    figures: Record<string, number>
    machine: Machine
    seed: number | null
}

export function thisMachine(): Machine {
    return {
        node: process.version,
        platform: platform(),
        arch: arch(),
        release: release(),
        cpu: cpus()[0]?.model.trim() ?? "unknown",
        cores: availableParallelism(),
        memoryBytes: totalmem(),
        load: Math.round(loadavg()[0] * 100) / 100,
    }
}

/** The report; a figure that is not a finite number is a broken measurement and throws. */
export function reportFigures(figures: Record<string, number>, seed: number | null): FiguresReport {
    for (const [name, value] of Object.entries(figures))
        if (!Number.isFinite(value)) throw new Error(`figure ${name} is ${value}`)
    return { figures, machine: thisMachine(), seed }
}

export function printFigures(figures: Record<string, number>, seed: number | null): void {
    process.stdout.write(`${JSON.stringify(reportFigures(figures, seed))}\n`)
}
