/**
 * Is everything up? One finding for each part: verdict, evidence, next act. Asks the parts themselves, never their logs.
 */
import { connect } from "node:net"
import type { Settings } from "../settings.ts"
import { fromGroup, groupOf } from "./group.ts"
import { isAlive, type Run, type RunningPart } from "./run-file.ts"
import { simOf, statusesOf } from "./sim.ts"

export interface Finding {
    subject: string
    verdict: "ok" | "bad"
    evidence: string
    next?: string
}

const connectWithinMs = 2000
const restart = "parley stop, then parley up"

export async function examine(run: Run, settings: Settings): Promise<Finding[]> {
    const parts = await Promise.all(run.parts.map(part => examinePart(part, settings.stateFolder)))
    const dead = parts.some(finding => finding.verdict === "bad")
    const [group, boards] = await Promise.all([examineGroup(settings), examineBoards(settings)])
    // What a dead part takes down with it needs no act of its own.
    const rest = [...group, ...boards].map(finding =>
        dead && finding.verdict === "bad" ? { ...finding, next: "see the part that died" } : finding,
    )
    return [...parts, ...rest]
}

async function examinePart(part: RunningPart, stateFolder: string): Promise<Finding> {
    const subject = part.name
    const gone = !isAlive(part.pid)
    // An operator may have put another process in its place by hand (`parley serve`).
    const replaced = gone && part.kind !== "routing" && (await tryConnect(part.address)) === ""
    if (replaced)
        return {
            subject,
            verdict: "ok",
            evidence: `process ${part.pid} has ended, another answers at ${part.address}`,
        }
    if (gone)
        return {
            subject,
            verdict: "bad",
            evidence: `process ${part.pid} has ended`,
            next: `${restart}; why: ${stateFolder}/logs/${part.name}.log`,
        }
    // A routing server's media port is UDP; whether it works shows in its state at the group server.
    if (part.kind === "routing") return { subject, verdict: "ok", evidence: `process ${part.pid}, ${part.address}` }
    const problem = await tryConnect(part.address)
    if (problem) return { subject, verdict: "bad", evidence: `${part.address}: ${problem}`, next: restart }
    return { subject, verdict: "ok", evidence: `process ${part.pid}, ${part.address} answers` }
}

async function examineGroup(settings: Settings): Promise<Finding[]> {
    const group = groupOf(settings)
    if (!group.ok) return [{ subject: "group server", verdict: "bad", evidence: group.what, next: group.next }]
    const ready = fromGroup(await group.value.readiness())
    if (!ready.ok) return [{ subject: "group server", verdict: "bad", evidence: ready.what, next: restart }]
    if (!ready.value.ready) {
        const missing = ready.value.broker
            ? "it could not write the broker's credentials"
            : "it is not connected to the broker"
        return [{ subject: "group server", verdict: "bad", evidence: `not ready: ${missing}`, next: restart }]
    }
    const servers = fromGroup(await group.value.all(cursor => group.value.listRoutingServers({ cursor })))
    if (!servers.ok) return [{ subject: "group server", verdict: "bad", evidence: servers.what, next: servers.next }]
    return servers.value.map(server => {
        const subject = `${server.id} at the group server`
        if (!server.online)
            return {
                subject,
                verdict: "bad",
                evidence: "not registered",
                next: `parley serve routing --id ${server.id} ..., or if it is no more: parley server remove ${server.id}`,
            }
        const down = server.links.filter(link => !link.up).map(link => link.server)
        if (down.length > 0)
            return {
                subject,
                verdict: "bad",
                evidence: `link down to ${down.join(", ")}`,
                next: `look at ${down[0]}: is it running, is its link port (TCP and UDP) open?`,
            }
        return { subject, verdict: "ok", evidence: `registered, ${server.links.length} links up` }
    })
}

async function examineBoards(settings: Settings): Promise<Finding[]> {
    const sim = simOf(settings)
    const statuses = sim.ok ? await statusesOf(sim.value) : sim
    if (!statuses.ok) return [{ subject: "boards", verdict: "bad", evidence: statuses.what, next: statuses.next }]
    return statuses.value.map(board => {
        const subject = board.id
        if (board.power === "off")
            return { subject, verdict: "bad", evidence: "no power", next: `parley board power ${board.id} on` }
        if (!board.wifi.up)
            return { subject, verdict: "bad", evidence: "no Wi-Fi", next: `parley board wifi ${board.id} on` }
        if (!board.phase)
            return { subject, verdict: "bad", evidence: "the firmware is silent", next: `parley board log ${board.id}` }
        if (board.phase === "Refused")
            return {
                subject,
                verdict: "bad",
                evidence: "the broker refuses it: wrong secret, or not enrolled",
                next: `parley endpoint remove ${board.id} --yes, then parley stop and parley up, which enrols it anew`,
            }
        if (!attached.includes(board.phase))
            return {
                subject,
                verdict: "bad",
                evidence: `phase ${board.phase}`,
                next: `parley board screen ${board.id}`,
            }
        return { subject, verdict: "ok", evidence: `${board.phase}, attached to ${board.server}` }
    })
}

const attached = ["Idle", "Reminding", "Joining", "InSession", "Leaving"]

/** What is wrong with a TCP address, or "". */
function tryConnect(address: string): Promise<string> {
    const [host, port] = address.split(":")
    return new Promise(resolve => {
        const socket = connect({ host, port: Number(port) })
        const end = (problem: string) => {
            socket.destroy()
            resolve(problem)
        }
        socket.setTimeout(connectWithinMs, () => end("no answer"))
        socket.once("connect", () => end(""))
        socket.once("error", (error: NodeJS.ErrnoException) => end(error.code ?? error.message))
    })
}
