/**
 * What this server advertises of its links, from what the links measure. Pure. [routing-spec 3]
 */

import type { LinkSnapshot } from "../link/link-set.ts"
import type { AdvertisedLink } from "../route/advertisement.ts"
import { maximumCost } from "../route/graph.ts"

/** All of the capacity is free. */
const allFree = 16
const hopsMost = 255

export interface PathFacts {
    capacityKbps(rs: string): number
    hops(rs: string): number | undefined
}

/** Links that are down or not yet measured are not advertised. `retired`: about to be dropped. */
export function ownLinks(
    links: readonly LinkSnapshot[],
    retired: ReadonlySet<string>,
    facts: PathFacts,
): AdvertisedLink[] {
    const advertised: AdvertisedLink[] = []
    for (const { rs, up, delay, jitter, lossPermille } of links) {
        if (!up || delay === undefined) continue
        advertised.push({
            to: rs,
            delay: retired.has(rs) ? maximumCost : Math.max(1, delay),
            jitter,
            loss: Math.min(10_000, lossPermille * 10),
            capacity: facts.capacityKbps(rs),
            free: allFree,
            hops: Math.min(hopsMost, facts.hops(rs) ?? 0),
        })
    }
    return advertised
}
