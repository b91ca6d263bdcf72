/**
 * `npm run bench -- <name> [--json] [options]`: measures one thing and says it in figures. Without a name: what there is.
 *
 * Progress on standard error; with --json one object as the last line of standard output. Exit 0 only when it was measured.
 */

import { parseArgs } from "node:util"
import { printFigures, thisMachine } from "./figures.ts"

export interface BenchResult {
    figures: Record<string, number>
    seed: number | null
}

/** A bench takes its own options as texts; `options` says which there are, with what they mean. */
export interface Bench {
    summary: string
    options: Record<string, string>
    run(options: Record<string, string | undefined>, progress: (text: string) => void): Promise<BenchResult>
}

/** Loaded when asked for, so that the list costs nothing. */
const benches: Record<string, () => Promise<Bench>> = {
    dsp: async () => (await import("./dsp.ts")).dspBench,
    failover: async () => (await import("./failover.ts")).failoverBench,
    media: async () => (await import("./media.ts")).mediaBench,
    mqtt: async () => (await import("./mqtt.ts")).mqttBench,
    neighbours: async () => (await import("./neighbours.ts")).neighboursBench,
    panel: async () => (await import("./panel.ts")).panelBench,
    quality: async () => (await import("./quality.ts")).qualityBench,
    repair: async () => (await import("./repair.ts")).repairBench,
    sessions: async () => (await import("./sessions.ts")).sessionsBench,
    reserve: async () => (await import("./reserve.ts")).reserveBench,
    spf: async () => (await import("./spf.ts")).spfBench,
}

async function list(): Promise<void> {
    process.stdout.write("Usage: npm run bench -- <name> [--json] [options]\n\n")
    for (const [name, load] of Object.entries(benches)) {
        const bench = await load()
        process.stdout.write(`  ${name.padEnd(12)} ${bench.summary}\n`)
        for (const [option, meaning] of Object.entries(bench.options))
            process.stdout.write(`    --${option.padEnd(10)} ${meaning}\n`)
    }
}

async function main(words: string[]): Promise<number> {
    const name = words[0]
    if (name === undefined || name === "--help") {
        await list()
        return 0
    }
    const load = Object.hasOwn(benches, name) ? benches[name] : undefined
    if (!load) {
        process.stderr.write(`bench: there is no "${name}"; there are: ${Object.keys(benches).join(", ")}\n`)
        return 2
    }
    const bench = await load()
    const text = { type: "string" } as const
    let values: Record<string, string | boolean | undefined>
    try {
        const own = Object.fromEntries(Object.keys(bench.options).map(option => [option, text]))
        values = parseArgs({
            args: words.slice(1),
            options: { ...own, json: { type: "boolean" } },
            strict: true,
        }).values
    } catch (error) {
        process.stderr.write(`bench ${name}: ${(error as Error).message}\n`)
        return 2
    }
    const { json, ...options } = values
    try {
        const { figures, seed } = await bench.run(options as Record<string, string | undefined>, line =>
            process.stderr.write(`${line}\n`),
        )
        if (json) printFigures(figures, seed)
        else {
            for (const [figure, value] of Object.entries(figures))
                process.stdout.write(`${figure.padEnd(24)} ${value}\n`)
            const { cpu, cores, load: busy } = thisMachine()
            process.stdout.write(`on ${cpu}, ${cores} cores, load ${busy}${seed === null ? "" : `; seed ${seed}`}\n`)
        }
        return 0
    } catch (error) {
        process.stderr.write(`bench ${name}: not measured: ${(error as Error).message}\n`)
        return 1
    }
}

// A bench may leave sockets behind when it fails; the exit code must not wait for them.
process.exit(await main(process.argv.slice(2)))
