/**
 * Gathers what `doctor.ts` judges: asks the board's services, and gives an appliance that has just started the time to come
 * as far as it can. Never judges.
 */

import { jacdac } from "../../serial/jacdac.ts"
import { applianceCodes, readHealth, readIdentity, readPhase } from "./appliance-service.ts"
import { applianceClass, type BoardLink } from "./board-link.ts"
import { defaultPort } from "./config.ts"
import type { Evidence } from "./doctor.ts"
import { lookAtRadio } from "./radio.ts"
import { SettingsStore, type SettingValue } from "./settings-store.ts"

/** Longer than a request of the appliance waits for its answer, so that its reason is there. */
const settleMs = 20_000
const lookAgainMs = 500
const stableMs = 4000
const earlyPhases: string[] = ["unprovisioned", "connecting", "refused", "registering", "choosing", "attaching"]
const crashMs = 6500
const running = 0x80

export async function gatherEvidence(link: BoardLink, limitMs = settleMs): Promise<Evidence> {
    const machine = await link.machine()
    const manager = link.services(jacdac.SRV_DEVICE_SCRIPT_MANAGER)[0]
    const service = machine ? await link.service(applianceClass) : undefined
    const radio = machine ? await link.service(jacdac.SRV_WIFI) : undefined
    const isRunning = await link.read(manager, running)
    const wifi = async (withScan: boolean) => (radio ? await lookAtRadio(link, radio, withScan) : undefined)
    const look = async () => ({
        phase: await readPhase(link, service),
        health: readHealth(await link.read(service, applianceCodes.registers.health)),
        wifi: await wifi(false),
    })
    // A program that crashes starts again each five seconds, and tells of it then.
    if (machine && !service) await waitFor(() => panicsOf(link).length > 0 || link.ended, crashMs)
    const endMs = performance.now() + limitMs
    let seen = await look()
    let picture = pictureOf(seen)
    let sinceMs = performance.now()
    const isStable = () => performance.now() - sinceMs >= stableMs
    while (service && !(isWell(seen) || isStuck(seen, isStable())) && performance.now() < endMs && !link.ended) {
        await new Promise(resolve => setTimeout(resolve, lookAgainMs))
        seen = await look()
        if (pictureOf(seen) !== picture) sinceMs = performance.now()
        picture = pictureOf(seen)
    }
    if (seen.wifi?.joined === "") seen.wifi = await wifi(true)
    return {
        ...seen,
        frames: link.frames,
        damaged: link.damaged(),
        hasMachine: machine !== undefined,
        isRunning: isRunning && isRunning.length > 0 ? isRunning[0] !== 0 : undefined,
        panics: panicsOf(link),
        identity: readIdentity(await link.read(service, applianceCodes.registers.identity)),
        shownTime: await readShownTime(link),
        provisioned: await provisioned(link),
    }
}

/** Lines of the machine itself, not of a program. */
function panicsOf(link: BoardLink): string[] {
    return link.log.filter(line => /\bPANIC \d+/.test(line))
}

async function waitFor(holds: () => boolean, limitMs: number): Promise<void> {
    const endMs = performance.now() + limitMs
    while (!holds() && performance.now() < endMs) await new Promise(resolve => setTimeout(resolve, lookAgainMs))
}

type Seen = Pick<Evidence, "phase" | "health" | "wifi">

function pictureOf({ phase, health }: Seen): string {
    return JSON.stringify([phase, health?.ended, health?.denial, health?.mediaPresent, health?.reason, health?.socket])
}

function isWell({ phase, health }: Seen): boolean {
    const isPast = phase !== undefined && !earlyPhases.includes(phase)
    return isPast && health?.clockErrorMs !== undefined && health.mediaPresent
}

/** It says what stops it, and has for a while: an appliance that has just started is on its way. */
function isStuck({ phase, health, wifi }: Seen, isStable: boolean): boolean {
    if (!health || phase === undefined) return false
    if (phase === "unprovisioned") return true
    if (wifi && (wifi.joined === "" || wifi.address === "")) return true
    if (!isStable) return false
    if (phase === "refused") return true
    if (phase === "connecting") return health.socket !== "" || health.ended !== "not-yet"
    return health.reason !== "" || !health.mediaPresent
}

/** "14:05", as it stands at the end of the first line of its screen, and what it is here, in its own zone. */
async function readShownTime(link: BoardLink): Promise<Evidence["shownTime"]> {
    const [screen] = link.services(jacdac.SRV_CHARACTER_SCREEN)
    const text = (await link.read(screen, jacdac.CharacterScreenReg.Message))?.toString("utf8") ?? ""
    const shown = /([01]\d|2[0-3]):[0-5]\d$/.exec(text.split("\n")[0]!.trimEnd())?.[0]
    if (shown === undefined) return undefined
    const store = await SettingsStore.of(link)
    const zone = store.ok ? await store.value.read("tz") : store
    const zoneMinutes = zone.ok && typeof zone.value === "number" ? zone.value : 0
    const here = new Date(Date.now() + zoneMinutes * 60_000).toISOString().slice(11, 16)
    return { shown, here }
}

async function provisioned(link: BoardLink): Promise<Evidence["provisioned"]> {
    const nothing = { id: false, secret: false, broker: undefined }
    if (link.services(jacdac.SRV_SETTINGS).length === 0) return nothing
    const store = await SettingsStore.of(link)
    if (!store.ok) return nothing
    const read = async (key: string): Promise<SettingValue> => {
        const value = await store.value.read(key)
        return value.ok ? value.value : undefined
    }
    const host = await read("p.host")
    const port = await read("p.port")
    const isText = (value: SettingValue) => typeof value === "string" && value !== ""
    return {
        id: isText(await read("p.id")),
        secret: isText(await read("p.secret")),
        broker: isText(host)
            ? { host: host as string, port: typeof port === "number" ? port : defaultPort }
            : undefined,
    }
}
