/**
 * A few routing servers with the real reservation core over links that never fail by themselves, in virtual time: for tests of
 * the protocol's rules, message by message.
 */

import type { ReservationMessage } from "../../protocol/reservation.ts"
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
    kbps: number
    up: boolean
}

interface Sent {
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
    private readonly views = new Map<string, TopologyView>()
    private readonly tables = new Map<string, RoutingTable>()
    private readonly alarms = new Map<string, number>()
    private version = 0

    /** `links`: "a b delayMs kbps". */
    static of(
        links: string[],
        limits: Partial<ReservationLimits> & { dsp?: Record<string, number> } = {},
    ): TestNetwork {
        return new TestNetwork(
            links.map(text => {
                const [a, b, delayMs, kbps] = text.split(" ")
                return { a, b, delayMs: Number(delayMs), kbps: Number(kbps ?? 1000), up: true }
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
                capacityKbps: peer => this.link(self, peer)?.kbps ?? 0,
                database: () => this.database(),
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

    at(rs: string): Reservation {
        const server = this.servers.get(rs)
        if (!server) throw new Error(`no server ${rs}`)
        return server
    }

    /** Everybody knows the links and what is free on them as they are now. */
    tellTopology(): void {
        for (const [self, table] of this.tables) {
            for (const [origin, advertisement] of this.database()) table.update(origin, advertisement)
            this.views.get(self)?.changed()
        }
    }

    feed(rs: string, event: ReservationEvent): ReservationEffect[] {
        const effects = this.at(rs).step(event, this.agenda.nowMs)
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

    /** Both ends are told at once. */
    cut(a: string, b: string): void {
        const link = this.link(a, b)
        if (!link) throw new Error(`no link ${a} ${b}`)
        link.up = false
        this.tellTopology()
        this.feed(a, { type: "linkDown", peer: b })
        this.feed(b, { type: "linkDown", peer: a })
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
                    const free = Math.floor((16 * (link.kbps - this.at(origin).ledger.held(to))) / link.kbps)
                    return { to, delay: link.delayMs * 100, jitter: 0, loss: 0, capacity: link.kbps, free, hops: 1 }
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
        this.sent.push(sent)
        const link = this.link(rs, to)
        if (!link?.up || this.loses(sent)) return
        this.agenda.in(link.delayMs, () => {
            if (link.up) this.feed(to, { type: "message", from: rs, message })
        })
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
