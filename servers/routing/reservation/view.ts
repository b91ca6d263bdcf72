/**
 * The network as the reservation sees it, from what the topology of this server knows: routing table, link-state database and
 * the state of its own links. Reads only.
 */

import type { Advertisement } from "../route/advertisement.ts"
import { BandwidthGraphCache } from "./bandwidth-graph.ts"
import type { BandwidthGraph, NetworkView } from "./model.ts"

export interface ViewParts {
    self: string
    /** Neighbours whose link is up. */
    neighbours(): readonly string[]
    isUp(peer: string): boolean
    capacityKbps(peer: string): number
    table: {
        linkDelay(neighbour: string): number
        delayFrom(from: string, destination: string): number
    }
    database(): ReadonlyMap<string, Advertisement>
}

export class TopologyView implements NetworkView {
    private readonly cache: BandwidthGraphCache

    constructor(private readonly parts: ViewParts) {
        this.cache = new BandwidthGraphCache(() => parts.database().values())
    }

    /** The link-state database has changed. */
    changed(): void {
        this.cache.changed()
    }

    neighbours(): readonly string[] {
        return this.parts.neighbours()
    }

    linkDelay(peer: string): number {
        return this.parts.isUp(peer) ? this.parts.table.linkDelay(peer) : Number.POSITIVE_INFINITY
    }

    capacityKbps(peer: string): number {
        return this.parts.capacityKbps(peer)
    }

    delay(from: string, to: string): number {
        return from === to ? 0 : this.parts.table.delayFrom(from, to)
    }

    graph(): BandwidthGraph {
        return this.cache.get()
    }
}
