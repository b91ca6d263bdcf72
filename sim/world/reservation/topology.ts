/**
 * Networks that the world makes for itself: who is linked to whom, and how far apart they are. Always connected.
 *
 * Owns the four kinds. Knows nothing of capacities, sessions or faults.
 */

import type { Random } from "../random.ts"

export const topologyKinds = ["ring", "geometric", "tree", "dense"] as const
export type TopologyKind = (typeof topologyKinds)[number]

export interface PlannedLink {
    a: number
    b: number
    /** One way, 0.01 ms, the same in both directions. */
    delay: number
}

/** The farthest corners of the square that servers are placed in are so far apart, 0.01 ms. */
const farthest = 3000
const nearest = 50

/** Links of `servers` servers. */
export function makeTopology(kind: TopologyKind, servers: number, random: Random): PlannedLink[] {
    const place = Array.from({ length: servers }, () => [random.fraction(), random.fraction()])
    const links: PlannedLink[] = []
    const linked = new Set<number>()
    const distance = (a: number, b: number) => Math.hypot(place[a][0] - place[b][0], place[a][1] - place[b][1])
    const join = (a: number, b: number) => {
        const key = Math.min(a, b) * servers + Math.max(a, b)
        if (a === b || linked.has(key)) return
        linked.add(key)
        links.push({ a, b, delay: nearest + Math.round((distance(a, b) * farthest) / Math.SQRT2) })
    }
    /** `v` with the nearest of those before it, so that everything is connected. */
    const joinNearestBefore = (v: number) => {
        let best = 0
        for (let w = 1; w < v; w++) if (distance(v, w) < distance(v, best)) best = w
        join(v, best)
    }
    const joinAtRandom = (count: number) => {
        for (let i = 0; i < count; i++) join(random.below(servers), random.below(servers))
    }
    switch (kind) {
        case "ring":
            for (let v = 0; v < servers; v++) join(v, (v + 1) % servers)
            joinAtRandom(Math.ceil(servers / 3))
            break
        case "geometric": {
            const radius = 1.3 / Math.sqrt(servers)
            for (let v = 1; v < servers; v++) joinNearestBefore(v)
            for (let v = 0; v < servers; v++) for (let w = 0; w < v; w++) if (distance(v, w) < radius) join(v, w)
            break
        }
        case "tree":
            for (let v = 1; v < servers; v++) join(v, random.below(v))
            joinAtRandom(1 + Math.floor(servers / 6))
            break
        case "dense":
            for (let v = 1; v < servers; v++) joinNearestBefore(v)
            joinAtRandom(servers * 3)
            break
    }
    return links
}
