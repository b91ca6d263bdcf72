/**
 * Many routing servers in virtual time over a given underlay: each runs the real neighbour choice, link-state database and
 * routing table; messages and probes take the underlay's delay. One seed gives one run.
 *
 * Owns the wiring of the cores to each other and to virtual time, as the adapter of `servers/routing` does in a process.
 */

import { NeighbourChoice } from "../../servers/routing/neighbours/choice.ts"
import {
    type ChoiceEffect,
    type ChoiceEvent,
    type ChoiceLimits,
    choiceDefaults,
    type Member,
} from "../../servers/routing/neighbours/model.ts"
import type { NeighbourPolicy, PathMeasurement } from "../../servers/routing/neighbours/rule.ts"
import type { AdvertisedLink } from "../../servers/routing/route/advertisement.ts"
import { maximumCost } from "../../servers/routing/route/graph.ts"
import {
    LinkState,
    type LinkStateEffect,
    type LinkStateLimits,
    linkStateDefaults,
} from "../../servers/routing/route/link-state.ts"
import { RoutingTable } from "../../servers/routing/route/routing-table.ts"
import { Agenda } from "./agenda.ts"
import type { Random } from "./random.ts"

/** The network below: what a packet from one server to another meets now. */
export interface Underlay {
    /** One way; Infinity when nothing gets through. */
    delayMs(from: number, to: number): number
    /** Share of packets lost one way, 0..1. */
    loss(from: number, to: number): number
    /** Largest extra delay of a packet. */
    jitterMs(from: number, to: number): number
    bandwidthKbps(from: number, to: number): number
    hops?(from: number, to: number): number
}

export interface OverlayOptions {
    members: readonly Member[]
    underlay: Underlay
    random: Random
    policy?: NeighbourPolicy
    choice?: ChoiceLimits
    linkState?: LinkStateLimits
}

const probes = 10
const probeSpacingMs = 50
const probeTimeoutMs = 1000

interface Node {
    index: number
    id: string
    choice: NeighbourChoice
    state: LinkState
    table: RoutingTable
    /** Peers with a link that is up. */
    links: Set<number>
    /** Links told at maximum cost before they are dropped. */
    retired: Set<number>
    alarmMs: number
    crashed: boolean
}

export class Overlay {
    readonly agenda = new Agenda()
    readonly nodes: Node[] = []
    private readonly indexOf = new Map<string, number>()
    routeChanges = 0
    messages = 0

    constructor(private readonly options: OverlayOptions) {
        options.members.forEach((member, index) => {
            this.indexOf.set(member.id, index)
            this.nodes.push({
                index,
                id: member.id,
                choice: new NeighbourChoice(member.id, options.choice ?? choiceDefaults),
                state: new LinkState(member.id, 1, options.linkState ?? linkStateDefaults),
                table: new RoutingTable(member.id),
                links: new Set(),
                retired: new Set(),
                alarmMs: Number.POSITIVE_INFINITY,
                crashed: false,
            })
        })
        for (const node of this.nodes) {
            // Servers of one network do not start in the same millisecond.
            this.agenda.at(options.random.between(0, 2000), () => {
                if (options.policy) this.choose(node, { type: "policy", policy: options.policy })
                this.choose(node, { type: "members", list: options.members })
                this.choose(node, { type: "start" })
                this.measure(node)
            })
        }
    }

    /** Tells every server a new list [claim 10]. */
    setMembers(list: readonly Member[]): void {
        for (const node of this.nodes) if (!node.crashed) this.choose(node, { type: "members", list })
    }

    setPolicy(policy: NeighbourPolicy): void {
        for (const node of this.nodes) if (!node.crashed) this.choose(node, { type: "policy", policy })
    }

    /** The link between two servers breaks, at both ends at once. */
    cut(a: number, b: number): void {
        for (const [node, peer] of [
            [this.nodes[a], this.nodes[b]],
            [this.nodes[b], this.nodes[a]],
        ]) {
            if (!node.links.delete(peer.index)) continue
            this.route(node, node.state.step({ type: "neighbourDown", peer: peer.id }, this.agenda.nowMs))
            this.choose(node, { type: "linkDown", peer: peer.id })
            this.measure(node)
        }
    }

    private choose(node: Node, event: ChoiceEvent): void {
        for (const effect of node.choice.step(event, this.agenda.nowMs)) this.performChoice(node, effect)
        this.alarm(node)
    }

    private performChoice(node: Node, effect: ChoiceEffect): void {
        switch (effect.type) {
            case "probe": {
                const to = this.nodes[this.indexOf.get(effect.id)!]
                const path = this.probe(node, to)
                const tookMs = (probes - 1) * probeSpacingMs + (path ? path.rttMs : probeTimeoutMs)
                this.agenda.in(tookMs, () => this.choose(node, { type: "measured", id: effect.id, path }))
                return
            }
            case "ask": {
                const { id: by } = node
                this.deliver(node, effect.id, peer =>
                    this.choose(peer, { type: "asked", by, distances: effect.distances }),
                )
                return
            }
            case "answer": {
                const { id: by } = node
                this.deliver(node, effect.to, peer => this.choose(peer, { ...effect, type: "answered", by }))
                return
            }
            case "retire":
                node.retired.add(this.indexOf.get(effect.id)!)
                this.measure(node)
                return
            case "drop": {
                const { id: by } = node
                node.retired.delete(this.indexOf.get(effect.id)!)
                this.deliver(node, effect.id, peer => this.choose(peer, { type: "released", by }))
                return
            }
            case "neighbours":
                this.linkUpAndDown(node, effect.ids)
                return
            case "runEnded":
                return
        }
    }

    /** A link is up when both ends have each other as neighbours. */
    private linkUpAndDown(node: Node, ids: readonly string[]): void {
        const wanted = new Set(ids.map(id => this.indexOf.get(id)!))
        for (const peer of [...node.links]) if (!wanted.has(peer)) this.cut(node.index, peer)
        for (const index of wanted) {
            const peer = this.nodes[index]
            if (node.links.has(index) || peer.crashed) continue
            if (!peer.choice.neighbours().some(neighbour => neighbour.id === node.id)) continue
            for (const [one, other] of [
                [node, peer],
                [peer, node],
            ]) {
                one.links.add(other.index)
                this.route(one, one.state.step({ type: "neighbourUp", peer: other.id }, this.agenda.nowMs))
                this.measure(one)
            }
        }
    }

    private probe(from: Node, to: Node): PathMeasurement | undefined {
        const { underlay, random } = this.options
        const there = underlay.delayMs(from.index, to.index)
        const back = underlay.delayMs(to.index, from.index)
        if (to.crashed || !Number.isFinite(there + back)) return undefined
        const rtts: number[] = []
        for (let i = 0; i < probes; i++) {
            if (
                random.chance(underlay.loss(from.index, to.index)) ||
                random.chance(underlay.loss(to.index, from.index))
            )
                continue
            const jitter = random.fraction() * underlay.jitterMs(from.index, to.index)
            rtts.push(there + back + jitter + random.fraction() * underlay.jitterMs(to.index, from.index))
        }
        if (rtts.length === 0) return undefined
        rtts.sort((a, b) => a - b)
        const p95 = rtts[Math.min(rtts.length - 1, Math.floor(rtts.length * 0.95))]
        return {
            probesSent: probes,
            probesAnswered: rtts.length,
            rttMs: rtts[rtts.length >> 1],
            jitterP95Ms: p95 - rtts[0],
            // Ten probes cannot tell 2 % from 10 %: what is lost counts as loss only from the second one on.
            loss: Math.max(0, probes - rtts.length - 1) / probes,
            hops: underlay.hops?.(from.index, to.index),
            bandwidthKbps: underlay.bandwidthKbps(from.index, to.index),
            mutual: true,
        }
    }

    /** What `node` measures of its links now. */
    measure(node: Node): void {
        const { underlay } = this.options
        const links: AdvertisedLink[] = [...node.links].map(peer => ({
            to: this.nodes[peer].id,
            delay: node.retired.has(peer)
                ? maximumCost
                : Math.max(
                      1,
                      Math.round(50 * (underlay.delayMs(node.index, peer) + underlay.delayMs(peer, node.index))),
                  ),
            jitter: Math.round(100 * underlay.jitterMs(node.index, peer)),
            loss: Math.round(10_000 * underlay.loss(node.index, peer)),
            capacity: underlay.bandwidthKbps(node.index, peer),
            free: 16,
            hops: underlay.hops?.(node.index, peer) ?? 0,
        }))
        this.route(node, node.state.step({ type: "measured", links }, this.agenda.nowMs))
        this.alarm(node)
    }

    private route(node: Node, effects: LinkStateEffect[]): void {
        let changed = false
        for (const effect of effects) {
            if (effect.type === "malformed")
                throw new Error(`${node.id} was sent something malformed: ${effect.problem}`)
            if (effect.type === "changed") {
                this.routeChanges += node.table.update(effect.origin, effect.advertisement).length
                changed = true
            }
            if (effect.type === "send") {
                const { kind, list } = effect.message
                const { id: from } = node
                if (!node.links.has(this.indexOf.get(effect.to)!)) continue
                this.deliver(node, effect.to, peer => {
                    this.route(peer, peer.state.step({ type: kind, from, list }, this.agenda.nowMs))
                    this.alarm(peer)
                })
            }
        }
        if (changed) node.choice.step({ type: "reachable", ids: node.table.reachable() }, this.agenda.nowMs)
    }

    /** Control messages are reliable and ordered: they take the delay and are not lost. */
    private deliver(from: Node, toId: string, receive: (peer: Node) => void): void {
        const peer = this.nodes[this.indexOf.get(toId)!]
        const delayMs = this.options.underlay.delayMs(from.index, peer.index)
        if (!Number.isFinite(delayMs)) return
        this.messages++
        this.agenda.in(delayMs, () => {
            if (!peer.crashed) receive(peer)
        })
    }

    /** One pending timer a server: the earliest. */
    private alarm(node: Node): void {
        const nextMs = Math.min(node.state.nextTickMs(), node.choice.nextTickMs())
        const atMs = Math.max(this.agenda.nowMs + 1, nextMs)
        if (atMs >= node.alarmMs || atMs === Number.POSITIVE_INFINITY) return
        node.alarmMs = atMs
        this.agenda.at(atMs, () => {
            if (node.alarmMs !== atMs) return
            node.alarmMs = Number.POSITIVE_INFINITY
            this.route(node, node.state.step({ type: "tick" }, this.agenda.nowMs))
            this.choose(node, { type: "tick" })
        })
    }
}
