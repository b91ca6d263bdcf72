/**
 * How a source asks for a tree: the request of an attempt, the tree in it or the window, and the links that it goes round.
 *
 * Owns the links that attempts have failed on. Never sends, and knows no campaigns: `source.ts`. [routing-spec 4, 5]
 */

import { type Req, reservationLimits } from "../../../protocol/reservation.ts"
import { bottleneck } from "./bottleneck.ts"
import type { Context } from "./context.ts"
import { type BandwidthGraph, maxDelayFor, type Shortage, type Wish } from "./model.ts"
import { creditedGraph, findTree, type TreeWish } from "./server-tree.ts"
import { isVague, shortOnLink } from "./shortages.ts"
import type { SourceSession } from "./source-session.ts"

export class Asking {
    /** Links that attempts have failed on, as "from to", until when. */
    private readonly avoided = new Map<string, number>()

    constructor(private readonly context: Context) {}

    requestFor({ wish, lastEp }: SourceSession): Req {
        const { self, view, limits } = this.context
        return {
            ...{ t: "req", sid: wish.sid, ep: lastEp, src: self, bandwidth: wish.bandwidthKbps },
            dests: wish.destinations.map(({ rs, dspUnits }) => {
                return { id: rs, maxDelay: maxDelayFor(view.delay(self, rs), limits), dsp: dspUnits }
            }),
            ...{ usageCount: 0, delaySoFar: 0, window: 0, deadlineMs: 0 },
        }
    }

    /** Long enough for the requests of neighbours to meet, short against the way there [routing-spec 4]. */
    windowFor({ destinations }: Wish): number {
        const { self, view, limits } = this.context
        const farthest = Math.max(...destinations.map(({ rs }) => view.delay(self, rs)))
        return Math.max(1, Math.round(Math.min(limits.windowMostMs * 100, 2 * farthest * limits.windowShare)))
    }

    /** Puts the tree into the request; false when there is none within the bounds, as far as is known here. */
    guide(session: SourceSession, request: Req): boolean {
        const { self } = this.context
        const graph = this.creditedGraph(session)
        const { dests: destinations, bandwidth: kbps } = request
        const { tree, missing } = findTree(graph, { source: self, destinations, kbps, ...this.avoiding() })
        if (!graph.indexOf.has(self) || missing.length > 0 || tree.length > reservationLimits.treeServers) return false
        request.tree = tree
        return true
    }

    avoid(from: string, to: string) {
        const link = linkText(from, to)
        this.avoided.delete(link)
        this.avoided.set(link, this.context.nowMs + this.context.limits.avoidMs)
    }

    /** Silence does not say which link was full: it is looked up in what is known here. */
    withLink(session: SourceSession, short: Shortage): Shortage {
        if (!isVague(short)) return short
        const { self, ledger } = this.context
        const { wish } = session
        const { rs } = short
        const maxDelay = this.requestFor(session).dests.find(({ id }) => id === rs)?.maxDelay ?? 0
        const way = { from: self, to: rs, maxDelay, kbps: wish.bandwidthKbps }
        const link = bottleneck(this.creditedGraph(session), way, peer => ledger.free(peer, wish.sid))
        return link ? shortOnLink(rs, wish.bandwidthKbps, link.from, link.to, "no-bandwidth") : short
    }

    /** What the session holds already is free for its next epoch. */
    private creditedGraph({ current }: SourceSession): BandwidthGraph {
        const { tree, bandwidth = 0 } = current?.request ?? {}
        return creditedGraph(this.context.view.graph(), tree, bandwidth)
    }

    private avoiding(): Pick<TreeWish, "avoid"> {
        for (const [link, untilMs] of this.avoided) if (untilMs <= this.context.nowMs) this.avoided.delete(link)
        return this.avoided.size > 0 ? { avoid: (from, to) => this.avoided.has(linkText(from, to)) } : {}
    }
}

function linkText(from: string, to: string): string {
    return from < to ? `${from} ${to}` : `${to} ${from}`
}
