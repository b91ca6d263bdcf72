/**
 * The group server's process: wires store, engine, HTTP and MQTT, says when it listens, and stops cleanly.
 * `startGroupServer` is the same for the process and for tests.
 */

import { resolve } from "node:path"
import { pathToFileURL } from "node:url"
import { type Logger, pino } from "pino"
import { openLog } from "../log.ts"
import { BrokerLogins } from "./broker-logins.ts"
import { Engine } from "./engine.ts"
import { openFolder, readPrivate, type StateFolder, writePrivate } from "./folder.ts"
import { buildHttp } from "./http/server.ts"
import { maxTokenDays, Tokens } from "./http/tokens.ts"
import { MediaKeys } from "./media-keys.ts"
import { buildMetrics } from "./metrics.ts"
import { type GroupServerOptions, parseOptions, usage } from "./options.ts"
import { Signalling } from "./signalling.ts"
import { openSqlite } from "./store/sqlite.ts"
import { Store } from "./store/store.ts"

export type { GroupServerOptions } from "./options.ts"

export interface GroupServer {
    /** `http://host:port`. */
    url: string
    boot: number
    /** A token of the role admin, also in `admin.token` of the state folder. */
    adminToken: string
    stop(): Promise<void>
}

export type StartOutcome = { ok: true; server: GroupServer } | { ok: false; what: string }

/** Listens when it is fulfilled; the broker may come later (`/readyz` tells). */
export async function startGroupServer(options: GroupServerOptions, log: Logger = silent()): Promise<StartOutcome> {
    let folder: StateFolder
    try {
        folder = openFolder(options.state)
    } catch (error) {
        return { ok: false, what: `state folder ${options.state}: ${(error as Error).message}` }
    }
    const opened = openSqlite(folder.databasePath)
    if (!opened.ok) return opened
    const stops: (() => Promise<void> | void)[] = [() => opened.db.destroy()]
    const stop = async () => {
        for (const one of stops.splice(0).reverse()) await one()
    }
    try {
        const store = await Store.open(opened.db)
        const boot = await store.nextBoot()
        const logins = new BrokerLogins(options.credentials, folder.brokerSecret, log)
        stops.push(() => logins.stop())

        const mediaKeys = new MediaKeys(folder.mediaSecret)
        let signalling: Signalling | undefined
        const engine = await Engine.start({
            store,
            log,
            send: messages => signalling?.send(messages.map(one => mediaKeys.addTo(one))),
            credentialsChanged: state => logins.write(state),
        })
        stops.push(() => engine.stop())

        const tokens = new Tokens(folder.tokenKey)
        const adminToken = await adminTokenIn(folder, tokens)
        const metrics = buildMetrics(engine, () => signalling)
        const readiness = () => {
            const broker = signalling?.connected === true
            return { ready: broker && logins.written, broker, credentials: logins.written }
        }
        const backend = { engine, store, tokens, readiness, metrics: () => metrics.metrics(), now: Date.now }
        const http = await buildHttp(backend, log)
        const url = await http.listen({ host: options.httpHost, port: options.httpPort })
        stops.push(() => http.close())

        const { brokerSecret: secret } = folder
        const submit = (event: Parameters<Engine["submit"]>[0]) => engine.submit(event)
        const connection = new Signalling({ broker: options.broker, secret, boot, log, submit })
        signalling = connection
        stops.push(() => connection.stop())
        log.info({ url, boot, state: options.state }, "group server listens")
        return { ok: true, server: { url, boot, adminToken, stop } }
    } catch (error) {
        await stop()
        return { ok: false, what: (error as Error).message }
    }
}

/** The token of the first start, or a new one when it is gone, over, or signed with another key. */
async function adminTokenIn(folder: StateFolder, tokens: Tokens): Promise<string> {
    const kept = readPrivate(folder.adminTokenPath)
    if (kept && (await tokens.verify(kept, Date.now()))?.role === "admin") return kept
    const { token } = await tokens.issue({ subject: "admin", role: "admin" }, maxTokenDays, Date.now())
    writePrivate(folder.adminTokenPath, token)
    return token
}

function silent(): Logger {
    return pino({ level: "silent" })
}

async function run(): Promise<void> {
    const words = process.argv.slice(2)
    if (words.includes("--help") || words.includes("-h")) {
        process.stdout.write(usage)
        return
    }
    const parsed = parseOptions(words, process.env)
    if (!parsed.ok) {
        process.stderr.write(`group server: ${parsed.what}\n\n${usage}`)
        process.exit(2)
    }
    const log = openLog({ name: "group" })
    const started = await startGroupServer(parsed.options, log)
    if (!started.ok) {
        process.stderr.write(`group server: ${started.what}\n`)
        process.exit(1)
    }
    const { server } = started
    const stop = () => {
        // A second signal, or a stop that hangs, ends it at once: what was acknowledged is on the disk already.
        setTimeout(() => process.exit(1), 5000).unref()
        server.stop().then(
            () => process.exit(0),
            error => {
                log.error({ err: error }, "stop failed")
                process.exit(1)
            },
        )
    }
    process.once("SIGTERM", stop)
    process.once("SIGINT", stop)
    process.stdout.write(`${JSON.stringify({ ready: true, url: server.url, boot: server.boot })}\n`)
}

if (process.argv[1] && import.meta.url === pathToFileURL(resolve(process.argv[1])).href) await run()
