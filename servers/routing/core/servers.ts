/**
 * What the group server tells of the other routing servers and of the neighbour policy [claims 7, 9, 10].
 *
 * Owns the newest whole list, put together from its parts, and the newest policy. Never decides who becomes a neighbour.
 */

import type { NeighbourPolicy, Peer, Peers } from "../../../protocol/servers.ts"
import type { Effect, State } from "./model.ts"

/** A list that is not whole yet. */
export interface PeerParts {
    n: number
    parts: number
    byPart: Map<number, Peer[]>
}

/** Versions of the group server's new life start anew; what is in force stays until it tells otherwise. */
export function forgetVersions(state: State): void {
    state.peers.n = 0
    state.peerParts = undefined
    if (state.policy) state.policy = { ...state.policy, n: 0 }
}

/** [claim 7] The addresses of all routing servers, whole or a part of them. */
export function onPeers(state: State, message: Peers, out: Effect[]) {
    const { n, list, part = 0, parts = 1 } = message
    if (n < state.peers.n || part >= parts) return
    if (parts === 1) return apply(state, n, list, out)
    const held = state.peerParts
    if (held && n < held.n) return
    const gathered = held?.n === n && held.parts === parts ? held : { n, parts, byPart: new Map<number, Peer[]>() }
    state.peerParts = gathered
    if (!gathered.byPart.has(part)) gathered.byPart.set(part, list)
    if (gathered.byPart.size < parts) return
    const whole = [...gathered.byPart].sort(([a], [b]) => a - b).flatMap(([, each]) => each)
    apply(state, n, whole, out)
}

export function onPolicy(state: State, policy: NeighbourPolicy, out: Effect[]): void {
    if (state.policy && policy.n < state.policy.n) return
    state.policy = policy
    out.push({ type: "policy", policy })
}

function apply(state: State, n: number, list: Peer[], out: Effect[]): void {
    // The first of two that stand under one identifier counts; more than one would contradict each other.
    const byId = new Map<string, Peer>()
    for (const peer of list) if (peer.rs !== state.self.id && !byId.has(peer.rs)) byId.set(peer.rs, peer)
    state.peerParts = undefined
    state.peers = { n, list: [...byId.values()] }
    out.push({ type: "servers", peers: state.peers.list })
}
