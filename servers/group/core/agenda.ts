/**
 * The next sessions of one endpoint as the message that its appliance gets: at most 5 and never above the appliance's
 * size limit in bytes of UTF-8, whatever the names are. What does not fit is counted in `more`.
 */

import { limits } from "../../../protocol/limits.ts"
import type { Agenda, AgendaItem } from "../../../protocol/messages.ts"
import { utf8Bytes } from "../../../protocol/text.ts"
import { clip } from "../../text.ts"
import type { SessionRow, State } from "./model.ts"

const u32 = 4294967295

/** The agenda without its version and time, which change with every message. */
export interface AgendaContent {
    list: AgendaItem[]
    more: number
}

export function agendaOf(state: State, endpoint: string): AgendaContent {
    const sessions = [...(state.sessionsOf.get(endpoint) ?? [])]
    sessions.sort((a, b) => a.start - b.start || (a.id < b.id ? -1 : 1))
    const list = sessions.slice(0, limits.agendaSessions).map(session => itemFor(state, session, endpoint))
    // Sized with the longest version and time, so that a repeat never has to leave out more than the first.
    const longest = { n: u32, nowMs: 32503680000000, list, more: 65535 }
    while (list.length > 1 && utf8Bytes(JSON.stringify(longest)) > limits.messageToApplianceBytes) list.pop()
    return { list, more: Math.min(65535, sessions.length - list.length) }
}

export function agendaMessage(content: AgendaContent, version: number, nowMs: number): Agenda {
    return { n: version, nowMs, ...content }
}

function itemFor(state: State, session: SessionRow, endpoint: string): AgendaItem {
    const invited = session.invitations.find(invitation => invitation.endpoint === session.booker)
    const from = state.durable.endpoints.get(session.booker)?.name ?? invited?.name ?? session.booker
    return {
        sid: session.id,
        title: session.title,
        from: clip(from, limits.nameBytes),
        mine: session.booker === endpoint ? 1 : 0,
        start: session.start,
        end: session.end,
        state: session.state,
    }
}
