/**
 * The reservation proof: many seeds of the world with all checkers, and the mutants that the checkers must catch. Both in as many
 * processes as there are processors.
 */

import { type ChildProcess, fork } from "node:child_process"
import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"
import type { RunResult } from "../../sim/world/reservation/run.ts"
import { type Mutant, makeMutant, mutants, originalRun } from "./mutants.ts"
import type { Done, Work } from "./seed-worker.ts"

const workerFile = fileURLToPath(new URL("./seed-worker.ts", import.meta.url))

export interface ProofOptions {
    seeds: readonly number[]
    mutants: boolean
    progress(line: string): void
    /** Most seeds that a mutant is given; by default `mutantSeeds`. */
    mutantSeeds?: number
}

export interface Proved {
    /** Runs that broke a rule. */
    broken: RunResult[]
    caught: Caught[]
    figures: Record<string, number>
}

export interface Caught {
    mutant: Mutant
    /** Undefined: nobody objected. */
    by?: { seed: number; checker: string; seen: string }
}

/** Seeds that a mutant is run over until a checker objects. */
export const mutantSeeds = 600
const block = 10

/** Runs of seeds that are worth a process of their own. */
export async function proveReservation(options: ProofOptions): Promise<Proved> {
    const { seeds, progress } = options
    const started = performance.now()
    const processes = Math.max(1, Math.min(availableParallelism(), Math.ceil(seeds.length / block)))
    const broken: RunResult[] = []
    const sums: Record<string, number> = {}
    let events = 0
    let cpuMs = 0
    let done = 0
    const blocks = blocksOf(seeds)
    await withWorkers(processes, async ask => {
        for (let next = blocks.shift(); next; next = blocks.shift()) {
            const reply = await ask({ code: originalRun, ...next, stopAtViolation: false })
            cpuMs += reply.cpuMs
            for (const result of reply.results) {
                events += result.events
                if (result.violation) broken.push(result)
                for (const [name, count] of Object.entries(result.counts))
                    sums[name] = name.endsWith("Most") ? Math.max(sums[name] ?? 0, count) : (sums[name] ?? 0) + count
            }
            const before = done
            done += reply.results.length
            if (Math.floor(done / 200) > Math.floor(before / 200))
                progress(`${done} of ${seeds.length} seeds, ${broken.length} violations, ${seconds(started)} s`)
        }
    })
    broken.sort((a, b) => a.seed - b.seed)
    const caught = options.mutants ? await catchMutants(options.mutantSeeds ?? mutantSeeds, progress) : []
    const figures = {
        seeds: seeds.length,
        events,
        violations: broken.length,
        /** Of the time that the runs took of a processor, so for each core; world and checkers included. */
        eventsPerSecond: cpuMs > 0 ? Math.round(events / (cpuMs / 1000)) : 0,
        mutants: caught.length,
        mutantsCaught: caught.filter(({ by }) => by !== undefined).length,
        ...sums,
        repairMsMean: sums.repairsPossible > 0 ? Math.round(sums.repairMsTotal / sums.repairsPossible) : 0,
    }
    return { broken, caught, figures: rounded(figures) }
}

/** Each mutant over seeds from 1 on until a checker objects. */
export async function catchMutants(seeds: number, progress: (line: string) => void): Promise<Caught[]> {
    const waiting = mutants.map(mutant => ({ mutant, code: makeMutant(mutant) }))
    const caught: Caught[] = []
    await withWorkers(Math.min(availableParallelism(), waiting.length), async ask => {
        for (let next = waiting.shift(); next; next = waiting.shift()) {
            const { mutant, code } = next
            const found: Caught = { mutant }
            for (let from = 1; from <= seeds && !found.by; from += block) {
                const { results } = await ask({
                    code,
                    from,
                    to: Math.min(seeds, from + block - 1),
                    stopAtViolation: true,
                })
                // A mutant that throws is broken, not caught.
                const last = results.find(({ violation }) => violation?.checker.startsWith("I"))
                if (last?.violation) found.by = { seed: last.seed, ...last.violation }
            }
            const { by } = found
            progress(
                by
                    ? `mutant ${mutant.name}: seed ${by.seed}, ${by.checker}: ${by.seen}`
                    : `mutant ${mutant.name}: NOT CAUGHT in ${seeds} seeds (${mutant.what})`,
            )
            caught.push(found)
        }
    })
    return caught
}

/** Runs in a row, so that a message is worth its way. */
function blocksOf(seeds: readonly number[]): { from: number; to: number }[] {
    const blocks: { from: number; to: number }[] = []
    for (const seed of seeds) {
        const last = blocks.at(-1)
        if (last && last.to === seed - 1 && last.to - last.from + 1 < block) last.to = seed
        else blocks.push({ from: seed, to: seed })
    }
    return blocks
}

/** Lets `job` run beside itself in `count` processes, and ends them. */
async function withWorkers(count: number, job: (ask: (work: Work) => Promise<Done>) => Promise<void>): Promise<void> {
    const workers = Array.from({ length: count }, () => fork(workerFile, { execArgv: ["--import", "tsx"] }))
    try {
        await Promise.all(workers.map(worker => job(work => askWorker(worker, work))))
    } finally {
        for (const worker of workers) worker.disconnect()
    }
}

function askWorker(worker: ChildProcess, work: Work): Promise<Done> {
    return new Promise((resolve, reject) => {
        const onExit = (code: number | null) => reject(new Error(`a process that runs seeds ended with ${code}`))
        worker.once("exit", onExit)
        worker.once("message", reply => {
            worker.off("exit", onExit)
            resolve(reply as Done)
        })
        worker.send(work)
    })
}

function seconds(startedMs: number): string {
    return ((performance.now() - startedMs) / 1000).toFixed(0)
}

function rounded(figures: Record<string, number>): Record<string, number> {
    return Object.fromEntries(Object.entries(figures).map(([name, figure]) => [name, Math.round(figure)]))
}
