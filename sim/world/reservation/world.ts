/**
 * Many routing servers in virtual time, each with the real cores of routes and reservation, over links that delay, break and, in
 * the harsh profile, lose, double and reorder messages of the reservation. One seed gives one run.
 *
 * Owns the wiring of the cores to each other and to virtual time, and tells the checkers what has happened. Never decides what
 * goes wrong (faults.ts) and never plays the group server (group-server.ts).
 */

import { type ReservationMessage, reservationShapes } from "../../../protocol/reservation.ts"
import { problemWith } from "../../../protocol/shape.ts"
import type { ReservationEvent } from "../../../servers/routing/reservation/model.ts"
import type { AdvertisedLink } from "../../../servers/routing/route/advertisement.ts"
import type { LinkStateEffect, LinkStateMessage } from "../../../servers/routing/route/link-state.ts"
import { Agenda } from "../agenda.ts"
import { Random } from "../random.ts"
import { type Checker, keepAlives, type Report, Violation } from "./checker.ts"
import { type Direction, Link } from "./link.ts"
import type { Scenario } from "./scenario.ts"
import { SimulatedServer } from "./server.ts"
import type { Trace } from "./trace.ts"

export type WorldMessage = ReservationMessage | LinkStateMessage

/** Hellos of 100 ms, three missed, 20 ms more [routing-spec 1]. */
export const detectMostMs = 320
export const detectLeastMs = 60

/** What is free is told so long after it changed, with what else changes meanwhile. */
const measureAfterMs = 50

/** Streams of the seed, so that a change in one does not shift the others. */
const streams = { jitter: 1, harm: 2, group: 3, faults: 4, detection: 5, seeds: 6 }

export class World {
    readonly agenda = new Agenda()
    readonly servers: SimulatedServer[] = []
    readonly serverOf = new Map<string, SimulatedServer>()
    readonly links: Link<WorldMessage>[] = []
    /** Events that reached a core: deliveries, timers, link changes, wishes. */
    events = 0
    /** No message is lost, doubled or overtaken any more. */
    isKind = false
    readonly groupRandom: Random
    readonly faultRandom: Random
    private readonly jitter: Random
    private readonly harm: Random
    private readonly detection: Random
    private readonly ears: ((server: SimulatedServer, report: Report) => void)[] = []
    private readonly alarms: { state: () => void; reservation: () => void; measure: () => void }[] = []
    private readonly afterStep: Checker[] = []
    /** `changes` of each server at the last sample. */
    private readonly sampled: number[] = []
    checkers: readonly Checker[] = []

    constructor(
        readonly scenario: Scenario,
        readonly trace: Trace,
    ) {
        const random = new Random(scenario.seed)
        this.jitter = random.split(streams.jitter)
        this.harm = random.split(streams.harm)
        this.detection = random.split(streams.detection)
        this.groupRandom = random.split(streams.group)
        this.faultRandom = random.split(streams.faults)
        const seeds = random.split(streams.seeds)
        scenario.servers.forEach(({ id, limits }, index) => {
            const server = new SimulatedServer(index, id, limits, seeds.word())
            this.servers.push(server)
            this.serverOf.set(id, server)
            this.alarms.push({
                state: () => this.onStateAlarm(server),
                reservation: () => this.onReservationAlarm(server),
                measure: () => {
                    server.willMeasure = false
                    if (server.isAlive) this.measure(server)
                },
            })
        })
        const receive = (direction: Direction<WorldMessage>, message: WorldMessage) => this.receive(direction, message)
        for (const { a, b, delay, capacityKbps } of scenario.links) {
            const link = new Link(this.servers[a], this.servers[b], delay, capacityKbps, receive)
            this.links.push(link)
            link.a.directions.set(link.b.id, link.there)
            link.b.directions.set(link.a.id, link.back)
        }
    }

    /** What is told of each event from now on. */
    watch(checkers: readonly Checker[]): void {
        this.checkers = checkers
        this.afterStep.push(...checkers.filter(checker => checker.afterStep !== undefined))
    }

    /** What a source reports, for the group server. */
    onReport(ear: (server: SimulatedServer, report: Report) => void): void {
        this.ears.push(ear)
    }

    /** The checkers look at the whole network. */
    sample(): void {
        const { servers, sampled, checkers } = this
        for (const server of servers) {
            if (!server.isAlive || sampled[server.index] === server.changes) continue
            sampled[server.index] = server.changes
            for (const checker of checkers) checker.onChanged?.(server)
        }
        for (const checker of checkers) checker.onSample?.()
    }

    start(): void {
        for (const server of this.servers) server.boot()
        for (const link of this.links) {
            link.passes = true
            for (const direction of [link.there, link.back]) direction.isUp = true
        }
        for (const { there, back } of this.links) for (const direction of [there, back]) this.tellUp(direction)
        for (const server of this.servers) this.measure(server)
    }

    // ---- the cores of a server --------------------------------------------------------------------------------------------------

    /** An event for the reservation at a server. */
    act(server: SimulatedServer, event: ReservationEvent): void {
        const { nowMs } = this.agenda
        this.events++
        this.trace.event(nowMs, server, event)
        const effects = server.reservation.step(event, nowMs)
        if (event.type !== "topology" && (event.type !== "message" || !keepAlives.has(event.message.t)))
            server.changes++
        for (const checker of this.afterStep) checker.afterStep?.(server, event, effects)
        for (const effect of effects) {
            switch (effect.type) {
                case "send": {
                    const direction = server.directions.get(effect.to)
                    if (!direction) throw new Violation("world", `${server.id} sends to ${effect.to}, no neighbour`)
                    if (direction.isUp) this.send(direction, effect.message)
                    break
                }
                case "tree":
                    this.trace.effect(nowMs, server, effect)
                    if (effect.branches.length > 0) server.media.set(effect.sid, effect)
                    else server.media.delete(effect.sid)
                    break
                case "active":
                case "refused":
                case "degraded":
                    this.trace.effect(nowMs, server, effect)
                    for (const checker of this.checkers) checker.onReport?.(server, effect)
                    for (const ear of this.ears) ear(server, effect)
            }
        }
        if (effects.length > 0 || event.type !== "message") this.lookAtFree(server)
        this.setReservationAlarm(server)
    }

    private lookAtFree(server: SimulatedServer): void {
        if (server.willMeasure) return
        const told = server.state.database.get(server.id)?.advertisement.links
        if (!told) return
        for (const { to, free, capacity } of told) {
            if (freeLevel(capacity, server.reservation.ledger.held(to)) === free) continue
            server.willMeasure = true
            this.agenda.in(measureAfterMs, this.alarms[server.index].measure)
            return
        }
    }

    /** What a server knows of its own links goes into its link-state database. */
    measure(server: SimulatedServer): void {
        const links: AdvertisedLink[] = []
        for (const [to, { isUp, link }] of server.directions) {
            if (!isUp) continue
            const { delay, capacityKbps: capacity } = link
            const free = freeLevel(capacity, server.reservation.ledger.held(to))
            links.push({ to, delay, jitter: 0, loss: 0, capacity, free, hops: 1 })
        }
        this.route(server, server.state.step({ type: "measured", links }, this.agenda.nowMs))
    }

    private route(server: SimulatedServer, effects: LinkStateEffect[]): void {
        let changed = false
        for (const effect of effects) {
            switch (effect.type) {
                case "malformed":
                    throw new Violation("world", `${server.id} was sent something malformed: ${effect.problem}`)
                case "changed":
                    server.learn(effect.origin, effect.advertisement)
                    changed = true
                    break
                case "send": {
                    const direction = server.directions.get(effect.to)
                    if (direction?.isUp) this.post(direction, effect.message)
                    break
                }
            }
        }
        this.setStateAlarm(server)
        if (!changed) return
        server.view.changed()
        this.act(server, { type: "topology" })
    }

    // ---- messages ---------------------------------------------------------------------------------------------------------------

    private send(direction: Direction<WorldMessage>, message: ReservationMessage): void {
        const { scenario, agenda, harm } = this
        if (scenario.strict) {
            const problem = problemWith(reservationShapes[message.t], message)
            if (problem) throw new Violation("world", `${direction.from.id} sends a wrong ${message.t}: ${problem}`)
            freeze(message)
        }
        if (scenario.profile !== "harsh" || this.isKind) {
            this.post(direction, message)
            return
        }
        if (agenda.nowMs < direction.deafUntilMs || harm.chance(scenario.loss)) {
            this.trace.lost(agenda.nowMs, direction.from, direction.to, message)
            return
        }
        if (harm.chance(scenario.duplicates)) this.postLate(direction, message)
        if (harm.chance(scenario.overtaken)) this.postLate(direction, message)
        else this.post(direction, message)
    }

    /** In order, after the link's delay. */
    private post(direction: Direction<WorldMessage>, message: WorldMessage): void {
        if (!direction.link.passes) return
        const { jitterMs } = this.scenario
        const extraMs = jitterMs > 0 ? this.jitter.fraction() * jitterMs : 0
        const atMs = Math.max(direction.lastMs, this.agenda.nowMs + direction.link.delayMs + extraMs)
        direction.lastMs = atMs
        direction.put(message)
        this.agenda.at(atMs, direction.arrive)
    }

    /** Out of order. */
    private postLate(direction: Direction<WorldMessage>, message: ReservationMessage): void {
        const { link } = direction
        const { life } = link
        this.agenda.in(link.delayMs + this.harm.fraction() * this.scenario.latestMs, () => {
            if (link.passes && link.life === life) this.receive(direction, message)
        })
    }

    private receive(direction: Direction<WorldMessage>, message: WorldMessage): void {
        const { from, to } = direction
        if ("t" in message) {
            this.act(to, { type: "message", from: from.id, message })
            return
        }
        this.events++
        this.trace.flood(this.agenda.nowMs, from, to)
        const { kind, list } = message
        this.route(to, to.state.step({ type: kind, from: from.id, list }, this.agenda.nowMs))
    }

    // ---- timers -----------------------------------------------------------------------------------------------------------------

    private setReservationAlarm(server: SimulatedServer): void {
        const nextMs = server.reservation.nextTickMs()
        if (nextMs >= server.reservationAlarmMs) return
        server.reservationAlarmMs = nextMs
        this.agenda.at(nextMs, this.alarms[server.index].reservation)
    }

    private onReservationAlarm(server: SimulatedServer): void {
        const { nowMs } = this.agenda
        // A later alarm has been replaced by an earlier one, or was asked for before a crash.
        if (!server.isAlive || server.reservationAlarmMs > nowMs) return
        server.reservationAlarmMs = Number.POSITIVE_INFINITY
        this.act(server, { type: "tick" })
        if (server.reservationAlarmMs <= nowMs && ++this.idleTicks > idleTicksMost)
            throw new Violation("world", `${server.id} asks for ticks without end at ${nowMs} ms`)
        if (server.reservationAlarmMs > nowMs) this.idleTicks = 0
    }

    private idleTicks = 0

    private setStateAlarm(server: SimulatedServer): void {
        const nextMs = Math.max(this.agenda.nowMs + 1, server.state.nextTickMs())
        if (nextMs >= server.stateAlarmMs) return
        server.stateAlarmMs = nextMs
        this.agenda.at(nextMs, this.alarms[server.index].state)
    }

    private onStateAlarm(server: SimulatedServer): void {
        const { nowMs } = this.agenda
        if (!server.isAlive || server.stateAlarmMs > nowMs) return
        server.stateAlarmMs = Number.POSITIVE_INFINITY
        this.events++
        this.route(server, server.state.step({ type: "tick" }, nowMs))
    }

    // ---- links and servers come and go -------------------------------------------------------------------------------------------

    private tellUp(direction: Direction<WorldMessage>): void {
        const { from, to } = direction
        const { nowMs } = this.agenda
        this.events++
        this.route(from, from.state.step({ type: "neighbourUp", peer: to.id }, nowMs))
    }

    private tellDown(direction: Direction<WorldMessage>): void {
        const { from, to } = direction
        if (!direction.isUp) return
        direction.isUp = false
        this.events++
        this.trace.say(this.agenda.nowMs, () => `${from.id} notices that its link to ${to.id} is down`)
        this.route(from, from.state.step({ type: "neighbourDown", peer: to.id }, this.agenda.nowMs))
        this.act(from, { type: "linkDown", peer: to.id })
        this.measure(from)
    }

    /** Nothing gets through any more; each end that lives is told after a while, at the latest possible time if `silent`. */
    breakLink(link: Link<WorldMessage>, silent: boolean): void {
        if (!link.passes) return
        const { nowMs } = this.agenda
        link.passes = false
        link.life++
        link.brokenMs = nowMs
        const { life } = link
        for (const direction of [link.there, link.back]) {
            if (!direction.from.isAlive) continue
            const afterMs = silent ? detectMostMs : this.detection.between(detectLeastMs, detectMostMs)
            this.agenda.in(afterMs, () => {
                if (link.life === life && direction.from.isAlive) this.tellDown(direction)
            })
        }
        for (const checker of this.checkers) checker.onBreak?.(link)
    }

    /** Both ends find each other again, if there is a line and both live. */
    joinLink(link: Link<WorldMessage>): void {
        if (!link.isWhole || link.passes || !link.a.isAlive || !link.b.isAlive) return
        // A neighbour with a new boot has forgotten everything: so has this server of it [routing-spec 1].
        this.tellDown(link.there)
        this.tellDown(link.back)
        link.passes = true
        link.life++
        const { life, there, back } = link
        const [first, second] = this.detection.chance(0.5) ? [there, back] : [back, there]
        const up = (direction: Direction<WorldMessage>) => {
            direction.isUp = true
            this.trace.say(this.agenda.nowMs, () => `${direction.from.id} has its link to ${direction.to.id} up`)
            this.tellUp(direction)
            this.measure(direction.from)
        }
        // The other end has it half a round trip later, before whatever the first end sends.
        this.agenda.in(link.delayMs, () => {
            if (link.life === life) up(second)
        })
        up(first)
    }

    /** The way below takes longer or shorter from now on, and both ends measure it. */
    setDelay(link: Link<WorldMessage>, delay: number): void {
        this.trace.say(this.agenda.nowMs, () => `${link.a.id} - ${link.b.id} takes ${delay / 100} ms`)
        link.delay = delay
        for (const { from, isUp } of [link.there, link.back]) if (isUp) this.measure(from)
    }

    crash(server: SimulatedServer): void {
        if (!server.isAlive) return
        server.isAlive = false
        server.crashedMs = this.agenda.nowMs
        this.trace.say(this.agenda.nowMs, () => `${server.id} crashes`)
        for (const direction of server.directions.values()) {
            direction.isUp = false
            this.breakLink(direction.link, false)
        }
        for (const checker of this.checkers) checker.onCrash?.(server)
    }

    restart(server: SimulatedServer): void {
        if (server.isAlive) return
        server.boot()
        this.trace.say(this.agenda.nowMs, () => `${server.id} starts, boot ${server.bootId}`)
        this.measure(server)
        const { bootId } = server
        for (const { link } of server.directions.values())
            this.agenda.in(this.detection.between(20, 200), () => {
                if (server.bootId === bootId) this.joinLink(link)
            })
    }
}

/** Ticks in a row at one instant: more than that, and time stands still. */
const idleTicksMost = 10_000

/** Sixteenths of the capacity that are not held, rounded down. */
export function freeLevel(capacityKbps: number, heldKbps: number): number {
    return Math.max(0, Math.floor((16 * (capacityKbps - heldKbps)) / capacityKbps))
}

function freeze(value: unknown): void {
    if (typeof value !== "object" || value === null || Object.isFrozen(value)) return
    Object.freeze(value)
    for (const part of Object.values(value)) freeze(part)
}
