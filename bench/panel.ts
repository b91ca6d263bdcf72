/**
 * How fast the panel of an appliance answers: the real firmware on a simulated board with its media engine at the embedded
 * broker, in real time; only the servers are played.
 *
 * - `pressToScreenMs`: from the press of a button to the changed screen. Median; `pressToScreenMsMax` is the slowest.
 * - `pressToJoinedMs`: from the press that joins to the phase InSession, which is when the sound has been opened. Median.
 *   `...OwnMs` is the same under virtual time, where the processor takes none: what firmware, bus and protocol wait by themselves.
 * - `bootToPanelMs`: from power to "Ready". The simulator leaves out the second that a real board waits for modules to
 *   announce themselves before it starts its program, which `bootToPanelOnBoardMs` has in it.
 */

import type { BoardEvent, BoardHappening } from "../sim/events.ts"
import type { ButtonName } from "../sim/hardware/hardware.ts"
import { MemoryFlash } from "../sim/vm/flash.ts"
import { VirtualRoom } from "../sim/world/appliance/room.ts"
import { Room } from "../test/appliance/room.ts"
import { buildFirmware } from "../test/prove/appliance/appliance.ts"
import type { Bench } from "./run.ts"

const roundsUsual = 30
const boots = 7
/** The machine's wait for modules, which `Machine.startProgram` skips. */
const autostartMs = 1150

class Watched {
    readonly room: Room

    constructor(room: Room) {
        this.room = room
    }

    /** Milliseconds from the press to the event. The finger lets go before anything else is pressed. */
    async press(button: ButtonName, what: string, isIt: (event: BoardHappening) => boolean): Promise<number> {
        const { board } = this.room
        const event = board.events.next(what, isIt)
        const released = new Promise(resolve => setTimeout(resolve, 130))
        const atMs = board.press(button, 60)!
        const seen: BoardEvent = await event
        await released
        return seen.atMs - atMs
    }
}

function showing(pattern: RegExp): (event: BoardHappening) => boolean {
    return event => event.type === "screen" && pattern.test(event.lines.map(line => line.trimEnd()).join("\n"))
}

function median(values: number[]): number {
    const sorted = [...values].sort((a, b) => a - b)
    return sorted[Math.floor(sorted.length / 2)]
}

const rounded = (ms: number) => Math.round(ms * 10) / 10

/** Medians of the same presses in a virtual room. */
async function ownTimes(count: number): Promise<{ screenMs: number; joinedMs: number }> {
    const room = await VirtualRoom.create({ ...(await buildFirmware()), flash: new MemoryFlash(), seed: 1 })
    const screenMs: number[] = []
    const joinedMs: number[] = []
    const press = async (button: ButtonName, isIt: (event: BoardHappening) => boolean): Promise<number> => {
        let seenMs = -1
        const stop = room.board.events.listen(event => {
            if (seenMs < 0 && isIt(event)) seenMs = event.atMs
        })
        const atMs = room.board.press(button, 60)!
        await room.until(() => seenMs >= 0, `what ${button} does`)
        stop()
        await room.pass(130)
        return seenMs - atMs
    }
    await room.board.powerOn()
    await room.shows(/Ready/)
    await room.pass(1000)
    for (let i = 0; i < count; i++) {
        screenMs.push(await press("menu", showing(/>Agenda/)))
        screenMs.push(await press("menu", showing(/\nReady/)))
        room.servers.agenda([{ sid: `s${i}` }])
        await room.shows(/CALL joins/)
        await room.pass(130)
        joinedMs.push(await press("call", event => event.type === "phase" && event.phase === "InSession"))
        await room.shows(/2 in session/)
        screenMs.push(await press("mute", showing(/MUTED/)))
        screenMs.push(await press("mute", showing(/2 in session\n/)))
        await press("call", showing(/Ready/))
        room.servers.agenda([])
        await room.pass(370)
    }
    room.board.powerOff()
    return { screenMs: median(screenMs), joinedMs: median(joinedMs) }
}

export const panelBench: Bench = {
    summary: "from press to screen, from press to session, from power to panel",
    options: { rounds: `sessions joined, and menus opened (${roundsUsual})` },
    async run({ rounds = String(roundsUsual) }, progress) {
        const count = Number(rounds)
        if (!Number.isInteger(count) || count < 1) throw new Error("--rounds: a positive integer is needed")
        // jacdac-ts talks on the console; standard output is for the figures.
        console.log = console.info = console.debug = () => {}
        const room = await Room.create()
        try {
            const watched = new Watched(room)
            const bootMs: number[] = []
            for (let i = 0; i < boots; i++) {
                room.board.powerOff()
                const fromMs = performance.now()
                const ready = room.board.events.next("a panel", showing(/\nReady/))
                await room.board.powerOn()
                bootMs.push((await ready).atMs - fromMs)
            }
            progress(`from power to panel: ${bootMs.map(rounded).join(", ")} ms`)

            const screenMs: number[] = []
            const joinedMs: number[] = []
            for (let i = 0; i < count; i++) {
                screenMs.push(await watched.press("menu", "the menu", showing(/>Agenda/)))
                screenMs.push(await watched.press("menu", "the first screen", showing(/\nReady/)))
                const reminded = room.board.events.next("a reminder", showing(/CALL joins/))
                await room.agenda({ sid: `s${i}` })
                await reminded
                const joined = (event: BoardHappening) => event.type === "phase" && event.phase === "InSession"
                joinedMs.push(await watched.press("call", "a session", joined))
                screenMs.push(await watched.press("mute", "the mute", showing(/MUTED/)))
                screenMs.push(await watched.press("mute", "the mute lifted", showing(/2 in session\n/)))
                await watched.press("call", "the way out", showing(/Ready/))
                await room.agenda()
            }
            progress(`${screenMs.length} presses, ${joinedMs.length} sessions`)
            const own = await ownTimes(count)
            return {
                figures: {
                    pressToScreenMs: rounded(median(screenMs)),
                    pressToScreenOwnMs: rounded(own.screenMs),
                    pressToScreenMsMax: rounded(Math.max(...screenMs)),
                    pressToJoinedMs: rounded(median(joinedMs)),
                    pressToJoinedOwnMs: rounded(own.joinedMs),
                    pressToJoinedMsMax: rounded(Math.max(...joinedMs)),
                    bootToPanelMs: rounded(median(bootMs)),
                    bootToPanelOnBoardMs: rounded(median(bootMs) + autostartMs),
                    presses: screenMs.length,
                    sessions: joinedMs.length,
                },
                seed: null,
            }
        } finally {
            await room.close()
        }
    },
}
