/**
 * The routing server's process: flags in, one ready line out, logs on standard error, a polite stop on SIGTERM.
 * `startRoutingServer` is the same for the process, for tests and for use in another process.
 */

import { randomInt } from "node:crypto"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { type Logger, pino } from "pino"
import { raisePriority } from "../../media/priority.ts"
import { openLog } from "../log.ts"
import { startControl } from "./control/server.ts"
import { loadIdentity } from "./link/identity.ts"
import { parseOptions, type RoutingServerOptions, usage } from "./options.ts"
import { RoutingServer } from "./server.ts"
import { countBoot } from "./state-folder.ts"

export type { RoutingServerOptions } from "./options.ts"
export type { RoutingServer } from "./server.ts"

export type StartOutcome = { ok: true; server: RoutingServer } | { ok: false; what: string }

/** Listens when it is fulfilled; `server.ready` resolves once the broker has let it in. */
export async function startRoutingServer(
    options: RoutingServerOptions,
    log: Logger = pino({ level: "silent" }),
): Promise<StartOutcome> {
    const { state, controlPort, ...rest } = options
    const identity = loadIdentity(state, options.id, Date.now())
    if (!identity.ok) return identity
    const boot = countBoot(state)
    if (!boot.ok) return boot
    const randomSeed = randomInt(2 ** 32)
    const server = new RoutingServer({
        ...rest,
        dataPlane: "thread",
        recordings: join(state, "recordings"),
        identity: identity.identity,
        boot: boot.boot,
        randomSeed,
        log,
    })
    const what = await server.start()
    if (what !== undefined) return { ok: false, what }
    if (controlPort === undefined) return { ok: true, server }
    const control = await startControl(server, controlPort, state, log)
    if (control.ok) {
        server.control = control.control
        return { ok: true, server }
    }
    await server.stop()
    return control
}

async function main(words: string[]): Promise<void> {
    if (words.includes("--help") || words.includes("-h")) {
        process.stdout.write(usage)
        return
    }
    const parsed = parseOptions(words)
    if (!parsed.ok) {
        process.stderr.write(`${parsed.what}\n\n${usage}`)
        process.exitCode = 2
        return
    }
    raisePriority()
    const { id } = parsed.options
    const log = openLog({ base: { part: "routing", id } })
    const started = await startRoutingServer(parsed.options, log)
    if (!started.ok) {
        log.fatal(started.what)
        process.exitCode = 1
        return
    }
    const { server } = started
    let stopping = false
    // Its log says why. Whoever supervises this process starts it anew, and with it everything that was lost.
    void server.failed.then(() => process.exit(1))
    for (const signal of ["SIGTERM", "SIGINT"] as const)
        process.on(signal, () => {
            // The second time somebody is in a hurry.
            if (stopping) process.exit(1)
            stopping = true
            log.info({ signal }, "draining")
            server.stop().then(
                () => process.exit(0),
                error => {
                    log.fatal({ err: error }, "stopping failed")
                    process.exit(1)
                },
            )
        })
    await server.ready
    const { ip, linkPort, mediaPort } = server
    const controlUrl = server.control?.url
    process.stdout.write(`${JSON.stringify({ ready: true, id, ip, linkPort, mediaPort, controlUrl })}\n`)
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await main(process.argv.slice(2))
