/**
 * Where a setting comes from: flag, then environment (PARLEY_...), then file, then default. Owns names and checks.
 * The file is `parley.json` in the working directory, or the one that --config or PARLEY_CONFIG names.
 */
import { existsSync, readFileSync } from "node:fs"
import { resolve } from "node:path"
import { layoutLimits } from "./layout.ts"
import { messageOf, type Outcome, success, usage } from "./outcome.ts"

export interface Settings {
    /** Absolute path of the state folder. */
    stateFolder: string
    /** First two numbers of the addresses of the system, "127.0". */
    network: string
    boards: number
    servers: number
    /** Longest wait for the system or an answer, milliseconds. */
    waitMs: number
    /** A group server elsewhere, as an URL; "" is that of the system in the state folder. */
    groupUrl: string
    /** The file with the token for it. */
    tokenFile: string
}

export type Flags = Record<string, unknown>

interface Source {
    value: unknown
    from: string
}

const fileBytesMax = 65536

export function readSettings(flags: Flags, environment: NodeJS.ProcessEnv, folder: string): Outcome<Settings> {
    const file = readSettingsFile(flags, environment, folder)
    if (!file.ok) return file
    const find = (name: string, fallback: unknown): Source => {
        if (flags[name] !== undefined) return { value: flags[name], from: `--${name}` }
        const variable = `PARLEY_${name.toUpperCase()}`
        const set = environment[variable]
        if (set !== undefined && set !== "") return { value: set, from: variable }
        if (file.value[name] !== undefined) return { value: file.value[name], from: `"${name}" in the settings file` }
        return { value: fallback, from: "default" }
    }

    const state = find("state", ".parley")
    if (typeof state.value !== "string" || state.value === "") return usage(`${state.from}: a folder is needed`)
    const network = find("network", "127.0")
    const networkProblem = problemWithNetwork(network.value)
    if (networkProblem) return usage(`${network.from}: ${networkProblem}`, "parley up --network 127.40")
    const boards = wholeNumber(find("boards", 3), 1, layoutLimits.boards)
    if (!boards.ok) return boards
    const servers = wholeNumber(find("servers", 3), 1, layoutLimits.servers)
    if (!servers.ok) return servers
    const wait = wholeNumber(find("wait", 30), 1, 600)
    if (!wait.ok) return wait

    const group = find("group", "")
    if (typeof group.value !== "string" || (group.value !== "" && !/^https?:\/\//.test(group.value)))
        return usage(`${group.from}: an URL is needed, such as http://10.0.0.2:8080`)
    const token = find("token", "admin.token")
    if (typeof token.value !== "string") return usage(`${token.from}: the path of a file is needed`)

    return success({
        groupUrl: group.value,
        tokenFile: resolve(folder, token.value),
        stateFolder: resolve(folder, state.value),
        network: network.value as string,
        boards: boards.value,
        servers: servers.value,
        waitMs: wait.value * 1000,
    })
}

function readSettingsFile(flags: Flags, environment: NodeJS.ProcessEnv, folder: string) {
    const named = (flags.config as string | undefined) ?? environment.PARLEY_CONFIG
    const path = resolve(folder, named ?? "parley.json")
    if (!existsSync(path)) {
        if (named) return usage(`the settings file ${path} does not exist`, "leave out --config, or write the file")
        return success<Record<string, unknown>>({})
    }
    try {
        const text = readFileSync(path, "utf8")
        if (text.length > fileBytesMax) return usage(`${path}: larger than ${fileBytesMax} bytes`)
        const value: unknown = JSON.parse(text)
        if (typeof value !== "object" || value === null || Array.isArray(value))
            return usage(`${path}: one JSON object is needed, such as {"boards": 3}`)
        const known = ["state", "network", "boards", "servers", "wait", "group", "token"]
        const unknown = Object.keys(value).find(name => !known.includes(name))
        if (unknown) return usage(`${path}: unknown setting "${unknown}"; there are ${known.join(", ")}`)
        return success(value as Record<string, unknown>)
    } catch (error) {
        return usage(`${path}: ${messageOf(error)}`)
    }
}

function wholeNumber(source: Source, min: number, max: number): Outcome<number> {
    const text = String(source.value)
    const value = Number(text)
    if (!/^\d{1,9}$/.test(text) || value < min || value > max)
        return usage(`${source.from}: a whole number from ${min} to ${max} is needed, not "${text}"`)
    return success(value)
}

/** Only loopback: the systems that `parley up` starts are for one machine. */
export function problemWithNetwork(value: unknown): string {
    const match = typeof value === "string" ? /^127\.(\d{1,3})$/.exec(value) : null
    if (!match || Number(match[1]) > 255) return `the first two numbers of a loopback block are needed, such as 127.40`
    return ""
}
