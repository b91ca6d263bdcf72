/**
 * The group server as the command sees it: its client for a running system, and its problems as failures of the command.
 */
import { readFileSync } from "node:fs"
import { GroupClient, type Result } from "../../servers/group/client.ts"
import { failure, messageOf, type Outcome, success } from "../outcome.ts"
import type { Settings } from "../settings.ts"
import { findRun } from "./run-file.ts"

/** A client for the group server that the settings name, else for that of the system in the state folder. */
export function groupOf(settings: Settings): Outcome<GroupClient> {
    if (settings.groupUrl) return clientFor(settings.groupUrl, settings.tokenFile)
    const run = findRun(settings.stateFolder)
    return run.ok ? clientFor(run.value.groupUrl, run.value.adminTokenFile) : run
}

export function clientFor(url: string, tokenFile: string): Outcome<GroupClient> {
    try {
        return success(new GroupClient(url, readFileSync(tokenFile, "utf8").trim()))
    } catch (error) {
        return failure("failed", "no-token", `the token of the group server cannot be read: ${messageOf(error)}`, {
            who: "operator",
            next: "say where it is (--token FILE), or run the command as the user that runs the group server",
        })
    }
}

export function fromGroup<T>(result: Result<T>): Outcome<T> {
    if (result.ok) return success(result.value)
    const { code, what, who, next } = result.problem
    if (code === "unreachable")
        return failure("notRunning", code, `the group server cannot be reached: ${what}`, {
            who,
            next: "parley doctor",
        })
    const nextTime = typeof next === "number" ? `possible from ${new Date(next * 1000).toISOString()}` : undefined
    return failure("failed", code, what, { who, next: nextTime, details: next === undefined ? undefined : { next } })
}
