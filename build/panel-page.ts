/**
 * Writes docs/panel.md: every screen of the panel as the real firmware shows it on a simulated board under virtual time, and its
 * tables of states as they run. Owns the scenes that lead to the screens; nothing on the page is drawn by hand.
 */

import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { readServices } from "../sim/simulation.ts"
import { MemoryFlash } from "../sim/vm/flash.ts"
import { type RoomOptions, VirtualRoom } from "../sim/world/appliance/room.ts"
import { Tool } from "../sim/world/appliance/tool.ts"
import { CallEvent, callTable, LinkEvent, linkTable, Phase } from "../src/appliance/phases.ts"

export const panelPage = fileURLToPath(new URL("../docs/panel.md", import.meta.url))
const phasesFile = fileURLToPath(new URL("../src/appliance/phases.ts", import.meta.url))
/** A quarter past nine of a winter morning, so that no scene crosses an hour. */
const startWallMs = Date.UTC(2030, 0, 15, 9, 15, 2)
const blinkMs = 700

interface Scene {
    title: string
    when: string
    options?: Partial<RoomOptions>
    /** To the screen that is meant; the last thing that it waits for is that screen. */
    play(room: VirtualRoom): Promise<void>
}

const ready = (room: VirtualRoom) => room.shows(/Ready/)

async function reminded(room: VirtualRoom, session: object = {}): Promise<void> {
    await ready(room)
    room.servers.agenda([{ title: "Weekly round", from: "Room B", ...session }])
    await room.shows(/CALL joins/)
}

async function inSession(room: VirtualRoom): Promise<void> {
    await reminded(room)
    await room.press("call", /2 in session/)
}

async function chosenLength(room: VirtualRoom): Promise<void> {
    await ready(room)
    await room.press("call", />Team/)
    await room.press("call", />Now/)
    await room.press("call", />30 minutes/)
}

function roster(room: VirtualRoom, more: object): void {
    room.servers.push("rs/rs-near", "roster", { sid: "s1", people: 3, speaker: "Zoë Ångström", ...more })
}

const scenes: Scene[] = [
    {
        title: "Not set up",
        when: "Nobody has enrolled this appliance.",
        options: { settings: { "p.secret": undefined } },
        play: room => room.shows(/Not set up yet/),
    },
    {
        title: "Connecting",
        when: "The broker is not reached. Without network it shows the same; MENU, Status tells more.",
        async play(room) {
            room.servers.isUp = false
            await room.shows(/Connecting/)
        },
    },
    {
        title: "Refused",
        when: "The broker knows neither name nor secret.",
        async play(room) {
            room.servers.admits = () => 4
            await room.shows(/wrong secret/)
        },
    },
    {
        title: "Not registered",
        when: "The group server does not take this firmware.",
        async play(room) {
            room.servers.answers.hello = () => ({ reason: "unsupported", who: "maker" })
            await room.shows(/Update is needed/)
        },
    },
    {
        title: "No sound module",
        when: "No media engine is plugged in.",
        options: { hasEngine: false },
        play: room => room.shows(/No sound module/),
    },
    {
        title: "No routing server",
        when: "None of the candidates answers a probe.",
        async play(room) {
            room.engine.roundTripsMs = {}
            await room.shows(/No server answers/)
        },
    },
    { title: "Ready", when: "Attached, nothing booked.", play: ready },
    {
        title: "Ready, microphone off",
        when: "MUTE was pressed; the next session is the first in the agenda.",
        async play(room) {
            await ready(room)
            room.servers.agenda([{ title: "Planning", start: room.servers.seconds() + 7200, state: "scheduled" }])
            await room.shows(/Planning/)
            await room.press("mute", /MUTED/)
        },
    },
    {
        title: "Whom to call",
        when: "CALL or the knob, from Ready.",
        async play(room) {
            await ready(room)
            await room.press("call", />Team/)
        },
    },
    {
        title: "When",
        when: "After whom.",
        async play(room) {
            await ready(room)
            await room.press("call", />Team/)
            await room.press("call", />Now/)
            room.board.turn(2)
            await room.shows(/>09:45/)
        },
    },
    { title: "How long", when: "After when.", play: chosenLength },
    {
        title: "Booked",
        when: "For five seconds.",
        async play(room) {
            await chosenLength(room)
            await room.press("call", /Booked/)
        },
    },
    {
        title: "Why not, and when it will work",
        when: "The booking was refused, with the nearest time that fits.",
        async play(room) {
            room.servers.answers.book = () => ({
                reason: "no-bandwidth",
                who: "operator",
                next: room.servers.seconds() + 2700,
            })
            await chosenLength(room)
            await room.press("call", /Free at/)
        },
    },
    {
        title: "Nobody answers",
        when: "No server has answered what was asked for.",
        async play(room) {
            room.servers.answers.book = () => undefined
            await chosenLength(room)
            await room.press("call", /No answer/)
        },
    },
    {
        title: "Menu",
        when: "MENU, from Ready or in a session.",
        async play(room) {
            await ready(room)
            await room.press("menu", />Agenda/)
        },
    },
    {
        title: "Agenda",
        when: "The next sessions, also while the broker is not reached.",
        async play(room) {
            await ready(room)
            const start = room.servers.seconds()
            const titles = ["Weekly round", "予算会議 🦄", "Планирование"]
            room.servers.agenda(
                titles.map((title, i) => ({ sid: `s${i}`, title, start: start + (i + 1) * 3600, state: "scheduled" })),
                4,
            )
            await room.shows(/Weekly round/)
            await room.press("menu", />Agenda/)
            await room.press("call", /Agenda +\+4 more/)
        },
    },
    {
        title: "One session",
        when: "CALL on a line of the agenda.",
        async play(room) {
            await ready(room)
            room.servers.agenda([{ title: "Weekly round", mine: 1, state: "scheduled" }])
            await room.shows(/Weekly round/)
            await room.press("menu", />Agenda/)
            await room.press("call", /Agenda\n>/)
            await room.press("call", />Not open yet/)
        },
    },
    {
        title: "Status",
        when: "MENU, Status. More lines by the knob; the clock is wrong by that much at most.",
        async play(room) {
            await ready(room)
            await room.press("menu", />Agenda/)
            room.board.turn(1)
            await room.shows(/>Status/)
            await room.press("call", />server/)
            room.board.turn(2)
            await room.shows(/>clock/)
        },
    },
    {
        title: "Reminder",
        when: "A session can be joined. The light blinks; the buzzer sounds eight times.",
        play: reminded,
    },
    {
        title: "Joining",
        when: "CALL was pressed; the routing server has not answered yet.",
        async play(room) {
            room.servers.answers.join = () => undefined
            await reminded(room)
            await room.press("call", /Joining/)
        },
    },
    { title: "In session", when: "The microphone is open.", play: inSession },
    {
        title: "In session, somebody speaks",
        when: "Who speaks, or spoke last; the session is recorded.",
        async play(room) {
            await inSession(room)
            roster(room, { rec: 1 })
            await room.shows(/3: Zoë/)
        },
    },
    {
        title: "In session, microphone off",
        when: "MUTE was pressed.",
        async play(room) {
            await inSession(room)
            await room.press("mute", /MUTED/)
        },
    },
    {
        title: "In session, bad network",
        when: "The network loses more than can be mended.",
        async play(room) {
            await inSession(room)
            roster(room, { loss: 7 })
            await room.shows(/loses 7/)
        },
    },
    {
        title: "Rejoining",
        when: "The power went in the session, or its routing server: back into it by itself; after a power cut muted.",
        async play(room) {
            await inSession(room)
            await room.pass(500)
            room.servers.answers.join = () => undefined
            await room.board.powerCycle()
            await room.shows(/Rejoining/)
        },
    },
    {
        title: "Leaving",
        when: "CALL was pressed in the session; the sound is off already.",
        async play(room) {
            room.servers.answers.leave = () => undefined
            await inSession(room)
            await room.press("call", /Leaving/)
        },
    },
    {
        title: "The session has ended",
        when: "For everybody, or this room was taken out of it.",
        async play(room) {
            await inSession(room)
            room.servers.agenda([])
            await room.shows(/has ended/)
        },
    },
    {
        title: "Self-test",
        when: "A field tool has asked for it; parts that were used go from the list.",
        async play(room) {
            const tool = new Tool(room)
            await ready(room)
            await tool.identity()
            tool.command("selfTest")
            await room.shows(/Self-test/)
            await room.press("mute", /CALL MENU {2}knob/)
        },
    },
    {
        title: "Identify",
        when: "A field tool asks which one is meant. The light blinks.",
        async play(room) {
            const tool = new Tool(room)
            await ready(room)
            await tool.identity()
            tool.command("identify")
            await room.shows(/This one is meant/)
        },
    },
]

/** The whole page, as it should be. */
export async function renderPanelPage(bytecode: Uint8Array): Promise<string> {
    const parts = [
        "# The panel",
        "",
        "Written by `npm run build -- --docs` from the running firmware; a test fails when it is stale. Every screen is what the",
        "simulated board shows, four lines of 20 characters, with the colour of the light (two when it blinks) and the tones heard.",
        "",
        "## Screens",
        "",
    ]
    for (const scene of scenes) parts.push(...(await screenOf(scene, bytecode)))
    parts.push("## Tables of states", "", ...tablesOfStates())
    return `${parts.join("\n").trimEnd()}\n`
}

async function screenOf({ title, when, options, play }: Scene, bytecode: Uint8Array): Promise<string[]> {
    const flash = new MemoryFlash()
    const room = await VirtualRoom.create({
        bytecode,
        services: readServices(),
        flash,
        seed: 1,
        startWallMs,
        ...options,
    })
    try {
        await room.board.powerOn()
        await play(room)
        // The light follows the screen.
        await room.pass(150)
        const lights = new Set<string>()
        const screen = room.board.display()
        for (const endMs = room.clock.nowMs() + blinkMs; room.clock.nowMs() < endMs; ) {
            await room.pass(50)
            lights.add(room.board.display().led)
        }
        const tones = [
            ...new Set(
                room.board
                    .display()
                    .tones.slice(-1)
                    .map(tone => `${tone.hertz} Hz`),
            ),
        ]
        const edge = `+${"-".repeat(20)}+`
        return [
            `### ${title}`,
            "",
            when,
            "",
            "```text",
            edge,
            ...screen.lines.map(line => `|${fitted(line.trimEnd())}|`),
            edge,
            "```",
            "",
            `Light ${[...lights].sort().join(" and ")}${tones.length > 0 ? `, last tone ${tones.join()}` : ""}.`,
            "",
        ]
    } finally {
        room.board.powerOff()
    }
}

function fitted(line: string): string {
    return line + " ".repeat(Math.max(0, 20 - [...line].length))
}

/** The comment before each table says what its letters mean; it is taken from where it stands. */
function tablesOfStates(): string[] {
    const source = readFileSync(phasesFile, "utf8")
    return [
        ...stateTable("How far it is connected", source, "linkTable", linkTable, Phase.Unprovisioned, LinkEvent),
        ...stateTable("Where it stands towards a session", source, "callTable", callTable, Phase.Idle, CallEvent),
    ]
}

function stateTable(
    title: string,
    source: string,
    name: string,
    rows: readonly string[],
    firstPhase: Phase,
    events: Record<number, string> | object,
): string[] {
    const names = Object.values(events).filter(value => typeof value === "string") as string[]
    const before = source.slice(0, source.indexOf(`export const ${name}`))
    const comment = before.slice(before.lastIndexOf("/**") + 3, before.lastIndexOf("*/"))
    const legend = comment.split("\n").map(line => line.replace(/^ \* ?/, "").trimEnd())
    return [
        `### ${title}`,
        "",
        "```text",
        ...legend.filter(line => line !== ""),
        "```",
        "",
        `| phase | ${names.join(" | ")} |`,
        `| --- | ${names.map(() => "---").join(" | ")} |`,
        ...rows.map((row, i) => `| ${Phase[firstPhase + i]} | ${[...row].join(" | ")} |`),
        "",
    ]
}
