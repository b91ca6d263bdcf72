/**
 * Part of the proof `appliance`: power that goes. At every flash write of a scripted hour, whole and torn in several ways, and at
 * random instants of another life: the board boots, what was acknowledged is kept, the schedule is readable, and a microphone
 * that was muted, or was open in a session, is muted.
 *
 * Nothing but its flash survives a power cut of a board, so a cut is: a new board on the image as it was at that moment.
 */

import { utf8Bytes } from "../../../protocol/text.ts"
import { machineId } from "../../../sim/board.ts"
import { type Flash, flashBytes, MemoryFlash } from "../../../sim/vm/flash.ts"
import { readSettings } from "../../../sim/vm/provision.ts"
import { flashOf, RecordingFlash, type Write } from "../../../sim/world/appliance/recording-flash.ts"
import { roomId, VirtualRoom } from "../../../sim/world/appliance/room.ts"
import { Random } from "../../../sim/world/random.ts"
import { unpackItem } from "../../../src/appliance/agenda.ts"
import type { ApplianceProof } from "./appliance.ts"

const agendaKeys = [0, 1, 2, 3, 4].map(i => `agenda${i}`)
const toolKeys = ["p.id", "p.secret", "p.host", "p.port", "tz"]
const keys = [...toolKeys, "boot", "muted", "volume", "session", ...agendaKeys]
/** The knob must rest so long for its volume to be kept. */
const volumeRestsMs = 3500
/** A page of the settings' log; it is erased as a whole. */
const pageBytes = 16 * 1024

/**
 * The image when the power went in the middle of this write. The machine writes a value downwards from the end of the page,
 * then its entry, and after that nothing; a full page is copied to the erased other one, whose header comes last.
 */
function tornImages({ before, after }: Write, random: Random): Uint8Array[] {
    const changed: number[] = []
    for (let at = 0; at < flashBytes; at++) if (before[at] !== after[at]) changed.push(at)
    const mixed = (isDone: (index: number) => boolean) => {
        const image = before.slice()
        for (const [index, at] of changed.entries()) if (isDone(index)) image[at] = after[at]
        return image
    }
    const cut = 1 + random.below(Math.max(1, changed.length - 1))
    const images = [mixed(index => index >= changed.length - cut)]
    // A bit only comes back to 1 when its page is erased.
    const isErased = changed.some(at => (after[at] & ~before[at]) !== 0)
    if (isErased) {
        const image = before.slice()
        const page = Math.floor(changed[0] / pageBytes) * pageBytes
        image.fill(0xff, page, page + pageBytes)
        images.push(image)
    }
    return images
}

export interface WriteResult {
    flashWrites: number
    cutsAtWrites: number
    bricked: number
    panics: number
    /** Cuts in the middle of a write, and those after which the machine's own flash store has thrown everything away. */
    tornCuts: number
    tornBricked: number
}

/** `step` 1 is each write; `minutes` are how long the script takes, which is written for 60. */
export async function proveFlashWrites(proof: ApplianceProof, step: number, minutes: number): Promise<WriteResult> {
    const { seed, progress } = proof
    const random = new Random(seed).split(2)
    const writes = await liveScriptedHour(proof, minutes / 60)
    const result = { flashWrites: writes.length, cutsAtWrites: 0, bricked: 0, panics: 0, tornCuts: 0, tornBricked: 0 }
    progress(`the scripted hour: ${writes.length} flash writes`)
    for (let at = random.below(step); at < writes.length; at += step) {
        const write = writes[at]
        const kept = { before: await settingsIn(write.before), after: await settingsIn(write.after) }
        for (const image of [write.before, write.after]) {
            result.cutsAtWrites++
            const problem = await bootsRight(proof, image, kept.before, kept.after)
            if (problem === "") continue
            result.bricked++
            if (problem.includes("panic")) result.panics++
            progress(`flash write ${at}: ${problem}`)
        }
        for (const image of tornImages(write, random)) {
            result.tornCuts++
            if ((await bootsRight(proof, image, kept.before, kept.after)) !== "") result.tornBricked++
        }
    }
    progress(`${result.cutsAtWrites} power cuts at flash writes, ${result.bricked} not recovered from`)
    progress(`${result.tornCuts} in the middle of one, ${result.tornBricked} not recovered from`)
    return result
}

async function settingsIn(image: Uint8Array): Promise<Map<string, string>> {
    const found = await readSettings(flashOf(image), machineId(roomId), keys)
    return new Map([...found].map(([key, bytes]) => [key, bytes.toString("latin1")]))
}

/** "" when the board lives on this image as it should; each setting is that of before or after the write. */
async function bootsRight(
    proof: ApplianceProof,
    image: Uint8Array,
    before: Map<string, string>,
    after: Map<string, string>,
): Promise<string> {
    const found = await settingsIn(image).catch((error: Error) => error)
    if (found instanceof Error) return `settings: ${found.message}`
    for (const key of keys)
        if (found.get(key) !== before.get(key) && found.get(key) !== after.get(key))
            return `${key} is ${JSON.stringify(found.get(key))}, neither old nor new`
    for (const key of agendaKeys) {
        const text = Buffer.from(found.get(key)!, "latin1").toString()
        if (text !== "" && text !== '""' && !isReadableItem(text)) return `${key} is unreadable: ${text}`
    }
    const room = await roomOn(proof, flashOf(image))
    try {
        return await lives(room, found.get("muted") === "1" || !["", '""'].includes(found.get("session")!))
    } finally {
        room.board.powerOff()
    }
}

function isReadableItem(text: string): boolean {
    try {
        return utf8Bytes(text) > 0 && unpackItem(JSON.parse(text)) !== undefined
    } catch {
        return false
    }
}

/** Boots without a broker, then with one: a panel that can be used, and a microphone as it must be. */
async function lives(room: VirtualRoom, mustBeMuted: boolean): Promise<string> {
    try {
        room.servers.isUp = false
        await room.board.powerOn()
        await room.shows(/Connecting|joins|Rejoining/)
        room.servers.isUp = true
        await room.until(() => room.servers.state.on === 1 && room.servers.state.rs !== undefined, "a registration")
        await room.pass(300)
        if (room.board.status().crashes > 0) return `panic: ${room.board.status().panic?.text}`
        if (mustBeMuted && !room.engine.muted) return "it has unmuted by itself"
        if (mustBeMuted && room.servers.state.muted !== 1) return "it tells others that it is not muted"
        return ""
    } catch (error) {
        const crashed = room.board.status().crashes > 0 ? "panic: " : ""
        return `${crashed}${(error as Error).message}`
    }
}

function roomOn(proof: ApplianceProof, flash: Flash): Promise<VirtualRoom> {
    return VirtualRoom.create({ ...proof.firmware, flash, seed: proof.seed, isProvisioned: true })
}

/** An hour in which everything that writes to flash happens, several times over, and the log of settings turns round. */
async function liveScriptedHour(proof: ApplianceProof, pace: number): Promise<Write[]> {
    const first = new MemoryFlash()
    await VirtualRoom.create({ ...proof.firmware, flash: first, seed: proof.seed })
    const flash = new RecordingFlash(first.load())
    const room = await roomOn(proof, flash)
    let quarter = 0
    const sessions = (count: number, state: string) =>
        Array.from({ length: count }, (_, i) => ({
            sid: `s${quarter}-${i}`,
            title: `Sitzung ${i} äöü`,
            state: i ? "scheduled" : state,
        }))
    await room.board.powerOn()
    await room.shows(/Ready/)
    for (; quarter < 4; quarter++) {
        for (let count = 1; count <= 5; count++) {
            room.servers.agenda(sessions(count, "scheduled"))
            await room.pass(60_000 * pace)
        }
        room.servers.agenda(sessions(5, "opening"))
        await room.shows(/CALL joins/)
        await room.press("call", /2 in session/)
        await room.press("mute", /MUTED/)
        room.board.turn(-2)
        await room.pass(Math.max(240_000 * pace, volumeRestsMs))
        await room.press("mute", /2 in session\n/)
        // Every other time the power goes in the session, and it comes back into it.
        if (quarter % 2 === 1) {
            await room.board.powerCycle()
            await room.shows(/2 in session +MUTED/)
            await room.press("mute", /2 in session\n/)
        }
        await room.press("call", /Ready|joins/)
        room.servers.agenda(sessions(1, "ended"))
        await room.pass(330_000 * pace)
    }
    room.board.powerOff()
    return flash.writes
}

export interface CutResult {
    cuts: number
    bricked: number
    panics: number
}

/** So long after a press its effect is in the flash. */
const writtenMs = 250

/** One life with a cut after each random while, in the middle of whatever goes on. */
export async function proveRandomCuts(proof: ApplianceProof, cuts: number): Promise<CutResult> {
    const { seed, progress } = proof
    const random = new Random(seed).split(3)
    const room = await VirtualRoom.create({ ...proof.firmware, flash: new MemoryFlash(), seed })
    const result = { cuts: 0, bricked: 0, panics: 0 }
    await room.board.powerOn()
    for (let i = 0; i < cuts; i++) {
        const doing = busyLife(room, random, i)
        await room.pass(random.chance(0.3) ? random.below(1200) : random.below(20_000))
        // What was pressed a moment ago may not be in the flash yet.
        const mutesBefore = doing.mutes
        await room.pass(writtenMs)
        const isSettled = doing.mutes === mutesBefore
        const wasMuted = isSettled && room.engine.muted && room.servers.state.muted === 1
        doing.isOver = true
        room.board.powerOff()
        result.cuts++
        // The engine loses its power with the board; the appliance tells it anew.
        await room.board.powerOn()
        const problem = await recovers(room, wasMuted)
        if (problem !== "") {
            result.bricked++
            progress(`power cut ${i}: ${problem}`)
        }
        if (result.cuts % 100 === 0) progress(`${result.cuts} power cuts, ${result.bricked} not recovered from`)
    }
    result.panics = room.board.status().crashes
    room.board.powerOff()
    return result
}

async function recovers(room: VirtualRoom, wasMuted: boolean): Promise<string> {
    try {
        room.servers.state = {}
        await room.until(() => room.servers.state.rs !== undefined, "a registration")
        if (wasMuted && (!room.engine.muted || room.servers.state.muted !== 1)) return "it has unmuted by itself"
        return ""
    } catch (error) {
        return (error as Error).message
    }
}

/** Presses and messages at random times, until it is over. */
function busyLife(room: VirtualRoom, random: Random, round: number): { isOver: boolean; mutes: number } {
    const life = { isOver: false, mutes: 0 }
    const act = () => {
        if (life.isOver) return
        const dice = random.below(10)
        if (dice < 3) room.servers.agenda([{ sid: `c${round}`, state: "open", title: `Nr. ${random.below(1000)}` }])
        else if (dice < 6) room.board.press("call")
        else if (dice < 8) {
            life.mutes++
            room.board.press("mute")
        } else if (dice < 9) room.board.turn(random.below(7) - 3)
        else room.servers.agenda([])
        room.clock.after(200 + random.below(1500), act)
    }
    room.clock.after(random.below(1500), act)
    return life
}
