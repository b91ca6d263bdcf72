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
        return { ok: true, db: new Kysely<Tables>({ dialect: new SqliteDialect({ database: asKysely(database) }) }) }
    } catch (error) {
        const { code, message } = error as { code?: string; message: string }
        const busy = code === "SQLITE_BUSY" || code === "SQLITE_LOCKED"
        return { ok: false, what: busy ? `${path} is in use by another group server` : `${path}: ${message}` }
    }
}

/** libsql has the interface of better-sqlite3, which is the one that kysely asks for, but holds its lock after `close`. */
function asKysely(database: Database.Database): SqliteDatabase {
    return {
        prepare: sql => database.prepare(sql) as unknown as ReturnType<SqliteDatabase["prepare"]>,
        close() {
            // A closed database lives on until its statements are collected; its lock must not. It cannot be given up while
            // in WAL, and without WAL a clean stop leaves one file, whole.
            database.pragma("journal_mode = DELETE")
            database.pragma("locking_mode = NORMAL")
            database.prepare("SELECT count(*) FROM sqlite_schema").all()
            database.close()
        },
    }
}
