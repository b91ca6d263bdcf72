/**
 * The credentials as the broker knows them now, kept in step with the file that the group server writes.
 *
 * Owns the watch on `credentials.json`. Never writes it. A file that is broken changes nothing: the last good one stays in
 * force, and the problem is told.
 */

import { statSync, unwatchFile, watchFile } from "node:fs"
import { join } from "node:path"
import { type CredentialEntry, type CredentialsProblem, credentialsFile, readCredentials } from "./credentials.ts"
import { brokerLimits } from "./limits.ts"

export interface KnownListener {
    /** `removed`: ids that were known and are not any more. */
    changed(removed: string[]): void
    broken(problem: CredentialsProblem): void
}

export class KnownParties {
    private dir: string
    private path: string
    private listener: KnownListener
    private entries = new Map<string, CredentialEntry>()
    /** Size, inode and time of the file last read: a rename in its place always changes the inode. */
    private seen = ""
    private poll = () => this.reload()

    constructor(dir: string, listener: KnownListener) {
        this.dir = dir
        this.path = join(dir, credentialsFile)
        this.listener = listener
    }

    /** Reads the file for the first time and begins to watch it. A missing file is a system in which nobody is enrolled yet. */
    open(): CredentialsProblem | undefined {
        this.seen = this.stamp()
        const outcome = readCredentials(this.dir)
        if (outcome.ok) this.take(outcome.entries)
        else if (outcome.code !== "missing") return outcome
        watchFile(this.path, { interval: brokerLimits.credentialsPollMs, persistent: false }, this.poll)
        return undefined
    }

    close(): void {
        unwatchFile(this.path, this.poll)
    }

    get size(): number {
        return this.entries.size
    }

    find(id: string): CredentialEntry | undefined {
        return this.entries.get(id)
    }

    /** Reads the file again when it has changed. True: there are new credentials. */
    reload(): boolean {
        const stamp = this.stamp()
        if (stamp === this.seen) return false
        this.seen = stamp
        const outcome = readCredentials(this.dir)
        if (!outcome.ok) {
            // Gone or broken: nobody is thrown out by a mishap of the writer.
            this.listener.broken(outcome)
            return false
        }
        const before = this.entries
        this.take(outcome.entries)
        this.listener.changed([...before.keys()].filter(id => !this.entries.has(id)))
        return true
    }

    private take(entries: CredentialEntry[]): void {
        this.entries = new Map(entries.map(entry => [entry.id, entry]))
    }

    private stamp(): string {
        const stat = statSync(this.path, { throwIfNoEntry: false })
        return stat ? `${stat.ino} ${stat.size} ${stat.mtimeMs}` : ""
    }
}
