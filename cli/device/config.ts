/**
 * The configuration of an appliance as a person writes it: a JSON file, or one key at a time.
 *
 *     { "id": "board-a", "secret": "...", "broker": "mqtt://broker.example:1883", "zoneMinutes": 60,
 *       "wifi": { "name": "Office", "password": "..." } }
 *
 * Owns its shape and its checks: every mistake is named with its place, and what belongs there. Pure; nothing is read or stored.
 */

import { isIP } from "node:net"
import { limits } from "../../protocol/limits.ts"
import { isIdentifier } from "../../protocol/text.ts"

export interface Broker {
    host: string
    port: number
}

export interface WifiNetwork {
    name: string
    /** "": an open network. */
    password: string
}

export interface DeviceConfig {
    id?: string
    secret?: string
    broker?: Broker
    zoneMinutes?: number
    wifi?: WifiNetwork
}

/** Keys that `config get` and `config set` know, with what they mean. */
export const configKeys = {
    id: "identifier at the group server",
    secret: "secret of this identifier; never shown",
    broker: "mqtt://HOST[:PORT]",
    zoneMinutes: "minutes east of UTC, for the times on the screen",
} as const
export type ConfigKey = keyof typeof configKeys

export interface ConfigProblem {
    /** Where: "broker", "wifi.password". */
    at: string
    what: string
}

export type ConfigResult = { ok: true; config: DeviceConfig } | { ok: false; problems: ConfigProblem[] }

/** What the firmware's buffer for a host takes (`src/settings.ts`). */
const hostBytesMax = 64
export const defaultPort = 1883
const wifiNameBytesMax = 32
/** WPA2: a passphrase, or the key itself in hexadecimal digits. */
const passphraseBytes = { min: 8, max: 63 }
const zoneMinutesMax = 1440
const fileKeys = ["id", "secret", "broker", "zoneMinutes", "wifi"]

export function checkConfig(content: unknown): ConfigResult {
    const problems: ConfigProblem[] = []
    const config: DeviceConfig = {}
    const wrong = (at: string, what: string) => problems.push({ at, what })
    if (typeof content !== "object" || content === null || Array.isArray(content))
        return { ok: false, problems: [{ at: "the whole", what: "must be an object: { ... }" }] }
    const given = content as Record<string, unknown>
    refuseUnknown(given, fileKeys, "", problems)
    if (Object.keys(given).length === 0) wrong("the whole", `says nothing; there are ${fileKeys.join(", ")}`)

    if (given.id !== undefined) {
        if (typeof given.id === "string" && isIdentifier(given.id)) config.id = given.id
        else
            wrong(
                "id",
                `must be 1 to ${limits.identifierBytes} of a-z, 0-9 and "-", not beginning with "-"; not ${shown(given.id)}`,
            )
    }
    if (given.secret !== undefined) {
        const problem = secretProblem(given.secret)
        if (problem) wrong("secret", problem)
        else config.secret = given.secret as string
    }
    if (given.broker !== undefined) {
        const broker = parseBroker(given.broker)
        if (typeof broker === "string") wrong("broker", broker)
        else config.broker = broker
    }
    if (given.zoneMinutes !== undefined) {
        const zone = given.zoneMinutes
        if (typeof zone === "number" && Number.isInteger(zone) && Math.abs(zone) <= zoneMinutesMax)
            config.zoneMinutes = zone
        else wrong("zoneMinutes", `must be a whole number of minutes from -1440 to 1440, not ${shown(zone)}`)
    }
    if (given.wifi !== undefined) checkWifi(given.wifi, config, problems)
    return problems.length > 0 ? { ok: false, problems } : { ok: true, config }
}

function checkWifi(given: unknown, config: DeviceConfig, problems: ConfigProblem[]): void {
    if (typeof given !== "object" || given === null || Array.isArray(given)) {
        problems.push({ at: "wifi", what: 'must be an object: { "name": ..., "password": ... }' })
        return
    }
    const { name, password = "" } = given as Record<string, unknown>
    refuseUnknown(given as Record<string, unknown>, ["name", "password"], "wifi.", problems)
    const nameProblem = wifiNameProblem(name)
    if (nameProblem) problems.push({ at: "wifi.name", what: nameProblem })
    const passwordProblem = wifiPasswordProblem(password)
    if (passwordProblem) problems.push({ at: "wifi.password", what: passwordProblem })
    if (!nameProblem && !passwordProblem) config.wifi = { name: name as string, password: password as string }
}

export function wifiNameProblem(name: unknown): string | undefined {
    if (typeof name !== "string" || name === "") return "must be the name of a network"
    if (Buffer.byteLength(name) > wifiNameBytesMax) return `must be of at most ${wifiNameBytesMax} bytes`
    return hasControl(name) ? "must have no control characters" : undefined
}

export function wifiPasswordProblem(password: unknown): string | undefined {
    if (typeof password !== "string") return 'must be a text; "" for an open network'
    if (password === "" || /^[0-9a-fA-F]{64}$/.test(password)) return undefined
    const bytes = Buffer.byteLength(password)
    const { min, max } = passphraseBytes
    if (bytes < min || bytes > max) return `must be of ${min} to ${max} bytes (or 64 hexadecimal digits), not ${bytes}`
    return hasControl(password) ? "must have no control characters" : undefined
}

export function secretProblem(secret: unknown): string | undefined {
    if (typeof secret !== "string" || secret === "") return "must be the secret that enrolment gave"
    const bytes = Buffer.byteLength(secret)
    if (bytes > limits.secretBytes) return `must be of at most ${limits.secretBytes} bytes, not ${bytes}`
    return hasControl(secret) || secret.includes(" ") ? "must have no spaces and control characters" : undefined
}

/** Host and port, or what is wrong with the text. */
export function parseBroker(given: unknown): Broker | string {
    const form = "mqtt://HOST[:PORT]"
    if (typeof given !== "string") return `must be a text ${form}, not ${shown(given)}`
    const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(given)?.[1]?.toLowerCase()
    if (scheme === undefined) return `must begin with mqtt://, as in mqtt://192.168.1.4:1883; not ${shown(given)}`
    if (scheme !== "mqtt") return `must be ${form}: the appliance speaks MQTT over TCP, not ${scheme}`
    const rest = given.slice(given.indexOf("://") + 3).replace(/\/$/, "")
    if (rest.includes("@")) return `must have no user in it: id and secret are keys of their own`
    if (/[/?#\s]/.test(rest)) return `must be ${form} without a path; not ${shown(given)}`
    if (rest.startsWith("[") || rest.split(":").length > 2)
        return rest.startsWith("[") || /^[0-9a-f:]+$/i.test(rest)
            ? `must be a name or an IPv4 address: the appliance has no IPv6`
            : `must be ${form} with one ":" before the port; not ${shown(given)}`
    const [host = "", portText] = rest.split(":")
    const hostWrong = hostProblem(host)
    if (hostWrong) return hostWrong
    if (portText === undefined) return { host: host.toLowerCase(), port: defaultPort }
    const port = /^\d{1,5}$/.test(portText) ? Number(portText) : 0
    return port >= 1 && port <= 65535
        ? { host: host.toLowerCase(), port }
        : `must have a port from 1 to 65535, not ${shown(portText)}`
}

export function hostProblem(host: string): string | undefined {
    if (host === "") return "must have a host"
    if (host.length > hostBytesMax) return `must have a host of at most ${hostBytesMax} characters`
    if (/^[\d.]+$/.test(host))
        return isIP(host) === 4
            ? undefined
            : `must have a whole IPv4 address (four numbers up to 255), not ${shown(host)}`
    const labels = host.split(".")
    const good = labels.every(label => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i.test(label))
    return good ? undefined : `must have a host name of letters, digits, "-" and ".", not ${shown(host)}`
}

export function brokerText({ host, port }: Broker): string {
    return `mqtt://${host}:${port}`
}

function refuseUnknown(given: Record<string, unknown>, known: string[], prefix: string, problems: ConfigProblem[]) {
    for (const key of Object.keys(given))
        if (!known.includes(key))
            problems.push({ at: `${prefix}${key}`, what: `is not known here; there are ${known.join(", ")}` })
}

function hasControl(text: string): boolean {
    return [...text].some(character => character < " " || character === "\u007f")
}

/** Never the whole of a long text, and never on more than one line. */
function shown(value: unknown): string {
    const text = JSON.stringify(value) ?? "nothing"
    return text.length > 60 ? `${text.slice(0, 57)}...` : text
}
