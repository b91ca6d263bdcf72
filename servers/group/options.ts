/**
 * The command line of the group server: flags, then the environment, then defaults; or what is wrong with it.
 */

import { join } from "node:path"
import { parseArgs } from "node:util"

export interface GroupServerOptions {
    /** State folder: database, keys, admin token. */
    state: string
    httpHost: string
    /** 0: any free one. */
    httpPort: number
    /** `mqtt://host:port`. */
    broker: string
    /** Folder of the broker's credentials. */
    credentials: string
}

export const usage = `usage: group-server [options]

  --state DIR          state folder (default: group in PARLEY_STATE or .parley)
  --http-host HOST     address of the HTTP API (default 127.0.1.2)
  --http-port PORT     port of the HTTP API, 0 for any free one (default 8080)
  --broker URL         mqtt://host:port of the broker (default mqtt://127.0.1.1:1883)
  --credentials DIR    folder of the broker's credentials (default: broker in PARLEY_STATE or .parley)`

type Parsed = { ok: true; options: GroupServerOptions } | { ok: false; what: string }

export function parseOptions(args: string[], environment: Record<string, string | undefined>): Parsed {
    let values: Record<string, string | undefined>
    try {
        const text = { type: "string" } as const
        const options = { state: text, "http-host": text, "http-port": text, broker: text, credentials: text }
        values = parseArgs({ args, options, strict: true, allowPositionals: false }).values
    } catch (error) {
        return { ok: false, what: (error as Error).message }
    }
    const root = environment.PARLEY_STATE || ".parley"
    const portText = values["http-port"] ?? "8080"
    const httpPort = Number(portText)
    if (!/^\d{1,5}$/.test(portText) || httpPort > 65535)
        return { ok: false, what: `--http-port: 0..65535 is needed, not ${portText}` }
    const broker = values.broker ?? "mqtt://127.0.1.1:1883"
    const wrongBroker = problemWithBroker(broker)
    if (wrongBroker) return { ok: false, what: `--broker: ${wrongBroker}` }
    const state = values.state ?? join(root, "group")
    const credentials = values.credentials ?? join(root, "broker")
    const httpHost = values["http-host"] ?? "127.0.1.2"
    for (const [flag, value] of Object.entries({
        "--state": state,
        "--credentials": credentials,
        "--http-host": httpHost,
    }))
        if (!value) return { ok: false, what: `${flag}: must not be empty` }
    return { ok: true, options: { state, httpHost, httpPort, broker, credentials } }
}

function problemWithBroker(broker: string): string {
    const url = URL.canParse(broker) ? new URL(broker) : undefined
    if (!url || !["mqtt:", "mqtts:"].includes(url.protocol) || !url.hostname)
        return `mqtt://host:port is needed, not ${broker}`
    if (url.username || url.password) return "the secret comes from the state folder, not from the URL"
    return ""
}
