/**
 * Enrols the units of a batch at the group server, one after the other, and keeps each with its secret and its label. Can
 * be killed at any moment and run again: whoever is kept is not asked for again, and whoever was asked for without an answer
 * gets a new secret under the same identity.
 */

import { existsSync } from "node:fs"
import { join } from "node:path"
import type { GroupClient } from "../../servers/group/client.ts"
import type { EnrolledEndpoint } from "../../servers/group/http/schemas.ts"
import { failure, type Outcome } from "../outcome.ts"
import { fromGroup } from "../system/group.ts"
import type { Batch, PlannedUnit } from "./batch.ts"
import { pngCode, svgLabel } from "./label.ts"
import { writeWhole } from "./whole-file.ts"

export interface EnrolOptions {
    batch: Batch
    group: GroupClient
    broker: { host: string; port: number }
    labels: "svg" | "png"
    progress: (done: number, of: number) => void
}

export interface EnrolResult {
    units: number
    enrolled: number
    /** Of those, by this run. */
    now: number
    refused: { id: string; code: string; what: string }[]
    /** Why it stopped before the end. */
    stopped?: Outcome<never> & { ok: false }
    result: string
}

const progressEvery = 10

export async function enrolUnits({ batch, group, broker, labels, progress }: EnrolOptions): Promise<EnrolResult> {
    const refused: EnrolResult["refused"] = []
    let enrolled = 0
    let now = 0
    let stopped: EnrolResult["stopped"]
    for (const [i, unit] of batch.units.entries()) {
        if (!batch.isEnrolled(unit)) {
            const answer = await enrolOne(batch, group, unit)
            if (answer.ok) {
                const { key: _key, ...wanted } = unit
                batch.keep({ ...wanted, secret: answer.value.secret, ...broker })
                now++
            } else if (
                answer.exit === "notRunning" ||
                ["too-fast", "unauthenticated", "unavailable"].includes(answer.code)
            ) {
                stopped = answer
                break
            } else refused.push({ id: unit.id, code: answer.code, what: answer.what })
        }
        if (batch.isEnrolled(unit)) {
            enrolled++
            await label(batch, unit, labels)
        }
        if ((i + 1) % progressEvery === 0 || i + 1 === batch.units.length) progress(i + 1, batch.units.length)
    }
    const result = batch.writeResult(new Map(refused.map(({ id, what }) => [id, `refused: ${what}`])))
    return { units: batch.units.length, enrolled, now, refused, stopped, result }
}

async function enrolOne(batch: Batch, group: GroupClient, unit: PlannedUnit): Promise<Outcome<EnrolledEndpoint>> {
    const wasAsked = batch.wasAsked(unit)
    batch.noteAsked(unit)
    const first = fromGroup(await group.enrolEndpoint(unit.id, unit.name, unit.key))
    if (first.ok || first.exit === "notRunning") return first
    if (!wasAsked) {
        batch.noteRefused(unit)
        return first
    }
    // Enrolled by a run before this one, which did not live to keep the secret. Nobody can have it.
    const known = fromGroup(await group.getEndpoint(unit.id))
    if (!known.ok) return first
    if (known.value.boot !== 0 || known.value.name !== unit.name)
        return failure("failed", "id-taken", `${unit.id} is in use by another unit`, {
            who: "you",
            next: "parley endpoint list",
        })
    const removed = fromGroup(await group.deleteEndpoint(unit.id))
    if (!removed.ok) return removed
    return fromGroup(await group.enrolEndpoint(unit.id, unit.name))
}

async function label(batch: Batch, unit: PlannedUnit, kind: "svg" | "png"): Promise<void> {
    const path = join(batch.folder, "labels", `${unit.id}.${kind}`)
    if (existsSync(path)) return
    writeWhole(path, kind === "svg" ? await svgLabel(unit) : await pngCode(unit), 0o644)
}
