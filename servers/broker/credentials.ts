/**
 * Who may log in to the broker: the credentials file, its hashes, and the same for mosquitto.
 *
 * Owns `credentials.json` (read by the embedded broker), `mosquitto.passwd` and `mosquitto.acl` (read by mosquitto), all
 * written together by whoever enrols devices and servers. Never holds a secret: only its hash.
 */

import { pbkdf2Sync, randomBytes, timingSafeEqual } from "node:crypto"
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { limits } from "../../protocol/limits.ts"
import type { RightsKind } from "../../protocol/rights.ts"
import { isIdentifier } from "../../protocol/text.ts"
import { mosquittoAcl, mosquittoPasswords } from "./mosquitto.ts"

export interface CredentialEntry {
    /** Client id and user name. */
    id: string
    kind: RightsKind
    /** `$7$...`, as `hashSecret` makes it. */
    hash: string
}

export type CredentialsProblemCode = "missing" | "unreadable" | "malformed"

export interface CredentialsProblem {
    ok: false
    code: CredentialsProblemCode
    /** What is wrong, with the file and the place in it. */
    what: string
    who: "operator"
}

export type CredentialsOutcome = { ok: true; entries: CredentialEntry[] } | CredentialsProblem

export const credentialsFile = "credentials.json"
export const mosquittoPasswordFile = "mosquitto.passwd"
export const mosquittoAclFile = "mosquitto.acl"

/** The group server is one; its id is fixed so that the rights can name it. */
export const groupServerId = "group"

const fileVersion = 1
const maxFileBytes = 32 * 1024 * 1024
const maxEntries = 100_000

/**
 * Iterations of PBKDF2, as many as mosquitto itself writes. Stretching protects secrets that people choose; ours are 128
 * random bits (`newSecret`), which nobody guesses at any speed, and a slow hash would only let a flood of logins eat the CPU.
 */
const iterations = 101
const saltBytes = 12
const hashBytes = 64

/** A new secret: 128 random bits as 32 hex digits, which anybody can type and any serial line carries. */
export function newSecret(): string {
    return randomBytes(16).toString("hex")
}

/** The `$7$` (PBKDF2-SHA512) hash of a secret, in mosquitto's own form. */
export function hashSecret(secret: string): string {
    const salt = randomBytes(saltBytes)
    const hash = pbkdf2Sync(secret, salt, iterations, hashBytes, "sha512")
    return `$7$${iterations}$${salt.toString("base64")}$${hash.toString("base64")}`
}

/** Whether `secret` is the one that `hash` was made of; false for a hash that is none. */
export function verifySecret(secret: string, hash: string): boolean {
    const parts = parseHash(hash)
    if (!parts || Buffer.byteLength(secret) > limits.secretBytes) return false
    const given = pbkdf2Sync(secret, parts.salt, parts.iterations, hashBytes, "sha512")
    return timingSafeEqual(given, parts.hash)
}

function parseHash(hash: string): { iterations: number; salt: Buffer; hash: Buffer } | undefined {
    // Bounded, so that a file cannot make each login cost seconds.
    const match = /^\$7\$([1-9][0-9]{0,5})\$([A-Za-z0-9+/]{8,88}={0,2})\$([A-Za-z0-9+/]{86}==)$/.exec(hash)
    if (!match) return undefined
    const decoded = Buffer.from(match[3], "base64")
    if (decoded.length !== hashBytes) return undefined
    return { iterations: Number(match[1]), salt: Buffer.from(match[2], "base64"), hash: decoded }
}

/**
 * Writes the three files, each atomically, `credentials.json` last: who sees the new one sees the others new as well.
 * Throws on entries that `readCredentials` would refuse (a broken caller) and on a disk that refuses.
 */
export function writeCredentials(dir: string, entries: CredentialEntry[]): void {
    const problem = problemWithEntries(entries)
    if (problem) throw new Error(`credentials: ${problem}`)
    const sorted = entries
        .map(({ id, kind, hash }) => ({ id, kind, hash }))
        .sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0))
    mkdirSync(dir, { recursive: true, mode: 0o700 })
    writeAtomically(dir, mosquittoPasswordFile, mosquittoPasswords(sorted))
    writeAtomically(dir, mosquittoAclFile, mosquittoAcl(sorted))
    const lines = sorted.map(entry => `        ${JSON.stringify(entry)}`).join(",\n")
    writeAtomically(dir, credentialsFile, `{\n    "version": ${fileVersion},\n    "entries": [\n${lines}\n    ]\n}\n`)
}

function writeAtomically(dir: string, name: string, content: string): void {
    const path = join(dir, name)
    const temporary = `${path}.${process.pid}.tmp`
    try {
        const file = openSync(temporary, "w", 0o600)
        try {
            writeFileSync(file, content)
            // Without it, a power cut after the rename may leave an empty file in the place of the old one.
            fsyncSync(file)
        } finally {
            closeSync(file)
        }
        renameSync(temporary, path)
    } catch (error) {
        rmSync(temporary, { force: true })
        throw error
    }
}

/** The entries of `credentials.json` in `dir`, validated. */
export function readCredentials(dir: string): CredentialsOutcome {
    const path = join(dir, credentialsFile)
    let content: string
    try {
        content = readFileSync(path, "utf8")
    } catch (error) {
        const code = (error as NodeJS.ErrnoException).code
        if (code === "ENOENT") return problem("missing", `${path} is not there: enrol an endpoint or server first`)
        return problem("unreadable", `${path} cannot be read: ${code}`)
    }
    if (content.length > maxFileBytes) return problem("malformed", `${path} is larger than ${maxFileBytes} bytes`)
    let value: { version?: unknown; entries?: CredentialEntry[] } | null
    try {
        value = JSON.parse(content)
    } catch (error) {
        return problem("malformed", `${path} is not JSON: ${(error as Error).message}`)
    }
    if (value?.version !== fileVersion)
        return problem("malformed", `${path}: version must be ${fileVersion}, not ${JSON.stringify(value?.version)}`)
    const wrong = problemWithEntries(value.entries)
    if (wrong) return problem("malformed", `${path}: ${wrong}`)
    return {
        ok: true,
        entries: value.entries!.map(({ id, kind, hash }) => ({ id, kind, hash })),
    }
}

function problem(code: CredentialsProblemCode, what: string): CredentialsProblem {
    return { ok: false, code, what, who: "operator" }
}

/** What is wrong with a list of entries, or "". Hashes are never shown. */
function problemWithEntries(entries: unknown): string {
    if (!Array.isArray(entries)) return "entries must be a list"
    if (entries.length > maxEntries) return `more than ${maxEntries} entries`
    const ids = new Set<string>()
    for (const [index, entry] of entries.entries()) {
        const place = `entries[${index}]`
        if (typeof entry !== "object" || entry === null) return `${place} must be an object`
        const { id, kind, hash } = entry
        if (!isIdentifier(id)) return `${place}.id must be 1..${limits.identifierBytes} of a-z, 0-9 and "-"`
        if (kind !== "ep" && kind !== "rs" && kind !== "group")
            return `${place}.kind must be "ep", "rs" or "group" (${id})`
        if ((kind === "group") !== (id === groupServerId))
            return `${place}: the id "${groupServerId}" is for the group server and nobody else (${id}, ${kind})`
        if (typeof hash !== "string" || !parseHash(hash)) return `${place}.hash is not a $7$ hash (${id})`
        // One name space for all kinds: topic rights go by id.
        if (ids.has(id)) return `${place}.id "${id}" is there twice`
        ids.add(id)
    }
    return ""
}
