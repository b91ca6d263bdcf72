/**
 * The group server's state folder: the database and the secrets that it makes for itself, readable by its user only.
 */

import { randomBytes } from "node:crypto"
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { newSecret } from "../broker/credentials.ts"

export interface StateFolder {
    databasePath: string
    /** Written when it is missing or not valid any more. */
    adminTokenPath: string
    /** Password of the user `group` at the broker. */
    brokerSecret: string
    /** Signs the tokens of people and tools; removing the file makes all of them void. */
    tokenKey: Uint8Array
    /** The media keys of sessions are derived from it. */
    mediaSecret: Uint8Array
}

/** Makes what is missing. Throws when the folder cannot be used. */
export function openFolder(path: string): StateFolder {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    const keyIn = (name: string) =>
        Buffer.from(
            ownFile(join(path, name), () => randomBytes(32).toString("hex")),
            "hex",
        )
    return {
        databasePath: join(path, "group.db"),
        adminTokenPath: join(path, "admin.token"),
        brokerSecret: ownFile(join(path, "group.secret"), newSecret),
        tokenKey: keyIn("token.key"),
        mediaSecret: keyIn("media.key"),
    }
}

export function writePrivate(path: string, content: string): void {
    writeFileSync(path, `${content}\n`, { mode: 0o600 })
    // The mode above counts for new files only.
    chmodSync(path, 0o600)
}

export function readPrivate(path: string): string {
    return existsSync(path) ? readFileSync(path, "utf8").trim() : ""
}

function ownFile(path: string, make: () => string): string {
    const content = readPrivate(path)
    if (content) return content
    const made = make()
    writePrivate(path, made)
    return made
}
