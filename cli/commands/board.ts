/**
 * `parley board ...`: what hands can do to a simulated board and eyes can see of it.
 */
import type { BoardStatus } from "../../sim/board.ts"
import type { SimClient } from "../../sim/client.ts"
import { type Outcome, success, usage } from "../outcome.ts"
import { framed, table } from "../output.ts"
import type { Answer, Call, Shell } from "../shell.ts"
import { fromSim, simOf } from "../system/sim.ts"

const buttonNames = ["call", "menu", "mute"] as const
const powerActions = ["on", "off", "cycle", "reset"] as const

export function addBoardCommands(shell: Shell): void {
    const board = shell.noun("board", "simulated boards: look at the screen, press, turn, cut the power")
    shell.verb(board, { name: "list", about: "all boards: address, power, phase, routing server", run: list })
    shell.verb(board, { name: "screen <board>", about: "the four lines of the screen, the LED", run: screen })
    shell.verb(board, {
        name: "press <board> <button>",
        about: `press a button: ${buttonNames.join(", ")}`,
        options: [["--hold <ms>", "how long it is held"]],
        examples: ["parley board press board-a call"],
        run: press,
    })
    shell.verb(board, {
        name: "turn <board> <steps>",
        about: "turn the knob; to the left: -- -1",
        examples: ["parley board turn board-a 2", "parley board turn board-a -- -2"],
        run: turn,
    })
    shell.verb(board, { name: "status <board>", about: "all that is known about a board", run: status })
    shell.verb(board, {
        name: "power <board> <action>",
        about: `mains: ${powerActions.join(", ")} (off is a cut)`,
        run: power,
    })
    shell.verb(board, {
        name: "wifi <board> [state]",
        about: "radio: on or off",
        options: [
            ["--loss <percent>", "datagrams and segments that are lost, 0..100"],
            ["--delay <ms>", "extra delay"],
        ],
        run: wifi,
    })
    shell.verb(board, {
        name: "serial <board> [state]",
        about: "plug a cable into the serial port (or: unplug), and say where it is opened",
        examples: ["parley device status --port $(parley board serial board-a)", "parley board serial board-a unplug"],
        run: serial,
    })
    shell.verb(board, {
        name: "media <board>",
        about: "sound: what the microphone hears, where the speaker is recorded",
        options: [
            ["--microphone <wav>", 'plays a WAV file into the microphone ("none": a silent room)'],
            ["--speaker <wav>", 'records the speaker into a WAV file ("none" ends it)'],
            ["--loop", "plays again and again"],
        ],
        run: media,
    })
    shell.verb(board, {
        name: "log <board>",
        about: "the last lines of the firmware's log",
        options: [["--lines <number>", "how many (default 40)"]],
        run: log,
    })
}

/** Runs `act` with the simulator of this state folder. */
async function withSim(
    call: Call,
    act: (sim: SimClient, board: string) => Promise<Outcome<Answer>>,
): Promise<Outcome<Answer>> {
    const sim = simOf(call.settings)
    return sim.ok ? act(sim.value, call.words[0]) : sim
}

function list(call: Call): Promise<Outcome<Answer>> {
    return withSim(call, async sim => {
        const boards = fromSim(await sim.boards())
        if (!boards.ok) return boards
        return success({ value: boards.value, text: boardTable(boards.value) })
    })
}

export function boardTable(boards: BoardStatus[]): string {
    const rows = boards.map(board => [
        board.id,
        board.name,
        board.ip,
        board.power,
        board.phase ?? "-",
        board.server || "-",
        board.session || "-",
        board.wifi.up ? "up" : "down",
        board.crashes > 0 ? String(board.crashes) : "",
    ])
    return table(["BOARD", "NAME", "ADDRESS", "POWER", "PHASE", "SERVER", "SESSION", "WI-FI", "CRASHES"], rows)
}

function screen(call: Call): Promise<Outcome<Answer>> {
    return withSim(call, async (sim, board) => {
        const display = fromSim(await sim.screen(board))
        if (!display.ok) return display
        return success({ value: display.value, text: `${framed(display.value.lines)}\nLED ${display.value.led}` })
    })
}

function press(call: Call): Promise<Outcome<Answer>> {
    const button = buttonNames.find(name => name === call.words[1])
    if (!button)
        return Promise.resolve(usage(`there is no button "${call.words[1]}"; there are ${buttonNames.join(", ")}`))
    const hold = optionalNumber(call.flags.hold, "--hold", 10, 60_000)
    if (!hold.ok) return Promise.resolve(hold)
    return withSim(call, async (sim, board) => {
        const pressed = fromSim(await sim.press(board, button, hold.value))
        return pressed.ok ? success({ value: pressed.value, text: `pressed ${button}` }) : pressed
    })
}

function turn(call: Call): Promise<Outcome<Answer>> {
    const steps = Number(call.words[1])
    if (!Number.isInteger(steps) || Math.abs(steps) > 200)
        return Promise.resolve(usage(`steps: a whole number from -200 to 200 is needed, not "${call.words[1]}"`))
    return withSim(call, async (sim, board) => {
        const turned = fromSim(await sim.turn(board, steps))
        return turned.ok ? success({ value: turned.value, text: `turned ${steps}` }) : turned
    })
}

function status(call: Call): Promise<Outcome<Answer>> {
    return withSim(call, async (sim, board) => {
        const status = fromSim(await sim.board(board))
        if (!status.ok) return status
        const statistics = fromSim(await sim.mediaStatistics(board))
        const value = { ...status.value, media: statistics.ok ? statistics.value : null }
        return success({ value, text: describe(value) })
    })
}

function power(call: Call): Promise<Outcome<Answer>> {
    const action = powerActions.find(name => name === call.words[1])
    if (!action) return Promise.resolve(usage(`power: one of ${powerActions.join(", ")}, not "${call.words[1]}"`))
    return withSim(call, async (sim, board) => {
        const status = fromSim(await sim.power(board, action))
        return status.ok ? success({ value: status.value, text: `power ${status.value.power}` }) : status
    })
}

function wifi(call: Call): Promise<Outcome<Answer>> {
    const state = call.words[1] || undefined
    if (state !== undefined && state !== "on" && state !== "off")
        return Promise.resolve(usage(`wifi: on or off, not "${state}"`))
    const loss = optionalNumber(call.flags.loss, "--loss", 0, 100)
    if (!loss.ok) return Promise.resolve(loss)
    const delay = optionalNumber(call.flags.delay, "--delay", 0, 10_000)
    if (!delay.ok) return Promise.resolve(delay)
    if (state === undefined && loss.value === undefined && delay.value === undefined)
        return Promise.resolve(usage("say what to change", "parley board wifi board-a off, or --loss 5"))
    return withSim(call, async (sim, board) => {
        const change = {
            ...(state === undefined ? {} : { up: state === "on" }),
            ...(loss.value === undefined ? {} : { lossPercent: loss.value }),
            ...(delay.value === undefined ? {} : { delayMs: delay.value }),
        }
        const changed = fromSim(await sim.wifi(board, change))
        if (!changed.ok) return changed
        const { up, lossPercent, delayMs } = changed.value
        return success({
            value: changed.value,
            text: `Wi-Fi ${up ? "on" : "off"}, loss ${lossPercent} %, delay ${delayMs} ms`,
        })
    })
}

function serial(call: Call): Promise<Outcome<Answer>> {
    const state = call.words[1] || "plug"
    if (state !== "plug" && state !== "unplug") return Promise.resolve(usage(`serial: plug or unplug, not "${state}"`))
    return withSim(call, async (sim, board) => {
        const changed = fromSim(await sim.serial(board, state === "plug"))
        return changed.ok ? success({ value: changed.value, text: changed.value.path ?? "unplugged" }) : changed
    })
}

async function media(call: Call): Promise<Outcome<Answer>> {
    const { resolve } = await import("node:path")
    const file = (value: unknown) => (value === "none" ? null : resolve(process.cwd(), value as string))
    const { microphone, speaker, loop } = call.flags
    if (microphone === undefined && speaker === undefined)
        return usage("say what to change", "parley board media board-a --microphone speech.wav")
    return withSim(call, async (sim, board) => {
        const changed = fromSim(
            await sim.media(board, {
                ...(microphone === undefined ? {} : { microphone: file(microphone), loop: loop === true }),
                ...(speaker === undefined ? {} : { speaker: file(speaker) }),
            }),
        )
        return changed.ok ? success({ value: changed.value, text: "done" }) : changed
    })
}

function log(call: Call): Promise<Outcome<Answer>> {
    const lines = optionalNumber(call.flags.lines, "--lines", 1, 500)
    if (!lines.ok) return Promise.resolve(lines)
    return withSim(call, async (sim, board) => {
        const found = fromSim(await sim.log(board, lines.value ?? 40))
        if (!found.ok) return found
        const text = found.value.map(line => `${(line.atMs / 1000).toFixed(3)}  ${line.text}`).join("\n")
        return success({ value: found.value, text: text || "the log is empty" })
    })
}

function optionalNumber(value: unknown, name: string, min: number, max: number): Outcome<number | undefined> {
    if (value === undefined) return success(undefined)
    const number = Number(value)
    if (value === "" || !Number.isFinite(number) || number < min || number > max)
        return usage(`${name}: a number from ${min} to ${max} is needed, not "${value}"`)
    return success(number)
}

/** Fractions of a millisecond are noise to people. */
function rounded(_name: string, value: unknown): unknown {
    return typeof value === "number" ? Math.round(value * 10) / 10 : value
}

function describe(status: object): string {
    const lines: string[] = []
    for (const [name, value] of Object.entries(status)) {
        const text =
            typeof value === "object" && value !== null
                ? JSON.stringify(value, rounded)
                : String(rounded("", value) ?? "-")
        lines.push(`${name.padEnd(14)} ${text || "-"}`)
    }
    return lines.join("\n")
}
