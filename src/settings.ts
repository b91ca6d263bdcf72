/**
 * What the appliance keeps in flash. Owns the keys and their checks: flash is an outside input, written by enrolment
 * tools, by former versions, or cut off half-way. Each value is JSON text.
 *
 *   p.id p.secret p.host p.port   provisioning, written by tools
 *   n.id n.secret n.host n.port   candidates of a trial, likewise (`trial.ts`)
 *   tz                            minutes east of UTC, for the times on the screen
 *   boot end trial muted volume session agenda0..agenda4   the appliance's own
 */

import type * as ds from "@devicescript/core"
import { settings } from "@devicescript/settings"
import { limits } from "../protocol/limits"
import type { AgendaItem } from "../protocol/messages"
import { isIdentifier, utf8Bytes } from "../protocol/text"
import { unpackItem } from "./appliance/agenda"

import type { Kept } from "./appliance/appliance"
import { listen } from "./hear"
import type { MqttOptions } from "./mqtt/client"
import { newSignal, raise, raised } from "./mqtt/signal"
import { parseJson } from "./mqtt/text"

/** `id` is "" when something is missing or wrong. */
export type Provisioning = Pick<MqttOptions, "id" | "secret" | "host" | "port">

/** What provisioning is made of. */
export const provisioned: (keyof Provisioning)[] = ["id", "secret", "host", "port"]

const maxBoot = 4294967295
const hostBytes = 64

const answered = newSignal()
let wantedKey = ""
let answer: any

/** The JSON value kept under `key`; undefined when there is none. Not by the package, which leaves emitters behind. */
export async function readSetting(key: string): Promise<any> {
    wantedKey = key
    listen(hearSettings)
    await settings.get(key)
    await raised(answered)
    return answer
}

function hearSettings(role: ds.Role, packet: ds.Packet): void {
    if (role !== settings || !packet || packet.spec.name !== "get") return
    const [key, bytes] = packet.decode()
    if (key !== wantedKey) return
    answer = bytes && bytes.length > 0 ? parseJson(bytes) : undefined
    raise(answered)
}

export async function readInteger(key: string, min: number, max: number, otherwise: number): Promise<number> {
    const value = await readSetting(key)
    if (typeof value !== "number" || Math.round(value) !== value || value < min || value > max) return otherwise
    return value
}

async function readText(key: string, maxBytes: number): Promise<string> {
    const value = await readSetting(key)
    return typeof value === "string" && utf8Bytes(value) <= maxBytes ? value : ""
}

export async function saveSetting(key: string, text: string): Promise<void> {
    // Not `writeSetting`: it corrupts text outside of ASCII.
    await settings.set(key, Buffer.from(text))
}

/** `keys` is "p." or, for candidates, "n."; what these lack is as it was. */
export async function readProvisioning(keys: string): Promise<Provisioning> {
    const id = (await readText(`${keys}id`, limits.identifierBytes)) || (await readText("p.id", limits.identifierBytes))
    const secret =
        (await readText(`${keys}secret`, limits.secretBytes)) || (await readText("p.secret", limits.secretBytes))
    const host = (await readText(`${keys}host`, hostBytes)) || (await readText("p.host", hostBytes))
    const port = await readInteger(`${keys}port`, 1, 65535, await readInteger("p.port", 1, 65535, 1883))
    const isWhole = isIdentifier(id) && secret !== "" && host !== ""
    return { id: isWhole ? id : "", secret, host, port }
}

/** Counts this boot; the number is in flash before anybody hears of it. */
export async function countBoot(): Promise<number> {
    const last = await readInteger("boot", 0, maxBoot - 1, 0)
    await saveSetting("boot", `${last + 1}`)
    return last + 1
}

export async function readKept(): Promise<Kept> {
    const agenda: AgendaItem[] = []
    for (let i = 0; i < limits.agendaSessions; i++) {
        const item = unpackItem(await readSetting(`agenda${i}`))
        if (item) agenda.push(item)
    }
    // The power went in a session: nobody in the room expects to be heard before they say so.
    const session = await readText("session", limits.identifierBytes)
    const wasInSession = session !== ""
    const muted = wasInSession || (await readInteger("muted", 0, 1, 0)) === 1
    if (wasInSession) {
        await saveSetting("muted", "1")
        // It is rejoined once: should that be what the program dies of, the next life begins without.
        await saveSetting("session", '""')
    }
    return { agenda, session, muted, volume: await readInteger("volume", 0, 100, 50) }
}

/** Longer than both halves of the settings' flash: a deleted value stays readable until its half is written anew. */
const fillers = 160
const fillerBytes = 200

/** Erases everything, so that not even reading out the flash brings it back. Takes some seconds. */
export async function eraseSettings(): Promise<void> {
    const keys = ["tz", "session", "end"]
    for (const name of provisioned) keys.push(`p.${name}`, `n.${name}`)
    for (let i = 0; i < limits.agendaSessions; i++) keys.push(`agenda${i}`)
    for (const key of keys) await saveSetting(key, "")
    const filler = Buffer.alloc(fillerBytes)
    for (let i = 0; i < fillers; i++) {
        filler[0] = i + 1
        await settings.set("fill", filler)
    }
    await saveSetting("fill", "")
}
