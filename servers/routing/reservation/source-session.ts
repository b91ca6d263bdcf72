/**
 * What a source keeps of one session: what is wanted, what is active, what is being tried. Types and their small sums.
 */

import type { Attempt } from "./attempt.ts"
import type { Due } from "./due-list.ts"
import type { ReservationLimits, Shortage, Wish } from "./model.ts"

/**
 * setup: nothing is active yet. change: the destinations are others now. repair: the active tree is broken. review: there is a
 * better one.
 */
export type CampaignKind = "setup" | "change" | "repair" | "review"

export interface Campaign {
    kind: CampaignKind
    attempts: number
    /** Why the last attempt failed. */
    short: Shortage[]
}

/** How a destination answered last. */
export interface Way {
    heardMs: number
    /** The servers between it and the source, from its side. */
    via: string[]
}

/** The attempt under way. */
export interface Trial {
    attempt: Attempt
    notified: Set<string>
    alive: Map<string, Way>
    /** [claim 17] For the notifications; once confirmed, for the answers. */
    deadlineMs: number
    answerMs: number
}

export interface SourceSession extends Due {
    wish: Wish
    lastEp: number
    current: Attempt | undefined
    /** Of `current`, by destination. */
    ways: Map<string, Way>
    /** Nothing is known to be wrong with `current`. */
    isWhole: boolean
    trial: Trial | undefined
    campaign: Campaign | undefined
    retryMs: number
    refreshMs: number
    reviewMs: number
    /** From one review to the next: longer after each one that promised a tree which could not be had. */
    reviewWaitMs: number
    orphanMs: number
}

export function newSession(wish: Wish, lastEp: number): SourceSession {
    const never = Number.POSITIVE_INFINITY
    return {
        ...{ wish, lastEp, current: undefined, ways: new Map(), isWhole: false, trial: undefined, campaign: undefined },
        ...{
            retryMs: never,
            refreshMs: never,
            reviewMs: never,
            reviewWaitMs: 0,
            orphanMs: never,
            dueMs: never,
            queuedMs: never,
        },
    }
}

export function startCampaign(kind: CampaignKind): Campaign {
    return { kind, attempts: 0, short: [] }
}

export function attemptsOf(kind: CampaignKind, limits: ReservationLimits): number {
    if (kind === "repair") return limits.repairAttempts
    if (kind === "review") return 1
    return limits.guidedAttempts + limits.windowAttempts
}

export function sourceDueMs(session: SourceSession): number {
    const { retryMs, refreshMs, reviewMs, orphanMs, trial } = session
    return Math.min(retryMs, refreshMs, reviewMs, orphanMs, trial?.deadlineMs ?? Number.POSITIVE_INFINITY)
}
