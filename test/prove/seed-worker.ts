/**
 * A process that runs seeds for the reservation proof: told which code and which seeds, it answers with what each run gave.
 */

import type { RunResult, runSeed } from "../../sim/world/reservation/run.ts"

export interface Work {
    /** Address of the `run.ts` to use. */
    code: string
    from: number
    to: number
    /** Nothing after the first violation. */
    stopAtViolation: boolean
}

export interface Done {
    results: RunResult[]
    /** What this process took of a processor for it, ms. */
    cpuMs: number
}

process.on("message", async (work: Work) => {
    const { runSeed: run } = (await import(work.code)) as { runSeed: typeof runSeed }
    const before = process.cpuUsage()
    const results: RunResult[] = []
    for (let seed = work.from; seed <= work.to; seed++) {
        const result = run(seed)
        results.push(result)
        if (result.violation && work.stopAtViolation) break
    }
    const { user, system } = process.cpuUsage(before)
    process.send?.({ results, cpuMs: (user + system) / 1000 } satisfies Done)
})
process.on("disconnect", () => process.exit(0))
