/**
 * Who is there still after the connection to the broker was lost: a Will that was due meanwhile may never come (the broker
 * was restarted, and has forgotten it with the retained states). Everybody who is there tells so within moments of the
 * new connection, by a retained state or a hello; who does not is off.
 *
 * Owns the list of those not heard yet. What being off means is in `registration.ts`.
 */

import type { PartyKind } from "../../../protocol/topics.ts"
import type { Context, Policy, State } from "./model.ts"
import { audit } from "./outcome.ts"
import { endpointState, serverState } from "./registration.ts"

export function connection(state: State, up: boolean, context: Context, policy: Policy): void {
    const { live, durable } = state
    delete live.unheard
    if (!up) return
    const unheard = { ep: new Set<string>(), rs: new Set<string>(), dueMs: context.nowMs + policy.unheardMs }
    for (const [id, { on }] of live.endpoints) if (on === 1) unheard.ep.add(id)
    // Also those that this process has never heard of: sessions may wait for them since before it was started.
    for (const { id, boot } of durable.servers.values())
        if (boot > 0 && live.servers.get(id)?.on !== 0) unheard.rs.add(id)
    live.unheard = unheard
}

export function heard(state: State, kind: PartyKind, id: string): void {
    state.live.unheard?.[kind].delete(id)
}

/** Part of a tick. */
export function giveUpUnheard(state: State, context: Context, policy: Policy): void {
    const { unheard, endpoints, servers } = state.live
    if (!unheard || context.nowMs < unheard.dueMs) return
    delete state.live.unheard
    for (const id of unheard.rs) {
        const boot = servers.get(id)?.boot ?? state.durable.servers.get(id)?.boot
        if (boot === undefined) continue
        audit(context, "group", "unheard", id, "done", { boot })
        serverState(state, id, { boot, on: 0 }, false, context, policy)
    }
    for (const id of unheard.ep) {
        const boot = endpoints.get(id)?.boot
        if (boot !== undefined) endpointState(state, id, { boot, on: 0 }, false, context)
    }
}
