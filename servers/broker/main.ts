/**
 * The broker as a process: flags in, one ready line out, logs on standard error, SIGTERM to stop.
 */

import { pathToFileURL } from "node:url"
import { parseArgs } from "node:util"
import { pino } from "pino"
import { startBroker } from "./broker.ts"

export { type BrokerOptions, type BrokerOutcome, type RunningBroker, startBroker } from "./broker.ts"

const usage = `Usage: broker --host ADDRESS --port PORT --credentials FOLDER [--metrics-port PORT]
  --host          address to listen on
  --port          MQTT port; 0 takes a free one
  --credentials   folder of credentials.json, written when endpoints and servers are enrolled
  --metrics-port  HTTP port of /metrics, /livez and /readyz on the same address`

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
    const { host, port, credentials } = values
    if (!host) return "--host is missing"
    if (!port) return "--port is missing"
    if (!isPort(port)) return `--port must be 0..65535, not ${port}`
    if (!credentials) return "--credentials is missing"
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
    const flags = readFlags(process.argv.slice(2))
    if (typeof flags === "string") {
        process.stderr.write(`broker: ${flags}\n${usage}\n`)
        process.exitCode = 2
        return
    }
    const level = process.env.PARLEY_LOG_LEVEL ?? "info"
    const log = pino(
        { name: "broker", level: level in pino.levels.values ? level : "info" },
        pino.destination({ fd: 2, sync: true }),
    )
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
