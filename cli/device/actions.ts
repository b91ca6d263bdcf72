/**
 * What the verbs of `parley device` do: open the port, ask or change, say it in words. Owns reading files and the texts for
 * people. What a board's answers mean is told by the modules beside this one.
 */

import { readFileSync } from "node:fs"
import { jacdac } from "../../serial/jacdac.ts"
import { failure, messageOf, type Outcome, success, usage } from "../outcome.ts"
import { table } from "../output.ts"
import type { Answer, Call } from "../shell.ts"
import { applianceCodes, readCounters, readHealth, readIdentity, readPhase } from "./appliance-service.ts"
import { applyConfig, changeNetwork, type Difference, differences } from "./apply.ts"
import { applianceClass, BoardLink, type LinkOptions } from "./board-link.ts"
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
import { diagnose } from "./doctor.ts"
import { gatherEvidence } from "./evidence.ts"
import { forgetNetworks, lookAtRadio, radioOf, scan } from "./radio.ts"
import * as restart from "./restart.ts"
import { SettingsStore } from "./settings-store.ts"

const configBytesMax = 16 * 1024
const secondsMax = 86_400

async function withBoard(
    call: Call,
    act: (link: BoardLink) => Promise<Outcome<Answer>>,
    options: LinkOptions = {},
): Promise<Outcome<Answer>> {
    const path = typeof call.flags.port === "string" ? call.flags.port : process.env.PARLEY_PORT
    if (!path) return usage("which board? --port PATH is needed (or PARLEY_PORT)")
    const opened = await BoardLink.open(path, options)
    if (!opened.ok) return opened
    try {
        return await act(opened.value)
    } finally {
        await opened.value.close()
    }
}

function noAppliance(link: BoardLink) {
    return failure("timeout", "no-answer", `no appliance answers at ${link.path}`, {
        who: "you",
        next: "parley device doctor",
    })
}

export function status(call: Call): Promise<Outcome<Answer>> {
    return withBoard(call, async link => {
        const machine = await link.machine()
        const service = await link.service(applianceClass)
        const phase = await readPhase(link, service)
        if (!machine || phase === undefined) return noAppliance(link)
        const { registers } = applianceCodes
        const text = async (register: number) => (await link.read(service, register))?.toString("utf8") ?? ""
        const manager = link.services(jacdac.SRV_DEVICE_SCRIPT_MANAGER)[0]
        const sha256 = await link.read(manager, jacdac.DeviceScriptManagerReg.ProgramSha256)
        const radio = await link.service(jacdac.SRV_WIFI)
        const value = {
            port: link.path,
            shared: link.shared,
            identity: readIdentity(await link.read(service, registers.identity)) ?? null,
            phase,
            server: await text(registers.server),
            session: await text(registers.session),
            health: readHealth(await link.read(service, registers.health)) ?? null,
            counters: readCounters(await link.read(service, registers.counters)) ?? null,
            programSha256: sha256?.toString("hex") ?? null,
            wifi: radio ? await lookAtRadio(link, radio, false) : null,
            devices: link.devices().map(device => device.deviceId),
        }
        return success({ value, text: described(value) })
    })
}

export function doctor(call: Call): Promise<Outcome<Answer>> {
    return withBoard(call, async link => {
        call.output.progress("listening to the board")
        const evidence = await gatherEvidence(link)
        const diagnosis = diagnose(evidence)
        const rows = diagnosis.findings.map(({ check, verdict, fault }) => [check, verdict, fault?.what ?? ""])
        const { first } = diagnosis
        const advice = first ? `\n\n${first.check}: ${first.what}\n  next: ${call.output.typed(first.next)}` : ""
        return success({
            value: { first: first ?? null, findings: diagnosis.findings, evidence },
            text: table(["CHECK", "VERDICT", "EVIDENCE"], rows) + advice,
            ...(first ? { exit: "failed" as const } : {}),
        })
    })
}

export async function logs(call: Call): Promise<Outcome<Answer>> {
    const seconds = secondsOf(call)
    if (!seconds.ok) return seconds
    const endless = call.flags.follow === true
    const isLive = endless && !call.output.json
    return withBoard(
        call,
        async link => {
            await interruptedOrAfter(endless ? undefined : (seconds.value ?? 3), link)
            return success({ value: { lines: link.log }, text: isLive ? "" : link.log.join("\n") })
        },
        isLive ? { onLog: line => process.stdout.write(`${line}\n`) } : {},
    )
}

export async function consoleOf(call: Call): Promise<Outcome<Answer>> {
    const seconds = secondsOf(call)
    if (!seconds.ok) return seconds
    const say = (kind: "log" | "packet", text: string) =>
        process.stdout.write(call.output.json ? `${JSON.stringify({ [kind]: text })}\n` : `${text}\n`)
    return withBoard(
        call,
        async link => {
            await interruptedOrAfter(seconds.value, link)
            return success({ value: undefined, text: "" })
        },
        { onLog: line => say("log", line), onPacket: text => say("packet", text) },
    )
}

export function identify(call: Call): Promise<Outcome<Answer>> {
    return withBoard(call, async link => {
        const service = await link.service(applianceClass)
        if (!service) return noAppliance(link)
        await link.command(service, applianceCodes.commands.identify)
        const identity = readIdentity(await link.read(service, applianceCodes.registers.identity))
        if (!identity) return noAppliance(link)
        return success({ value: { identity }, text: `${identity.id || "it"} blinks for 10 s` })
    })
}

export function reboot(call: Call): Promise<Outcome<Answer>> {
    return withBoard(call, async link => {
        const done = await restart.reboot(link)
        return done.ok ? success({ value: done.value, text: `started again (boot ${done.value.boot})` }) : done
    })
}

export async function deploy(call: Call): Promise<Outcome<Answer>> {
    const read = fileBytes(call.words[0]!, restart.bytecodeBytesMax + 1)
    if (!read.ok) return read
    return withBoard(call, async link => {
        let shown = 0
        const done = await restart.deploy(link, read.value, share => {
            const percent = Math.floor(share * 10) * 10
            if (percent > shown) call.output.progress(`${percent} %`)
            shown = Math.max(shown, percent)
        })
        if (!done.ok) return done
        const { bytes, sha256, milliseconds } = done.value
        return success({ value: done.value, text: `${bytes} bytes in ${milliseconds} ms, SHA-256 ${sha256} matches` })
    })
}

export function reset(call: Call): Promise<Outcome<Answer>> {
    return withBoard(call, async link => {
        const agreed = await call.confirm("Erase Wi-Fi, identity, secret, broker and schedule of this board?")
        if (!agreed) return usage("nothing was erased: it cannot be undone, so it wants --yes")
        const done = await restart.factoryReset(link)
        return done.ok ? success({ value: done.value, text: "erased; it is as it came from the maker" }) : done
    })
}

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

/** The content of a small text file, or of standard input, without the end of its last line. */
function secretText(path: string): Outcome<string> {
    const bytes = fileBytes(path === "-" ? "/dev/stdin" : path, configBytesMax)
    return bytes.ok ? success(bytes.value.toString("utf8").replace(/\r?\n$/, "")) : bytes
}

function fileBytes(path: string, bytesMax: number): Outcome<Buffer> {
    try {
        const bytes = readFileSync(path)
        return bytes.length <= bytesMax ? success(bytes) : usage(`${path} is larger than ${bytesMax} bytes`)
    } catch (error) {
        return usage(`${path} cannot be read: ${(error as NodeJS.ErrnoException).code ?? messageOf(error)}`)
    }
}

function secondsOf(call: Call): Outcome<number | undefined> {
    const given = call.flags.seconds
    if (given === undefined) return success(undefined)
    const seconds = Number(given)
    if (given === "" || !(seconds > 0 && seconds <= secondsMax))
        return usage(`--seconds: a number up to ${secondsMax} is needed, not "${given}"`)
    return success(seconds)
}

function interruptedOrAfter(seconds: number | undefined, link: BoardLink): Promise<void> {
    return new Promise(resolve => {
        const settle = () => {
            clearTimeout(timer)
            clearInterval(watch)
            process.removeListener("SIGINT", settle)
            resolve()
        }
        const timer = seconds === undefined ? undefined : setTimeout(settle, seconds * 1000)
        const watch = setInterval(() => link.ended && settle(), 200)
        process.once("SIGINT", settle)
    })
}

function differenceTable(list: Difference[]): string {
    if (list.length === 0) return "no difference"
    return table(
        ["KEY", "NOW", "WANTED"],
        list.map(({ key, now, wanted }) => [key, now, wanted]),
    )
}

function described(value: object): string {
    return Object.entries(value)
        .map(([name, one]) => {
            const text = typeof one === "object" && one !== null ? JSON.stringify(one) : String(one ?? "-")
            return `${name.padEnd(14)} ${text || "-"}`
        })
        .join("\n")
}
