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
    return {
        id: row.id,
        name: row.name,
        secret_hash: row.secretHash,
        created_ms: row.createdMs,
        board: row.board,
        firmware: row.firmware,
        boot: row.boot,
        last_server: row.history[0] ?? "",
        history: JSON.stringify(row.history),
        position: JSON.stringify(row.position ?? null),
        crashes: JSON.stringify(row.crashes),
    }
}

export function endpointFromRow(row: Tables["endpoints"]): EndpointRow {
    const history = JSON.parse(row.history) as string[]
    // A store of before has the last choice only.
    if (history.length === 0 && row.last_server) history.push(row.last_server)
    return {
        id: row.id,
        name: row.name,
        secretHash: row.secret_hash,
        createdMs: Number(row.created_ms),
        board: row.board,
        firmware: row.firmware,
        boot: Number(row.boot),
        history,
        position: (JSON.parse(row.position) as EndpointRow["position"] | null) ?? undefined,
        crashes: JSON.parse(row.crashes) as EndpointRow["crashes"],
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
        stored_place: JSON.stringify(row.stored),
        announced_place: JSON.stringify(row.announced),
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
        stored: JSON.parse(row.stored_place),
        announced: JSON.parse(row.announced_place),
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
        recording: row.recording,
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
        recording: row.recording as SessionRow["recording"],
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
    const { actor, action, subject, outcome, inputs } = row
    // A booking is about what it calls, and comes to a session; everything else about a session has it as its subject.
    const session = typeof inputs.sid === "string" ? inputs.sid : subject
    return { seq, at_ms: row.atMs, actor, action, subject, session, outcome, inputs: JSON.stringify(inputs) }
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
