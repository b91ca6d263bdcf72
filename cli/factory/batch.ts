/**
 * The folder of a batch of units, from which an interrupted one goes on:
 *
 *     plan.json          who is to be made: written whole before the first unit is enrolled, with all identities
 *     asked.log          an identity a line, written before the group server is asked for it; with "!" before it: refused
 *     units/<id>.json    a unit that is enrolled, with its secret
 *     labels/            a label for each
 *     result.csv         what came of each, without secrets
 *
 * Owns these files, readable by their user only. Each appears whole or not at all.
 */

import { createHash, randomBytes } from "node:crypto"
import { appendFileSync, existsSync, mkdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { Settings } from "../../sim/vm/provision.ts"
import { failure, messageOf, type Outcome, success } from "../outcome.ts"
import type { WantedUnit } from "./units.ts"
import { writeWhole } from "./whole-file.ts"

export interface PlannedUnit extends WantedUnit {
    /** Under which the group server may be asked again for the same enrolment. */
    key: string
}

export interface Unit extends WantedUnit {
    secret: string
    host: string
    port: number
}

interface Plan {
    version: 1
    /** SHA-256 of the list. */
    list: string
    units: PlannedUnit[]
}

/** 40 bits: of a million units two would be alike once in two, so each is looked up in the plan and at the group server. */
const idBytes = 5
const unitFileBytesMax = 8192

export class Batch {
    readonly folder: string
    readonly units: PlannedUnit[]
    #asked: Set<string>

    private constructor(folder: string, units: PlannedUnit[]) {
        this.folder = folder
        this.units = units
        const path = join(folder, "asked.log")
        this.#asked = new Set()
        for (const line of existsSync(path) ? readFileSync(path, "utf8").split("\n") : [])
            if (line.startsWith("!")) this.#asked.delete(line.slice(1))
            else this.#asked.add(line)
    }

    /** Begins a batch, or finds the one that was begun here with the same list. */
    static open(folder: string, list: string, wanted: WantedUnit[]): Outcome<Batch> {
        const hash = createHash("sha256").update(list).digest("hex")
        const path = join(folder, "plan.json")
        try {
            mkdirSync(join(folder, "units"), { recursive: true, mode: 0o700 })
            mkdirSync(join(folder, "labels"), { recursive: true, mode: 0o700 })
            if (!existsSync(path)) {
                const plan: Plan = { version: 1, list: hash, units: withIdentities(wanted) }
                writeWhole(path, `${JSON.stringify(plan)}\n`)
            }
            const plan = JSON.parse(readFileSync(path, "utf8")) as Plan
            if (plan.version !== 1 || !Array.isArray(plan.units)) throw new Error(`${path} is no plan of a batch`)
            if (plan.list !== hash)
                return failure("failed", "other-list", `${folder} holds a batch that was begun with another list`, {
                    who: "you",
                    next: "give the list it was begun with, or another folder: --out DIR",
                })
            return success(new Batch(folder, plan.units))
        } catch (error) {
            return failure("failed", "batch", `the folder of the batch cannot be used: ${messageOf(error)}`, {
                who: "you",
                next: "take a folder that you may write: --out DIR",
            })
        }
    }

    /** Whether the group server may have enrolled it for us, with an answer that was lost. */
    wasAsked(unit: PlannedUnit): boolean {
        return this.#asked.has(unit.id)
    }

    noteAsked(unit: PlannedUnit): void {
        if (this.#asked.has(unit.id)) return
        this.#asked.add(unit.id)
        appendFileSync(join(this.folder, "asked.log"), `${unit.id}\n`, { mode: 0o600 })
    }

    /** It belongs to somebody else, also when the batch is run again. */
    noteRefused(unit: PlannedUnit): void {
        this.#asked.delete(unit.id)
        appendFileSync(join(this.folder, "asked.log"), `!${unit.id}\n`, { mode: 0o600 })
    }

    isEnrolled(unit: PlannedUnit): boolean {
        return existsSync(unitPath(this.folder, unit.id))
    }

    keep(unit: Unit): void {
        writeWhole(unitPath(this.folder, unit.id), `${JSON.stringify(unit, null, 2)}\n`)
    }

    writeResult(states: Map<string, string>): string {
        const path = join(this.folder, "result.csv")
        const rows = this.units.map(({ id, name, room, board }) => [
            id,
            name,
            room,
            board,
            this.isEnrolled({ id } as PlannedUnit) ? "enrolled" : (states.get(id) ?? "to do"),
        ])
        const text = [["id", "name", "room", "board", "state"], ...rows].map(row => row.map(cell).join(",")).join("\n")
        writeWhole(path, `${text}\n`)
        return path
    }
}

/** A unit that `enrol` has kept. */
export function readUnit(path: string): Outcome<Unit> {
    try {
        const text = readFileSync(path, "utf8")
        if (text.length > unitFileBytesMax) throw new Error(`larger than ${unitFileBytesMax} bytes`)
        const unit = JSON.parse(text) as Unit
        for (const name of ["id", "name", "board", "secret", "host", "wifi", "password"] as const)
            if (typeof unit[name] !== "string") throw new Error(`"${name}" is missing`)
        if (!Number.isInteger(unit.port) || !Number.isInteger(unit.zoneMinutes))
            throw new Error('"port" or "zoneMinutes" is no number')
        return success(unit)
    } catch (error) {
        return failure("failed", "unit", `${path} is no unit: ${messageOf(error)}`, {
            who: "you",
            next: "units/<id>.json in the folder of a batch that parley factory enrol made",
        })
    }
}

/** Keys of `src/settings.ts`, and those under which the firmware of the ESP32 keeps its network. */
export function settingsOf(unit: Unit): Settings {
    return {
        "p.id": unit.id,
        "p.secret": unit.secret,
        "p.host": unit.host,
        "p.port": unit.port,
        ...(unit.zoneMinutes !== 0 && { tz: unit.zoneMinutes }),
        ...(unit.wifi !== "" && { wifi_ssid: Buffer.from(unit.wifi), wifi_psk: Buffer.from(unit.password) }),
    }
}

function unitPath(folder: string, id: string): string {
    return join(folder, "units", `${id}.json`)
}

function withIdentities(wanted: WantedUnit[]): PlannedUnit[] {
    const taken = new Set(wanted.map(unit => unit.id))
    return wanted.map(unit => {
        let id = unit.id
        while (id === "" || (unit.id === "" && taken.has(id)))
            id = `${unit.board}-${randomBytes(idBytes).toString("hex")}`
        taken.add(id)
        return { ...unit, id, key: randomBytes(16).toString("hex") }
    })
}

/** Quoted where CSV needs it; what a spreadsheet would take for a formula is not let through as one. */
function cell(text: string): string {
    const safe = /^[=+\-@]/.test(text) ? `'${text}` : text
    return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
