/**
 * A few routing servers with the real reservation core over links that never fail by themselves, in virtual time: for tests of
 * the protocol's rules, message by message. Each message that a server sends must have its shape and no field beside it, and
 * nobody may ever hold more than there is: a test fails otherwise, whatever it is about.
 */

import assert from "node:assert/strict"
import { type ReservationMessage, reservationShapes } from "../../protocol/reservation.ts"
import { problemWith } from "../../protocol/shape.ts"
import type {
    ReservationEffect,
    ReservationEvent,
    ReservationLimits,
    Wish,
} from "../../servers/routing/reservation/model.ts"
import { Reservation } from "../../servers/routing/reservation/reservation.ts"
import { TopologyView } from "../../servers/routing/reservation/view.ts"
import type { Advertisement } from "../../servers/routing/route/advertisement.ts"
import { RoutingTable } from "../../servers/routing/route/routing-table.ts"
import { Agenda } from "../../sim/world/agenda.ts"

export interface TestLink {
    a: string
    b: string
    delayMs: number
    /** From a to b. */
    kbps: number
    /** From b to a. */
    kbpsBack: number
    up: boolean
}

export interface Sent {
    atMs: number
    from: string
    to: string
    message: ReservationMessage
}

export class TestNetwork {
    readonly agenda = new Agenda()
    readonly servers = new Map<string, Reservation>()
    readonly sent: Sent[] = []
    readonly effects: { rs: string; atMs: number; effect: ReservationEffect }[] = []
    /** Messages for which it says true are lost. */
    loses: (sent: Sent) => boolean = () => false
    /** How much later than the link's delay a message comes, ms. */
    delays: (sent: Sent) => number = () => 0
    private readonly views = new Map<string, TopologyView>()
    private readonly tables = new Map<string, RoutingTable>()
    private readonly alarms = new Map<string, number>()
    private version = 0
    /** The link-state database of all, as it was when they were told last. */
    private known = new Map<string, Advertisement>()

    /** `links`: "a b delayMs kbps kbpsBack"; 1000 kbit/s, and as much back, when it does not say. */
    static of(
        links: string[],
        limits: Partial<ReservationLimits> & { dsp?: Record<string, number> } = {},
    ): TestNetwork {
        return new TestNetwork(
            links.map(text => {
                const [a, b, delayMs, kbps = "1000", kbpsBack = kbps] = text.split(" ")
                return { a, b, delayMs: Number(delayMs), kbps: Number(kbps), kbpsBack: Number(kbpsBack), up: true }
            }),
            limits,
        )
    }

    constructor(
        readonly links: TestLink[],
        { dsp = {}, ...limits }: Partial<ReservationLimits> & { dsp?: Record<string, number> },
    ) {
        const ids = [...new Set(links.flatMap(({ a, b }) => [a, b]))].sort()
        for (const [index, self] of ids.entries()) {
            const table = new RoutingTable(self)
            const view = new TopologyView({
                self,
                table,
                neighbours: () => ids.filter(peer => this.link(self, peer)?.up),
                isUp: peer => this.link(self, peer)?.up ?? false,
                capacityKbps: peer => this.capacity(self, peer),
                database: () => this.known,
            })
            const dspUnits = dsp[self] ?? limits.dspUnits ?? 100
            this.servers.set(self, new Reservation(self, view, index + 1, { ...limits, dspUnits }))
            this.tables.set(self, table)
            this.views.set(self, view)
        }
        this.tellTopology()
    }

    link(a: string, b: string): TestLink | undefined {
        return this.links.find(link => (link.a === a && link.b === b) || (link.a === b && link.b === a))
    }

    private capacity(from: string, to: string): number {
        const link = this.link(from, to)
        return (link?.a === from ? link.kbps : link?.kbpsBack) ?? 0
    }

    at(rs: string): Reservation {
        const server = this.servers.get(rs)
        if (!server) throw new Error(`no server ${rs}`)
        return server
    }

    /** Everybody knows the links and what is free on them as they are now, and no change of it until the next time. */
    tellTopology(): void {
        this.known = this.database()
        for (const [self, table] of this.tables) {
            for (const [origin, advertisement] of this.known) table.update(origin, advertisement)
            this.views.get(self)?.changed()
        }
    }

    feed(rs: string, event: ReservationEvent): ReservationEffect[] {
        const effects = this.at(rs).step(event, this.agenda.nowMs)
        this.examine(rs)
        for (const effect of effects) this.perform(rs, effect)
        this.alarm(rs)
        return effects
    }

    wish(source: string, destinations: string[], changes: Partial<Wish> = {}): void {
        const wish: Wish = {
            sid: "s1",
            version: ++this.version,
            destinations: destinations.map(rs => ({ rs, dspUnits: 1 })),
            ...{ bandwidthKbps: 100, dspUnits: 1 },
            ...changes,
        }
        this.feed(source, { type: "wish", wish })
    }

    drop(source: string, sid = "s1"): void {
        this.feed(source, { type: "drop", sid })
    }

    /** A message as if a server had sent it that keeps to no rules; not recorded. */
    slip(from: string, to: string, message: ReservationMessage): ReservationEffect[] {
        return this.feed(to, { type: "message", from, message })
    }

    /** Both ends are told at once, and all know of it. */
    cut(a: string, b: string): void {
        const link = this.link(a, b)
        if (!link) throw new Error(`no link ${a} ${b}`)
        link.up = false
        this.tellTopology()
        this.feed(a, { type: "linkDown", peer: b })
        this.feed(b, { type: "linkDown", peer: a })
    }

    restore(a: string, b: string): void {
        const link = this.link(a, b)
        if (!link) throw new Error(`no link ${a} ${b}`)
        link.up = true
        this.tellTopology()
        for (const rs of this.servers.keys()) this.feed(rs, { type: "topology" })
    }

    pass(ms: number): void {
        this.agenda.runUntil(this.agenda.nowMs + ms)
    }

    /** Effects of one kind at a server, oldest first. */
    of<T extends ReservationEffect["type"]>(rs: string, type: T): Extract<ReservationEffect, { type: T }>[] {
        return this.effects
            .filter(({ rs: at, effect }) => at === rs && effect.type === type)
            .map(({ effect }) => effect as Extract<ReservationEffect, { type: T }>)
    }

    /** Messages of one kind, oldest first. */
    messages<T extends ReservationMessage["t"]>(
        t: T,
    ): (Omit<Sent, "message"> & { message: Extract<ReservationMessage, { t: T }> })[] {
        return this.sent
            .filter(({ message }) => message.t === t)
            .map(({ message, ...rest }) => ({
                ...rest,
                message: message as Extract<ReservationMessage, { t: T }>,
            }))
    }

    /** Each server of the newest active tree below its parent, as "parent > rs"; none: nothing was ever active. */
    tree(source: string): string[] {
        const tree = this.of(source, "active").at(-1)?.tree ?? []
        return tree.map(({ rs, parent }) => `${parent} > ${rs}`).sort()
    }

    /** Messages of one kind as "from > to". */
    said(t: ReservationMessage["t"], sid = "s1"): string[] {
        return this.sent
            .filter(({ message }) => message.t === t && message.sid === sid)
            .map(({ from, to }) => `${from} > ${to}`)
    }

    /** What is held anywhere, as "a > b kbps" and "a units". */
    held(): string[] {
        const lines: string[] = []
        for (const [rs, { ledger }] of this.servers) {
            for (const { peer, heldKbps } of ledger.view().links)
                if (heldKbps > 0) lines.push(`${rs} > ${peer} ${heldKbps}`)
            if (ledger.dspHeld() > 0) lines.push(`${rs} ${ledger.dspHeld()}`)
        }
        return lines.sort()
    }

    private database(): Map<string, Advertisement> {
        const database = new Map<string, Advertisement>()
        for (const origin of this.servers.keys()) {
            const links = this.links
                .filter(link => link.up && (link.a === origin || link.b === origin))
                .map(link => {
                    const to = link.a === origin ? link.b : link.a
                    const capacity = this.capacity(origin, to)
                    const free = Math.floor((16 * (capacity - this.at(origin).ledger.held(to))) / capacity)
                    return { to, delay: link.delayMs * 100, jitter: 0, loss: 0, capacity, free, hops: 1 }
                })
            database.set(origin, { origin, bootId: 1, seq: 1, area: 0, links })
        }
        return database
    }

    private perform(rs: string, effect: ReservationEffect): void {
        this.effects.push({ rs, atMs: this.agenda.nowMs, effect })
        if (effect.type !== "send") return
        const { to, message } = effect
        const sent = { atMs: this.agenda.nowMs, from: rs, to, message }
        const shape = reservationShapes[message.t]
        assert.equal(problemWith(shape, message), "", `${rs} > ${to} ${JSON.stringify(message)}`)
        for (const field of Object.keys(message)) assert.ok(field in shape.of, `${message.t} has no field ${field}`)
        this.sent.push(sent)
        const link = this.link(rs, to)
        if (!link?.up || this.loses(sent)) return
        this.agenda.in(link.delayMs + this.delays(sent), () => {
            if (link.up) this.feed(to, { type: "message", from: rs, message })
        })
    }

    private examine(rs: string): void {
        const { links, dspHeld, dspUnits } = this.at(rs).ledger.view()
        assert.ok(dspHeld >= 0 && dspHeld <= dspUnits, `${rs} holds ${dspHeld} of ${dspUnits} units`)
        for (const { peer, heldKbps } of links) {
            const capacity = this.capacity(rs, peer)
            assert.ok(heldKbps >= 0 && heldKbps <= capacity, `${rs} holds ${heldKbps} of ${capacity} kbit/s to ${peer}`)
        }
    }

    private alarm(rs: string): void {
        const nextMs = this.at(rs).nextTickMs()
        if (nextMs >= (this.alarms.get(rs) ?? Number.POSITIVE_INFINITY)) return
        this.alarms.set(rs, nextMs)
        this.agenda.at(nextMs, () => {
            if (this.alarms.get(rs) !== nextMs) return
            this.alarms.delete(rs)
            this.feed(rs, { type: "tick" })
        })
    }
}
