/**
 * The rule by which a routing server chooses its dynamic neighbours [claims 7, 9, 11, 12], one test a function.
 *
 * Owns the order of candidates, the six tests and the verdict on each candidate with the numbers that decided it, so that
 * a person can be told why. Never measures and never asks: measurements come in, the caller asks whom this accepts.
 * [routing-spec 2]
 */

/** What was measured on the path to a candidate. */
export interface PathMeasurement {
    probesSent: number
    probesAnswered: number
    /** Median round trip. */
    rttMs: number
    jitterP95Ms: number
    /** Share of probes lost, 0..1. */
    loss: number
    /** Routers on the way; undefined while not known (counts as 0 in the order). */
    hops?: number
    /** min(configured capacity, 0.8 x measured): a measurement may only lower what the operator configured. */
    bandwidthKbps: number
    /** Whether the candidate measured a path to us as well. */
    mutual: boolean
}

export interface Candidate {
    id: string
    tags: readonly string[]
    /** Absent when it was not probed (refused by policy before). */
    path?: PathMeasurement
}

export interface NeighbourLimits {
    /** Neighbours wanted, K. */
    degree: number
    /** Neighbours at most, with those that asked us. */
    degreeMax: number
    /** One way. */
    maxDelayMs: number
    minBandwidthKbps: number
    maxLoss: number
    maxJitterP95Ms: number
    /** Largest share of a path that may be common with the path to a neighbour, 0..1. */
    shareMax: number
    /** Probes that must be answered, of `probesSent`, as a share. */
    minAnswered: number
}

export const neighbourDefaults: NeighbourLimits = {
    degree: 6,
    degreeMax: 12,
    maxDelayMs: 75,
    minBandwidthKbps: 1000,
    maxLoss: 0.02,
    maxJitterP95Ms: 30,
    shareMax: 0.5,
    minAnswered: 0.7,
}

/** Pairs of tags that must not become neighbours: `deny: [["tenant-a", "tenant-b"]]`. A tag may be denied to itself. */
export interface NeighbourPolicy {
    deny: readonly (readonly [string, string])[]
}

/** The tests of claim 11, and the policy of claim 9, in the order in which they are made. */
export type NeighbourTest = "policy" | "quality" | "path" | "delay" | "bandwidth" | "common-path"

export type Verdict =
    | { accepted: true }
    | {
          accepted: false
          test: NeighbourTest
          /** What was found and what was allowed, in the test's unit. */
          found: number
          allowed: number
          unit: "tags" | "loss" | "jitterP95Ms" | "answered" | "delayMs" | "bandwidthKbps" | "share"
          /** The neighbour that the path is shared with, or the tags that the policy keeps apart. */
          because?: string
      }

const accepted: Verdict = { accepted: true }

/** [claim 9] The administration policy keeps the two apart. */
export function policyVerdict(selfTags: readonly string[], candidate: Candidate, policy: NeighbourPolicy): Verdict {
    for (const [a, b] of policy.deny) {
        const apart =
            (selfTags.includes(a) && candidate.tags.includes(b)) || (selfTags.includes(b) && candidate.tags.includes(a))
        if (apart)
            return { accepted: false, test: "policy", found: 1, allowed: 0, unit: "tags", because: `${a} - ${b}` }
    }
    return accepted
}

/**
 * [claim 11] "rejecting all paths not meeting a quality of service requirement". A path on which nothing was answered
 * passes here, so that it is refused for what it is: no path.
 */
export function qualityVerdict(path: PathMeasurement, limits: NeighbourLimits): Verdict {
    if (!pathVerdict(path, limits).accepted) return accepted
    if (path.loss > limits.maxLoss)
        return { accepted: false, test: "quality", found: path.loss, allowed: limits.maxLoss, unit: "loss" }
    if (path.jitterP95Ms > limits.maxJitterP95Ms)
        return {
            accepted: false,
            test: "quality",
            found: path.jitterP95Ms,
            allowed: limits.maxJitterP95Ms,
            unit: "jitterP95Ms",
        }
    return accepted
}

/** [claim 11] "whether there is a path": most probes were answered, and the candidate sees us too. */
export function pathVerdict(path: PathMeasurement, limits: NeighbourLimits): Verdict {
    const share = path.probesSent === 0 ? 0 : path.probesAnswered / path.probesSent
    if (share >= limits.minAnswered && path.mutual) return accepted
    const because = share >= limits.minAnswered ? "it does not see us" : undefined
    return { accepted: false, test: "path", found: share, allowed: limits.minAnswered, unit: "answered", because }
}

/** [claim 11] "less than a maximum delay", one way. */
export function delayVerdict(path: PathMeasurement, limits: NeighbourLimits): Verdict {
    const delayMs = path.rttMs / 2
    if (delayMs < limits.maxDelayMs) return accepted
    return { accepted: false, test: "delay", found: delayMs, allowed: limits.maxDelayMs, unit: "delayMs" }
}

/** [claim 11] "greater than a minimum bandwidth capacity". */
export function bandwidthVerdict(path: PathMeasurement, limits: NeighbourLimits): Verdict {
    if (path.bandwidthKbps > limits.minBandwidthKbps) return accepted
    return {
        accepted: false,
        test: "bandwidth",
        found: path.bandwidthKbps,
        allowed: limits.minBandwidthKbps,
        unit: "bandwidthKbps",
    }
}

/** [claim 11] "shares a common path with a neighbour". */
export function commonPathVerdict(
    candidate: string,
    neighbours: readonly string[],
    share: SharedPath,
    limits: NeighbourLimits,
): Verdict {
    for (const neighbour of neighbours) {
        const found = share(candidate, neighbour)
        if (found > limits.shareMax)
            return {
                accepted: false,
                test: "common-path",
                found,
                allowed: limits.shareMax,
                unit: "share",
                because: neighbour,
            }
    }
    return accepted
}

/** The share, 0..1, of the path to one server that is common with the path to another. */
export type SharedPath = (a: string, b: string) => number

/**
 * [claim 11] Candidates in the order in which they are tried: fewest hops, then shortest round trip, then by identifier.
 * Hops before delay was measured to give the better overlay.
 */
export function inOrder<C extends Candidate>(candidates: readonly C[]): C[] {
    const distance = (c: Candidate) => c.path?.rttMs ?? Number.POSITIVE_INFINITY
    return [...candidates].sort(
        (a, b) =>
            (a.path?.hops ?? 0) - (b.path?.hops ?? 0) ||
            distance(a) - distance(b) ||
            (a.id < b.id ? -1 : a.id > b.id ? 1 : 0),
    )
}

/** All tests but the policy, which is decided before anyone is probed, on one candidate [claim 12: repeated for each]. */
export function verdictOn(
    candidate: Candidate,
    neighbours: readonly string[],
    share: SharedPath,
    limits: NeighbourLimits,
): Verdict {
    const path = candidate.path
    if (!path) return { accepted: false, test: "path", found: 0, allowed: limits.minAnswered, unit: "answered" }
    for (const test of [qualityVerdict, pathVerdict, delayVerdict, bandwidthVerdict]) {
        const verdict = test(path, limits)
        if (!verdict.accepted) return verdict
    }
    return commonPathVerdict(candidate.id, neighbours, share, limits)
}

/** One line for a person. */
export function describe(verdict: Verdict): string {
    if (verdict.accepted) return "passes every test"
    const because = verdict.because ? ` (${verdict.because})` : ""
    const percent = (share: number) => `${Math.round(share * 1000) / 10} %`
    const round = (value: number) => Math.round(value * 10) / 10
    switch (verdict.unit) {
        case "tags":
            return `the administration policy keeps them apart${because}`
        case "loss":
            return `the path loses ${percent(verdict.found)}, allowed are ${percent(verdict.allowed)}`
        case "jitterP95Ms":
            return `jitter is ${round(verdict.found)} ms (p95), allowed are ${round(verdict.allowed)} ms`
        case "answered":
            return verdict.because
                ? "there is no path: it does not see us"
                : `there is no path: ${percent(verdict.found)} of the probes were answered, needed are ${percent(verdict.allowed)}`
        case "delayMs":
            return `the delay is ${round(verdict.found)} ms one way, it must be below ${round(verdict.allowed)} ms`
        case "bandwidthKbps":
            return `bandwidth is ${round(verdict.found)} kbit/s, it must be above ${round(verdict.allowed)} kbit/s`
        case "share":
            return `${percent(verdict.found)} of the path is common with the path to neighbour ${verdict.because}, allowed are ${percent(verdict.allowed)}`
    }
}
