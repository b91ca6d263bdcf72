/**
 * Probes of routing servers and the watch over the one in use, as a pure core: time comes in, effects go out.
 *
 * Owns which probes are on their way, their round trips, and the verdicts `probed`, `watchLost`, `watchFound`. Never sends, never
 * reads a clock. Answers are believed only from the address that was asked and under the number that was sent.
 */

import type { Probe } from "../../protocol/probe.ts"

export const proberLimits = {
    targets: 8,
    countMax: 10,
    spacingMs: 20,
    timeoutMs: 400,
    watchMissed: 3,
    watchIntervalMinMs: 50,
    /** Keepalives whose answers are still recognised. */
    watchOutstanding: 16,
}

export interface ProbeOutcome {
    tag: number
    minRttMs: number
    jitterMs: number
    answered: number
    load: number
}

export type ProberEffect =
    | { type: "send"; ip: string; port: number; sequence: number; tag: number }
    | ({ type: "probed" } & ProbeOutcome)
    | { type: "watchLost"; ip: string; port: number }
    | { type: "watchFound"; ip: string; port: number }

interface Target {
    tag: number
    ip: string
    port: number
    left: number
    nextMs: number
    endMs: number
    /** Sequence number -> when it was sent. */
    sent: Map<number, number>
    roundTripsMs: number[]
    load: number
}

interface Watch {
    ip: string
    port: number
    intervalMs: number
    nextMs: number
    missed: number
    /** The last keepalive is still without an answer. */
    waiting: boolean
    lost: boolean
    sequences: number[]
}

export class Prober {
    private targets: Target[] = []
    private watched: Watch | undefined
    private sequence: number

    constructor(firstSequence: number) {
        this.sequence = firstSequence >>> 0
    }

    probe(tag: number, ip: string, port: number, count: number, nowMs: number): ProberEffect[] {
        if (this.targets.length >= proberLimits.targets || port === 0)
            return [{ type: "probed", tag, minRttMs: 0, jitterMs: 0, answered: 0, load: 0 }]
        const left = Math.max(1, Math.min(proberLimits.countMax, count))
        const target = {
            tag,
            ip,
            port,
            left,
            nextMs: nowMs,
            endMs: Infinity,
            sent: new Map(),
            roundTripsMs: [],
            load: 0,
        }
        this.targets.push(target)
        return this.advance(target, nowMs)
    }

    /** Watches this address from now on; port 0 stops. The same address again only changes the interval. */
    watch(ip: string, port: number, intervalMs: number, nowMs: number): ProberEffect[] {
        if (port === 0) {
            this.watched = undefined
            return []
        }
        const interval = Math.max(proberLimits.watchIntervalMinMs, intervalMs)
        if (this.watched?.ip === ip && this.watched.port === port) {
            this.watched.intervalMs = interval
            return []
        }
        this.watched = {
            ip,
            port,
            intervalMs: interval,
            nextMs: nowMs,
            missed: 0,
            waiting: false,
            lost: false,
            sequences: [],
        }
        return this.keepWatch(nowMs)
    }

    /** An answer came from `ip`:`port`. */
    answered(probe: Probe, ip: string, port: number, nowMs: number): ProberEffect[] {
        const watched = this.watched
        if (watched && watched.ip === ip && watched.port === port && watched.sequences.includes(probe.sequence)) {
            watched.sequences = watched.sequences.filter(sequence => sequence !== probe.sequence)
            watched.missed = 0
            watched.waiting = false
            if (!watched.lost) return []
            watched.lost = false
            return [{ type: "watchFound", ip, port }]
        }
        for (const target of this.targets) {
            const sentMs = target.sent.get(probe.sequence)
            if (sentMs === undefined || target.ip !== ip || target.port !== port || target.tag !== probe.tag) continue
            target.sent.delete(probe.sequence)
            target.roundTripsMs.push(Math.max(0, nowMs - sentMs))
            target.load = Math.min(100, probe.load)
            return target.left === 0 && target.sent.size === 0 ? [this.finish(target)] : []
        }
        return []
    }

    /** What is due at `nowMs`. */
    tick(nowMs: number): ProberEffect[] {
        if (this.targets.length === 0 && !this.watched) return []
        const effects = this.keepWatch(nowMs)
        for (const target of [...this.targets])
            effects.push(...(nowMs >= target.endMs ? [this.finish(target)] : this.advance(target, nowMs)))
        return effects
    }

    private advance(target: Target, nowMs: number): ProberEffect[] {
        if (target.left === 0 || nowMs < target.nextMs) return []
        target.left--
        target.nextMs = nowMs + proberLimits.spacingMs
        if (target.left === 0) target.endMs = nowMs + proberLimits.timeoutMs
        const sequence = this.nextSequence()
        target.sent.set(sequence, nowMs)
        return [{ type: "send", ip: target.ip, port: target.port, sequence, tag: target.tag }]
    }

    private finish(target: Target): ProberEffect {
        this.targets = this.targets.filter(other => other !== target)
        const { tag, roundTripsMs, load } = target
        const answered = roundTripsMs.length
        const minRttMs = answered > 0 ? Math.min(...roundTripsMs) : 0
        const jitterMs = answered > 0 ? Math.max(...roundTripsMs) - minRttMs : 0
        return { type: "probed", tag, minRttMs, jitterMs, answered, load }
    }

    private keepWatch(nowMs: number): ProberEffect[] {
        const watched = this.watched
        if (!watched || nowMs < watched.nextMs) return []
        const { ip, port } = watched
        const effects: ProberEffect[] = []
        if (watched.waiting) watched.missed++
        if (watched.missed >= proberLimits.watchMissed && !watched.lost) {
            watched.lost = true
            effects.push({ type: "watchLost", ip, port })
        }
        const sequence = this.nextSequence()
        watched.sequences.push(sequence)
        if (watched.sequences.length > proberLimits.watchOutstanding) watched.sequences.shift()
        watched.waiting = true
        // After a stall the keepalives that were not sent are not made up for: nobody could have answered them.
        watched.nextMs = Math.max(watched.nextMs + watched.intervalMs, nowMs + watched.intervalMs / 2)
        effects.push({ type: "send", ip, port, sequence, tag: 0 })
        return effects
    }

    private nextSequence(): number {
        this.sequence = (this.sequence + 1) >>> 0
        return this.sequence
    }
}
