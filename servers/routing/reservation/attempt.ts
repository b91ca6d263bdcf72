/**
 * One attempt (session, epoch) as a server that has a part in it keeps it: who is above, who is below, what is held.
 *
 * Owns the record and its sums. Never decides: node.ts and source.ts do.
 */

import type { Req } from "../../../protocol/reservation.ts"
import type { Due } from "./due-list.ts"
import type { AttemptView } from "./model.ts"

/** An upstream neighbour that has sent a request within the window [claims 20, 21]. */
export interface Candidate {
    from: string
    usageCount: number
    /** From the source to here by this neighbour, 0.01 ms. */
    delaySoFar: number
    /** It cannot be the upstream neighbour any more. */
    dead: boolean
}

export interface Child {
    /** Label that it wants the media under. */
    labelOut: number
    /** Destinations that it covers. */
    dests: Set<string>
    /** Until when it holds without a sign of life. */
    leaseMs: number
}

export type AttemptState = "collecting" | "reserving" | "committed"

export interface Attempt extends Due {
    sid: string
    ep: number
    source: string
    role: AttemptView["role"]
    state: AttemptState
    /** All destinations have answered: media may use it. */
    active: boolean
    request: Req
    /** In order of arrival; complete once the state is no longer "collecting" [S2]. */
    candidates: Candidate[]
    arrivedMs: number
    collectUntilMs: number
    /** The upstream neighbour; none at the source, and when it is lost. */
    selected: Candidate | undefined
    /** Bandwidth towards the upstream neighbour is held, and it has been told so. */
    upHeld: boolean
    /** Label that the upstream neighbour wants the media under, once confirmed. */
    labelUp: number | undefined
    usageCount: number
    /** Units for the members here, when this is a destination. */
    dspUnits: number
    /** Neighbours that were sent the request. */
    forwardedTo: Set<string>
    children: Map<string, Child>
    expiresMs: number
}

export function newAttempt(request: Req, self: string): Attempt {
    const own = request.dests.find(dest => dest.id === self)
    const { sid, ep, src } = request
    return {
        sid,
        ep,
        source: src,
        request,
        role: src === self ? "source" : own ? "destination" : "transit",
        state: src === self ? "reserving" : "collecting",
        active: false,
        candidates: [],
        arrivedMs: 0,
        collectUntilMs: Number.POSITIVE_INFINITY,
        selected: undefined,
        upHeld: false,
        labelUp: undefined,
        usageCount: 0,
        dspUnits: own?.dsp ?? 0,
        forwardedTo: new Set(),
        children: new Map(),
        expiresMs: Number.POSITIVE_INFINITY,
        dueMs: Number.POSITIVE_INFINITY,
        queuedMs: Number.POSITIVE_INFINITY,
    }
}

/** Destinations that are reached here and below. */
export function covered(attempt: Attempt, self: string): string[] {
    const dests = new Set<string>()
    if (attempt.role === "destination") dests.add(self)
    for (const child of attempt.children.values()) for (const dest of child.dests) dests.add(dest)
    return [...dests]
}

/**
 * Links that are mixed here. In transit nothing is: what comes on one link leaves on the other [claim 4]. Where the tree
 * branches, several streams meet, and each link carries one: they are mixed, also where nobody is a member.
 */
export function mixedLinks({ role }: Attempt, children: number): number {
    if (role === "source") return children
    return role === "destination" || children > 1 ? children + 1 : 0
}

/** Whether media pass through unread. */
export function isTransit(attempt: Attempt): boolean {
    return attempt.role === "transit" && attempt.children.size < 2
}

export function dueMsOf(attempt: Attempt): number {
    let due = attempt.expiresMs
    if (attempt.state === "collecting" && attempt.collectUntilMs < due) due = attempt.collectUntilMs
    for (const child of attempt.children.values()) if (child.leaseMs < due) due = child.leaseMs
    return due
}

export function viewOf(attempt: Attempt): AttemptView {
    const { sid, ep, source, role, state, active, selected, children, request, usageCount } = attempt
    const view: AttemptView = {
        sid,
        ep,
        source,
        role,
        state: state === "committed" && active ? "active" : state,
        children: [...children.keys()],
        bandwidthKbps: request.bandwidth,
        usageCount,
        mixes: !isTransit(attempt),
    }
    if (selected) view.upstream = selected.from
    return view
}
