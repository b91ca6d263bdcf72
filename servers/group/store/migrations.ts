/**
 * The store's schema, one step after the other. A step that has been released is never changed: add the next one.
 */

import { type Kysely, type Migration, type MigrationProvider, sql } from "kysely"

/** Migrations run before there is a typed schema. */
type Db = Kysely<unknown>

const first: Migration = {
    async up(db: Db) {
        await db.schema
            .createTable("meta")
            .addColumn("key", "text", column => column.primaryKey())
            .addColumn("value", "text", column => column.notNull())
            .execute()
        await db.schema
            .createTable("endpoints")
            .addColumn("id", "text", column => column.primaryKey())
            .addColumn("name", "text", column => column.notNull())
            .addColumn("secret_hash", "text", column => column.notNull())
            .addColumn("created_ms", "bigint", column => column.notNull())
            .addColumn("board", "text", column => column.notNull())
            .addColumn("firmware", "text", column => column.notNull())
            .addColumn("boot", "bigint", column => column.notNull())
            .addColumn("last_server", "text", column => column.notNull())
            .execute()
        await db.schema
            .createTable("routing_servers")
            .addColumn("id", "text", column => column.primaryKey())
            .addColumn("secret_hash", "text", column => column.notNull())
            .addColumn("created_ms", "bigint", column => column.notNull())
            .addColumn("ip", "text", column => column.notNull())
            .addColumn("link_port", "integer", column => column.notNull())
            .addColumn("media_port", "integer", column => column.notNull())
            .addColumn("fingerprint", "text", column => column.notNull())
            .addColumn("dsp_units", "bigint", column => column.notNull())
            .addColumn("boot", "bigint", column => column.notNull())
            .execute()
        await db.schema
            .createTable("groups")
            .addColumn("id", "text", column => column.primaryKey())
            .addColumn("name", "text", column => column.notNull())
            .addColumn("created_ms", "bigint", column => column.notNull())
            .execute()
        await db.schema
            .createTable("group_members")
            .addColumn("group_id", "text", column => column.notNull().references("groups.id").onDelete("cascade"))
            .addColumn("endpoint_id", "text", column => column.notNull())
            .addColumn("position", "integer", column => column.notNull())
            .addPrimaryKeyConstraint("group_members_key", ["group_id", "endpoint_id"])
            .execute()
        await sessions(db)
        await db.schema
            .createTable("answered")
            .addColumn("sender", "text", column => column.notNull())
            .addColumn("key", "text", column => column.notNull())
            .addColumn("at_ms", "bigint", column => column.notNull())
            .addColumn("request", "text", column => column.notNull())
            .addColumn("answer", "text", column => column.notNull())
            .addColumn("position", "bigint", column => column.notNull())
            .addPrimaryKeyConstraint("answered_key", ["sender", "key"])
            .execute()
        await db.schema
            .createTable("static_neighbours")
            .addColumn("a", "text", column => column.notNull())
            .addColumn("b", "text", column => column.notNull())
            .addPrimaryKeyConstraint("static_neighbours_key", ["a", "b"])
            .execute()
        await db.schema
            .createTable("audit")
            .addColumn("seq", "bigint", column => column.primaryKey())
            .addColumn("at_ms", "bigint", column => column.notNull())
            .addColumn("actor", "text", column => column.notNull())
            .addColumn("action", "text", column => column.notNull())
            .addColumn("subject", "text", column => column.notNull())
            .addColumn("outcome", "text", column => column.notNull())
            .addColumn("inputs", "text", column => column.notNull())
            .execute()
    },
}

async function sessions(db: Db): Promise<void> {
    await db.schema
        .createTable("sessions")
        .addColumn("id", "text", column => column.primaryKey())
        .addColumn("title", "text", column => column.notNull())
        .addColumn("target", "text", column => column.notNull())
        .addColumn("booker", "text", column => column.notNull())
        .addColumn("start_s", "bigint", column => column.notNull())
        .addColumn("end_s", "bigint", column => column.notNull())
        .addColumn("state", "text", column => column.notNull())
        .addColumn("adhoc", "integer", column => column.notNull())
        .addColumn("source", "text", column => column.notNull())
        .addColumn("source_reason", "text", column => column.notNull())
        .addColumn("created_ms", "bigint", column => column.notNull())
        .addColumn("ended_ms", "bigint", column => column.notNull())
        .addColumn("end_reason", "text", column => column.notNull())
        .execute()
    await db.schema.createIndex("sessions_by_start").on("sessions").columns(["start_s", "id"]).execute()
    await db.schema.createIndex("sessions_by_state").on("sessions").columns(["state", "ended_ms"]).execute()
    await db.schema
        .createTable("invitations")
        .addColumn("session_id", "text", column => column.notNull().references("sessions.id").onDelete("cascade"))
        .addColumn("endpoint_id", "text", column => column.notNull())
        .addColumn("name", "text", column => column.notNull())
        .addColumn("status", "text", column => column.notNull())
        .addColumn("server", "text", column => column.notNull())
        .addColumn("position", "integer", column => column.notNull())
        .addPrimaryKeyConstraint("invitations_key", ["session_id", "endpoint_id"])
        .execute()
    await db.schema.createIndex("invitations_by_endpoint").on("invitations").column("endpoint_id").execute()
}

/** Places of routing servers and endpoints, what an endpoint chose before, and the session in the audit log. */
const second: Migration = {
    async up(db: Db) {
        for (const name of ["stored_place", "announced_place"])
            await db.schema
                .alterTable("routing_servers")
                .addColumn(name, "text", column => column.notNull().defaultTo("{}"))
                .execute()
        for (const [name, value] of [
            ["history", "[]"],
            ["position", "null"],
        ])
            await db.schema
                .alterTable("endpoints")
                .addColumn(name, "text", column => column.notNull().defaultTo(value))
                .execute()
        await db.schema
            .alterTable("audit")
            .addColumn("session", "text", column => column.notNull().defaultTo(""))
            .execute()
        // Entries of before are found by their subject; the session of an old booking stands in its inputs only.
        await sql`update audit set session = subject where action <> 'book'`.execute(db)
        await db.schema.createIndex("audit_by_session").on("audit").columns(["session", "seq"]).execute()
    },
}

/** Which sessions are recorded, and how. */
const third: Migration = {
    async up(db: Db) {
        await db.schema
            .alterTable("sessions")
            .addColumn("recording", "text", column => column.notNull().defaultTo(""))
            .execute()
    },
}

/** How lives of an endpoint ended. */
const fourth: Migration = {
    async up(db: Db) {
        await db.schema
            .alterTable("endpoints")
            .addColumn("crashes", "text", column => column.notNull().defaultTo("[]"))
            .execute()
    },
}

export const migrations: MigrationProvider = {
    async getMigrations() {
        return { "0001-first": first, "0002-places": second, "0003-recording": third, "0004-crashes": fourth }
    },
}
