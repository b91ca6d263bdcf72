/**
 * Routed datagrams: an echo to any server along the routing tables, for `route ping` and for seeing when traffic flows again.
 *
 * Owns echoes under way and what each neighbour may hand on in a second. The way is the routing table's; when the link to
 * the next hop is down the alternate's, which cannot lead back here.
 */

import { linkLimits } from "../../../protocol/link.ts"
import { type Routed, readRouted, routedAnswers, routedAsks, routedTtl, writeRouted } from "../../../protocol/routed.ts"
import type { Route } from "../route/routing-table.ts"

export interface ForwarderOptions {
    id: string
    route(to: string): Route | undefined
    /** False: the link is not up. */
    send(neighbour: string, body: Buffer): boolean
}

export type EchoOutcome =
    | { ok: true; rttMs: number /** Links on the way there. */; hops: number }
    | { ok: false; reason: "no-route" | "no-answer" | "too-many"; what: string }

const waitingMost = 1024

export class Forwarder {
    readonly counters = { forwarded: 0, byAlternate: 0, answered: 0, noRoute: 0, expired: 0, malformed: 0, limited: 0 }
    readonly #options: ForwarderOptions
    readonly #waiting = new Map<number, (hops: number) => void>()
    readonly #handedOn = new Map<string, number>()
    #secondStartMs = 0
    #number = 0

    constructor(options: ForwarderOptions) {
        this.#options = options
    }

    /** One echo to `to` and back. */
    echo(to: string, timeoutMs: number): Promise<EchoOutcome> {
        const { id } = this.#options
        if (to === id) return Promise.resolve({ ok: true, rttMs: 0, hops: 0 })
        if (this.#waiting.size >= waitingMost)
            return Promise.resolve({ ok: false, reason: "too-many", what: "too many echoes are under way" })
        const startMs = performance.now()
        this.#number = (this.#number + 1) % 2 ** 32
        const number = this.#number
        return new Promise(resolve => {
            const timer = setTimeout(() => {
                this.#waiting.delete(number)
                resolve({ ok: false, reason: "no-answer", what: `${to} has not answered within ${timeoutMs} ms` })
            }, timeoutMs)
            this.#waiting.set(number, hops => {
                clearTimeout(timer)
                this.#waiting.delete(number)
                resolve({ ok: true, rttMs: performance.now() - startMs, hops })
            })
            if (this.#forward({ ttl: routedTtl, kind: routedAsks, hops: 0, hopsAsked: 0, number, from: id, to })) return
            clearTimeout(timer)
            this.#waiting.delete(number)
            resolve({ ok: false, reason: "no-route", what: `there is no way to ${to}` })
        })
    }

    /** A routed datagram from a neighbour. */
    receive(neighbour: string, body: Buffer, nowMs: number): void {
        if (!this.#isWithinRate(neighbour, nowMs)) {
            this.counters.limited++
            return
        }
        const routed = readRouted(body)
        if (!routed) {
            this.counters.malformed++
            return
        }
        const { id } = this.#options
        const hops = Math.min(255, routed.hops + 1)
        if (routed.to !== id) {
            this.#forward({ ...routed, ttl: routed.ttl - 1, hops })
            return
        }
        if (routed.kind === routedAnswers) {
            this.#waiting.get(routed.number)?.(routed.hopsAsked)
            return
        }
        this.counters.answered++
        const { number, from } = routed
        const answer = { ttl: routedTtl, kind: routedAnswers, hops: 0, hopsAsked: hops, number, from: id }
        this.#forward({ ...answer, to: from })
    }

    #forward(routed: Routed): boolean {
        if (routed.ttl === 0) {
            this.counters.expired++
            return false
        }
        const route = this.#options.route(routed.to)
        const body = route && writeRouted(routed)
        if (body && this.#options.send(route.nextHop, body)) {
            this.counters.forwarded++
            return true
        }
        if (body && route.alternate !== undefined && this.#options.send(route.alternate, body)) {
            this.counters.byAlternate++
            return true
        }
        this.counters.noRoute++
        return false
    }

    #isWithinRate(neighbour: string, nowMs: number): boolean {
        if (nowMs - this.#secondStartMs >= 1000) {
            this.#secondStartMs = nowMs
            this.#handedOn.clear()
        }
        const count = (this.#handedOn.get(neighbour) ?? 0) + 1
        this.#handedOn.set(neighbour, count)
        return count <= linkLimits.routedPerSecond
    }
}
