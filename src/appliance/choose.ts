/**
 * Chooses the routing server among probed candidates: the best one and a warm spare. Owns the cost; never probes.
 */

import type { Candidate } from "../../protocol/messages"

/** A loaded server delays more than its probes show; at full load this much. */
const loadPenaltyUs = 40000
const loadFreePercent = 70

export interface Probed extends Omit<Candidate, "load"> {
    /** Cost in microseconds, or -1 without an answer. */
    costUs: number
    /** Smallest round trip in microseconds, for people. */
    rttUs: number
    isBack: boolean
}

export function unprobed(candidate: Candidate): Probed {
    return { rs: candidate.rs, ip: candidate.ip, port: candidate.port, costUs: -1, rttUs: 0, isBack: false }
}

/** Round trip, its unsteadiness, and what the load will add. */
export function costUs(rttUs: number, jitterUs: number, loadPercent: number): number {
    const over = Math.max(0, loadPercent - loadFreePercent) / (100 - loadFreePercent)
    return Math.round(rttUs + jitterUs + loadPenaltyUs * over)
}

/** The answered candidates, best first; equal costs keep the group server's order. */
export function ranked(list: Probed[]): Probed[] {
    const answered = list.filter(one => one.costUs >= 0)
    // DeviceScript's sort is an insertion sort, and stable.
    answered.sort((a, b) => a.costUs - b.costUs)
    return answered
}
