/**
 * The routing servers' control APIs as the command sees them: clients for the system in the state folder, and their problems
 * as failures of the command.
 */
import { ControlClient, type ControlResult } from "../../servers/routing/control/client.ts"
import { failure, messageOf, type Outcome, success, usage } from "../outcome.ts"
import type { Settings } from "../settings.ts"
import { findRun, type Run, type RunningPart } from "./run-file.ts"

export interface ControlledServer {
    id: string
    client: ControlClient
}

/** All routing servers of the running system. */
export function controlsOf(settings: Settings): Outcome<ControlledServer[]> {
    const run = findRun(settings.stateFolder)
    if (!run.ok) return run
    const servers: ControlledServer[] = []
    for (const part of routingParts(run.value)) {
        const client = clientOf(part)
        if (!client.ok) return client
        servers.push({ id: part.name, client: client.value })
    }
    return success(servers)
}

/** One of them. */
export function controlOf(settings: Settings, id: string): Outcome<ControlClient> {
    const run = findRun(settings.stateFolder)
    if (!run.ok) return run
    const parts = routingParts(run.value)
    const part = parts.find(each => each.name === id)
    if (part) return clientOf(part)
    return usage(`there is no routing server "${id}" here; there are ${parts.map(each => each.name).join(", ")}`)
}

export function fromControl<T>(server: string, result: ControlResult<T>): Outcome<T> {
    if (result.ok) return result
    const { code, what, who } = result
    if (code === "unreachable")
        return failure("notRunning", code, `${server} cannot be reached: ${what}`, { who, next: "parley doctor" })
    const next = code === "unknown-server" ? "parley server list" : undefined
    return failure(code === "no-answer" ? "timeout" : "failed", code, `${server}: ${what}`, { who, next })
}

export function routingParts(run: Run): RunningPart[] {
    return run.parts.filter(part => part.kind === "routing")
}

function clientOf({ name, controlUrl, controlTokenFile }: RunningPart): Outcome<ControlClient> {
    if (!controlUrl || !controlTokenFile)
        return failure("notRunning", "no-control", `${name} runs without a control API`, {
            who: "you",
            next: "parley stop, then parley up",
        })
    try {
        return success(ControlClient.fromTokenFile(controlUrl, controlTokenFile))
    } catch (error) {
        return failure("failed", "no-token", `the control token of ${name} cannot be read: ${messageOf(error)}`, {
            who: "operator",
            next: "run the command as the user that runs the system",
        })
    }
}
