/**
 * Part of the proof `appliance`: thousands of sessions joined and left, and the broker lost again and again, in one life of the
 * firmware. What it holds alive must not grow, and where it stands must be right after each.
 */

import { MemoryFlash } from "../../../sim/vm/flash.ts"
import { VirtualRoom } from "../../../sim/world/appliance/room.ts"
import { Random } from "../../../sim/world/random.ts"
import type { ApplianceProof } from "./appliance.ts"

/** The heap is measured after so many. */
const measureEvery = 100
/** Signals, tables and caches are all in use after so many cycles. */
const warmUpCycles = 20
const measureMs = 600
const outageMsMax = 8000

export interface Endurance {
    cycles: number
    brokerLosses: number
    panics: number
    heapFirstBytes: number
    heapGrowthBytes: number
}

export async function endure(proof: ApplianceProof, cycles: number, losses: number): Promise<Endurance> {
    const { seed, progress } = proof
    const room = await VirtualRoom.create({ ...proof.firmware, flash: new MemoryFlash(), seed })
    const random = new Random(seed).split(1)
    const result = { cycles: 0, brokerLosses: 0, panics: 0, heapFirstBytes: 0, heapGrowthBytes: 0 }
    try {
        await room.board.powerOn()
        await room.shows(/Ready/)
        for (let i = 0; i < warmUpCycles; i++) await joinAndLeave(room, i)
        const measure = async (what: string) => {
            const bytes = await liveHeapBytes(room)
            result.heapFirstBytes ||= bytes
            result.heapGrowthBytes = Math.max(result.heapGrowthBytes, bytes - result.heapFirstBytes)
            progress(`${what}: ${bytes} bytes alive`)
        }
        await measure("at first")
        for (let i = 1; i <= cycles; i++) {
            await joinAndLeave(room, i + warmUpCycles)
            result.cycles++
            if (i % measureEvery === 0) await measure(`${i} joined and left`)
        }
        for (let i = 1; i <= losses; i++) {
            await loseBroker(room, random, i)
            result.brokerLosses++
            if (i % measureEvery === 0) await measure(`${i} brokers lost`)
        }
        await measure("at last")
    } catch (error) {
        progress(`${result.cycles} cycles and ${result.brokerLosses} losses in: ${(error as Error).message}`)
    }
    result.panics = room.board.status().crashes
    room.board.powerOff()
    return result
}

async function joinAndLeave(room: VirtualRoom, round: number): Promise<void> {
    const sid = `s${round}`
    room.servers.forget()
    room.servers.agenda([{ sid }])
    await room.shows(/CALL joins/)
    await room.press("call", /2 in session/)
    await room.until(() => room.engine.isOpen && room.servers.state.sid === sid, "in session, also for others")
    await room.press("call", /Ready/)
    await room.until(() => !room.engine.isOpen && room.servers.state.sid === undefined, "out of it, also for others")
    room.servers.agenda([])
    await room.shows(/Nothing booked/)
}

/** Idle or in a session, for up to some seconds, while people press; then all is as it was. */
async function loseBroker(room: VirtualRoom, random: Random, round: number): Promise<void> {
    const isInSession = random.chance(0.5)
    const sessions = isInSession ? [{ sid: `l${round}`, state: "open" }] : []
    room.servers.forget()
    room.servers.agenda(sessions)
    if (isInSession) {
        await room.shows(/CALL joins/)
        await room.press("call", /2 in session/)
        await room.until(() => room.engine.isOpen, "the sound")
    } else await room.shows(/Nothing booked/)
    const connections = room.servers.connections
    room.servers.lose()
    const outageMs = random.below(outageMsMax)
    await room.pass(outageMs / 2)
    if (random.chance(0.3)) room.board.press("mute")
    await room.pass(outageMs / 2)
    // A lost broker takes no sound away.
    if (isInSession && !room.engine.isOpen) throw new Error(`the sound went with the broker\n${room.screen()}`)
    room.servers.isUp = true
    await room.until(
        () => room.servers.connections > connections && room.servers.requests("attach").length > 0,
        "a new life",
    )
    room.servers.agenda(sessions)
    await room.until(() => room.board.display().lines.length > 0 && room.servers.state.on === 1, "a birth")
    if (isInSession) {
        await room.press("call", /Ready/)
        await room.until(() => !room.engine.isOpen, "the session left")
    }
    room.servers.agenda([])
    await room.shows(/Ready.*\n.*Nothing booked/)
}

async function liveHeapBytes(room: VirtualRoom): Promise<number> {
    room.board.stressCollector(true)
    let least = Number.POSITIVE_INFINITY
    const untilMs = room.clock.nowMs() + measureMs
    while (room.clock.nowMs() < untilMs) {
        await room.pass(20)
        least = Math.min(least, room.board.status().heap?.usedBytes ?? least)
    }
    room.board.stressCollector(false)
    return least
}
