/**
 * The simulator as the command sees it: its client for the system in the state folder, and its problems as failures.
 */
import type { BoardStatus } from "../../sim/board.ts"
import { SimClient, type SimResult } from "../../sim/client.ts"
import { failure, messageOf, type Outcome, success } from "../outcome.ts"
import type { Settings } from "../settings.ts"
import { findRun, type Run } from "./run-file.ts"

export function simOf(settings: Settings): Outcome<SimClient> {
    const run = findRun(settings.stateFolder)
    return run.ok ? simOfRun(run.value) : run
}

export function simOfRun(run: Run): Outcome<SimClient> {
    try {
        return success(SimClient.fromTokenFile(run.simUrl, run.simTokenFile))
    } catch (error) {
        return failure("notRunning", "no-simulator", `the simulator has not started yet: ${messageOf(error)}`, {
            who: "you",
            next: "parley doctor",
        })
    }
}

export function fromSim<T>(result: SimResult<T>): Outcome<T> {
    if (result.ok) return result
    const { code, what, who } = result
    if (code === "unreachable") return failure("notRunning", code, what, { who, next: "parley doctor" })
    return failure("failed", code, what, { who, next: code === "unknown-board" ? "parley board list" : undefined })
}

export async function statusesOf(sim: SimClient): Promise<Outcome<BoardStatus[]>> {
    return fromSim(await sim.boards())
}
