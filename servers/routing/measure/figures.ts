/**
 * From what came back on a path to the figures that the neighbour rule judges. Pure. [routing-spec 2, claims 7 and 11]
 */

import { type TrainAnswer, trainPacketBytes } from "../../../protocol/train.ts"
import type { PathMeasurement } from "../neighbours/rule.ts"

/** UDP and IPv4 headers: the narrowest link carries them too. */
const headerBytes = 28

export type PathFigures = Pick<PathMeasurement, "probesSent" | "probesAnswered" | "rttMs" | "jitterP95Ms" | "loss">

/** Undefined when nothing was answered. */
export function pathFigures(probesSent: number, rtts: readonly number[]): PathFigures | undefined {
    if (rtts.length === 0) return undefined
    const sorted = [...rtts].sort((a, b) => a - b)
    const p95 = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.95))]
    return {
        probesSent,
        probesAnswered: sorted.length,
        rttMs: sorted[sorted.length >> 1],
        jitterP95Ms: p95 - sorted[0],
        // Ten probes cannot tell 2 % from 10 %: what is lost counts as loss only from the second one on.
        loss: Math.max(0, probesSent - sorted.length - 1) / probesSent,
    }
}

/** The steadier of two measurements: a stall of a process at either end is not the path. */
export function steadier(a: PathFigures | undefined, b: PathFigures | undefined): PathFigures | undefined {
    if (!a || !b) return a ?? b
    return b.loss < a.loss || (b.loss === a.loss && b.jitterP95Ms < a.jitterP95Ms) ? b : a
}

/** Capacity that a train has seen, in kbit/s; undefined when too little of it came to tell. */
export function trainCapacityKbps(answer: TrainAnswer): number | undefined {
    const { arrivals, count } = answer
    if (arrivals.length < Math.max(2, count / 2)) return undefined
    const spanUs = arrivals[arrivals.length - 1].afterUs
    if (spanUs <= 0) return undefined
    return ((arrivals.length - 1) * (trainPacketBytes + headerBytes) * 8000) / spanUs
}

/** Middle one: a stall makes one train look too slow at the sender's end, or too fast at the receiver's. */
export function median(values: readonly number[]): number | undefined {
    const sorted = [...values].sort((a, b) => a - b)
    return sorted.length === 0 ? undefined : sorted[(sorted.length - 1) >> 1]
}

/** Share of a measured capacity that is counted on: a train does not see other traffic that comes later. */
const countedOn = 0.8

/** [claim 11] A measurement may only lower what the operator has configured. */
export function bandwidthKbps(configuredKbps: number, measuredKbps: number | undefined): number {
    return Math.round(Math.min(configuredKbps, countedOn * (measuredKbps ?? Number.POSITIVE_INFINITY)))
}
