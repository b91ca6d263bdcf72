/**
 * Part of the proof `appliance`: what is written into its flash or sent to it on purpose to harm it. The screen must stay clear
 * (four lines that fit and say something) and the program alive.
 */

import { limits } from "../../../protocol/limits.ts"
import { MemoryFlash } from "../../../sim/vm/flash.ts"
import { VirtualRoom } from "../../../sim/world/appliance/room.ts"
import { Random } from "../../../sim/world/random.ts"
import type { ApplianceProof } from "./appliance.ts"

const keys = ["p.id", "p.secret", "p.host", "p.port", "tz", "boot", "trial", "muted", "volume", "session", "agenda0"]
const emoji = "🦄"
const yearMs = 365 * 86_400_000
const rows = 4
const columns = 20

export interface HostileResult {
    hostileCases: number
    unclear: number
    panics: number
}

export async function proveHostile(proof: ApplianceProof, cases: number): Promise<HostileResult> {
    const { seed, progress } = proof
    const result = { hostileCases: 0, unclear: 0, panics: 0 }
    for (let i = 0; i < cases; i++) {
        const random = new Random(seed + i).split(4)
        const flash = new MemoryFlash()
        const settings = random.chance(0.5) ? hostileSettings(random) : {}
        const room = await VirtualRoom.create({ ...proof.firmware, flash, seed: seed + i, settings })
        let problem = ""
        try {
            if (random.chance(0.5))
                room.servers.answers.hello = () => ({ nowMs: room.servers.nowMs(), name: hostileName(random) })
            await room.board.powerOn()
            await room.until(() => isClear(room), "a clear screen", 10_000)
            for (let step = 0; step < 6; step++) {
                provoke(room, random)
                await room.pass(random.below(3000))
                if (!isClear(room)) throw new Error(`no clear screen after step ${step}`)
            }
        } catch (error) {
            problem = (error as Error).message
        }
        result.hostileCases++
        const { crashes, panic } = room.board.status()
        result.panics += crashes
        if (problem !== "") result.unclear++
        if (problem !== "" || crashes > 0)
            progress(
                `hostile case ${i} (seed ${seed + i}): ${problem} ${panic?.text ?? ""} ${JSON.stringify(settings)}\n${room.screen()}`,
            )
        room.board.powerOff()
    }
    progress(`${result.hostileCases} hostile cases, ${result.unclear} unclear screens, ${result.panics} panics`)
    return result
}

/** Four lines that fit, at least one of which says something, and no character that breaks a line. */
function isClear(room: VirtualRoom): boolean {
    const { lines } = room.board.display()
    const isFitting = lines.length === rows && lines.every(line => [...line].length <= columns)
    return isFitting && lines.some(line => line.trim() !== "") && !lines.some(line => /\p{Cc}/u.test(line))
}

function hostileValue(random: Random): string | number {
    const values = [
        "",
        "x".repeat(200),
        emoji.repeat(40),
        -1,
        0,
        1e9,
        4_294_967_295,
        0.5,
        "\u0000\u0007",
        '{"sid":1}',
        "null",
        "a/b+#",
        "‮gnirts",
    ]
    return values[random.below(values.length)]
}

function hostileSettings(random: Random): Record<string, string | number> {
    const settings: Record<string, string | number> = {}
    for (const key of keys) if (random.chance(0.3)) settings[key] = hostileValue(random)
    return settings
}

function hostileName(random: Random): string {
    return [emoji.repeat(200), emoji.repeat(12), "‮‏", "\n\n\n\n", "é".repeat(24), ""][random.below(6)]
}

/** Of these sessions what the broker lets pass towards an appliance: twice what the appliance accepts. */
function asManyAsPass(sessions: object[]): object[] {
    const sessionBytes = Buffer.byteLength(JSON.stringify(sessions[0])) + 100
    return sessions.slice(0, Math.max(1, Math.floor(limits.brokerApplianceBytes / sessionBytes)))
}

/** The longest texts that the protocol allows, each new: the most work that one message can make. */
function widestSessions(random: Random): object[] {
    const text = "ä".repeat(limits.nameBytes / 2)
    return Array.from({ length: 4 }, (_, i) => ({
        sid: `w${random.below(1e6)}-${i}`.padEnd(limits.identifierBytes, "x"),
        title: text,
        from: text,
        state: "scheduled",
    }))
}

/** One thing that no honest server does. */
function provoke(room: VirtualRoom, random: Random) {
    const { servers } = room
    const item = { sid: "h", title: hostileName(random), from: hostileName(random), state: "open" }
    switch (random.below(8)) {
        case 0:
            return servers.agenda([item], 495)
        case 1:
            return servers.agenda(asManyAsPass(Array.from({ length: 500 }, (_, i) => ({ ...item, sid: `h${i}` }))), 495)
        case 2:
            return servers.agenda(
                [{ sid: "h", title: emoji.repeat(12), from: emoji.repeat(12), state: "open" }],
                65_535,
            )
        case 3:
            // It hears of it by the answer to its next registration.
            servers.clockShiftMs = (random.below(121) - 60) * yearMs
            servers.lose()
            servers.isUp = true
            return
        case 6:
            return servers.agenda(widestSessions(random), 495)
        case 4:
            room.board.press("call")
            return
        case 5:
            servers.lose()
            servers.isUp = true
            return
        default:
            servers.push("rs/rs-near", "roster", {
                sid: "h",
                people: 64,
                speaker: hostileName(random),
                rec: 1,
                loss: 100,
            })
    }
}
