/**
 * Link state and routes in a network whose links flap, in virtual time: one seed, one run. `npm test` runs a small one,
 * `npm run prove -- flapping` 200 servers.
 */

import assert from "node:assert/strict"
import type { AdvertisedLink } from "../../servers/routing/route/advertisement.ts"
import { LinkState, type LinkStateEffect, linkStateDefaults } from "../../servers/routing/route/link-state.ts"
import { RoutingTable } from "../../servers/routing/route/routing-table.ts"
import { Agenda } from "../../sim/world/agenda.ts"
import { Random } from "../../sim/world/random.ts"

interface Link {
    a: number
    b: number
    baseDelay: number
    delay: number
    up: boolean
    /** Counts cuts, so that what was on its way over the old connection is lost with it. */
    life: number
}

const hourMs = 3_600_000

/** A network of link-state databases and routing tables in virtual time; control messages take the link's delay. */
class Network {
    readonly agenda = new Agenda()
    readonly states: LinkState[] = []
    readonly tables: RoutingTable[] = []
    readonly links: Link[] = []
    readonly linksOf: Link[][]
    routeChanges = 0
    messages = 0
    private readonly alarms: number[]

    constructor(
        readonly servers: number,
        degree: number,
        readonly random: Random,
    ) {
        this.linksOf = Array.from({ length: servers }, () => [])
        this.alarms = new Array(servers).fill(Number.POSITIVE_INFINITY)
        for (let v = 0; v < servers; v++) {
            this.states.push(new LinkState(`rs${v}`, 1))
            this.tables.push(new RoutingTable(`rs${v}`))
        }
        const place = Array.from({ length: servers }, () => [random.fraction(), random.fraction()])
        const join = (a: number, b: number) => {
            if (a === b || this.linksOf[a].some(link => link.a === b || link.b === b)) return
            const distance = Math.hypot(place[a][0] - place[b][0], place[a][1] - place[b][1])
            const baseDelay = 100 + Math.round(distance * 4000)
            const link = { a, b, baseDelay, delay: baseDelay, up: true, life: 0 }
            this.links.push(link)
            this.linksOf[a].push(link)
            this.linksOf[b].push(link)
        }
        for (let v = 1; v < servers; v++) join(v, random.below(v))
        while (this.links.length * 2 < servers * degree) join(random.below(servers), random.below(servers))
        for (const link of this.links) this.come(link)
        for (let v = 0; v < servers; v++) this.measure(v)
    }

    private perform(v: number, effects: LinkStateEffect[]): void {
        for (const effect of effects) {
            if (effect.type === "malformed") assert.fail(effect.problem)
            if (effect.type === "changed")
                this.routeChanges += this.tables[v].update(effect.origin, effect.advertisement).length
            if (effect.type === "send") {
                const to = Number(effect.to.slice(2))
                const link = this.linksOf[v].find(link => link.a === to || link.b === to)
                if (!link?.up) continue
                const { life } = link
                const { kind, list } = effect.message
                this.messages++
                this.agenda.in(link.delay / 100, () => {
                    if (!link.up || link.life !== life) return
                    this.perform(to, this.states[to].step({ type: kind, from: `rs${v}`, list }, this.agenda.nowMs))
                    this.alarm(to)
                })
            }
        }
    }

    /** One pending timer a server: the earliest. */
    private alarm(v: number): void {
        const at = Math.max(this.agenda.nowMs + 1, this.states[v].nextTickMs())
        if (at >= this.alarms[v]) return
        this.alarms[v] = at
        this.agenda.at(at, () => {
            if (this.alarms[v] !== at) return
            this.alarms[v] = Number.POSITIVE_INFINITY
            this.perform(v, this.states[v].step({ type: "tick" }, this.agenda.nowMs))
            this.alarm(v)
        })
    }

    measure(v: number): void {
        const links: AdvertisedLink[] = this.linksOf[v]
            .filter(link => link.up)
            .map(link => ({
                to: `rs${link.a === v ? link.b : link.a}`,
                delay: link.delay,
                jitter: 0,
                loss: 0,
                capacity: 100_000,
                free: 16,
                hops: 1,
            }))
        this.perform(v, this.states[v].step({ type: "measured", links }, this.agenda.nowMs))
        this.alarm(v)
    }

    come(link: Link): void {
        link.up = true
        link.life++
        for (const [v, peer] of [
            [link.a, link.b],
            [link.b, link.a],
        ])
            this.perform(v, this.states[v].step({ type: "neighbourUp", peer: `rs${peer}` }, this.agenda.nowMs))
    }

    go(link: Link): void {
        link.up = false
        for (const [v, peer] of [
            [link.a, link.b],
            [link.b, link.a],
        ])
            this.perform(v, this.states[v].step({ type: "neighbourDown", peer: `rs${peer}` }, this.agenda.nowMs))
        this.measure(link.a)
        this.measure(link.b)
    }

    assertAgreed(story: string): void {
        const view = (state: LinkState) =>
            [...state.database.values()]
                .map(({ advertisement: { origin, bootId, seq } }) => `${origin} ${bootId} ${seq}`)
                .sort()
                .join("\n")
        const first = view(this.states[0])
        for (const state of this.states) assert.equal(view(state), first, `${story}: database of ${state.self}`)
    }

    assertLoopFree(story: string): void {
        for (let target = 0; target < this.servers; target++) {
            const settled = new Uint8Array(this.servers)
            settled[target] = 1
            for (let from = 0; from < this.servers; from++) {
                const way: number[] = []
                let at = from
                while (!settled[at]) {
                    way.push(at)
                    assert.ok(way.length <= this.servers, `${story}: loop from rs${from} to rs${target}`)
                    const route = this.tables[at].route(`rs${target}`)
                    if (!route) {
                        const linked = this.tables[at].reachable().includes(`rs${target}`)
                        assert.ok(!linked, `${story}: no route from rs${at} to rs${target}`)
                        break
                    }
                    at = Number(route.nextHop.slice(2))
                }
                for (const v of way) settled[v] = 1
            }
        }
    }
}

export interface FlappingResult {
    events: number
    messages: number
    /** For each ordered pair of servers. */
    routeChangesPerPairAndHour: number
}

/**
 * Lets links break and come back for an hour, three a minute, while delays wander by 20 %. Asserts after the start and after the hour
 * that all databases are equal and that the next hops lead everywhere without a loop.
 */
export function flapForAnHour(servers: number, seed: number): FlappingResult {
    const random = new Random(seed)
    const network = new Network(servers, 6, random)
    const { agenda } = network
    agenda.runUntil(60_000)
    network.assertAgreed(`seed ${seed}, after the start`)
    network.assertLoopFree(`seed ${seed}, after the start`)

    network.routeChanges = 0
    for (let atMs = 60_000; atMs < hourMs; atMs += 20_000) {
        const link = random.pick(network.links)
        agenda.at(atMs + random.between(0, 20_000), () => {
            if (!link.up) return
            network.go(link)
            agenda.in(random.between(500, 60_000), () => {
                network.come(link)
                network.measure(link.a)
                network.measure(link.b)
            })
        })
        // Delays wander all the time; most of it is not worth telling.
        const wanderer = random.pick(network.links)
        agenda.at(atMs + random.between(0, 20_000), () => {
            wanderer.delay = Math.round(wanderer.baseDelay * random.between(0.8, 1.2))
            network.measure(wanderer.a)
            network.measure(wanderer.b)
        })
    }
    agenda.runUntil(hourMs)
    // Quiet: the longest a link is away, the longest wait of an advertisement, and its flood.
    agenda.runUntil(hourMs + 60_000 + 2 * linkStateDefaults.maxIntervalMs)
    network.assertAgreed(`seed ${seed}, after the hour`)
    network.assertLoopFree(`seed ${seed}, after the hour`)
    return {
        events: agenda.happened,
        messages: network.messages,
        routeChangesPerPairAndHour: network.routeChanges / (servers * (servers - 1)),
    }
}
