/**
 * What this server advertises of its links, from what the links measure. Pure. [routing-spec 3]
 */

import type { LinkSnapshot } from "../link/link-set.ts"
import type { AdvertisedLink } from "../route/advertisement.ts"
import { maximumCost } from "../route/graph.ts"

/** Free bandwidth is told in so many steps. */
const freeSteps = 16
const hopsMost = 255

export interface PathFacts {
    capacityKbps(rs: string): number
    hops(rs: string): number | undefined
    /** Held by reservations. */
    heldKbps(rs: string): number
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
        const capacity = facts.capacityKbps(rs)
        advertised.push({
            to: rs,
            delay: retired.has(rs) ? maximumCost : Math.max(1, delay),
            jitter,
            loss: Math.min(10_000, lossPermille * 10),
            capacity,
            free: Math.max(0, Math.floor((freeSteps * (capacity - facts.heldKbps(rs))) / Math.max(1, capacity))),
            hops: Math.min(hopsMost, facts.hops(rs) ?? 0),
        })
    }
    return advertised
}
