/**
 * The settings in a board's flash, over the stock Jacdac service: JSON text under the keys of `src/settings.ts`.
 * Owns keys and reading back what was written. Never shows a secret; never writes what was not checked before.
 */

import { jacdac } from "../../serial/jacdac.ts"
import { failure, type Outcome, success } from "../outcome.ts"
import type { BoardLink } from "./board-link.ts"
import { type DeviceConfig, defaultPort } from "./config.ts"

const get = 0x80
const set = 0x81
const answerMs = 1500

export type SettingValue = string | number | undefined

export class SettingsStore {
    private constructor(
        private readonly link: BoardLink,
        private readonly service: NonNullable<Awaited<ReturnType<BoardLink["service"]>>>,
    ) {}

    static async of(link: BoardLink): Promise<Outcome<SettingsStore>> {
        const service = await link.service(jacdac.SRV_SETTINGS)
        if (service) return success(new SettingsStore(link, service))
        return failure("timeout", "no-answer", `no board answers at ${link.path}`, {
            who: "you",
            next: "check its power and cable: parley device doctor",
        })
    }

    /** The value under `key`; undefined when there is none, or none that is JSON. */
    async read(key: string): Promise<Outcome<SettingValue>> {
        const name = Buffer.from(key)
        const answer = await this.link.ask(this.service, get, name, answerMs)
        if (!answer || answer.indexOf(0) < 0 || !answer.subarray(0, answer.indexOf(0)).equals(name))
            return failure("timeout", "no-answer", `the board does not tell its setting ${key}`, {
                who: "you",
                next: "parley device doctor",
            })
        const text = answer.subarray(answer.indexOf(0) + 1).toString("utf8")
        if (text === "") return success(undefined)
        try {
            const value: unknown = JSON.parse(text)
            return success(typeof value === "string" || typeof value === "number" ? value : undefined)
        } catch {
            return success(undefined)
        }
    }

    /** Undefined empties it. The board has it in flash when this resolves well. */
    async write(key: string, value: SettingValue): Promise<Outcome<undefined>> {
        const text = value === undefined ? "" : JSON.stringify(value)
        const payload = Buffer.concat([Buffer.from(key), Buffer.of(0), Buffer.from(text)])
        const taken = await this.link.command(this.service, set, payload, true)
        if (taken) {
            const stored = await this.read(key)
            if (stored.ok && stored.value === value) return success(undefined)
        }
        return failure("timeout", "not-stored", `the board has not stored ${key}`, {
            who: "you",
            next: "parley device doctor",
        })
    }

    /** What is configured; a secret only when asked for, to compare it. */
    async config(): Promise<Outcome<DeviceConfig>> {
        const values: Record<string, SettingValue> = {}
        for (const key of ["p.id", "p.secret", "p.host", "p.port", "tz"]) {
            const read = await this.read(key)
            if (!read.ok) return read
            values[key] = read.value
        }
        const text = (key: string) => (typeof values[key] === "string" && values[key] !== "" ? values[key] : undefined)
        const host = text("p.host")
        const port = typeof values["p.port"] === "number" ? values["p.port"] : defaultPort
        return success({
            id: text("p.id"),
            secret: text("p.secret"),
            broker: host === undefined ? undefined : { host, port },
            zoneMinutes: typeof values.tz === "number" ? values.tz : 0,
        })
    }
}
