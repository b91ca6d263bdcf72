/**
 * What the choice of neighbours is told, says and is bounded by: members, traces, limits, events, effects. Types and defaults.
 */

import {
    type NeighbourLimits,
    type NeighbourPolicy,
    neighbourDefaults,
    type PathMeasurement,
    type Verdict,
} from "./rule.ts"
import { type SharedPathLimits, sharedPathDefaults } from "./shared-path.ts"

/** A routing server as the group server lists it. */
export interface Member {
    id: string
    ip: string
    tags: readonly string[]
    riskGroups: readonly string[]
    /** A static neighbour of this server. */
    static: boolean
}

export type NeighbourKind = "static" | "dynamic" | "inbound" | "fix-up"

export interface Neighbour {
    id: string
    kind: NeighbourKind
    sinceMs: number
    /** Runs in a row in which it failed the tests of its path. */
    failedRuns: number
}

/** Why a candidate is or is not a neighbour, as of the last run. */
export type Trace =
    | { outcome: "neighbour"; kind: NeighbourKind }
    | { outcome: "refused by rule"; verdict: Verdict }
    /** It passed; the other side did not want, or did not answer. */
    | { outcome: "declined"; reason: string }
    | { outcome: "not needed"; wanted: number }

export interface ChoiceLimits extends NeighbourLimits {
    probesAtOnce: number
    runIntervalMs: number
    /** A run after a change waits this long, so that several changes make one run. */
    settleMs: number
    askTimeoutMs: number
    /** After a run, time for link state to spread before the component is judged. */
    componentWaitMs: number
    /** Runs in a row a neighbour must fail before it is dropped. */
    failedRunsMax: number
    /** A neighbour is replaced only for a round trip better by this share. */
    replaceGain: number
    replaceIntervalMs: number
    /** The cost of a link is at its maximum for this long before the link is dropped. */
    retireMs: number
    shared: SharedPathLimits
}

export const choiceDefaults: ChoiceLimits = {
    ...neighbourDefaults,
    probesAtOnce: 32,
    runIntervalMs: 300_000,
    settleMs: 200,
    askTimeoutMs: 2000,
    componentWaitMs: 3000,
    failedRunsMax: 2,
    replaceGain: 0.2,
    replaceIntervalMs: 60_000,
    retireMs: 2000,
    shared: sharedPathDefaults,
}

/** Round trips, in ms, from one server to others. */
export type Distances = readonly (readonly [string, number])[]

export type ChoiceEvent =
    | { type: "start" }
    | { type: "tick" }
    /** The group server's list, whole [claims 7, 10]. */
    | { type: "members"; list: readonly Member[] }
    | { type: "policy"; policy: NeighbourPolicy }
    /** A probe ended; `path` is absent when nothing was answered. */
    | { type: "measured"; id: string; path?: PathMeasurement; trace?: readonly string[] }
    | { type: "linkUp"; peer: string }
    | { type: "linkDown"; peer: string }
    | { type: "asked"; by: string; distances: Distances }
    | { type: "answered"; by: string; accepted: boolean; reason: string; distances: Distances }
    | { type: "released"; by: string }
    /** A neighbour has measured anew. */
    | { type: "distances"; from: string; distances: Distances }
    /** Whom the routing table reaches. */
    | { type: "reachable"; ids: readonly string[] }

export type ChoiceEffect =
    | { type: "probe"; id: string }
    | { type: "ask"; id: string; distances: Distances }
    | { type: "answer"; to: string; accepted: boolean; reason: string; distances: Distances }
    /** Advertise the link at maximum cost from now on; `drop` follows. */
    | { type: "retire"; id: string }
    /** Tell the peer that the link is no longer wanted, then close it. */
    | { type: "drop"; id: string }
    /** The set of neighbours changed. */
    | { type: "neighbours"; ids: string[] }
    | { type: "runEnded"; accepted: string[] }
