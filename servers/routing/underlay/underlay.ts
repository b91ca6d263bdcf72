/**
 * The network that a routing server believes to be in, where the kernel cannot emulate one: holds back, loses or cuts what
 * goes to and comes from other addresses.
 *
 * Owns the paths, the clock and the timers. Never opens a socket: whoever has one asks here before it sends, and before
 * it takes in what it received. While nothing is emulated it is asked nothing but `isPlain`.
 */

import { isIPv4 } from "node:net"
import { systemClock, type TickerClock } from "../../../media/ticker.ts"
import { isPlain, noConditions, type PathConditions, type UnderlayPlan } from "./conditions.ts"
import { EmulatedPath } from "./path.ts"
import { StreamPath } from "./stream-path.ts"

export type PathCounters = EmulatedPath["counters"]

interface Gate {
    address: string
    act: () => void
    timer?: NodeJS.Timeout
}

interface Waiting {
    dueMs: number
    path: EmulatedPath
    deliver: () => void
}

export class Underlay {
    /** Nothing is emulated towards anybody. */
    isPlain = true
    readonly #seed: number
    /** As it was asked for: by identifier or by address. */
    readonly #asked = new Map<string, PathConditions>()
    readonly #addressOf = new Map<string, string>()
    /** By address; only those with conditions. */
    readonly #paths = new Map<string, EmulatedPath>()
    readonly #streams = new Set<StreamPath>()
    readonly #gates = new Set<Gate>()
    /** Datagrams in order of their time, for each path. */
    readonly #waiting = new Map<EmulatedPath, Waiting[]>()
    readonly #clock: TickerClock
    #closed = false

    constructor(plan: UnderlayPlan = { seed: 1, paths: new Map() }, clock: TickerClock = systemClock) {
        this.#clock = clock
        this.#seed = plan.seed
        for (const [far, conditions] of plan.paths) this.#asked.set(far, conditions)
        this.#apply()
    }

    /** Where the server `id` is, so that conditions may name it. */
    learn(id: string, address: string): void {
        if (this.#addressOf.get(id) === address) return
        this.#addressOf.set(id, address)
        if (this.#asked.has(id)) this.#apply()
    }

    /** Paths with conditions. */
    get size(): number {
        return this.#asked.size
    }

    has(far: string): boolean {
        return this.#namesOf(far).some(name => this.#asked.has(name))
    }

    /** `far`: an identifier or an address; undefined takes the conditions away. */
    set(far: string, conditions: PathConditions | undefined): void {
        const names = this.#namesOf(far)
        // An address and an identifier may mean the same path: the last word counts.
        for (const name of names) this.#asked.delete(name)
        if (conditions && !isPlain(conditions)) this.#asked.set(far, conditions)
        this.#apply()
    }

    /** What is emulated towards `far`, whether it was asked for by its address or by its identifier. */
    conditions(far: string): PathConditions {
        for (const name of this.#namesOf(far)) {
            const asked = this.#asked.get(name)
            if (asked) return asked
        }
        return noConditions
    }

    list(): { far: string; address?: string; conditions: PathConditions; counters?: PathCounters }[] {
        return [...this.#asked].map(([far, conditions]) => {
            const address = isIPv4(far) ? far : this.#addressOf.get(far)
            const path = address === undefined ? undefined : this.#paths.get(address)
            return { far, address, conditions, counters: path && { ...path.counters } }
        })
    }

    /** Hands a datagram of `bytes` for `address` to `deliver` when it is due, or never. */
    send(address: string, bytes: number, deliver: () => void): void {
        const path = this.#paths.get(address)
        if (!path) {
            deliver()
            return
        }
        if (path.conditions.cut) {
            path.counters.cut++
            return
        }
        const nowMs = performance.now()
        const dueMs = path.datagram(bytes, nowMs)
        if (dueMs === undefined) return
        const queue = this.#waiting.get(path)
        if (dueMs <= nowMs && !queue) {
            deliver()
            return
        }
        const waiting = { dueMs, path, deliver }
        if (queue) {
            queue.push(waiting)
            return
        }
        this.#waiting.set(path, [waiting])
        this.#wakeFor(path)
    }

    /** Whether anything from `address` gets through. What does not is counted. */
    hears(address: string): boolean {
        const path = this.#paths.get(address)
        if (!path?.conditions.cut) return true
        path.counters.cut++
        return false
    }

    isCut(address: string): boolean {
        return this.#paths.get(address)?.conditions.cut ?? false
    }

    /** Calls `act` when a connection with `address` would stand. Returns what gives up. */
    whenConnected(address: string, act: () => void): () => void {
        const waitMs = this.#paths.get(address)?.handshakeMs() ?? 0
        if (waitMs === 0 && !this.isCut(address)) {
            act()
            return () => {}
        }
        const gate: Gate = { address, act }
        this.#gates.add(gate)
        gate.timer = setTimeout(() => {
            gate.timer = undefined
            this.#open(gate)
        }, waitMs)
        return () => {
            clearTimeout(gate.timer)
            this.#gates.delete(gate)
        }
    }

    /** The path of one connection's stream; `release` it when the connection is gone. */
    stream(address: string): StreamPath {
        const stream = new StreamPath(
            () => this.#paths.get(address),
            () => this.#streams.delete(stream),
        )
        this.#streams.add(stream)
        return stream
    }

    /** Lets everything go that is held. */
    close(): void {
        this.#closed = true
        this.#asked.clear()
        this.#waiting.clear()
        for (const gate of this.#gates) clearTimeout(gate.timer)
        this.#gates.clear()
        this.#apply()
        for (const stream of [...this.#streams]) stream.end()
    }

    #namesOf(far: string): string[] {
        const address = isIPv4(far) ? far : this.#addressOf.get(far)
        const ids = [...this.#addressOf].filter(([, each]) => each === address).map(([id]) => id)
        return [...new Set([far, ...(address === undefined ? [] : [address]), ...ids])]
    }

    /** Brings the paths in step with what was asked for. */
    #apply(): void {
        const wanted = new Map<string, PathConditions>()
        for (const [far, conditions] of this.#asked) {
            const address = isIPv4(far) ? far : this.#addressOf.get(far)
            if (address !== undefined && !isPlain(conditions)) wanted.set(address, conditions)
        }
        for (const address of [...this.#paths.keys()]) if (!wanted.has(address)) this.#paths.delete(address)
        for (const [address, conditions] of wanted) {
            const path = this.#paths.get(address) ?? new EmulatedPath(this.#seed ^ hashOf(address))
            if (path.conditions !== conditions) path.conditions = conditions
            this.#paths.set(address, path)
        }
        this.isPlain = this.#paths.size === 0
        for (const gate of [...this.#gates]) this.#open(gate)
        for (const stream of [...this.#streams]) stream.wake()
    }

    #open(gate: Gate): void {
        if (gate.timer || this.isCut(gate.address) || !this.#gates.delete(gate)) return
        gate.act()
    }

    /**
     * Node's timers are good for a millisecond. Behind a bottleneck the distance of two packets matters and is shorter than that,
     * so that with them the last millisecond is spent looking at the clock, between turns of the event loop.
     */
    #wakeFor(path: EmulatedPath): void {
        const queue = this.#waiting.get(path)
        if (!queue || this.#closed) return
        const nowMs = performance.now()
        const precise = path.conditions.rateKbps > 0
        let sent = 0
        while (sent < queue.length && queue[sent].dueMs <= nowMs + (precise ? 0 : 0.5)) {
            const { deliver } = queue[sent++]
            // What is on the way when the path is cut is gone too.
            if (path.conditions.cut) path.counters.cut++
            else deliver()
        }
        queue.splice(0, sent)
        if (queue.length === 0) {
            this.#waiting.delete(path)
            return
        }
        const waitMs = queue[0].dueMs - performance.now()
        const looks = precise && this.#clock.isCoarse
        if (looks && waitMs < 1.5) setImmediate(() => this.#wakeFor(path))
        else this.#clock.after(looks ? waitMs - 1 : waitMs, () => this.#wakeFor(path))
    }
}

/** FNV-1a: each path has a seed of its own. */
function hashOf(text: string): number {
    let hash = 2166136261
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 16777619)
    return hash >>> 0
}
