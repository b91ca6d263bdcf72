/**
 * `npm run prove -- doctor`: the real firmware on a simulated board, broken in one way at a time, and what `parley device
 * doctor` says of it over the board's serial port (a pseudo-terminal).
 *
 * Owns the faults and which check has to name them. The first six are those that issue 6 names; the seed draws the others,
 * with their parameters.
 */

import { mkdtempSync, rmSync } from "node:fs"
import { createServer, type Server } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Duplex, Transform } from "node:stream"
import { BoardLink } from "../../cli/device/board-link.ts"
import { type Check, diagnose } from "../../cli/device/doctor.ts"
import { gatherEvidence } from "../../cli/device/evidence.ts"
import { deploy } from "../../cli/device/restart.ts"
import { jacdac } from "../../serial/jacdac.ts"
import { openPty } from "../../sim/serial/pty.ts"
import { Room } from "../appliance/room.ts"
import { program } from "../sim/programs.ts"
import { freePort } from "../support/addresses.ts"
import { type SeededRandom, seededRandom } from "../support/random.ts"

export interface Fault {
    name: string
    /** Which check has to be named first; undefined: none, the appliance is well. */
    check: Check | undefined
    settings?: (
        random: SeededRandom,
    ) => Record<string, string | number | undefined> | Promise<Record<string, string | number | undefined>>
    withMedia?: boolean
    /** Before the power comes. */
    before?: (room: Room, random: SeededRandom) => void
    /** With power, before the doctor looks. */
    during?: (link: BoardLink) => Promise<void>
    powerless?: boolean
    badLine?: boolean
}

const home = "parley-sim"
const seconds = () => Math.floor(Date.now() / 1000)

export const named: Fault[] = [
    {
        name: "wrong Wi-Fi password",
        check: "wifi",
        before: room => room.board.wifi.setAir([{ name: home, password: "the right one", rssiDb: -61 }]),
    },
    { name: "wrong broker name", check: "name", settings: () => ({ "p.host": "broker.invalid" }) },
    { name: "wrong secret", check: "broker", settings: () => ({ "p.secret": "not-the-secret" }) },
    {
        name: "wrong time",
        check: "clock",
        before(room) {
            const wrongMs = Date.now() - 3_600_000
            room.answers.hello = () => ({ nowMs: wrongMs, name: "Room A" })
            room.answers.time = () => ({ nowMs: wrongMs })
        },
    },
    {
        name: "unreachable routing server",
        check: "routing-server",
        before(room) {
            room.kill("rs-near")
            room.kill("rs-far")
            room.answers.candidates = () => ({ list: [{ rs: "rs-gone", ip: "127.255.255.1", port: 9, load: 0 }] })
        },
    },
    { name: "media engine absent", check: "media-engine", withMedia: false },
]

const others: Fault[] = [
    { name: "no power", check: "power", powerless: true },
    { name: "a bad line", check: "power", badLine: true },
    {
        name: "another program",
        check: "power",
        during: async link => void (await deploy(link, await program("hello"), () => {})),
    },
    {
        name: "a program that crashes",
        check: "power",
        settings: random => ({ mode: random.pick(["throw", "steps", "memory"]) }),
        during: async link => void (await deploy(link, await program("trouble"), () => {})),
    },
    {
        name: "a stopped program",
        check: "power",
        async during(link) {
            const manager = (await link.service(jacdac.SRV_DEVICE_SCRIPT_MANAGER))!
            await link.write(manager, jacdac.DeviceScriptManagerReg.Running, Buffer.of(0))
        },
    },
    {
        name: "another network in the air",
        check: "wifi",
        before: (room, random) =>
            room.board.wifi.setAir([{ name: `net-${random.int(1, 99)}`, password: "", rssiDb: -random.int(40, 80) }]),
    },
    { name: "nothing in the air", check: "wifi", before: room => room.board.wifi.setAir([]) },
    { name: "no network stored", check: "wifi", before: room => room.board.wifi.store(undefined) },
    {
        name: "another password stored",
        check: "wifi",
        before(room, random) {
            room.board.wifi.setAir([{ name: "Office", password: "right-password", rssiDb: -random.int(40, 80) }])
            room.board.wifi.store({ name: "Office", password: `wrong-password-${random.int(1, 99)}` })
        },
    },
    {
        name: "no address",
        check: "address",
        before: (room, random) =>
            room.board.wifi.setAir([{ name: home, password: "", rssiDb: -random.int(40, 80), givesAddresses: false }]),
    },
    {
        name: "another wrong broker name",
        check: "name",
        settings: random => ({ "p.host": `mqtt-${random.int(1, 999)}.invalid` }),
    },
    { name: "no broker configured", check: "name", settings: () => ({ "p.host": undefined }) },
    { name: "nobody listens", check: "broker", settings: async () => ({ "p.port": await freePort() }) },
    { name: "wrong id", check: "broker", settings: random => ({ "p.id": `board-${random.int(100, 999)}` }) },
    { name: "no id", check: "broker", settings: () => ({ "p.id": undefined }) },
    { name: "no secret", check: "broker", settings: () => ({ "p.secret": undefined }) },
    {
        name: "a web server for a broker",
        check: "broker",
        settings: () => strangePort("HTTP/1.1 400 Bad Request\r\n\r\n"),
    },
    { name: "a server that hangs up", check: "broker", settings: () => strangePort("") },
    {
        name: "a silent group server",
        check: "registration",
        before: room => {
            room.answers.hello = () => undefined
        },
    },
    {
        name: "a refused registration",
        check: "registration",
        before(room, random) {
            const reason = random.pick(["unknown-endpoint", "not-allowed", "unsupported"])
            room.answers.hello = () => ({ reason })
        },
    },
    {
        name: "no routing servers",
        check: "routing-server",
        before: room => {
            room.answers.candidates = () => ({ reason: "no-servers" })
        },
    },
    {
        name: "a refused attachment",
        check: "routing-server",
        before(room, random) {
            const reason = random.pick(["draining", "no-dsp", "not-allowed"])
            room.answers.attach = () => ({ reason })
        },
    },
    {
        name: "a silent attachment",
        check: "routing-server",
        before: room => {
            room.answers.attach = () => undefined
        },
    },
    {
        name: "another media engine absent",
        check: "media-engine",
        withMedia: false,
        before(room, random) {
            room.answers.hello = () => ({ nowMs: Date.now(), name: `Room ${random.int(1, 99)}` })
        },
    },
    { name: "none", check: undefined },
    {
        name: "none, in a session soon",
        check: undefined,
        before: room => {
            room.answers.directory = () => ({ list: [], now: seconds() })
        },
    },
]

const strangers: Server[] = []

/** A server on this port says something to everybody and hangs up. */
async function strangePort(words: string) {
    const server = createServer(socket => {
        socket.on("error", () => {})
        socket.once("data", () => socket.end(words))
    })
    strangers.push(server)
    await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve))
    return { "p.host": "127.0.0.1", "p.port": (server.address() as { port: number }).port }
}

export interface Diagnosed {
    fault: string
    expected: string
    said: string
    what: string
}

/** Breaks a fresh board in this way and asks the doctor. */
export async function diagnoseFault(fault: Fault, random: SeededRandom): Promise<Diagnosed> {
    const folder = mkdtempSync(join(tmpdir(), "parley-doctor-"))
    const room = await Room.create(await fault.settings?.(random), { withMedia: fault.withMedia ?? true })
    const opened = await openPty(join(folder, "board"))
    if (!opened.ok) throw new Error(opened.what)
    const { stream, path, unplug } = opened.value
    try {
        fault.before?.(room, random)
        room.board.serial.plug(fault.badLine ? damaging(stream, random) : stream)
        if (!fault.powerless) await room.board.powerOn()
        const link = await BoardLink.open(path)
        if (!link.ok) throw new Error(link.what)
        try {
            await fault.during?.(link.value)
            const { first } = diagnose(await gatherEvidence(link.value))
            const said = first?.check ?? "nothing"
            return { fault: fault.name, expected: fault.check ?? "nothing", said, what: first?.what ?? "" }
        } finally {
            await link.value.close()
        }
    } finally {
        await room.close()
        await unplug()
        for (const server of strangers.splice(0)) server.close()
        rmSync(folder, { recursive: true, force: true })
    }
}

/** A line on which many frames to the host lose a bit. */
function damaging(stream: Duplex, random: SeededRandom): Duplex {
    const damage = new Transform({
        transform(bytes: Buffer, _encoding, done) {
            const changed = Buffer.from(bytes)
            for (let i = 20; i < changed.length; i += 40) changed[i]! ^= 1 << random.int(0, 6)
            done(undefined, changed)
        },
    })
    damage.pipe(stream)
    return Duplex.from({ readable: stream, writable: damage })
}

export async function proveDoctor(options: {
    cases: number
    seed: number
    progress: (line: string) => void
}): Promise<{ doctorCases: number; doctorRight: number }> {
    const random = seededRandom(options.seed)
    const faults = [...named]
    // Each other fault once, in any order, then again by chance.
    const rest = [...others].sort(() => random.next() - 0.5)
    while (faults.length < options.cases) faults.push(rest.shift() ?? random.pick(others))
    let doctorRight = 0
    let doctorCases = 0
    for (const fault of faults.slice(0, options.cases)) {
        const result = await diagnoseFault(fault, random)
        doctorCases++
        if (result.said === result.expected) doctorRight++
        const verdict = result.said === result.expected ? "right" : `WRONG, it should be ${result.expected}`
        options.progress(`${doctorCases} ${result.fault}: ${result.said}: ${result.what} (${verdict})`)
    }
    return { doctorCases, doctorRight }
}
