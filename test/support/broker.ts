/**
 * Brokers of tests: the embedded one in this process or as a child, and a real mosquitto with the files that Parley writes.
 */

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import type { Logger } from "pino"
import type { RightsKind } from "../../protocol/rights.ts"
import { type RunningBroker, startBroker } from "../../servers/broker/broker.ts"
import {
    hashSecret,
    mosquittoAclFile,
    mosquittoPasswordFile,
    newSecret,
    writeCredentials,
} from "../../servers/broker/credentials.ts"
import { mosquittoConfiguration } from "../../servers/broker/mosquitto.ts"
import { freePort } from "./addresses.ts"
import { type Child, startChild, startScript } from "./child.ts"
import { findBinary } from "./system-package.ts"

export interface Enrolled {
    /** Folder of the credentials, removed by `remove`. */
    dir: string
    /** Secret by id. */
    secrets: Record<string, string>
    /** Adds a party, or gives it a new secret. */
    enrol(id: string, kind: RightsKind): string
    revoke(id: string): void
    remove(): void
}

/** A folder of credentials with these parties, each with a random secret. */
export function enrolParties(parties: Record<string, RightsKind>): Enrolled {
    const dir = mkdtempSync(join(tmpdir(), "parley-credentials-"))
    const kinds = new Map<string, { kind: RightsKind; hash: string }>()
    const secrets: Record<string, string> = {}
    const write = () =>
        writeCredentials(
            dir,
            [...kinds].map(([id, { kind, hash }]) => ({ id, kind, hash })),
        )
    const add = (id: string, kind: RightsKind) => {
        secrets[id] = newSecret()
        kinds.set(id, { kind, hash: hashSecret(secrets[id]) })
        return secrets[id]
    }
    for (const [id, kind] of Object.entries(parties)) add(id, kind)
    write()
    return {
        dir,
        secrets,
        enrol: (id, kind) => {
            const secret = add(id, kind)
            write()
            return secret
        },
        revoke: id => {
            kinds.delete(id)
            delete secrets[id]
            write()
        },
        remove: () => rmSync(dir, { recursive: true, force: true }),
    }
}

/** The embedded broker in this process, on a free port. */
export async function startEmbeddedBroker(
    credentials: string,
    options: { host?: string; port?: number; metricsPort?: number; log?: Logger } = {},
): Promise<RunningBroker> {
    const outcome = await startBroker({ host: "127.0.0.1", port: 0, credentials, ...options })
    if (!outcome.ok) throw new Error(outcome.what)
    return outcome.broker
}

/** The embedded broker as a process of its own; `ready` is its ready line. */
export function startBrokerChild(
    credentials: string,
    host = "127.0.0.1",
    port = 0,
    more: string[] = [],
): Promise<Child> {
    const words = ["--host", host, "--port", String(port), "--credentials", credentials, ...more]
    return startScript(resolve(import.meta.dirname, "../../servers/broker/main.ts"), words)
}

/** A real mosquitto with the exported files; `needPackage("mosquitto", "mosquitto")` comes first. `ready`: host and port. */
export async function startMosquitto(credentials: string, host = "127.0.0.1", port = 0): Promise<Child> {
    const binary = findBinary("mosquitto")
    if (!binary) throw new Error("mosquitto is not installed")
    const listenPort = port || (await freePort(host))
    const file = join(credentials, "mosquitto.conf")
    const text = mosquittoConfiguration({
        host,
        port: listenPort,
        passwordFile: join(credentials, mosquittoPasswordFile),
        aclFile: join(credentials, mosquittoAclFile),
        user: process.getuid?.() === 0 ? "root" : undefined,
    })
    writeFileSync(file, text)
    chmodSync(file, 0o600)
    return startChild(binary, ["-v", "-c", file], {
        name: "mosquitto",
        probe: async () => ((await accepts(host, listenPort)) ? { host, port: listenPort } : undefined),
    })
}

function accepts(host: string, port: number): Promise<boolean> {
    return new Promise(resolveAnswer => {
        const socket = connect({ host, port })
        socket.once("connect", () => {
            socket.destroy()
            resolveAnswer(true)
        })
        socket.once("error", () => resolveAnswer(false))
    })
}
