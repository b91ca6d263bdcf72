/**
 * Keeps the broker's credentials the same as what is enrolled. A disk that refuses is tried again until it takes them.
 */

import type { Logger } from "pino"
import { type CredentialEntry, groupServerId, hashSecret, writeCredentials } from "../broker/credentials.ts"
import type { State } from "./core/model.ts"

const retryMs = 2000

export class BrokerLogins {
    /** Whether the broker's files hold everybody. */
    written = false
    private readonly directory: string
    private readonly log: Logger
    private readonly own: CredentialEntry
    private timer: NodeJS.Timeout | undefined

    constructor(directory: string, secret: string, log: Logger) {
        this.directory = directory
        this.log = log
        this.own = { id: groupServerId, kind: "group", hash: hashSecret(secret) }
    }

    write(state: State): void {
        this.stop()
        const entries: CredentialEntry[] = [this.own]
        for (const { id, secretHash } of state.durable.endpoints.values())
            entries.push({ id, kind: "ep", hash: secretHash })
        for (const { id, secretHash } of state.durable.servers.values())
            entries.push({ id, kind: "rs", hash: secretHash })
        try {
            writeCredentials(this.directory, entries)
            this.written = true
        } catch (error) {
            this.written = false
            this.log.error({ err: error }, "the broker's credentials cannot be written, trying again")
            this.timer = setTimeout(() => this.write(state), retryMs)
        }
    }

    stop(): void {
        if (this.timer) clearTimeout(this.timer)
    }
}
