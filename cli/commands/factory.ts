/**
 * `parley factory ...`: what a maker of appliances does: images, identities and labels, flashing over a cable, and proof
 * that a unit lives. Secrets stand in files of their user only, never on standard output.
 */
import { readFileSync } from "node:fs"
import { basename, join, resolve } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import type { Unit } from "../factory/batch.ts"
import { failure, messageOf, type Outcome, success, usage } from "../outcome.ts"
import { table } from "../output.ts"
import type { Settings } from "../settings.ts"
import type { Answer, Call, Shell } from "../shell.ts"
import { fromGroup, groupOf } from "../system/group.ts"
import { findRun } from "../system/run-file.ts"

const listBytesMax = 4 * 1024 * 1024

export function addFactoryCommands(shell: Shell): void {
    const factory = shell.noun("factory", "make appliances: images, identities, labels, flashing, proof")
    shell.verb(factory, {
        name: "build [boards...]",
        about: "the image of each board: base firmware, pins, program; with --unit also its settings",
        options: [
            ["--base <path>", "base firmware, a file or a folder (default: firmware/ in the state folder)"],
            ["--out <folder>", "where images go (default: images)"],
            ["--unit <file>", "a unit that enrol has made: the image for it alone, with its secret in it"],
        ],
        examples: ["parley factory build", "parley factory build room-panel --base ~/Downloads"],
        run: build,
    })
    shell.verb(factory, {
        name: "enrol <list>",
        about: "identity, secret, enrolment and label for each line of a CSV file; goes on where it was interrupted",
        options: [
            ["--out <folder>", "folder of the batch (default: factory/<name of the list> in the state folder)"],
            ["--broker <address>", "HOST:PORT that the units connect to (default: that of the running system)"],
            ["--labels <kind>", "svg (62 x 29 mm) or png (the code alone)"],
        ],
        examples: ["parley factory enrol units.csv --broker broker.example.org:1883"],
        run: enrol,
    })
    shell.verb(factory, {
        name: "flash <unit>",
        about: "builds the image of a unit, writes it over a serial cable, and has the chip say what it then holds",
        options: [
            ["--port <path>", "the serial port"],
            ["--baud <rate>", "for the data (default 460800)"],
            ["--base <path>", "base firmware, a file or a folder (default: firmware/ in the state folder)"],
        ],
        examples: ["parley factory flash .parley/factory/units/units/room-panel-0123456789.json --port /dev/ttyACM0"],
        run: flash,
    })
    shell.verb(factory, {
        name: "verify <unit>",
        about: "waits until a unit is registered (--wait), as the board that it is; else says how far it came",
        run: verify,
    })
}

async function build({ settings, flags, words, output }: Call): Promise<Outcome<Answer>> {
    const { factoryBoards } = await import("../factory/boards.ts")
    const { buildImage, compiledProgram, findBase, webToolsManifest } = await import("../factory/build.ts")
    const { writeWhole } = await import("../factory/whole-file.ts")
    const { readUnit, settingsOf } = await import("../factory/batch.ts")
    const { readManifest } = await import("../../build/manifest.ts")
    let unit: Unit | undefined
    if (flags.unit !== undefined) {
        const read = readUnit(resolve(String(flags.unit)))
        if (!read.ok) return read
        unit = read.value
        if (words.some(word => word !== "" && word !== unit?.board))
            return usage(`that unit is a ${unit.board}; name no other board`)
    }
    const boards = await factoryBoards(unit ? [unit.board] : words.filter(word => word !== ""))
    if (!boards.ok) return boards
    const folder = resolve(String(flags.out ?? "images"))
    const { version } = readManifest()
    const made: Record<string, unknown>[] = []
    for (const board of boards.value) {
        output.progress(`${board.name}: building`)
        const base = findBase(board, String(flags.base ?? ""), baseFolder(settings))
        if (!base.ok) return base
        const program = await compiledProgram(board)
        if (!program.ok) return program
        const image = await buildImage(board, base.value, program.value, unit ? settingsOf(unit) : {})
        if (!image.ok) return image
        const name = unit ? unit.id : board.name
        const path = join(folder, `${name}.bin`)
        try {
            writeWhole(path, image.value.bytes, unit ? 0o600 : 0o644)
            const manifest = webToolsManifest(board, version, basename(path))
            writeWhole(join(folder, `${name}.manifest.json`), `${JSON.stringify(manifest, null, 2)}\n`, 0o644)
        } catch (error) {
            return failure("failed", "write", messageOf(error), {
                who: "you",
                next: "a folder that you may write: --out DIR",
            })
        }
        const { sha256, program: programHash, bytes } = image.value
        made.push({ board: board.name, path, bytes: bytes.length, sha256, program: programHash })
    }
    const rows = made.map(one => [one.board, one.path, one.bytes, String(one.sha256).slice(0, 16)].map(String))
    return success({ value: made, text: table(["BOARD", "IMAGE", "BYTES", "SHA-256"], rows) })
}

async function enrol({ settings, flags, words, output }: Call): Promise<Outcome<Answer>> {
    const { Batch } = await import("../factory/batch.ts")
    const { enrolUnits } = await import("../factory/enrol.ts")
    const { readUnits } = await import("../factory/units.ts")
    const { readManifest } = await import("../../build/manifest.ts")
    const path = resolve(words[0])
    let list: string
    try {
        list = readFileSync(path, "utf8")
    } catch (error) {
        return usage(`the list cannot be read: ${messageOf(error)}`)
    }
    if (list.length > listBytesMax) return usage(`${path} is larger than ${listBytesMax} bytes`)
    const labels = flags.labels ?? "svg"
    if (labels !== "svg" && labels !== "png") return usage(`--labels: svg or png, not "${labels}"`)
    const units = readUnits(list, Object.keys(readManifest().entries))
    if (!units.ok) return { ...units, what: `${path}: ${units.what}` }
    const broker = brokerOf(settings, flags.broker)
    if (!broker.ok) return broker
    const group = groupOf(settings)
    if (!group.ok) return group
    const folder = resolve(
        String(flags.out ?? join(settings.stateFolder, "factory", basename(path).replace(/\.csv$/i, ""))),
    )
    const batch = Batch.open(folder, list, units.value)
    if (!batch.ok) return batch
    const outcome = await enrolUnits({
        batch: batch.value,
        group: group.value,
        broker: broker.value,
        labels,
        progress: (done, of) => output.progress(`${done} of ${of} units`),
    })
    const { stopped, refused, enrolled, now, units: count, result } = outcome
    if (stopped)
        return {
            ...stopped,
            what: `${stopped.what}; ${enrolled} of ${count} units are enrolled`,
            next: `${stopped.next ?? "see above"}; then run the same command again: it goes on from here`,
        }
    const text = [
        `${enrolled} of ${count} units are enrolled, ${now} of them now`,
        ...refused.slice(0, 20).map(({ id, what }) => `  ${id}: ${what}`),
        `result: ${result}`,
        `units with their secrets: ${join(folder, "units")}, labels: ${join(folder, "labels")}`,
    ]
    const value = { folder, result, units: count, enrolled, now, refused }
    return success({ value, text: text.join("\n"), ...(refused.length > 0 && { exit: "failed" as const }) })
}

async function flash({ settings, flags, words, output }: Call): Promise<Outcome<Answer>> {
    const { readUnit, settingsOf } = await import("../factory/batch.ts")
    const { factoryBoards } = await import("../factory/boards.ts")
    const { buildImage, compiledProgram, findBase } = await import("../factory/build.ts")
    const { flashImage } = await import("../factory/flash.ts")
    const unit = readUnit(resolve(words[0]))
    if (!unit.ok) return unit
    if (typeof flags.port !== "string") return usage("--port PATH is needed: the serial port of the board")
    const baud = Number(flags.baud ?? 460_800)
    if (!Number.isInteger(baud) || baud < 9600 || baud > 3_000_000)
        return usage(`--baud: a whole number from 9600 to 3000000 is needed, not "${flags.baud}"`)
    const boards = await factoryBoards([unit.value.board])
    if (!boards.ok) return boards
    const [board] = boards.value
    const base = findBase(board, String(flags.base ?? ""), baseFolder(settings))
    if (!base.ok) return base
    const program = await compiledProgram(board)
    if (!program.ok) return program
    const image = await buildImage(board, base.value, program.value, settingsOf(unit.value))
    if (!image.ok) return image
    const flashed = await flashImage({
        board,
        image: image.value.bytes,
        path: flags.port,
        baud,
        progress: line => output.progress(line),
    })
    if (!flashed.ok) return flashed
    const { chip, bytes, md5 } = flashed.value
    return success({
        value: { unit: unit.value.id, chip, bytes, md5 },
        text: `${unit.value.id}: ${bytes} bytes are in the ${chip}, read back as ${md5}`,
    })
}

const lookAgainMs = 500

async function verify({ settings, words }: Call): Promise<Outcome<Answer>> {
    const { readUnit } = await import("../factory/batch.ts")
    const unit = readUnit(resolve(words[0]))
    if (!unit.ok) return unit
    const { id, board } = unit.value
    const group = groupOf(settings)
    if (!group.ok) return group
    const endMs = Date.now() + settings.waitMs
    for (;;) {
        const found = fromGroup(await group.value.getEndpoint(id))
        if (!found.ok) return found
        const { online, board: told, firmware, boot } = found.value
        if (online && told !== "") {
            if (told !== board)
                return failure("failed", "wrong-board", `${id} registers as a ${told}, and it is to be a ${board}`, {
                    who: "maker",
                    next: "flash it with the image of its unit",
                })
            return success({
                value: { id, board, firmware, boot },
                text: `${id} is registered: ${board}, firmware ${firmware}, boot ${boot}`,
            })
        }
        if (Date.now() >= endMs)
            return failure(
                "timeout",
                "not-registered",
                boot === 0 ? `${id} has never been here` : `${id} was here last at boot ${boot}, and is gone`,
                { who: "you", next: "has it power, Wi-Fi and the right broker? Its screen says what it waits for" },
            )
        await pause(Math.min(lookAgainMs, Math.max(1, endMs - Date.now())))
    }
}

function baseFolder(settings: Settings): string {
    return join(settings.stateFolder, "firmware")
}

/** Where units are to connect: no loopback address by accident, it is only taken from a system that runs here. */
function brokerOf(settings: Settings, given: unknown): Outcome<{ host: string; port: number }> {
    let text = given
    if (text === undefined) {
        const run = findRun(settings.stateFolder)
        if (!run.ok) return usage("--broker HOST:PORT is needed: no system runs in this state folder")
        text = run.value.broker.replace(/^mqtts?:\/\//, "")
    }
    const match = /^([a-zA-Z0-9][a-zA-Z0-9.-]{0,63}):(\d{1,5})$/.exec(String(text))
    const port = Number(match?.[2])
    if (!match || port < 1 || port > 65535) return usage(`--broker: HOST:PORT is needed, not "${text}"`)
    return success({ host: match[1], port })
}
