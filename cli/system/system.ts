/**
 * A whole system on one machine: started in order, enrolled on its first start, watched, stopped cleanly.
 * Owns the state folder while it lives. Never restarts a part by itself and never prints; it reports events.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Layout } from "../layout.ts"
import { failure, type Outcome, success } from "../outcome.ts"
import { Part, type PartEnd, type PartKind, type PartPlan } from "./child.ts"
import { allRegistered, enrolAll } from "./enrol.ts"
import { brokerPlan, type Folders, foldersOf, groupPlan, routingPlan, simPlan } from "./plan.ts"
import { checkFree } from "./ports.ts"
import { bornAt, claimRun, type Run, removeRun, writeRun } from "./run-file.ts"

export type SystemEvent =
    | { type: "phase"; text: string }
    | { type: "partReady"; part: string; pid: number; address: string }
    | { type: "partDied"; part: string; end: PartEnd }

/** What the simulator is told about the sound of one board. */
export interface BoardMedia {
    microphone?: string
    speaker?: string
}

export interface SystemOptions {
    stateFolder: string
    network: string
    layout: Layout
    /** WAV files by board. */
    media?: Record<string, BoardMedia>
    onEvent?: (event: SystemEvent) => void
}

export interface Death {
    part: string
    end: PartEnd
}

export interface System {
    layout: Layout
    folders: Folders
    run: Run
    parts: Part[]
    /** The parts that died since the start. */
    died: Death[]
    stop(): Promise<void>
    kill(): void
}

/**
 * The order of a stop, and how long each may take before it is killed; the whole stays within 3 s. The broker goes last:
 * boards and servers say goodbye over it.
 */
const stopOrder: { kinds: PartKind[]; withinMs: number }[] = [
    { kinds: ["sim"], withinMs: 1000 },
    { kinds: ["routing", "group"], withinMs: 1200 },
    { kinds: ["broker"], withinMs: 600 },
]

export async function startSystem(options: SystemOptions, signal?: AbortSignal): Promise<Outcome<System>> {
    const { layout, stateFolder } = options
    const folders = foldersOf(stateFolder)
    const onEvent = options.onEvent ?? (() => {})
    const run = firstRun(options, folders)

    const claimed = claimRun(stateFolder, run)
    if (!claimed.ok) return claimed
    const parts: Part[] = []
    const died: Death[] = []
    const stop = async () => {
        for (const { kinds, withinMs } of stopOrder)
            await Promise.all(parts.filter(part => kinds.includes(part.plan.kind)).map(part => part.stop(withinMs)))
        removeRun(stateFolder)
    }
    const kill = () => {
        for (const part of parts) part.kill()
        removeRun(stateFolder)
    }
    const begin = async (plans: PartPlan[]): Promise<Outcome<undefined>> => {
        if (signal?.aborted) return interrupted
        const fresh = plans.map(plan => new Part(plan, folders.logs))
        parts.push(...fresh)
        const begun = await Promise.all(fresh.map(part => part.start()))
        const bad = begun.find(outcome => !outcome.ok)
        if (bad && !bad.ok) return signal?.aborted ? interrupted : bad
        for (const part of fresh) {
            part.onDeath = end => {
                died.push({ part: part.plan.name, end })
                onEvent({ type: "partDied", part: part.plan.name, end })
            }
            onEvent({ type: "partReady", part: part.plan.name, pid: part.pid ?? 0, address: part.plan.address })
        }
        run.parts = parts.map(({ plan, pid, ready }) => ({
            name: plan.name,
            kind: plan.kind,
            pid: pid ?? 0,
            address: plan.address,
            ...(typeof ready.controlUrl === "string" && {
                controlUrl: ready.controlUrl,
                controlTokenFile: plan.controlTokenFile,
            }),
        }))
        writeRun(stateFolder, run)
        return success(undefined)
    }
    const sequence: (() => Promise<Outcome<unknown>>)[] = [
        () => checkFree(layout),
        () => begin([groupPlan(layout, folders), brokerPlan(layout, folders)]),
        async () => {
            onEvent({ type: "phase", text: "enrolling servers, boards and the group of all rooms" })
            const secrets = await enrolAll(layout, folders)
            if (!secrets.ok) return secrets
            writeSimConfig(options, folders, secrets.value)
            return secrets
        },
        () => begin(layout.servers.map(server => routingPlan(layout, folders, server))),
        () => allRegistered(layout, folders),
        () => begin([simPlan(layout, folders)]),
    ]
    const onAbort = () => {
        for (const part of parts) if (part.state === "starting") part.kill()
    }
    signal?.addEventListener("abort", onAbort)
    for (const step of sequence) {
        const outcome = await step()
        if (outcome.ok && !signal?.aborted) continue
        signal?.removeEventListener("abort", onAbort)
        await stop()
        return outcome.ok ? interrupted : outcome
    }
    signal?.removeEventListener("abort", onAbort)
    run.phase = "up"
    writeRun(stateFolder, run)
    return success({ layout, folders, run, parts, died, stop, kill })
}

const interrupted = failure("interrupted", "interrupted", "stopped before everything was up")

function firstRun(options: SystemOptions, folders: Folders): Run {
    const { layout } = options
    return {
        version: 1,
        pid: process.pid,
        bornAt: bornAt(process.pid),
        phase: "starting",
        network: options.network,
        broker: `${layout.broker.host}:${layout.broker.port}`,
        groupUrl: `http://${layout.group.host}:${layout.group.port}`,
        adminTokenFile: folders.adminToken,
        simUrl: `http://${layout.sim.host}:${layout.sim.port}`,
        simTokenFile: folders.simToken,
        parts: [],
    }
}

function writeSimConfig(options: SystemOptions, folders: Folders, secrets: Record<string, string>): void {
    const { layout } = options
    mkdirSync(folders.boards, { recursive: true, mode: 0o700 })
    const boards = layout.boards.map(board => ({
        id: board.id,
        name: board.name,
        secret: secrets[board.id],
        ip: board.ip,
        flash: join(folders.boards, `${board.id}.flash`),
        delaysMs: board.delaysMs,
        ...mediaOf(options, folders, board.id),
    }))
    const config = { boards, broker: layout.broker, control: { ...layout.sim, tokenFile: folders.simToken } }
    writeFileSync(folders.simConfig, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 })
}

/** A WAV file beside the flash file is the board's microphone, so that people can give a room a voice. */
function mediaOf(options: SystemOptions, folders: Folders, board: string): BoardMedia {
    const given = options.media?.[board]
    if (given) return given
    const microphone = join(folders.boards, `${board}.wav`)
    return existsSync(microphone) ? { microphone } : {}
}
