/**
 * What the group server tells of routing servers, in the words of the neighbour rule. Pure. [claims 7, 9]
 */

import type { NeighbourPolicy, Peer } from "../../../protocol/servers.ts"
import type { ChoiceLimits, Member } from "../neighbours/model.ts"

export function membersOf(
    self: { id: string; ip: string },
    policy: NeighbourPolicy | undefined,
    peers: readonly Peer[],
) {
    const own: Member = {
        id: self.id,
        ip: self.ip,
        tags: policy?.own.tags ?? [],
        riskGroups: policy?.own.risk ?? [],
        static: false,
    }
    const others = peers
        // Without a policy nobody is chosen; those that an administrator has set are neighbours all the same [claim 7].
        .filter(peer => policy !== undefined || peer.static === 1)
        .map(({ rs, ip, tags = [], risk = [], static: isStatic }) => ({
            id: rs,
            ip,
            tags,
            riskGroups: risk,
            static: isStatic === 1,
        }))
    return [own, ...others]
}

export function limitsOf({ limits }: NeighbourPolicy): Partial<ChoiceLimits> {
    return {
        degree: limits.degree,
        degreeMax: Math.max(limits.degree, limits.degreeMax),
        maxDelayMs: limits.maxDelayMs,
        minBandwidthKbps: limits.minBandwidthKbps,
        maxLoss: limits.maxLossPermille / 1000,
        maxJitterP95Ms: limits.maxJitterMs,
        shareMax: limits.maxSharePercent / 100,
    }
}
