/**
 * services/appliance.md as a tool sees it: its registers as values. Owns codes and layouts; never sends anything.
 */

import type { JDService } from "../../node_modules/jacdac-ts/dist/types/src/jacdac.js"
import { countersRegister } from "../../serial/appliance-counters.ts"
import type { BoardLink } from "./board-link.ts"

export const applianceCodes = {
    registers: {
        phase: 0x180,
        server: 0x181,
        session: 0x182,
        counters: countersRegister,
        health: 0x184,
        identity: 0x185,
        trial: 0x186,
        verdicts: 0x187,
    },
    commands: { trySettings: 0x80, selfTest: 0x81, identify: 0x82, factoryReset: 0x83 },
}

export const phaseNames = [
    "unprovisioned",
    "connecting",
    "refused",
    "registering",
    "choosing",
    "attaching",
    "idle",
    "reminding",
    "joining",
    "in-session",
    "leaving",
] as const
export type PhaseName = (typeof phaseNames)[number]

export const endedNames: Record<number, string> = {
    0: "not-yet",
    3: "unreachable",
    4: "closed",
    5: "refused",
    6: "no-answer",
    7: "silent",
    8: "malformed",
    9: "write-failed",
    10: "unacknowledged",
    11: "inbox-full",
    12: "forgotten",
}

export const trialNames = ["none", "trying", "accepted", "failed", "interrupted", "invalid"] as const
export type TrialName = (typeof trialNames)[number]

export interface Health {
    /** Undefined while the time is not known. */
    clockErrorMs: number | undefined
    ended: string
    /** Return code of the broker's last refusal; 0: none. */
    denial: number
    mediaPresent: boolean
    /** Code of protocol/reasons.ts; "" when nothing went wrong. */
    reason: string
    /** What the socket said of the last attempt. */
    socket: string
}

export interface Identity {
    id: string
    board: string
    name: string
    firmware: string
}

const clockUnknown = 0xffffffff

export function readHealth(data: Buffer | undefined): Health | undefined {
    if (!data || data.length < 8) return undefined
    const clockErrorMs = data.readUInt32LE(0)
    const [reason = "", socket = ""] = texts(data.subarray(7))
    return {
        clockErrorMs: clockErrorMs === clockUnknown ? undefined : clockErrorMs,
        ended: endedNames[data[4]!] ?? `code ${data[4]}`,
        denial: data[5]!,
        mediaPresent: data[6] !== 0,
        reason,
        socket,
    }
}

export function readIdentity(data: Buffer | undefined): Identity | undefined {
    if (!data) return undefined
    const [id = "", board = "", name = "", firmware = ""] = texts(data)
    return { id, board, name, firmware }
}

export async function readPhase(link: BoardLink, service: JDService | undefined): Promise<PhaseName | undefined> {
    const data = await link.read(service, applianceCodes.registers.phase)
    return data && data.length > 0 ? phaseNames[data[0]!] : undefined
}

/** Texts that each end with a zero; the last one may do without. */
function texts(data: Buffer): string[] {
    return data.toString("utf8").split("\0")
}
