/**
 * The durable memory of the group server. `commit` is the only way in: all writes of a batch in one transaction, on the
 * disk when the promise is fulfilled. `load` gives back what the core needs; lists for people come from `queries.ts`.
 *
 * Never decides, never sends. One process per store (see `sqlite.ts`).
 */

import { type Kysely, Migrator, type Transaction } from "kysely"
import { type Durable, emptyDurable, type Write } from "../core/model.ts"
import { migrations } from "./migrations.ts"
import * as rows from "./rows.ts"
import type { Tables } from "./tables.ts"

export interface StoreLimits {
    /** Entries of the audit log that are kept. */
    auditEntries: number
    /** The oldest are removed each time that so many new ones have come. */
    auditTrimEvery: number
}

const storeLimits: StoreLimits = { auditEntries: 200_000, auditTrimEvery: 1000 }

export class Store {
    readonly db: Kysely<Tables>
    private readonly limits: StoreLimits
    private auditSeq = 0
    private answeredPosition = 0

    private constructor(db: Kysely<Tables>, limits: StoreLimits) {
        this.db = db
        this.limits = limits
    }

    /** Brings the schema up to date and continues the counters. Throws when the database refuses. */
    static async open(db: Kysely<Tables>, limits: StoreLimits = storeLimits): Promise<Store> {
        const { error } = await new Migrator({ db, provider: migrations }).migrateToLatest()
        if (error) throw error
        const store = new Store(db, limits)
        await store.readCounters()
        return store
    }

    private async readCounters(): Promise<void> {
        const audit = await this.db
            .selectFrom("audit")
            .select(eb => eb.fn.max("seq").as("last"))
            .executeTakeFirst()
        const answered = this.db.selectFrom("answered").select(eb => eb.fn.max("position").as("last"))
        this.auditSeq = Number(audit?.last ?? 0)
        this.answeredPosition = Number((await answered.executeTakeFirst())?.last ?? 0)
    }

    async commit(writes: Write[]): Promise<void> {
        if (writes.length === 0) return
        try {
            await this.db.transaction().execute(async db => {
                for (const write of latestOnly(writes)) await this.apply(db, write)
            })
        } catch (error) {
            // The counters ran ahead of what is stored.
            await this.readCounters().catch(() => undefined)
            throw error
        }
    }

    /** The number of this start of the group server, one more than the last. */
    async nextBoot(): Promise<number> {
        return this.db.transaction().execute(async db => {
            const boot = Number((await readMeta(db, "boot")) ?? 0) + 1
            await writeMeta(db, "boot", String(boot))
            return boot
        })
    }

    /** What the core works on; sessions that ended before `endedAfterMs` stay in the store only. */
    async load(endedAfterMs: number): Promise<Durable> {
        const { db } = this
        const durable = emptyDurable()
        for (const row of await db.selectFrom("endpoints").selectAll().orderBy("id").execute())
            durable.endpoints.set(row.id, rows.endpointFromRow(row))
        for (const row of await db.selectFrom("routing_servers").selectAll().orderBy("id").execute())
            durable.servers.set(row.id, rows.serverFromRow(row))
        for (const row of await db.selectFrom("groups").selectAll().orderBy("id").execute())
            durable.groups.set(row.id, { id: row.id, name: row.name, createdMs: Number(row.created_ms), members: [] })
        for (const row of await db.selectFrom("group_members").selectAll().orderBy("position").execute())
            durable.groups.get(row.group_id)?.members.push(row.endpoint_id)
        await this.loadSessions(durable, endedAfterMs)
        for (const row of await db.selectFrom("answered").selectAll().orderBy("position").execute()) {
            const own = durable.answered.get(row.sender) ?? new Map()
            durable.answered.set(row.sender, own.set(row.key, rows.answeredFromRow(row)))
        }
        durable.neighbours = await db.selectFrom("static_neighbours").selectAll().orderBy("a").orderBy("b").execute()
        const policy = await readMeta(db, "neighbour_policy")
        if (policy !== undefined) durable.neighbourPolicy = JSON.parse(policy)
        durable.reservedVersions = Number((await readMeta(db, "versions")) ?? 0)
        return durable
    }

    private async loadSessions(durable: Durable, endedAfterMs: number): Promise<void> {
        const wanted = this.db
            .selectFrom("sessions")
            .where(eb => eb.or([eb("state", "!=", "ended"), eb("ended_ms", ">=", endedAfterMs)]))
        const invitations = new Map<string, Tables["invitations"][]>()
        const members = this.db.selectFrom("invitations").selectAll().where("session_id", "in", wanted.select("id"))
        for (const row of await members.orderBy("position").execute()) {
            const own = invitations.get(row.session_id) ?? []
            invitations.set(row.session_id, own)
            own.push(row)
        }
        for (const row of await wanted.selectAll().orderBy("created_ms").execute())
            durable.sessions.set(row.id, rows.sessionFromRow(row, invitations.get(row.id) ?? []))
    }

    async close(): Promise<void> {
        await this.db.destroy()
    }

    private async apply(db: Transaction<Tables>, write: Write): Promise<void> {
        switch (write.table) {
            case "endpoints":
                if ("remove" in write) await db.deleteFrom("endpoints").where("id", "=", write.remove).execute()
                else await putById(db, "endpoints", rows.endpointToRow(write.put))
                return
            case "servers":
                if ("remove" in write) await db.deleteFrom("routing_servers").where("id", "=", write.remove).execute()
                else await putById(db, "routing_servers", rows.serverToRow(write.put))
                return
            case "groups":
                if ("remove" in write) await db.deleteFrom("groups").where("id", "=", write.remove).execute()
                else await putGroup(db, write.put)
                return
            case "sessions": {
                await putById(db, "sessions", rows.sessionToRow(write.put))
                const invitations = rows.invitationsToRows(write.put)
                await db
                    .insertInto("invitations")
                    .values(invitations)
                    .onConflict(conflict =>
                        conflict.columns(["session_id", "endpoint_id"]).doUpdateSet(eb => ({
                            status: eb.ref("excluded.status"),
                            server: eb.ref("excluded.server"),
                        })),
                    )
                    .execute()
                return
            }
            case "answered":
                if ("remove" in write) {
                    const { sender, remove } = write
                    await db.deleteFrom("answered").where("sender", "=", sender).where("key", "=", remove).execute()
                } else {
                    this.answeredPosition++
                    await db
                        .insertInto("answered")
                        .values(rows.answeredToRow(write.put, this.answeredPosition))
                        .execute()
                }
                return
            case "neighbours":
                await db.deleteFrom("static_neighbours").execute()
                // In parts, because a statement has a limited number of parameters.
                for (let at = 0; at < write.replace.length; at += 500)
                    await db
                        .insertInto("static_neighbours")
                        .values(write.replace.slice(at, at + 500))
                        .execute()
                return
            case "neighbourPolicy":
                await writeMeta(db, "neighbour_policy", JSON.stringify(write.put))
                return
            case "audit":
                await this.putAudit(db, rows.auditToRow(write.put, ++this.auditSeq))
                return
            case "versions":
                await writeMeta(db, "versions", String(write.reserve))
                return
        }
    }

    private async putAudit(db: Transaction<Tables>, row: Tables["audit"]): Promise<void> {
        await db.insertInto("audit").values(row).execute()
        if (row.seq % this.limits.auditTrimEvery !== 0) return
        await db
            .deleteFrom("audit")
            .where("seq", "<=", row.seq - this.limits.auditEntries)
            .execute()
    }
}

/** Of several writes of the same row in one batch only the last matters: they all refer to its present content. */
function latestOnly(writes: Write[]): Write[] {
    const last = new Map<string, number>()
    const keyOf = (write: Write): string | undefined => {
        if (write.table === "neighbours" || write.table === "neighbourPolicy" || write.table === "versions")
            return write.table
        if (write.table === "audit" || write.table === "answered") return undefined
        return `${write.table} ${"remove" in write ? write.remove : write.put.id}`
    }
    for (const [index, write] of writes.entries()) {
        const key = keyOf(write)
        if (key !== undefined) last.set(key, index)
    }
    return writes.filter((write, index) => {
        const key = keyOf(write)
        return key === undefined || last.get(key) === index
    })
}

async function putById<Name extends "endpoints" | "routing_servers" | "groups" | "sessions">(
    db: Transaction<Tables>,
    table: Name,
    row: Tables[Name],
): Promise<void> {
    // The four tables share their key; kysely cannot follow that through a type parameter.
    const plain = db as unknown as Transaction<{ any: { [column: string]: string | number } }>
    const { id, ...rest } = row as { id: string; [column: string]: string | number }
    await plain
        .insertInto(table as "any")
        .values({ id, ...rest })
        .onConflict(conflict => conflict.column("id").doUpdateSet(rest))
        .execute()
}

async function putGroup(
    db: Transaction<Tables>,
    group: { id: string; name: string; createdMs: number; members: string[] },
): Promise<void> {
    const { id, name, createdMs, members } = group
    await putById(db, "groups", { id, name, created_ms: createdMs })
    await db.deleteFrom("group_members").where("group_id", "=", id).execute()
    if (members.length === 0) return
    const values = members.map((endpoint, position) => ({ group_id: id, endpoint_id: endpoint, position }))
    await db.insertInto("group_members").values(values).execute()
}

async function readMeta(db: Kysely<Tables>, key: string): Promise<string | undefined> {
    return (await db.selectFrom("meta").select("value").where("key", "=", key).executeTakeFirst())?.value
}

async function writeMeta(db: Kysely<Tables>, key: string, value: string): Promise<void> {
    await db
        .insertInto("meta")
        .values({ key, value })
        .onConflict(conflict => conflict.column("key").doUpdateSet({ value }))
        .execute()
}
