/**
 * Puts a checked configuration onto a board: what differs, tried first where a mistake would cut the board off, and the old
 * state back when the trial fails.
 *
 * Owns the order (Wi-Fi, then identity and broker, then the rest) and what is told of differences. Never shows a secret.
 */

import type { JDService } from "../../node_modules/jacdac-ts/dist/types/src/jacdac.js"
import { failure, type Outcome, success } from "../outcome.ts"
import { applianceCodes, type TrialName, trialNames } from "./appliance-service.ts"
import { applianceClass, type BoardLink } from "./board-link.ts"
import { brokerText, type DeviceConfig, type WifiNetwork } from "./config.ts"
import { forgetNetworks, lookAtRadio, radioOf, tryNetwork } from "./radio.ts"
import { SettingsStore, type SettingValue } from "./settings-store.ts"

export interface Difference {
    key: string
    /** As people may see them: a secret is only "set" or "not set". */
    now: string
    wanted: string
}

export interface Applied {
    changed: Difference[]
    /** What came of trying identity and broker; "none" when they did not change. */
    trial: TrialName
    /** The address that another network has given. */
    address?: string
}

export interface ApplyOptions {
    /** Put back when the new network fails. */
    wifiBefore?: WifiNetwork
    /** The person knows that there is no way back to the present network. */
    withoutWayBack: boolean
    progress: (text: string) => void
}

/** The firmware gives itself 30 s; it restarts before and after. */
const trialMs = 45_000
const lookAgainMs = 300
/** The program ends within a moment and is back after a second. */
const restartMs = 3000
const commandAttempts = 2

export async function differences(
    link: BoardLink,
    store: SettingsStore,
    wanted: DeviceConfig,
): Promise<Outcome<Difference[]>> {
    const present = await store.config()
    if (!present.ok) return present
    const now = present.value
    const list: Difference[] = []
    const differ = (key: string, from: string, to: string) => list.push({ key, now: from, wanted: to })
    if (wanted.id !== undefined && wanted.id !== now.id) differ("id", now.id ?? "not set", wanted.id)
    if (wanted.secret !== undefined && wanted.secret !== now.secret)
        differ("secret", now.secret === undefined ? "not set" : "another one", "the given one")
    if (wanted.broker) {
        const to = brokerText(wanted.broker)
        const from = now.broker ? brokerText(now.broker) : "not set"
        if (from !== to) differ("broker", from, to)
    }
    if (wanted.zoneMinutes !== undefined && wanted.zoneMinutes !== now.zoneMinutes)
        differ("zoneMinutes", String(now.zoneMinutes ?? 0), String(wanted.zoneMinutes))
    if (wanted.wifi) {
        const radio = await radioOf(link)
        if (!radio.ok) return radio
        const { joined } = await lookAtRadio(link, radio.value, false)
        // A radio never tells a password: a network it is joined to has the right one.
        if (joined !== wanted.wifi.name) differ("wifi", joined || "none", wanted.wifi.name)
    }
    return success(list)
}

export async function applyConfig(
    link: BoardLink,
    wanted: DeviceConfig,
    options: ApplyOptions,
): Promise<Outcome<Applied>> {
    const store = await SettingsStore.of(link)
    if (!store.ok) return store
    const changed = await differences(link, store.value, wanted)
    if (!changed.ok) return changed
    const keys = new Set(changed.value.map(difference => difference.key))
    const applied: Applied = { changed: changed.value, trial: "none" }
    if (wanted.wifi && keys.has("wifi")) {
        const joined = await changeNetwork(link, wanted.wifi, options)
        if (!joined.ok) return joined
        applied.address = joined.value.address
    }
    if (keys.has("id") || keys.has("secret") || keys.has("broker")) {
        options.progress("trying identity and broker; the old ones come back by themselves")
        const tried = await tryIdentity(link, store.value, wanted, keys)
        if (!tried.ok) {
            if (keys.has("wifi")) await undoNetwork(link, options.wifiBefore)
            return tried
        }
        applied.trial = tried.value
    }
    if (keys.has("zoneMinutes")) {
        const written = await store.value.write("tz", wanted.zoneMinutes)
        if (!written.ok) return written
    }
    return success(applied)
}

export async function changeNetwork(
    link: BoardLink,
    network: WifiNetwork,
    { wifiBefore, withoutWayBack, progress }: ApplyOptions,
): Promise<Outcome<{ address: string }>> {
    const radio = await radioOf(link)
    if (!radio.ok) return radio
    const { joined, heard } = await lookAtRadio(link, radio.value, true)
    const found = heard?.find(one => one.name === network.name)
    if (heard && !found)
        return failure("failed", "not-heard", `the board does not hear "${network.name}"`, {
            who: "you",
            next: "parley device wifi scan",
        })
    if (found && found.secured !== (network.password !== ""))
        return failure(
            "failed",
            found.secured ? "password-missing" : "password-needless",
            `"${network.name}" ${found.secured ? "wants a password, and none is given" : "is open, and a password is given"}`,
            { who: "you", next: "parley device wifi add NAME --password-file FILE" },
        )
    const hasWayBack = wifiBefore !== undefined && wifiBefore.name === joined
    if (joined !== "" && !hasWayBack && !withoutWayBack)
        return failure(
            "failed",
            "no-way-back",
            `the board works on "${joined}", and no board tells a stored password: it could not return by itself`,
            {
                who: "you",
                next: "give its password with --present-password-file FILE, or --yes to go without a way back",
            },
        )
    progress(`joining "${network.name}"`)
    return await tryNetwork(link, radio.value, network, hasWayBack ? wifiBefore : undefined)
}

async function undoNetwork(link: BoardLink, before: WifiNetwork | undefined): Promise<void> {
    const radio = await radioOf(link)
    if (!radio.ok) return
    if (before) await tryNetwork(link, radio.value, before, undefined)
    else await forgetNetworks(link, radio.value)
}

/** Lets the firmware try candidates; it decides, and comes back by itself. */
async function tryIdentity(
    link: BoardLink,
    store: SettingsStore,
    wanted: DeviceConfig,
    keys: Set<string>,
): Promise<Outcome<TrialName>> {
    const candidates: Record<string, SettingValue> = {
        "n.id": keys.has("id") ? wanted.id : undefined,
        "n.secret": keys.has("secret") ? wanted.secret : undefined,
        "n.host": keys.has("broker") ? wanted.broker?.host : undefined,
        "n.port": keys.has("broker") ? wanted.broker?.port : undefined,
    }
    const service = await link.service(applianceClass)
    if (!service || (await readTrial(link)) === undefined)
        return failure("failed", "cannot-try", "the program on the board cannot try settings", {
            who: "you",
            next: "parley device deploy FILE",
        })
    for (const [key, value] of Object.entries(candidates)) {
        const written = await store.write(key, value)
        if (!written.ok) return written
    }
    const outcome = (await beginTrial(link, service)) ? await trialOutcome(link) : undefined
    if (outcome === "accepted") return success(outcome)
    if (outcome === undefined)
        return failure("timeout", "no-answer", `the board does not tell what came of the trial`, {
            who: "you",
            next: "parley device doctor",
        })
    const whys: Partial<Record<TrialName, string>> = {
        failed: "the appliance could not connect and register with the new settings within 30 s",
        interrupted: "power or program ended during the trial",
        invalid: "the firmware does not accept the new settings",
    }
    return failure("failed", `trial-${outcome}`, `${whys[outcome] ?? outcome}; the old ones are in force again`, {
        who: "you",
        next: "parley device doctor; then check id, secret and broker",
    })
}

/** Whether the program has restarted into the trial. Commands to it are not acknowledged: one that is lost is sent again. */
async function beginTrial(link: BoardLink, service: JDService): Promise<boolean> {
    for (let attempt = 0; attempt < commandAttempts; attempt++) {
        await link.command(service, applianceCodes.commands.trySettings)
        const endMs = performance.now() + restartMs
        while (performance.now() < endMs && !link.ended) {
            const outcome = await readTrial(link)
            // It does not answer while it restarts.
            if (outcome === undefined || outcome === "trying") return true
            await new Promise(resolve => setTimeout(resolve, lookAgainMs))
        }
    }
    return false
}

async function trialOutcome(link: BoardLink): Promise<TrialName | undefined> {
    const endMs = performance.now() + trialMs
    while (performance.now() < endMs && !link.ended) {
        await new Promise(resolve => setTimeout(resolve, lookAgainMs))
        const outcome = await readTrial(link)
        if (outcome !== undefined && outcome !== "trying") return outcome
    }
    return undefined
}

async function readTrial(link: BoardLink): Promise<TrialName | undefined> {
    const data = await link.read(await link.service(applianceClass), applianceCodes.registers.trial)
    return data && data.length > 0 ? trialNames[data[0]!] : undefined
}
