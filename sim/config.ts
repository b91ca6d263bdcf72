/**
 * The simulator's configuration file: which boards there are, where their broker is, where the control API listens.
 *
 * Owns its shape and its checks. A mistake is told by the place in the file, what was found there and what belongs there;
 * unknown names are refused, so that a misspelt one does not go unnoticed.
 */

import { readFileSync } from "node:fs"
import { isIP } from "node:net"
import { dirname, resolve } from "node:path"
import { type Static, Type } from "typebox"
import { Errors } from "typebox/value"
import { limits } from "../protocol/limits.ts"
import { isIdentifier } from "../protocol/text.ts"

export const boardsMax = 64

const Delay = Type.Number({ minimum: 0, maximum: 10_000 })
const closed = { additionalProperties: false }

export const BoardConfig = Type.Object(
    {
        id: Type.String({ minLength: 1, maxLength: limits.identifierBytes }),
        name: Type.Optional(Type.String({ maxLength: limits.nameBytes })),
        /** Absent: the board is not provisioned, as one that comes from the maker. */
        secret: Type.Optional(Type.String({ minLength: 1, maxLength: limits.secretBytes })),
        ip: Type.String(),
        /** File of the flash image, relative to the configuration; made when missing. */
        flash: Type.Optional(Type.String({ minLength: 1 })),
        /** Emulated one-way delay to each address. */
        delaysMs: Type.Optional(Type.Record(Type.String(), Delay)),
        /** Both ways of the board's media: largest extra delay, and share that is lost. */
        jitterMs: Type.Optional(Delay),
        lossPercent: Type.Optional(Type.Number({ minimum: 0, maximum: 100 })),
        /** How much faster than real time the sound card's clock runs, in parts per million. */
        clockPpm: Type.Optional(Type.Number({ minimum: -1000, maximum: 1000 })),
        mediaPort: Type.Optional(Type.Integer({ minimum: 0, maximum: 65535 })),
        microphone: Type.Optional(Type.String({ minLength: 1 })),
        speaker: Type.Optional(Type.String({ minLength: 1 })),
        /** Minutes east of UTC, for the times on the screen. */
        zoneMinutes: Type.Optional(Type.Integer({ minimum: -1440, maximum: 1440 })),
        /** Path at which the board's serial port appears, relative to the configuration; absent: not plugged in at first. */
        serial: Type.Optional(Type.String({ minLength: 1 })),
        /** False: the board waits for `power on`. */
        powered: Type.Optional(Type.Boolean()),
    },
    closed,
)

export const SimConfig = Type.Object(
    {
        boards: Type.Array(BoardConfig, { minItems: 1, maxItems: boardsMax }),
        broker: Type.Object(
            { host: Type.String({ minLength: 1, maxLength: 64 }), port: Type.Integer({ minimum: 1, maximum: 65535 }) },
            closed,
        ),
        control: Type.Object(
            {
                host: Type.String(),
                port: Type.Integer({ minimum: 0, maximum: 65535 }),
                /** Holds the token of the control API; written by the simulator. */
                tokenFile: Type.String({ minLength: 1 }),
            },
            closed,
        ),
        /** Bytecode; the compiled `room-panel` when absent. */
        firmware: Type.Optional(Type.String({ minLength: 1 })),
    },
    closed,
)

export type BoardConfig = Static<typeof BoardConfig>
export type SimConfig = Static<typeof SimConfig>

export type ConfigResult = { ok: true; config: SimConfig } | { ok: false; problems: string[] }

/** Reads and checks the file; relative paths in it are made absolute. */
export function readConfig(path: string): ConfigResult {
    let text: string
    try {
        text = readFileSync(path, "utf8")
    } catch (error) {
        return { ok: false, problems: [`${path}: cannot be read (${(error as NodeJS.ErrnoException).code})`] }
    }
    let content: unknown
    try {
        content = JSON.parse(text)
    } catch (error) {
        return { ok: false, problems: [`${path}: is not JSON: ${(error as Error).message}`] }
    }
    const problems = problemsOf(content)
    if (problems.length > 0) return { ok: false, problems: problems.map(problem => `${path}: ${problem}`) }
    return { ok: true, config: withAbsolutePaths(content as SimConfig, dirname(resolve(path))) }
}

/** What is wrong with `content`; nothing when it is a configuration. */
export function problemsOf(content: unknown): string[] {
    const shapeProblems = Errors(SimConfig, content).map(error => {
        const extra = (error.params as { additionalProperties?: string[] }).additionalProperties
        const names = extra ? `: ${extra.join(", ")}` : ""
        return `${error.instancePath || "the whole"} ${error.message}${names}`
    })
    if (shapeProblems.length > 0) return shapeProblems.slice(0, 8)

    const config = content as SimConfig
    const problems: string[] = []
    const ids = new Set<string>()
    const addresses = new Set<string>()
    config.boards.forEach((board, index) => {
        const at = `/boards/${index}`
        if (!isIdentifier(board.id))
            problems.push(`${at}/id "${board.id}" must be of a-z, 0-9 and "-", and not start with "-"`)
        if (ids.has(board.id)) problems.push(`${at}/id "${board.id}" is there twice`)
        ids.add(board.id)
        if (isIP(board.ip) !== 4) problems.push(`${at}/ip "${board.ip}" must be an IPv4 address`)
        if (addresses.has(board.ip)) problems.push(`${at}/ip ${board.ip} belongs to another board as well`)
        addresses.add(board.ip)
        for (const address of Object.keys(board.delaysMs ?? {}))
            if (isIP(address) !== 4) problems.push(`${at}/delaysMs "${address}" must be an IPv4 address`)
    })
    if (!isLoopback(config.control.host))
        problems.push(
            `/control/host "${config.control.host}" must be a loopback address: whoever reaches it holds the boards`,
        )
    return problems
}

export function isLoopback(host: string): boolean {
    return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."))
}

function withAbsolutePaths(config: SimConfig, folder: string): SimConfig {
    const absolute = (path: string | undefined) => (path === undefined ? undefined : resolve(folder, path))
    return {
        ...config,
        boards: config.boards.map(board => ({
            ...board,
            flash: absolute(board.flash),
            serial: absolute(board.serial),
            microphone: absolute(board.microphone),
            speaker: absolute(board.speaker),
        })),
        control: { ...config.control, tokenFile: resolve(folder, config.control.tokenFile) },
        firmware: absolute(config.firmware),
    }
}
