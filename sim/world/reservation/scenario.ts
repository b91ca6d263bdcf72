/**
 * What one seed means: the network, its capacities, who is to confer with whom, and what goes wrong. Plain data, made before
 * anything runs.
 *
 * Owns the distributions. What happens when is decided while it runs (faults.ts, group-server.ts), from streams of the same seed.
 */

import type { ReservationLimits } from "../../../servers/routing/reservation/model.ts"
import { Random } from "../random.ts"
import { makeTopology, type PlannedLink, type TopologyKind, topologyKinds } from "./topology.ts"

export const profiles = ["calm", "faults", "harsh"] as const
/**
 * calm: nothing breaks. faults: crashes, cuts, silent cuts over links that are ordered and reliable while they are up, as TLS is.
 * harsh: and single messages of the reservation are lost, doubled and overtaken, as over datagrams.
 */
export type Profile = (typeof profiles)[number]
/** guided: the product's defaults. window: the claims word for word. mixed: each server has its own. */
export type Mode = "guided" | "window" | "mixed"

export interface PlannedServer {
    id: string
    limits: Partial<ReservationLimits>
}

export interface PlannedSession {
    sid: string
    bandwidthKbps: number
    /** Servers with members, by number; the first one is the source to begin with. */
    members: { server: number; dspUnits: number }[]
    openMs: number
}

export interface Scenario {
    seed: number
    kind: TopologyKind
    profile: Profile
    mode: Mode
    servers: PlannedServer[]
    links: (PlannedLink & { capacityKbps: number })[]
    sessions: PlannedSession[]
    /** Of one message, on top of the link's delay. */
    jitterMs: number
    /** Sessions begin after the link-state databases are filled; faults and changes of sessions end here. */
    busyMs: number
    /** Mean time between faults; Infinity: none. */
    faultEveryMs: number
    /** Mean time between changes of sessions. */
    changeEveryMs: number
    /** Whether everything is whole again in the end. */
    heals: boolean
    /** Shares of messages, harsh only. */
    loss: number
    duplicates: number
    overtaken: number
    /** A message that is overtaken or doubled arrives at most so much later. */
    latestMs: number
    /** Messages are checked against their shape and cannot be changed by who gets them. Slower, so not in each run. */
    strict: boolean
}

export const startMs = 2000

export function makeScenario(seed: number): Scenario {
    const random = new Random(seed)
    const kind = random.pick(topologyKinds)
    const profile = random.chance(0.1) ? "calm" : random.chance(0.5) ? "faults" : "harsh"
    const mode = random.chance(0.45) ? "guided" : random.chance(0.7) ? "window" : "mixed"
    const size = random.chance(0.15) ? 5 + random.below(26) : 5 + random.below(11)
    const baseKbps = random.pick([64, 100, 384, 1500])
    // Scarce: a few sessions fill a link, often to the last kbit/s or with one too few.
    const scarce = random.chance(0.6)
    const dspScarce = random.chance(0.25)
    const perLink = random.pick([0, 1, 1, 1, 2])
    const shared = limitsOf(random, mode)
    const harsh = profile === "harsh"
    const worst = random.chance(0.2) ? 3 : 1
    const share = (most: number) => (harsh && random.chance(0.8) ? random.between(0.002, most * worst) : 0)
    // All at once, so that they compete for the same links at the same moment, or one after the other.
    const opensWithinMs = random.pick([5, 500, 10_000])
    return {
        seed,
        kind,
        profile,
        mode,
        servers: Array.from({ length: size }, (_, index) => ({
            id: `rs${index}`,
            limits: {
                ...(mode === "mixed" ? limitsOf(random, random.chance(0.5) ? "guided" : "window") : shared),
                dspUnits: dspScarce ? 6 + random.below(16) : 30 + random.below(60),
                dspUnitsPerLink: perLink,
            },
        })),
        links: makeTopology(kind, size, random).map(link => ({
            ...link,
            capacityKbps: scarce
                ? baseKbps * (1 + random.below(5)) + random.pick([0, 0, -1, 7])
                : baseKbps * (10 + random.below(20)),
        })),
        sessions: Array.from({ length: 1 + random.below(12) }, (_, index) => ({
            sid: `s${index}`,
            bandwidthKbps: baseKbps * (random.chance(0.7) ? 1 : 2),
            members: random
                .shuffle(Array.from({ length: size }, (_, server) => server))
                .slice(0, 2 + random.below(Math.min(7, size - 1)))
                .map(server => ({ server, dspUnits: 1 + random.below(dspScarce ? 4 : 6) })),
            openMs: startMs + random.between(0, opensWithinMs),
        })),
        jitterMs: random.pick([0, 0.2, 1, 4]),
        busyMs: startMs + random.between(12_000, 30_000),
        faultEveryMs: profile === "calm" ? Number.POSITIVE_INFINITY : random.pick([1500, 3000, 6000]),
        changeEveryMs: random.pick([1500, 4000, 15_000]),
        heals: random.chance(0.8),
        loss: share(0.04),
        duplicates: share(0.06),
        overtaken: share(0.1),
        latestMs: random.pick([30, 200, 1500]),
        strict: seed % 10 === 0,
    }
}

function limitsOf(random: Random, mode: Mode): Partial<ReservationLimits> {
    return {
        ...(mode === "window" && { guidedAttempts: 0, windowAttempts: 3 }),
        // The claims' fixed window against the share of the round trip.
        ...(random.chance(0.3) && { windowShare: 0.3 }),
        // Half of the runs are too short for a review to be seen at its usual pace.
        ...(random.chance(0.5) && { reviewMs: 4000 }),
    }
}
