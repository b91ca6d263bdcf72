/** Which servers take part in a session: drawn evenly from a network. */

import type { BandwidthGraph } from "../../servers/routing/reservation/model.ts"
import type { Random } from "../../sim/world/random.ts"

export interface DrawnSession {
    /** Vertices of the graph. */
    source: number
    destinations: number[]
}

export function drawSession({ ids }: BandwidthGraph, destinations: number, random: Random): DrawnSession {
    const [source, ...others] = random.shuffle([...ids.keys()]).slice(0, destinations + 1)
    return { source, destinations: others }
}
