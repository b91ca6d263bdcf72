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
    const endMs = performance.now() + limitMs
    let seen = await look()
    while (service && !isSettled(seen) && performance.now() < endMs && !link.ended) {
        await new Promise(resolve => setTimeout(resolve, lookAgainMs))
        seen = await look()
    }
    if (seen.wifi?.joined === "") seen.wifi = await wifi(true)
    return {
        ...seen,
        frames: link.frames,
        damaged: link.damaged(),
        hasMachine: machine !== undefined,
        isRunning: isRunning && isRunning.length > 0 ? isRunning[0] !== 0 : undefined,
        panics: link.log.filter(line => /\bpanic\b/i.test(line)),
        identity: readIdentity(await link.read(service, applianceCodes.registers.identity)),
        provisioned: await provisioned(link),
    }
}

/** It has come as far as it can, or says what stops it. */
function isSettled({ phase, health, wifi }: Pick<Evidence, "phase" | "health" | "wifi">): boolean {
    if (!health || phase === undefined) return false
    if (phase === "unprovisioned" || phase === "refused") return true
    if (wifi && (wifi.joined === "" || wifi.address === "")) return true
    if (phase === "connecting")
        return health.socket !== "" || (health.ended !== "not-yet" && health.ended !== "stopped")
    if (phase === "registering") return health.reason !== ""
    if (phase === "choosing" || phase === "attaching") return health.reason !== "" || !health.mediaPresent
    return health.clockErrorMs !== undefined
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
