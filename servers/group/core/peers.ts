/**
 * The list of all routing servers as the messages that each of them gets: whole, in as many parts as the broker's limit
 * makes necessary.
 *
 * Owns the pace: with thousands of servers one change is gigabytes of lists, so that a server is told again only when its
 * turn has come, and then the newest [claims 7, 10].
 */

import { limits } from "../../../protocol/limits.ts"
import { type Peer, serverLimits } from "../../../protocol/servers.ts"
import { utf8Bytes } from "../../../protocol/text.ts"
import type { Send, State } from "./model.ts"
import { placeOf } from "./place.ts"

/** Bytes of lists that leave in one go; the next go comes after the interval. A hundred servers are told at once. */
const bytesAtOnce = 2 * 1024 * 1024
const intervalMs = 50

const envelopeBytes = utf8Bytes(JSON.stringify({ n: 4294967295, list: [], part: 63, parts: 64 }))

interface Sized {
    peer: Peer
    bytes: number
}

/** Tells `first` at once and the others that wait as far as the pace allows. `version` is asked once per receiver. */
export function pushPeers(state: State, first: Set<string>, nowMs: number, version: () => number): Send[] {
    const { peersPending: pending } = state.live
    if (state.touched.peers) for (const server of state.durable.servers.keys()) pending.add(server)
    // A deadline further away than the interval is from before the clock was set back.
    const mayTell = nowMs >= state.live.peersDueMs || state.live.peersDueMs > nowMs + intervalMs
    const due = mayTell ? [...pending].filter(server => !first.has(server)) : []
    if (first.size + due.length === 0) return []

    const sends: Send[] = []
    const everybody = allPeers(state)
    const statics = staticNeighbours(state)
    let bytes = 0
    const tell = (server: string) => {
        pending.delete(server)
        if (state.live.servers.get(server)?.on !== 1) return
        bytes += everybody.bytes
        sends.push(...messagesTo(server, everybody.list, statics.get(server) ?? new Set(), version()))
    }
    for (const server of first) tell(server)
    for (const server of due) {
        if (bytes >= bytesAtOnce) break
        tell(server)
    }
    if (pending.size > 0 && due.length > 0) state.live.peersDueMs = nowMs + intervalMs
    return sends
}

/** When the next servers are told; undefined when all are. */
export function peersDueMs(state: State): number | undefined {
    return state.live.peersPending.size > 0 ? state.live.peersDueMs : undefined
}

function allPeers(state: State): { list: Sized[]; bytes: number } {
    const list: Sized[] = []
    let bytes = 0
    for (const row of state.durable.servers.values()) {
        if (!row.ip) continue
        const { id: rs, ip, linkPort, mediaPort, fingerprint } = row
        const peer: Peer = { rs, ip, linkPort, mediaPort, fingerprint, static: 0, ...placeOf(row) }
        // With the comma that follows it.
        const size = utf8Bytes(JSON.stringify(peer)) + 1
        list.push({ peer, bytes: size })
        bytes += size
    }
    list.sort((a, b) => (a.peer.rs < b.peer.rs ? -1 : 1))
    return { list, bytes }
}

function staticNeighbours(state: State): Map<string, Set<string>> {
    const statics = new Map<string, Set<string>>()
    const add = (server: string, neighbour: string) => {
        const own = statics.get(server) ?? new Set()
        statics.set(server, own.add(neighbour))
    }
    for (const { a, b } of state.durable.neighbours) {
        add(a, b)
        add(b, a)
    }
    return statics
}

function messagesTo(server: string, everybody: Sized[], statics: Set<string>, n: number): Send[] {
    const parts: Peer[][] = [[]]
    let bytes = envelopeBytes
    for (const { peer, bytes: size } of everybody) {
        if (peer.rs === server) continue
        if (bytes + size > limits.brokerMessageBytes) {
            // The limits of a server's fields and of their number keep this from happening.
            if (parts.length === serverLimits.peerParts) break
            parts.push([])
            bytes = envelopeBytes
        }
        bytes += size
        parts[parts.length - 1].push(statics.has(peer.rs) ? { ...peer, static: 1 } : peer)
    }
    return parts.map((list, part) => {
        const message = parts.length === 1 ? { n, list } : { n, list, part, parts: parts.length }
        return { kind: "rs", to: server, verb: "peers", message, replaces: `peers:${part}` }
    })
}
