/** The processes of the benches of mixing: started with a channel over which each order has one answer. */
import { type ChildProcess, fork, spawnSync } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"

/** Starts a script of this folder, on one processor core for itself where the system lets it be held there. */
export function startProcess(name: string, core: number): ChildProcess {
    const file = fileURLToPath(new URL(name, import.meta.url))
    // In a session of its own: Linux shares processors between sessions first (autogroup), and two of a bench must not share one.
    const child = fork(file, {
        execArgv: ["--import", "tsx"],
        ...{ stdio: ["ignore", "ignore", "inherit", "ipc"], detached: true },
    })
    // What it measures is one core, and whoever drives it must not be put on the same.
    spawnSync("taskset", ["--all-tasks", "--cpu-list", "--pid", `${core}`, `${child.pid}`], { stdio: "ignore" })
    return child
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
