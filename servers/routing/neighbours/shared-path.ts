/**
 * How much of the path to one routing server is common with the path to another, by every kind of evidence there is;
 * the largest wins, since a common path that one kind of evidence shows is common whatever the others miss.
 *
 * Owns the four estimates. Pure; the evidence comes in. [routing-spec 2, claims 7 and 11: "common path"]
 */

export interface PathEvidence {
    ip: string
    /** Names of what would fail together: sites, carriers, cables, as the operator lists them. */
    riskGroups: readonly string[]
    /** Router addresses in order as tracepath shows them, when known. */
    trace?: readonly string[]
    rttMs: number
}

export interface SharedPathLimits {
    /** A round trip through the neighbour at most this many times the direct one: the neighbour lies on the way. */
    triangleCover: number
    /** Round trips below this say nothing of the way: on one site they differ by chance. */
    triangleFromMs: number
    /** Routers at each end of a trace that say nothing: every path from one site begins with the same ones. */
    traceTrim: number
    /** Addresses with this many leading bits in common are taken to be on one site. */
    prefixBits: number
}

export const sharedPathDefaults: SharedPathLimits = {
    triangleCover: 1.1,
    triangleFromMs: 2,
    traceTrim: 2,
    prefixBits: 24,
}

/** Share of common risk groups (Jaccard), 0..1. */
export function riskGroupShare(a: readonly string[], b: readonly string[]): number {
    const first = new Set(a)
    const second = new Set(b)
    if (first.size === 0 || second.size === 0) return 0
    let common = 0
    for (const group of first) if (second.has(group)) common++
    return common / (first.size + second.size - common)
}

/** Share of the routers of the shorter trace that the other trace passes too; private addresses mean nothing. */
export function traceShare(a: readonly string[], b: readonly string[], trim: number): number {
    const core = (trace: readonly string[]) => trace.slice(trim, Math.max(trim, trace.length - trim)).filter(isPublic)
    const first = core(a)
    const second = new Set(core(b))
    const shorter = Math.min(first.length, second.size)
    if (shorter === 0) return 0
    return Math.min(1, first.filter(hop => second.has(hop)).length / shorter)
}

/** 1 when both addresses are of one site's prefix, else 0. Loopback addresses are no evidence. */
export function prefixShare(a: string, b: string, bits: number): number {
    if (!isPublic(a) || !isPublic(b)) return 0
    const shift = 32 - bits
    return Math.floor(toInt(a) / 2 ** shift) === Math.floor(toInt(b) / 2 ** shift) ? 1 : 0
}

/**
 * 1 when the neighbour lies on the way to the candidate, or the candidate on the way to the neighbour's... that is when
 * `rtt(self, neighbour) + rtt(neighbour, candidate) <= cover * rtt(self, candidate)`, else 0.
 */
export function triangleShare(
    toNeighbourMs: number,
    betweenMs: number | undefined,
    toCandidateMs: number,
    cover: number,
): number {
    return betweenMs !== undefined && toNeighbourMs + betweenMs <= cover * toCandidateMs ? 1 : 0
}

/** The largest of the four. `betweenMs` is the round trip from the neighbour to the candidate, when somebody knows it. */
export function sharedPath(
    candidate: PathEvidence,
    neighbour: PathEvidence,
    betweenMs: number | undefined,
    limits: SharedPathLimits = sharedPathDefaults,
): number {
    return Math.max(
        riskGroupShare(candidate.riskGroups, neighbour.riskGroups),
        candidate.trace && neighbour.trace ? traceShare(candidate.trace, neighbour.trace, limits.traceTrim) : 0,
        prefixShare(candidate.ip, neighbour.ip, limits.prefixBits),
        candidate.rttMs < limits.triangleFromMs
            ? 0
            : triangleShare(neighbour.rttMs, betweenMs, candidate.rttMs, limits.triangleCover),
    )
}

function toInt(ip: string): number {
    return ip.split(".").reduce((value, part) => value * 256 + Number(part), 0)
}

/** Whether an IPv4 address is one of the public Internet (RFC 6890's private, loopback and link-local ones are not). */
export function isPublic(ip: string): boolean {
    const [a, b] = ip.split(".").map(Number)
    if (a === 10 || a === 127 || a === 0 || a >= 224) return false
    if (a === 172 && b >= 16 && b <= 31) return false
    if (a === 192 && b === 168) return false
    if (a === 169 && b === 254) return false
    if (a === 100 && b >= 64 && b <= 127) return false
    return true
}
