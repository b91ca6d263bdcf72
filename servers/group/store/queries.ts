/**
 * Lists for people, in pages: sessions (also those that ended long ago) and the audit log. Reads only.
 */

import type { Kysely } from "kysely"
import type { SessionState } from "../../../protocol/messages.ts"
import type { AuditRow, SessionRow } from "../core/model.ts"
import { auditFromRow, sessionFromRow } from "./rows.ts"
import type { Tables } from "./tables.ts"

export interface SessionFilter {
    states?: SessionState[]
    /** Sessions that this endpoint booked or is invited to. */
    endpoint?: string
    /** Unix seconds: sessions that end after `from` and start before `to`. */
    from?: number
    to?: number
}

/** Where a page starts: after this session in the order of start and id. */
export interface SessionCursor {
    start: number
    id: string
}

export async function listSessions(
    db: Kysely<Tables>,
    filter: SessionFilter,
    after: SessionCursor | undefined,
    limit: number,
): Promise<SessionRow[]> {
    let query = db.selectFrom("sessions").selectAll()
    if (filter.states) query = query.where("state", "in", filter.states)
    if (filter.from !== undefined) query = query.where("end_s", ">", filter.from)
    if (filter.to !== undefined) query = query.where("start_s", "<", filter.to)
    const { endpoint } = filter
    if (endpoint !== undefined) {
        const invited = db.selectFrom("invitations").select("session_id").where("endpoint_id", "=", endpoint)
        query = query.where("id", "in", invited)
    }
    if (after) {
        const { start, id } = after
        query = query.where(eb =>
            eb.or([eb("start_s", ">", start), eb.and([eb("start_s", "=", start), eb("id", ">", id)])]),
        )
    }
    const sessions = await query.orderBy("start_s").orderBy("id").limit(limit).execute()
    return withInvitations(db, sessions)
}

export async function getSession(db: Kysely<Tables>, id: string): Promise<SessionRow | undefined> {
    const row = await db.selectFrom("sessions").selectAll().where("id", "=", id).executeTakeFirst()
    return row ? (await withInvitations(db, [row]))[0] : undefined
}

async function withInvitations(db: Kysely<Tables>, sessions: Tables["sessions"][]): Promise<SessionRow[]> {
    if (sessions.length === 0) return []
    const ids = sessions.map(session => session.id)
    const query = db.selectFrom("invitations").selectAll().where("session_id", "in", ids)
    const invitations = new Map<string, Tables["invitations"][]>()
    for (const row of await query.orderBy("position").execute()) {
        const own = invitations.get(row.session_id) ?? []
        invitations.set(row.session_id, own)
        own.push(row)
    }
    return sessions.map(session => sessionFromRow(session, invitations.get(session.id) ?? []))
}

export interface AuditFilter {
    subject?: string
    actor?: string
    action?: string
    /** The id of a session: its booking and all that happened to it. */
    session?: string
}

/** Newest first, older than `before`. */
export async function listAudit(
    db: Kysely<Tables>,
    filter: AuditFilter,
    before: number | undefined,
    limit: number,
): Promise<(AuditRow & { seq: number })[]> {
    let query = db.selectFrom("audit").selectAll()
    if (filter.subject !== undefined) query = query.where("subject", "=", filter.subject)
    if (filter.actor !== undefined) query = query.where("actor", "=", filter.actor)
    if (filter.action !== undefined) query = query.where("action", "=", filter.action)
    if (filter.session !== undefined) query = query.where("session", "=", filter.session)
    if (before !== undefined) query = query.where("seq", "<", before)
    return (await query.orderBy("seq", "desc").limit(limit).execute()).map(auditFromRow)
}
