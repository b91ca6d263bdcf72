/**
 * The steps of the first call, each as a function: what has to hold, what is measured. The order and the report are in
 * `demo.ts`. A step gives its figures, or a failure that says what did not come.
 */
import { soundRate } from "../../media/codec.ts"
import type { BoardStatus } from "../../sim/board.ts"
import { failure, type Outcome, success } from "../outcome.ts"
import { allRooms } from "../system/enrol.ts"
import { fromSim } from "../system/sim.ts"
import type { Room, Rooms } from "./rooms.ts"
import { compare, type Sound } from "./sound.ts"

export const demoLimits = { correlation: 0.95, mutedLevelDb: -70 }

const attachWithinMs = 20_000
const stepWithinMs = 8_000
/** Silence is proved in less time than speech is measured. */
const mutedSeconds = 4

/** Waits until every screen says that it is ready. Gives the routing server of each board beside the figures. */
export async function waitReady(rooms: Rooms) {
    const statuses: BoardStatus[] = []
    for (const room of rooms.rooms) {
        const isReady = (lines: string[]) => lines[1].startsWith("Ready")
        const shown = await room.person.waitFor("that it is ready", attachWithinMs, isReady)
        if (!shown.ok) return shown
        const status = fromSim(await rooms.sim.board(room.id))
        if (!status.ok) return status
        statuses.push(status.value)
    }
    // The first phase after "registering": the group server knows the board and has told it the time.
    const registered = statuses.map(({ bootMs }) => bootMs.Choosing ?? bootMs.Attaching ?? bootMs.Idle ?? Number.NaN)
    const attached = statuses.map(({ bootMs }) => bootMs.Idle ?? Number.NaN)
    const figures = { registeredMs: round(Math.max(...registered)), attachedMs: round(Math.max(...attached)) }
    if (Number.isNaN(figures.registeredMs + figures.attachedMs))
        return failure("failed", "not-measured", "a board did not tell when it registered", { who: "maker" })
    return success({ ...figures, servers: Object.fromEntries(statuses.map(({ id, server }) => [id, server])) })
}

export function checkApart(
    servers: Record<string, string>,
    speaker: Room,
    listeners: Room[],
): Outcome<Record<string, string>> {
    const same = listeners.find(room => servers[room.id] === servers[speaker.id])
    if (!same) return success(servers)
    const what = `${speaker.id} and ${same.id} both chose ${servers[speaker.id]}`
    return failure("failed", "same-server", what, { who: "maker" })
}

/** As a person: CALL, whom, when, how long. Gives the simulator's time of the first press. */
export async function book({ person }: Room): Promise<Outcome<number>> {
    const pressed = await person.press("call")
    if (!pressed.ok) return pressed
    const whom = await person.choose("Whom?", allRooms.name, line => line.startsWith(allRooms.name))
    if (!whom.ok) return whom
    const when = await person.choose("When?", "Now", line => line === "Now")
    if (!when.ok) return when
    const long = await person.choose("How long?", "30 minutes", line => line === "30 minutes")
    return long.ok ? pressed : long
}

/** Waits for the reminder of everybody, the booker included. */
export async function waitReminders(rooms: Rooms, fromMs: number): Promise<Outcome<undefined>> {
    for (const room of rooms.rooms) {
        const reminded = await rooms.reached(room.id, "Reminding", fromMs, stepWithinMs)
        if (!reminded.ok) return reminded
        const offersJoin = (lines: string[]) => lines[3].startsWith("CALL joins")
        const shown = await room.person.waitFor('"CALL joins"', stepWithinMs, offersJoin)
        if (!shown.ok) return shown
    }
    return success(undefined)
}

/** Each room joins by a press; then all must show that all are there, in the same session. */
export async function join(rooms: Rooms) {
    const times: number[] = []
    for (const room of rooms.rooms) {
        const pressed = await room.person.press("call")
        if (!pressed.ok) return pressed
        const joined = await rooms.reached(room.id, "InSession", pressed.value, stepWithinMs)
        if (!joined.ok) return joined
        times.push(joined.value.atMs - pressed.value)
    }
    const everybody = `${rooms.rooms.length} in session`
    const sessions = new Set<string>()
    for (const room of rooms.rooms) {
        const shown = await room.person.waitFor(everybody, stepWithinMs, lines => lines[2].startsWith(everybody))
        if (!shown.ok) return shown
        const status = fromSim(await rooms.sim.board(room.id))
        if (!status.ok) return status
        sessions.add(status.value.session)
    }
    if (sessions.size > 1)
        return failure("failed", "other-session", `the rooms are in ${sessions.size} sessions`, { who: "maker" })
    times.sort((x, y) => x - y)
    return success({ joinMs: round(times[Math.floor(times.length / 2)]) })
}

export async function speak(rooms: Rooms, sound: Sound, wav: string, speaker: Room, listeners: Room[]) {
    const screen = await speaker.person.screen()
    if (!screen.ok) return screen
    if (screen.value[2].includes("MUTED")) {
        const lifted = await pressMute(speaker, false)
        if (!lifted.ok) return lifted
    }
    const taken = await sound.playAndRecord(wav, speaker.id, idsOf(listeners))
    if (!taken.ok) return taken
    let correlation = 1
    let mouthToEarMs = 0
    for (const heard of taken.value.heard) {
        const measured = compare(taken.value.said, heard)
        if (!measured.ok) return measured
        correlation = Math.min(correlation, measured.value.correlation)
        mouthToEarMs = Math.max(mouthToEarMs, measured.value.delayP95Ms)
    }
    if (correlation < demoLimits.correlation) {
        const what = `correlation ${correlation.toFixed(3)} is below ${demoLimits.correlation}`
        return failure("failed", "distorted", what, { who: "maker" })
    }
    const packets = await countPackets(rooms, rooms.rooms)
    if (!packets.ok) return packets
    const packetsLost = packets.value.lost
    return success({ correlation: round(correlation, 4), mouthToEarMs: round(mouthToEarMs), packetsLost })
}

/** Silence at the listeners while the speaker is muted, with the streams still running: nobody has merely hung up. */
export async function mute(rooms: Rooms, sound: Sound, wav: string, speaker: Room, listeners: Room[]) {
    const muted = await pressMute(speaker, true)
    if (!muted.ok) return muted
    const before = await countPackets(rooms, listeners)
    if (!before.ok) return before
    const taken = await sound.playAndRecord(wav, speaker.id, idsOf(listeners), mutedSeconds)
    if (!taken.ok) return taken
    const after = await countPackets(rooms, listeners)
    if (!after.ok) return after
    const { said, heard } = taken.value
    const short = heard.find(one => one.stretch.samples.length < said.stretch.samples.length)
    const packetsDue = (listeners.length * said.stretch.samples.length) / soundRate / 0.04
    if (short || after.value.received - before.value.received < packetsDue)
        return failure("failed", "stream-stopped", "the streams stopped while the room was muted", { who: "maker" })
    const mutedLevelDb = Math.max(...heard.map(one => one.levelDb))
    if (mutedLevelDb > demoLimits.mutedLevelDb) {
        const what = `a muted room is heard at ${mutedLevelDb.toFixed(1)} dBov`
        return failure("failed", "not-silent", what, { who: "maker" })
    }
    return success({ mutedLevelDb: round(mutedLevelDb) })
}

export async function leave(rooms: Rooms): Promise<Outcome<undefined>> {
    for (const room of rooms.rooms) {
        const pressed = await room.person.press("call")
        if (!pressed.ok) return pressed
        const left = await rooms.reached(room.id, "Idle", pressed.value, stepWithinMs)
        if (!left.ok) return left
    }
    return success(undefined)
}

async function pressMute({ person }: Room, muted: boolean): Promise<Outcome<unknown>> {
    const pressed = await person.press("mute")
    if (!pressed.ok) return pressed
    const shows = (lines: string[]) => lines[2].includes("MUTED") === muted
    return person.waitFor(muted ? "MUTED" : "no MUTED", stepWithinMs, shows)
}

async function countPackets(rooms: Rooms, of: Room[]): Promise<Outcome<{ lost: number; received: number }>> {
    const counts = { lost: 0, received: 0 }
    for (const room of of) {
        const statistics = fromSim(await rooms.sim.mediaStatistics(room.id))
        if (!statistics.ok) return statistics
        counts.lost += statistics.value.lost
        counts.received += statistics.value.received
    }
    return success(counts)
}

function idsOf(rooms: Room[]): string[] {
    return rooms.map(room => room.id)
}

function round(value: number, digits = 1): number {
    return Number(value.toFixed(digits))
}
