/**
 * The tree that the source of a session asks for in the guided mode: few links, every way within its bound of delay, every
 * link with enough free bandwidth. [routing-spec 4]
 *
 * Delay-bounded Takahashi-Matsuyama: from the source on, the destination that needs the fewest new links is connected next.
 * One that can then no longer be reached in time has its shortest way laid first, and the tree is grown anew. What has grown
 * is improved: pieces of way are exchanged for shorter ones, and branching points are tried that no single step finds.
 * Same graph, same request: same tree.
 */

import { unreachable } from "../route/graph.ts"
import type { BandwidthGraph } from "./model.ts"
import { WaySearch } from "./way-search.ts"

export interface TreeRequest {
    graph: BandwidthGraph
    /** Vertices of the graph. */
    source: number
    /** `maxDelay` from the source along the tree, 0.01 ms. */
    destinations: readonly { vertex: number; maxDelay: number }[]
    bandwidthKbps: number
    /** Links that are not to be used from parent to child, whatever the graph says. */
    avoid?: (from: number, to: number) => boolean
}

export interface GuidedTree {
    /** Each server of the tree but the source, with its parent. */
    parents: Map<number, number>
    /** Destinations that no way within their bounds reaches. */
    missing: number[]
}

export function guidedTree(request: TreeRequest): GuidedTree {
    return planner.plan(request)
}

const none = -1
/** Vertices that are tried as branching points: they save one link in fifty on an overlay and take most of the time. */
const insertions = 16
/** ... and fewer of them where growing takes long: so many servers times destinations, over all tries. */
const insertionWork = 32_000
/** A try that has grown this many links more than the best tree is not worth its exchanges. */
const insertionSlack = 1

/** A tree in arrays by vertex: only what stands in `members` is valid. */
class Tree {
    members = new Int32Array(0)
    count = 0
    parent = new Int32Array(0)
    /** From the source, 0.01 ms. */
    delay = new Int32Array(0)
    children = new Int32Array(0)
    isMember = new Uint8Array(0)

    reserve(vertices: number): void {
        if (this.members.length >= vertices) return
        this.members = new Int32Array(vertices)
        this.parent = new Int32Array(vertices)
        this.delay = new Int32Array(vertices)
        this.children = new Int32Array(vertices)
        this.isMember = new Uint8Array(vertices)
        this.count = 0
    }

    clear(): void {
        for (let i = 0; i < this.count; i++) this.isMember[this.members[i]] = 0
        this.count = 0
    }

    add(v: number, parent: number, delay: number): void {
        this.members[this.count++] = v
        this.isMember[v] = 1
        this.parent[v] = parent
        this.delay[v] = delay
        this.children[v] = 0
        if (parent !== none) this.children[parent]++
    }

    /** Takes out what the mark says, and keeps the order of the others. */
    removeMarked(mark: Uint8Array): void {
        let kept = 0
        for (let i = 0; i < this.count; i++) {
            const v = this.members[i]
            if (mark[v]) this.isMember[v] = 0
            else this.members[kept++] = v
        }
        this.count = kept
    }

    copyFrom(other: Tree): void {
        this.clear()
        for (let i = 0; i < other.count; i++) {
            const v = other.members[i]
            this.members[i] = v
            this.isMember[v] = 1
            this.parent[v] = other.parent[v]
            this.delay[v] = other.delay[v]
            this.children[v] = other.children[v]
        }
        this.count = other.count
    }
}

class Planner {
    private readonly search = new WaySearch()
    private source = 0
    /** Destinations that can be reached at all, in the order of their numbers. */
    private wanted: number[] = []
    private isWanted = new Uint8Array(0)
    /** Of each destination; what is none may be entered at any delay. */
    private maxDelay = new Int32Array(0)
    private shortest = new Int32Array(0)
    private shortestParent = new Int32Array(0)
    private mark = new Uint8Array(0)
    private seeds = new Int32Array(0)
    private tree = new Tree()
    private best = new Tree()
    /** Destinations whose shortest way is laid first. */
    private first: number[] = []

    plan({ graph, source, destinations, bandwidthKbps, avoid }: TreeRequest): GuidedTree {
        const vertices = graph.ids.length
        this.reserve(vertices)
        this.search.load(graph, bandwidthKbps, avoid)
        this.source = source
        this.findShortest()

        const missing: number[] = []
        this.maxDelay.fill(unreachable, 0, vertices)
        this.isWanted.fill(0, 0, vertices)
        this.wanted = []
        for (const { vertex, maxDelay } of destinations) {
            if (vertex === source || this.isWanted[vertex] || missing.includes(vertex)) continue
            if (this.shortest[vertex] > Math.min(maxDelay, unreachable - 1)) missing.push(vertex)
            else {
                this.wanted.push(vertex)
                this.isWanted[vertex] = 1
                this.maxDelay[vertex] = Math.min(maxDelay, unreachable - 1)
            }
        }
        this.wanted.sort((a, b) => a - b)
        this.first = []
        this.grow()
        this.exchange()
        this.insert()

        const parents = new Map<number, number>()
        for (let i = 0; i < this.tree.count; i++) {
            const v = this.tree.members[i]
            if (v !== source) parents.set(v, this.tree.parent[v])
        }
        return { parents, missing }
    }

    private reserve(vertices: number): void {
        if (this.mark.length >= vertices) return
        const room = Math.max(64, vertices * 2)
        this.isWanted = new Uint8Array(room)
        this.maxDelay = new Int32Array(room)
        this.shortest = new Int32Array(room)
        this.shortestParent = new Int32Array(room)
        this.mark = new Uint8Array(room)
        this.seeds = new Int32Array(room)
        this.tree.reserve(room)
        this.best.reserve(room)
    }

    /** Least delays from the source over the links that may be used. */
    private findShortest(): void {
        const { search, shortest, shortestParent, seeds } = this
        search.bound.fill(unreachable, 0, search.vertices)
        shortest[this.source] = 0
        seeds[0] = this.source
        search.run(seeds, 1, shortest, search.vertices)
        for (let v = 0; v < search.vertices; v++) {
            shortest[v] = search.best[v]
            const label = search.labelAt(v)
            const before = label === none ? none : search.before(label)
            shortestParent[v] = before === none ? none : search.vertexOf(before)
        }
    }

    private grow(): void {
        // Each turn lays one more shortest way first; with all of them laid nothing is left to attach.
        for (let failed = this.tryToGrow(none); failed !== none; failed = this.tryToGrow(none)) this.first.push(failed)
    }

    /**
     * Grows a tree to all destinations, and to `extra` when it is a vertex and comes in between. Returns a destination that
     * could not be attached in time, or -1.
     */
    private tryToGrow(extra: number): number {
        const { search, tree, isWanted, maxDelay } = this
        tree.clear()
        tree.add(this.source, none, 0)
        for (const v of this.first) this.layShortest(v)
        let left = 0
        for (const v of this.wanted) {
            search.target[v] = tree.isMember[v] ? 0 : 1
            left += search.target[v]
        }
        const vertices = search.vertices
        for (let v = 0; v < vertices; v++)
            search.bound[v] = tree.isMember[v] ? none : isWanted[v] ? maxDelay[v] : unreachable
        let extraLeft = extra !== none && !tree.isMember[extra]
        if (extraLeft) search.target[extra] = 1
        let failed = none
        while (left > 0) {
            const end = search.run(tree.members, tree.count, tree.delay, vertices)
            if (end === none) {
                for (const v of this.wanted) if (search.target[v] && failed === none) failed = v
                break
            }
            for (const v of this.attach(end)) {
                if (isWanted[v]) left--
                if (v === extra) extraLeft = false
            }
        }
        for (const v of this.wanted) search.target[v] = 0
        if (extraLeft) search.target[extra] = 0
        return failed
    }

    /** Lays the way of least delay from the tree, which so far has only such ways. */
    private layShortest(v: number): void {
        const { tree, shortest, shortestParent } = this
        const way: number[] = []
        for (let step = v; !tree.isMember[step]; step = shortestParent[step]) way.push(step)
        for (let i = way.length - 1; i >= 0; i--) tree.add(way[i], shortestParent[way[i]], shortest[way[i]])
    }

    /** Adds the way that ends with a label to the tree, and returns its new vertices, from the tree outwards. */
    private attach(end: number): number[] {
        const { search, tree } = this
        const labels: number[] = []
        for (let label = end; search.before(label) !== none; label = search.before(label)) labels.push(label)
        labels.reverse()
        return labels.map(label => {
            const v = search.vertexOf(label)
            tree.add(v, search.vertexOf(search.before(label)), search.delayOf(label))
            search.bound[v] = none
            search.target[v] = 0
            return v
        })
    }

    /**
     * Exchanges pieces of way, each from one server where the tree branches or ends to the next one above, for others with
     * fewer links, or with as many and less delay, as long as all below stay within their bounds.
     */
    private exchange(): void {
        const { tree } = this
        // Each exchange takes away links or delay, so that there is an end; what is around in a ring without one, too.
        let since = 0
        for (let i = 0; since < tree.count; i++) {
            const v = tree.members[i % tree.count]
            if (v !== this.source && this.isKey(v) && this.exchangeAbove(v)) since = 0
            else since++
        }
    }

    private isKey(v: number): boolean {
        return v === this.source || this.isWanted[v] === 1 || this.tree.children[v] !== 1
    }

    private exchangeAbove(v: number): boolean {
        const { search, tree, mark, seeds, isWanted, maxDelay } = this
        const { members, parent, delay } = tree
        let links = 1
        let upper = parent[v]
        for (; !this.isKey(upper); upper = parent[upper]) links++

        // 1: in the subtree of v; 2: on the piece of way above it.
        mark.fill(0, 0, search.vertices)
        mark[v] = 1
        for (let step = parent[v]; step !== upper; step = parent[step]) mark[step] = 2
        let slack = unreachable
        for (let i = 0; i < tree.count; i++) {
            const m = members[i]
            let step = m
            while (step !== none && step !== v) step = parent[step]
            if (step === none) continue
            mark[m] = 1
            if (isWanted[m] && maxDelay[m] - delay[m] < slack) slack = maxDelay[m] - delay[m]
        }
        const { bound, target } = search
        bound.fill(unreachable, 0, search.vertices)
        let count = 0
        for (let i = 0; i < tree.count; i++) {
            const m = members[i]
            if (mark[m] !== 2) bound[m] = none
            if (mark[m] === 0) seeds[count++] = m
        }
        bound[v] = Math.min(unreachable - 1, delay[v] + slack)
        target[v] = 1
        const end = search.run(seeds, count, delay, links)
        target[v] = 0
        if (end === none) return false
        let newLinks = 0
        for (let label = end; search.before(label) !== none; label = search.before(label)) newLinks++
        const gain = delay[v] - search.delayOf(end)
        if (newLinks === links && gain <= 0) return false

        tree.children[upper]--
        for (let i = 0; i < tree.count; i++) if (mark[members[i]] === 1) delay[members[i]] -= gain
        for (let i = 0; i < search.vertices; i++) mark[i] = mark[i] === 2 ? 1 : 0
        tree.removeMarked(mark)
        const last = search.before(end)
        if (search.before(last) !== none) this.attach(last)
        parent[v] = search.vertexOf(last)
        tree.children[parent[v]]++
        return true
    }

    /** Tries vertices as branching points, one by one, and keeps what makes the tree better. */
    private insert(): void {
        const { tree, best, search, wanted } = this
        const tries = Math.min(insertions, Math.floor(insertionWork / (search.vertices * wanted.length)))
        // A tree needs a link for each destination: one that has no more cannot lose any.
        if (tree.count - 1 <= wanted.length || tries === 0) return
        best.copyFrom(tree)
        let bestStretch = this.stretch(tree)
        const candidates: { v: number; near: number }[] = []
        for (let v = 0; v < search.vertices; v++) {
            if (best.isMember[v] || search.degree(v) < 3 || this.shortest[v] === unreachable) continue
            let near = 0
            for (let i = 0; i < search.degree(v); i++) {
                const w = search.neighbour(v, i)
                near += this.isWanted[w] || w === this.source ? 2 : best.isMember[w]
            }
            if (near > 0) candidates.push({ v, near })
        }
        candidates.sort((a, b) => b.near - a.near || a.v - b.v)
        for (const { v } of candidates.slice(0, tries)) {
            if (this.tryToGrow(v) !== none) continue
            this.prune()
            // Exchanges take the most time: only for a tree that does branch there and is nearly as good.
            if (!tree.isMember[v] || tree.children[v] < 2) continue
            if (tree.count > best.count + insertionSlack) continue
            this.exchange()
            const stretch = this.stretch(tree)
            if (tree.count > best.count || (tree.count === best.count && stretch >= bestStretch)) continue
            best.copyFrom(tree)
            bestStretch = stretch
            if (best.count - 1 <= wanted.length) break
        }
        tree.copyFrom(best)
    }

    /** Takes off ends of the tree that are no destinations. */
    private prune(): void {
        const { tree, mark, isWanted } = this
        mark.fill(0, 0, this.search.vertices)
        let pruned = false
        for (let i = tree.count - 1; i > 0; i--) {
            let v = tree.members[i]
            while (v !== this.source && !isWanted[v] && !mark[v] && tree.children[v] === 0) {
                mark[v] = 1
                pruned = true
                v = tree.parent[v]
                tree.children[v]--
            }
        }
        if (pruned) tree.removeMarked(mark)
    }

    /** Sum over the destinations of the tree's delay beside the shortest one. */
    private stretch(tree: Tree): number {
        let sum = 0
        for (const v of this.wanted) sum += tree.delay[v] / this.shortest[v]
        return sum
    }
}

/** One for all requests: its scratch space is what makes it fast, and nothing of a request is read by the next one. */
const planner = new Planner()
