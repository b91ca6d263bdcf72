/**
 * SQLite through npm `libsql` as the embedded database: write-ahead log, each commit on the disk before it returns, and
 * one process per file, so that two group servers never share a state folder.
 */

import { closeSync, openSync } from "node:fs"
import { Kysely, type SqliteDatabase, SqliteDialect } from "kysely"
import Database from "libsql"
import type { Tables } from "./tables.ts"

export type OpenOutcome = { ok: true; db: Kysely<Tables> } | { ok: false; what: string }

export function openSqlite(path: string): OpenOutcome {
    try {
        // The log files beside it get the mode of the database.
        closeSync(openSync(path, "a", 0o600))
        const database = new Database(path)
        database.pragma("locking_mode = EXCLUSIVE")
        database.pragma("journal_mode = WAL")
        // FULL: the log is on the disk before a commit returns, so that a power cut loses nothing acknowledged either.
        database.pragma("synchronous = FULL")
        database.pragma("foreign_keys = ON")
        // Takes the lock now rather than at the first write.
        database.exec("BEGIN IMMEDIATE; COMMIT")
        // libsql has the interface of better-sqlite3, which is the one that kysely asks for.
        const dialect = new SqliteDialect({ database: database as unknown as SqliteDatabase })
        return { ok: true, db: new Kysely<Tables>({ dialect }) }
    } catch (error) {
        const { code, message } = error as { code?: string; message: string }
        const busy = code === "SQLITE_BUSY" || code === "SQLITE_LOCKED"
        return { ok: false, what: busy ? `${path} is in use by another group server` : `${path}: ${message}` }
    }
}
