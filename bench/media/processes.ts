/** The processes of the benches of mixing: started with a channel over which each order has one answer. */
import { type ChildProcess, fork, spawnSync } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"

/** Starts a script of this folder; where the system lets it be held there, on one processor `core`. */
export function startProcess(name: string, core?: number): ChildProcess {
    const file = fileURLToPath(new URL(name, import.meta.url))
    // In a session of its own: Linux shares processors between sessions first (autogroup), and two of a bench must not share one.
    const child = fork(file, {
        execArgv: ["--import", "tsx"],
        ...{ stdio: ["ignore", "ignore", "inherit", "ipc"], detached: true },
    })
    if (core !== undefined) holdOn(core, child)
    return child
}

/** Whoever drives a measurement keeps to one core: where the measured one would share it, it would wait. */
function holdOn(core: number, { pid }: ChildProcess): void {
    spawnSync("taskset", ["--all-tasks", "--cpu-list", "--pid", `${core}`, `${pid}`], { stdio: "ignore" })
}

export async function ask<Answer>(child: ChildProcess, order: object): Promise<Answer> {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error("a process of the bench has ended")
    child.send(order)
    const answered = once(child, "message").then(([message]) => message as Answer)
    const died = once(child, "exit").then(([code]) => {
        throw new Error(`a process of the bench ended with ${code}`)
    })
    died.catch(() => {})
    return Promise.race([answered, died])
}
