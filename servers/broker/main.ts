/**
 * The broker as a process: flags in, one ready line out, logs on standard error, SIGTERM to stop.
 */

import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { parseArgs } from "node:util"
import { openLog } from "../log.ts"
import { startBroker } from "./broker.ts"

export { type BrokerOptions, type BrokerOutcome, type RunningBroker, startBroker } from "./broker.ts"

const usage = `The MQTT broker of Parley: parley serve broker [options]

  --host ADDRESS       address to listen on (default 127.0.1.1)
  --port PORT          MQTT port, 0 for any free one (default 1883)
  --credentials DIR    folder of credentials.json, which the group server writes
                       (default: credentials in PARLEY_STATE or .parley)
  --metrics-port PORT  HTTP port of /metrics, /livez and /readyz on the same address (default: none)
`

interface Flags {
    host: string
    port: number
    credentials: string
    metricsPort?: number
}

function readFlags(words: string[]): Flags | string {
    let values: Record<string, string | undefined>
    try {
        const text = { type: "string" } as const
        const flags = { host: text, port: text, credentials: text, "metrics-port": text }
        values = parseArgs({ args: words, options: flags, strict: true }).values
    } catch (error) {
        return (error as Error).message
    }
    const { host = "127.0.1.1", port = "1883" } = values
    const credentials = values.credentials ?? join(process.env.PARLEY_STATE || ".parley", "credentials")
    if (!host) return "--host must not be empty"
    if (!isPort(port)) return `--port must be 0..65535, not ${port}`
    if (!credentials) return "--credentials must not be empty"
    const metricsPort = values["metrics-port"]
    if (metricsPort !== undefined && !isPort(metricsPort)) return `--metrics-port must be 0..65535, not ${metricsPort}`
    return {
        host,
        port: Number(port),
        credentials,
        ...(metricsPort !== undefined && { metricsPort: Number(metricsPort) }),
    }
}

function isPort(text: string): boolean {
    return /^[0-9]{1,5}$/.test(text) && Number(text) <= 65535
}

async function main(): Promise<void> {
    const words = process.argv.slice(2)
    if (words.includes("--help") || words.includes("-h")) {
        process.stdout.write(usage)
        return
    }
    const flags = readFlags(words)
    if (typeof flags === "string") {
        process.stderr.write(`broker: ${flags}\n\n${usage}`)
        process.exitCode = 2
        return
    }
    const log = openLog({ name: "broker" })
    const outcome = await startBroker({ ...flags, log })
    if (!outcome.ok) {
        process.stderr.write(`broker: ${outcome.what}\n`)
        process.exitCode = 1
        return
    }
    const { broker } = outcome
    const { host, port, metricsPort } = broker
    process.stdout.write(
        `${JSON.stringify({ ready: true, host, port, ...(metricsPort !== undefined && { metricsPort }) })}\n`,
    )
    let stopping = false
    const stop = () => {
        if (stopping) return
        stopping = true
        broker.stop().then(
            () => process.exit(0),
            () => process.exit(1),
        )
    }
    process.on("SIGTERM", stop)
    process.on("SIGINT", stop)
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await main()
