/**
 * Whom an endpoint can call: every group and every other room, in pages that fit an appliance's message.
 */

import { limits } from "../../../protocol/limits.ts"
import type { DirectoryEntry } from "../../../protocol/messages.ts"
import { utf8Bytes } from "../../../protocol/text.ts"
import type { State } from "./model.ts"

export function directoryPage(state: State, endpoint: string, from: number): { list: DirectoryEntry[]; next?: number } {
    const entries: DirectoryEntry[] = []
    for (const { id, name } of state.durable.groups.values()) entries.push({ id, name, kind: "group" })
    for (const { id, name } of state.durable.endpoints.values())
        if (id !== endpoint) entries.push({ id, name, kind: "room" })
    // Groups first: calling one is the common case. Then by name, by id where names are equal.
    entries.sort(
        (a, b) => compare(a.kind, b.kind) || compare(a.name.toLowerCase(), b.name.toLowerCase()) || compare(a.id, b.id),
    )

    const list = entries.slice(from, from + limits.directoryPage)
    const longest = { re: 4294967295, list, next: 65535 }
    while (list.length > 1 && utf8Bytes(JSON.stringify(longest)) > limits.messageToApplianceBytes) list.pop()
    const next = from + list.length
    return list.length > 0 && next < entries.length && next <= 65535 ? { list, next } : { list }
}

function compare(a: string, b: string): number {
    return a < b ? -1 : a > b ? 1 : 0
}
