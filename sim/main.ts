/**
 * The simulator's process: `node --import tsx sim/main.ts --config FILE`.
 *
 * Says `{"ready":true,"url":...}` in one line on standard output when all boards have power and the control API listens;
 * everything else goes to standard error. Stops in good order on SIGTERM and SIGINT. Exit codes: 0 stopped, 1 failed,
 * 2 wrong command line or configuration.
 */

import { parseArgs } from "node:util"
import { readConfig } from "./config.ts"
import { startControl } from "./control.ts"
import { Simulation } from "./simulation.ts"

const usage = "usage: sim/main.ts --config FILE\n"

async function main(): Promise<void> {
    // jacdac-ts talks on the console; standard output is for the ready line alone.
    console.log = console.info = console.debug = () => {}
    const path = configPath()
    if (path === undefined) return exit(2, usage)
    const result = readConfig(path)
    if (!result.ok) return exit(2, `${result.problems.join("\n")}\n`)

    const { config } = result
    const simulation = await Simulation.create(config)
    const control = await startControl({ simulation, ...config.control })
    simulation.events.listen(event => {
        if (event.type === "panic") process.stderr.write(`${event.board}: crashed: ${event.text} (${event.code})\n`)
    })
    await simulation.start(config)
    process.stdout.write(`${JSON.stringify({ ready: true, url: control.url, pid: process.pid })}\n`)

    let stopping = false
    const stop = async () => {
        if (stopping) return
        stopping = true
        await simulation.stop()
        await control.stop()
        process.exit(0)
    }
    process.once("SIGTERM", stop)
    process.once("SIGINT", stop)
}

function configPath(): string | undefined {
    try {
        return parseArgs({ options: { config: { type: "string" } } }).values.config
    } catch {
        return undefined
    }
}

function exit(code: number, text: string): void {
    process.stderr.write(text)
    process.exitCode = code
}

main().catch(error => {
    process.stderr.write(`simulator: ${(error as Error).message}\n`)
    process.exit(1)
})
