/**
 * The same script on two boards: hands and eyes at one of them are the simulator's control API, at the other frames on its
 * serial port. What is seen has to be the same, step by step.
 */

import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, test } from "node:test"
import { phaseNames, readPhase } from "../../cli/device/appliance-service.ts"
import { applianceClass, BoardLink } from "../../cli/device/board-link.ts"
import { scan } from "../../cli/device/radio.ts"
import type { JDService } from "../../node_modules/jacdac-ts/dist/types/src/jacdac.js"
import { jacdac, type Packet } from "../../serial/jacdac.ts"
import { SimClient, type SimResult } from "../../sim/client.ts"
import { startControl } from "../../sim/control.ts"
import { openPty } from "../../sim/serial/pty.ts"
import { Simulation } from "../../sim/simulation.ts"
import { Room } from "../appliance/room.ts"
import { eventually } from "../support/deadline.ts"
import { needPackage } from "../support/system-package.ts"

const socat = needPackage("socat", "socat")

type Button = "call" | "menu" | "mute"

interface Picture {
    phase: string
    lines: string[]
    led: string
}

/** What a script needs of a board. */
interface Hands {
    press(button: Button): Promise<void>
    look(): Promise<Picture>
    stop(): Promise<void>
}

type Step = [name: string, act: (hands: Hands, room: Room) => Promise<void>, wanted: RegExp]

const press =
    (button: Button): Step[1] =>
    hands =>
        hands.press(button)

/** Phase, light and screen: the light is drawn after the screen, and blinks while a session can be joined. */
const script: Step[] = [
    ["power", async () => {}, /^idle\n#001000\n.*\nReady/],
    ["MENU", press("menu"), /^idle\n#001000\n.*\n>Agenda/],
    ["MENU back", press("menu"), /^idle\n#001000\n.*\nReady/],
    ["CALL", press("call"), /^idle\n#001000\n.*\n>Team \(all\)/],
    ["MENU back", press("menu"), /^idle\n#001000\n.*\nReady/],
    ["a session begins", async (_hands, room) => room.agenda({}), /^reminding\n#604000\n(.*\n)*.*CALL joins/],
    ["CALL joins", press("call"), /^in-session\n#008000\n(.*\n)*.*2 in session\n/],
    ["MUTE", press("mute"), /^in-session\n#800000\n(.*\n)*.*MUTED/],
    ["MUTE again", press("mute"), /^in-session\n#008000\n(.*\n)*.*2 in session\n/],
    ["CALL leaves", press("call"), /^idle\n#001000\n.*\nReady/],
]

function value<T>(result: SimResult<T>): T {
    if (!result.ok) assert.fail(`${result.code}: ${result.what}`)
    return result.value
}

async function overControlApi(room: Room, folder: string): Promise<Hands> {
    const tokenFile = join(folder, "sim.token")
    const control = { host: "127.0.0.1", port: 0, tokenFile }
    const simulation = await Simulation.create({ boards: [], broker: { host: "127.0.0.1", port: 1 }, control })
    simulation.boards.set(room.id, room.board)
    const api = await startControl({ simulation, ...control })
    const sim = new SimClient(api.url, api.token)
    return {
        press: async button => void value(await sim.press(room.id, button)),
        async look() {
            const { lines, led } = value(await sim.screen(room.id))
            const { phase } = value(await sim.board(room.id))
            return { phase: phase ?? "", lines, led }
        },
        stop: () => api.stop(),
    }
}

async function overSerial(room: Room, folder: string): Promise<Hands> {
    const pty = await openPty(join(folder, "board"))
    assert.ok(pty.ok, JSON.stringify(pty))
    room.board.serial.plug(pty.value.stream)
    const opened = await BoardLink.open(pty.value.path)
    assert.ok(opened.ok, JSON.stringify(opened))
    const link = opened.value
    const find = async (serviceClass: number): Promise<JDService> => {
        const service = await link.service(serviceClass)
        assert.ok(service, `no service ${serviceClass.toString(16)}`)
        return service
    }
    const screen = await find(jacdac.SRV_CHARACTER_SCREEN)
    const led = await find(jacdac.SRV_LED)
    const appliance = await find(applianceClass)
    const radio = await find(jacdac.SRV_WIFI)
    const { device } = screen
    // Events of a device are counted, and a wrong count is dropped: a scan shows how far it has come.
    let counter: number | undefined
    const countEvents = async () => {
        const stop = link.bus.subscribe(jacdac.PACKET_PROCESS, (packet: Packet) => {
            const isItsEvent = packet.isEvent && packet.deviceIdentifier === device.deviceId
            if (isItsEvent) counter = (packet.serviceCommand >> 8) & 0x7f
        })
        assert.ok(await scan(link, radio))
        stop()
    }
    const buttons = device.services({ serviceClass: jacdac.SRV_BUTTON })
    const order: Button[] = ["call", "menu", "mute"]
    const read = async (service: JDService, register: number) => {
        const data = await link.read(service, register)
        assert.ok(data, `no answer of register ${register.toString(16)}`)
        return data
    }
    return {
        /** As the contact would: the button's own event on the bus. */
        async press(button) {
            if (counter === undefined) await countEvents()
            const service = buttons[order.indexOf(button)]!
            for (const [event, payload] of [
                [jacdac.ButtonEvent.Down, Buffer.alloc(0)],
                [jacdac.ButtonEvent.Up, Buffer.from([80, 0, 0, 0])],
            ] as const) {
                const next = (counter! + 1) & 0x7f
                const packet = jacdac.Packet.from(0x8000 | (next << 8) | event, payload)
                packet.serviceIndex = service.serviceIndex
                await packet.sendReportAsync(device)
                counter = next
            }
        },
        async look() {
            const text = (await read(screen, jacdac.CharacterScreenReg.Message)).toString("utf8").split("\n")
            const lines = [0, 1, 2, 3].map(row => (text[row] ?? "").padEnd(20))
            const phase = await readPhase(link, appliance)
            const pixels = await read(led, jacdac.LedReg.Pixels)
            return { phase: phase ?? "", lines, led: `#${pixels.toString("hex", 0, 3)}` }
        },
        async stop() {
            await link.close()
            await pty.value.unplug()
        },
    }
}

/** Names of phases are written in two ways, and the time of day is not the board's doing. */
function told({ phase, lines, led }: Picture): string {
    const words = phase.replace(/([a-z])([A-Z])/g, "$1-$2").toLowerCase()
    assert.ok(words === "" || (phaseNames as readonly string[]).includes(words), `phase ${phase}`)
    return [words, led, ...lines.map(line => line.trimEnd().replace(/\b\d\d:\d\d\b/g, "hh:mm"))].join("\n")
}

async function transcriptOf(drive: (room: Room, folder: string) => Promise<Hands>): Promise<string[]> {
    const folder = mkdtempSync(join(tmpdir(), "parley-mirror-"))
    const room = await Room.create()
    await room.board.powerOn()
    const hands = await drive(room, folder)
    const transcript: string[] = []
    try {
        for (const [name, act, wanted] of script) {
            await act(hands, room)
            let last = ""
            const seen = await eventually(async () => {
                last = told(await hands.look())
                return wanted.test(last) ? last : undefined
            }, `${name}: ${wanted}`).catch(error => assert.fail(`${error.message}; it shows\n${last}`))
            transcript.push(`${name}\n${seen}`)
        }
    } finally {
        await hands.stop()
        await room.close()
        rmSync(folder, { recursive: true, force: true })
    }
    return transcript
}

describe("a board over serial and over the control API", { skip: socat.ok ? false : socat.why }, () => {
    test("gives the same transcript of the same script", async () => {
        const [api, serial] = await Promise.all([transcriptOf(overControlApi), transcriptOf(overSerial)])
        assert.equal(api.length, script.length)
        assert.deepEqual(serial, api)
    })
})
