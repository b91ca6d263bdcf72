/**
 * `parley factory ...`: what a maker of appliances does: images, identities and labels, flashing over a cable, and proof
 * that a unit lives. Secrets stand in files of their user only, never on standard output.
 */
import { readFileSync } from "node:fs"
import { basename, join, resolve } from "node:path"
import type { Unit } from "../factory/batch.ts"
import { failure, messageOf, type Outcome, success, usage } from "../outcome.ts"
import { table } from "../output.ts"
import type { Settings } from "../settings.ts"
import type { Answer, Call, Shell } from "../shell.ts"
import { groupOf } from "../system/group.ts"
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
