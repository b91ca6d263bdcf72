/**
 * Rows of the tables to and from what the core knows. Numbers come back as text from some dialects, hence `Number`.
 */

import type { SessionState } from "../../../protocol/messages.ts"
import type {
    Answer,
    AnsweredRow,
    AuditRow,
    EndpointRow,
    Invitation,
    InvitationStatus,
    ServerRow,
    SessionRow,
} from "../core/model.ts"
import type { Tables } from "./tables.ts"

export function endpointToRow(row: EndpointRow): Tables["endpoints"] {
    const { id, name, secretHash, createdMs, board, firmware, boot, lastServer } = row
    return { id, name, secret_hash: secretHash, created_ms: createdMs, board, firmware, boot, last_server: lastServer }
}

export function endpointFromRow(row: Tables["endpoints"]): EndpointRow {
    return {
        id: row.id,
        name: row.name,
        secretHash: row.secret_hash,
        createdMs: Number(row.created_ms),
        board: row.board,
        firmware: row.firmware,
        boot: Number(row.boot),
        lastServer: row.last_server,
    }
}

export function serverToRow(row: ServerRow): Tables["routing_servers"] {
    return {
        id: row.id,
        secret_hash: row.secretHash,
        created_ms: row.createdMs,
        ip: row.ip,
        link_port: row.linkPort,
        media_port: row.mediaPort,
        fingerprint: row.fingerprint,
        dsp_units: row.dspUnits,
        boot: row.boot,
    }
}

export function serverFromRow(row: Tables["routing_servers"]): ServerRow {
    return {
        id: row.id,
        secretHash: row.secret_hash,
        createdMs: Number(row.created_ms),
        ip: row.ip,
        linkPort: Number(row.link_port),
        mediaPort: Number(row.media_port),
        fingerprint: row.fingerprint,
        dspUnits: Number(row.dsp_units),
        boot: Number(row.boot),
    }
}

export function sessionToRow(row: SessionRow): Tables["sessions"] {
    return {
        id: row.id,
        title: row.title,
        target: row.target,
        booker: row.booker,
        start_s: row.start,
        end_s: row.end,
        state: row.state,
        adhoc: row.adhoc ? 1 : 0,
        source: row.source,
        source_reason: row.sourceReason,
        created_ms: row.createdMs,
        ended_ms: row.endedMs,
        end_reason: row.endReason,
    }
}

export function invitationsToRows(session: SessionRow): Tables["invitations"][] {
    return session.invitations.map(({ endpoint, name, status, server }, position) => {
        return { session_id: session.id, endpoint_id: endpoint, name, status, server, position }
    })
}

export function sessionFromRow(row: Tables["sessions"], invitations: Tables["invitations"][]): SessionRow {
    return {
        id: row.id,
        title: row.title,
        target: row.target,
        booker: row.booker,
        start: Number(row.start_s),
        end: Number(row.end_s),
        state: row.state as SessionState,
        adhoc: Number(row.adhoc) === 1,
        source: row.source,
        sourceReason: row.source_reason,
        createdMs: Number(row.created_ms),
        endedMs: Number(row.ended_ms),
        endReason: row.end_reason,
        invitations: invitations.map(invitationFromRow),
    }
}

function invitationFromRow(row: Tables["invitations"]): Invitation {
    return { endpoint: row.endpoint_id, name: row.name, status: row.status as InvitationStatus, server: row.server }
}

export function answeredToRow(row: AnsweredRow, position: number): Tables["answered"] {
    const { sender, key, atMs, request } = row
    return { sender, key, at_ms: atMs, request, answer: JSON.stringify(row.answer), position }
}

export function answeredFromRow(row: Tables["answered"]): AnsweredRow {
    const answer = JSON.parse(row.answer) as Answer
    return { sender: row.sender, key: row.key, atMs: Number(row.at_ms), request: row.request, answer }
}

export function auditToRow(row: AuditRow, seq: number): Tables["audit"] {
    const { actor, action, subject, outcome } = row
    return { seq, at_ms: row.atMs, actor, action, subject, outcome, inputs: JSON.stringify(row.inputs) }
}

export function auditFromRow(row: Tables["audit"]): AuditRow & { seq: number } {
    return {
        seq: Number(row.seq),
        atMs: Number(row.at_ms),
        actor: row.actor,
        action: row.action,
        subject: row.subject,
        outcome: row.outcome,
        inputs: JSON.parse(row.inputs),
    }
}
