/**
 * What the verbs of `parley device config` and `parley device wifi` do. Owns reading the file of a configuration and the texts
 * for people; what is tried, and how, stands in `apply.ts` and `radio.ts`.
 */

import { failure, type Outcome, success, usage } from "../outcome.ts"
import { table } from "../output.ts"
import type { Answer, Call } from "../shell.ts"
import { applyConfig, changeNetwork, type Difference, differences } from "./apply.ts"
import type { BoardLink } from "./board-link.ts"
import { configBytesMax, described, fileBytes, secretText, withBoard } from "./call.ts"
import {
    brokerText,
    type ConfigKey,
    checkConfig,
    configKeys,
    type DeviceConfig,
    type WifiNetwork,
    wifiNameProblem,
    wifiPasswordProblem,
} from "./config.ts"
import { forgetNetworks, lookAtRadio, radioOf, scan } from "./radio.ts"
import { SettingsStore } from "./settings-store.ts"

export function configGet(call: Call): Promise<Outcome<Answer>> {
    const key = call.words[0] || undefined
    if (key !== undefined && !Object.hasOwn(configKeys, key))
        return Promise.resolve(usage(`there is no key "${key}"; there are ${Object.keys(configKeys).join(", ")}`))
    return withBoard(call, async link => {
        const store = await SettingsStore.of(link)
        if (!store.ok) return store
        const config = await store.value.config()
        if (!config.ok) return config
        const { id, secret, broker, zoneMinutes } = config.value
        const shown = {
            id: id ?? null,
            secret: secret === undefined ? "not set" : "set",
            broker: broker ? brokerText(broker) : null,
            zoneMinutes: zoneMinutes ?? 0,
        }
        if (key === undefined) return success({ value: shown, text: described(shown) })
        const value = shown[key as ConfigKey]
        return success({ value: { [key]: value }, text: String(value ?? "not set") })
    })
}

export async function configSet(call: Call): Promise<Outcome<Answer>> {
    const [key = "", given = ""] = call.words
    if (!Object.hasOwn(configKeys, key))
        return usage(`there is no key "${key}"; there are ${Object.keys(configKeys).join(", ")}`)
    let value: unknown = given
    if (key === "secret") {
        // A command line can be read by everybody on the machine.
        if (given !== "-" && !given.startsWith("@"))
            return usage("a secret is read from a file: @FILE, or - for standard input")
        const text = secretText(given === "-" ? given : given.slice(1))
        if (!text.ok) return text
        value = text.value
    }
    if (key === "zoneMinutes") value = given === "" ? given : Number(given)
    const checked = checkConfig({ [key]: value })
    if (!checked.ok) return refused(checked.problems)
    return apply(call, checked.config)
}

export async function configApply(call: Call): Promise<Outcome<Answer>> {
    const config = readConfigFile(call.words[0]!)
    return config.ok ? apply(call, config.value) : config
}

export async function configDiff(call: Call): Promise<Outcome<Answer>> {
    const config = readConfigFile(call.words[0]!)
    if (!config.ok) return config
    return withBoard(call, async link => {
        const store = await SettingsStore.of(link)
        if (!store.ok) return store
        const list = await differences(link, store.value, config.value)
        if (!list.ok) return list
        return success({
            value: { differences: list.value },
            text: differenceTable(list.value),
            ...(list.value.length > 0 ? { exit: "failed" as const } : {}),
        })
    })
}

async function apply(call: Call, config: DeviceConfig): Promise<Outcome<Answer>> {
    const present = presentPassword(call)
    if (!present.ok) return present
    return withBoard(call, async link => {
        const before = await networkBefore(link, present.value)
        const applied = await applyConfig(link, config, {
            wifiBefore: before,
            withoutWayBack: call.flags.yes === true,
            progress: text => call.output.progress(text),
        })
        if (!applied.ok) return applied
        const { changed } = applied.value
        return success({
            value: applied.value,
            text: changed.length === 0 ? "it is so already" : `${differenceTable(changed)}\nin force`,
        })
    })
}

export function wifiScan(call: Call): Promise<Outcome<Answer>> {
    return withBoard(call, async link => {
        const radio = await radioOf(link)
        if (!radio.ok) return radio
        const networks = await scan(link, radio.value)
        if (!networks)
            return failure("timeout", "no-scan", "the radio does not tell what it hears", {
                who: "you",
                next: "parley device doctor",
            })
        const rows = networks.map(one => [one.name, `${one.rssiDb} dBm`, one.secured ? "password" : "open"])
        return success({ value: { networks }, text: table(["NETWORK", "SIGNAL", "ACCESS"], rows) })
    })
}

export async function wifiAdd(call: Call): Promise<Outcome<Answer>> {
    const name = call.words[0]!
    const file = call.flags.passwordFile
    const password = typeof file === "string" ? secretText(file) : success("")
    if (!password.ok) return password
    const problem = wifiNameProblem(name) ?? wifiPasswordProblem(password.value)
    if (problem) return usage(`${wifiNameProblem(name) ? "the name" : "the password"} ${problem}`)
    const present = presentPassword(call)
    if (!present.ok) return present
    return withBoard(call, async link => {
        const joined = await changeNetwork(
            link,
            { name, password: password.value },
            {
                wifiBefore: await networkBefore(link, present.value),
                withoutWayBack: call.flags.yes === true,
                progress: text => call.output.progress(text),
            },
        )
        if (!joined.ok) return joined
        return success({
            value: { name, ...joined.value },
            text: `joined "${name}", address ${joined.value.address}`,
        })
    })
}

export function wifiForget(call: Call): Promise<Outcome<Answer>> {
    return withBoard(call, async link => {
        const radio = await radioOf(link)
        if (!radio.ok) return radio
        if (!(await call.confirm("Forget the network? The board is offline then.")))
            return usage("nothing was forgotten: the board would be offline, so it wants --yes")
        if (await forgetNetworks(link, radio.value)) return success({ value: { networks: [] }, text: "forgotten" })
        return failure("failed", "not-forgotten", "the radio still stores a network", { who: "maker" })
    })
}

function presentPassword(call: Call): Outcome<string | undefined> {
    const file = call.flags.presentPasswordFile
    return typeof file === "string" ? secretText(file) : success(undefined)
}

/** The network that the board is on, with the password that the person has given for it. */
async function networkBefore(link: BoardLink, password: string | undefined): Promise<WifiNetwork | undefined> {
    if (password === undefined) return undefined
    const radio = await radioOf(link)
    const name = radio.ok ? (await lookAtRadio(link, radio.value, false)).joined : ""
    return name === "" ? undefined : { name, password }
}

function readConfigFile(path: string): Outcome<DeviceConfig> {
    const bytes = fileBytes(path, configBytesMax)
    if (!bytes.ok) return bytes
    let content: unknown
    try {
        content = JSON.parse(bytes.value.toString("utf8"))
    } catch {
        // Not the parser's words: they can quote a secret.
        return usage(`${path} is not JSON`)
    }
    const checked = checkConfig(content)
    return checked.ok ? success(checked.config) : refused(checked.problems, path)
}

function refused(problems: { at: string; what: string }[], path = "") {
    const lines = problems.map(problem => `${problem.at}: ${problem.what}`)
    return failure("usage", "bad-config", `${path ? `${path}: ` : ""}${lines.join("; ")}`, {
        who: "you",
        next: "nothing was stored; mend it and try again",
        details: { problems },
    })
}

function differenceTable(list: Difference[]): string {
    if (list.length === 0) return "no difference"
    return table(
        ["KEY", "NOW", "WANTED"],
        list.map(({ key, now, wanted }) => [key, now, wanted]),
    )
}
