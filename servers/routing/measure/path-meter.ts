/**
 * Measures the paths to other routing servers: delay, jitter and loss by probes, hop count by a sweep of TTLs, capacity by
 * packet trains, common routers by tracepath [claims 7, 11].
 *
 * Owns its two sockets, the pacing and what was found for as long as it is fresh. Never judges a path and never asks a
 * server that it was not told to.
 */

import { randomInt } from "node:crypto"
import { createSocket, type Socket } from "node:dgram"
import { probeAnswers, probeAsks, probeBytes, readProbe, writeProbe } from "../../../protocol/probe.ts"
import { readTrainAnswer, type TrainAnswer, trainPacketsMax, writeTrainPacket } from "../../../protocol/train.ts"
import { neighbourDefaults, type PathMeasurement } from "../neighbours/rule.ts"
import type { Underlay } from "../underlay/underlay.ts"
import { bandwidthKbps, median, type PathFigures, pathFigures, steadier, trainCapacityKbps } from "./figures.ts"
import { Tracepath } from "./tracepath.ts"

export const meterLimits = {
    probes: 10,
    probeSpacingMs: 50,
    answerMs: 1000,
    hopsMax: 32,
    hopSpacingMs: 2,
    hopsFreshMs: 600_000,
    trains: 3,
    trainPackets: 16,
    /** Above this a short train is over too soon to be timed well. */
    longTrainFromKbps: 20_000,
    trainRestMs: 20,
    trainAnswerMs: 600,
    /** A capacity that was found to be below what is configured is looked at again sooner. */
    lowCapacityFreshMs: 600_000,
    capacityFreshMs: 3_600_000,
    /** A measurement does not wait for its trains behind more than so many others. */
    trainsAhead: 8,
    tracepathWaitMs: 3000,
}

export interface MeterTarget {
    id: string
    ip: string
    mediaPort: number
}

export interface PathReport {
    /** Absent when nothing was answered. */
    path?: PathMeasurement
    trace?: readonly string[]
}

interface Waiting {
    ip: string
    probe?: (sequence: number) => void
    train?: (answer: TrainAnswer) => void
}

interface Known {
    ip: string
    hops?: number
    hopsAtMs: number
    capacityKbps?: number
    capacityAtMs: number
    /** Its trains are under way or wait for their turn. */
    isQueued: boolean
}

export class PathMeter {
    readonly counters = { measured: 0, unanswered: 0, probes: 0, trains: 0 }
    readonly #ip: string
    readonly #configuredKbps: number
    readonly #underlay: Underlay | undefined
    readonly #tracepath = new Tracepath()
    readonly #waiting = new Map<number, Waiting>()
    readonly #known = new Map<string, Known>()
    readonly #timers = new Set<() => void>()
    #socket: Socket | undefined
    #hopSocket: Socket | undefined
    /** Trains go one after the other: together they would measure each other. */
    #turn: Promise<void> = Promise.resolve()
    #trainsAhead = 0

    constructor(options: { ip: string; configuredKbps: number; underlay?: Underlay }) {
        this.#ip = options.ip
        this.#configuredKbps = options.configuredKbps
        this.#underlay = options.underlay
    }

    /** Throws when the address cannot be had. */
    async start(): Promise<void> {
        this.#socket = await this.#open()
        this.#hopSocket = await this.#open()
    }

    close(): void {
        this.#socket?.close()
        this.#hopSocket?.close()
        this.#socket = undefined
        this.#hopSocket = undefined
        this.#tracepath.close()
        for (const wake of [...this.#timers]) wake()
    }

    /** What this server counts on towards `id`: what is configured, lowered by what was measured. */
    capacityKbps(id: string): number {
        return bandwidthKbps(this.#configuredKbps, this.#known.get(id)?.capacityKbps)
    }

    hops(id: string): number | undefined {
        return this.#known.get(id)?.hops
    }

    forget(id: string): void {
        this.#known.delete(id)
    }

    async measure(target: MeterTarget): Promise<PathReport> {
        const nowMs = performance.now()
        let known = this.#known.get(target.id)
        if (known?.ip !== target.ip) {
            const never = Number.NEGATIVE_INFINITY
            known = { ip: target.ip, hopsAtMs: never, capacityAtMs: never, isQueued: false }
            this.#known.set(target.id, known)
        }
        const tracing = this.#tracepath.hops(target.ip, nowMs, meterLimits.tracepathWaitMs)
        let figures = await this.#probe(target)
        if (figures && !isSteady(figures)) figures = steadier(figures, await this.#probe(target))
        if (!figures) {
            this.counters.unanswered++
            return {}
        }
        if (nowMs - known.hopsAtMs > meterLimits.hopsFreshMs) {
            known.hops = (await this.#sweep(target, figures.rttMs)) ?? known.hops
            if (known.hops !== undefined) known.hopsAtMs = nowMs
        }
        const ahead = this.#trainsAhead
        const trains = this.#measureCapacity(target, known, figures.rttMs)
        if (ahead <= meterLimits.trainsAhead) await trains
        this.counters.measured++
        const trace = await tracing
        const path: PathMeasurement = {
            ...figures,
            hops: known.hops,
            bandwidthKbps: bandwidthKbps(this.#configuredKbps, known.capacityKbps),
            // An echo has gone both ways. Whether the other one knows us shows when it is asked.
            mutual: true,
        }
        return trace ? { path, trace } : { path }
    }

    // ---- delay, jitter, loss ----------------------------------------------------------------------------------------------

    async #probe(target: MeterTarget): Promise<PathFigures | undefined> {
        const { probes, probeSpacingMs, answerMs } = meterLimits
        const rtts = new Map<number, number>()
        const sentMs: number[] = []
        await new Promise<void>(resolve => {
            const tag = this.#expect({
                ip: target.ip,
                probe: sequence => {
                    if (sequence >= sentMs.length || rtts.has(sequence)) return
                    rtts.set(sequence, performance.now() - sentMs[sequence])
                    if (rtts.size === probes) finish()
                },
            })
            const finish = () => {
                this.#waiting.delete(tag)
                resolve()
            }
            const send = async () => {
                for (let sequence = 0; sequence < probes; sequence++) {
                    sentMs.push(performance.now())
                    this.#send(this.#socket, question(sequence, tag), target)
                    await this.#sleep(sequence < probes - 1 ? probeSpacingMs : answerMs)
                    if (!this.#socket) break
                }
                finish()
            }
            void send()
        })
        return pathFigures(probes, [...rtts.values()])
    }

    // ---- hops ----------------------------------------------------------------------------------------------------------

    /** [routing-spec 2] Each probe carries its TTL; the smallest one that comes back is the number of links on the way. */
    async #sweep(target: MeterTarget, rttMs: number): Promise<number | undefined> {
        let smallest: number | undefined
        const tag = this.#expect({
            ip: target.ip,
            probe: ttl => {
                if (ttl >= 1 && ttl <= meterLimits.hopsMax) smallest = Math.min(smallest ?? ttl, ttl)
            },
        })
        for (let ttl = 1; ttl <= meterLimits.hopsMax; ttl++) {
            const socket = this.#hopSocket
            if (!socket) break
            this.#shape(target.ip, probeBytes, () => {
                if (!this.#hopSocket) return
                // The TTL belongs to the socket, which sends before it returns: sweeps do not disturb each other.
                socket.setTTL(ttl)
                socket.send(question(ttl, tag), target.mediaPort, target.ip, () => {})
            })
            await this.#sleep(meterLimits.hopSpacingMs)
            // Larger ones would come back as well, and say nothing new.
            if (smallest !== undefined && ttl > smallest + 2) break
        }
        if (smallest === undefined || smallest > 1)
            await this.#sleep(Math.min(meterLimits.answerMs, 2 * rttMs + meterLimits.probeSpacingMs))
        this.#waiting.delete(tag)
        return smallest
    }

    // ---- capacity --------------------------------------------------------------------------------------------------------

    /** With many candidates some capacities become known only after the measurement that asked for them. */
    #measureCapacity(target: MeterTarget, known: Known, rttMs: number): Promise<void> {
        const isLow = bandwidthKbps(this.#configuredKbps, known.capacityKbps) < this.#configuredKbps
        const freshMs = isLow ? meterLimits.lowCapacityFreshMs : meterLimits.capacityFreshMs
        if (known.isQueued || performance.now() - known.capacityAtMs < freshMs) return Promise.resolve()
        known.isQueued = true
        this.#trainsAhead++
        const trains = this.#turn.then(async () => {
            const measured = await this.#trains(target, rttMs)
            this.#trainsAhead--
            known.isQueued = false
            if (measured === undefined) return
            known.capacityKbps = measured
            known.capacityAtMs = performance.now()
        })
        this.#turn = trains
        return trains
    }

    async #trains(target: MeterTarget, rttMs: number): Promise<number | undefined> {
        const { trains, trainPackets, longTrainFromKbps, trainRestMs } = meterLimits
        const found: number[] = []
        let packets = trainPackets
        for (let train = 0; train < trains && this.#socket; train++) {
            const answer = await this.#train(target, packets, rttMs)
            const capacity = answer && trainCapacityKbps(answer)
            // A server that does not answer one will not answer the next.
            if (!answer && found.length === 0) return undefined
            if (capacity !== undefined && capacity > longTrainFromKbps && packets === trainPackets) {
                packets = trainPacketsMax
                train = -1
                found.length = 0
            } else if (capacity !== undefined) found.push(capacity)
            await this.#sleep(trainRestMs)
        }
        return median(found)
    }

    async #train(target: MeterTarget, count: number, rttMs: number): Promise<TrainAnswer | undefined> {
        this.counters.trains++
        return await new Promise(resolve => {
            const finish = (answer?: TrainAnswer) => {
                if (this.#waiting.delete(tag)) resolve(answer)
            }
            const tag = this.#expect({ ip: target.ip, train: finish })
            for (let index = 0; index < count; index++)
                this.#send(this.#socket, writeTrainPacket({ index, count, tag }), target)
            void this.#sleep(meterLimits.trainAnswerMs + 2 * rttMs).then(() => finish())
        })
    }

    // ---- sockets ---------------------------------------------------------------------------------------------------------

    #open(): Promise<Socket> {
        const socket = createSocket({
            type: "udp4",
            recvBufferSize: 1 << 20,
            // Addresses are numeric: a train leaves without a turn of the event loop between its packets.
            lookup: (host, _options, callback) => callback(null, host, 4),
        })
        return new Promise((resolve, reject) => {
            socket.once("error", reject)
            socket.bind({ address: this.#ip, port: 0, exclusive: true }, () => {
                socket.off("error", reject)
                socket.on("error", () => {}) // such as an unreachable address: nothing is answered
                socket.on("message", (datagram, from) => this.#onMessage(datagram, from.address))
                resolve(socket)
            })
        })
    }

    #onMessage(datagram: Buffer, ip: string): void {
        if (this.#underlay?.isPlain === false && !this.#underlay.hears(ip)) return
        if (datagram.length < 12) return
        const probe = readProbe(datagram)
        if (probe) {
            const waiting = probe.kind === probeAnswers ? this.#waiting.get(probe.tag) : undefined
            if (waiting?.ip === ip) waiting.probe?.(probe.sequence)
            return
        }
        const answer = readTrainAnswer(datagram)
        const waiting = answer && this.#waiting.get(answer.tag)
        if (waiting?.ip === ip) waiting.train?.(answer!)
    }

    /** Registers who waits, under a tag that only the one who is asked learns. */
    #expect(waiting: Waiting): number {
        for (;;) {
            const tag = randomInt(2 ** 32)
            if (this.#waiting.has(tag)) continue
            this.#waiting.set(tag, waiting)
            return tag
        }
    }

    #send(socket: Socket | undefined, datagram: Buffer, target: MeterTarget): void {
        this.counters.probes++
        this.#shape(target.ip, datagram.length, () => {
            if (socket === this.#socket || socket === this.#hopSocket)
                socket?.send(datagram, target.mediaPort, target.ip, () => {})
        })
    }

    /** Through the emulated network, when there is one. */
    #shape(ip: string, bytes: number, act: () => void): void {
        if (this.#underlay?.isPlain === false) this.#underlay.send(ip, bytes, act)
        else act()
    }

    #sleep(ms: number): Promise<void> {
        return new Promise(resolve => {
            const wake = () => {
                clearTimeout(timer)
                this.#timers.delete(wake)
                resolve()
            }
            const timer = setTimeout(wake, ms)
            this.#timers.add(wake)
        })
    }
}

function question(sequence: number, tag: number): Buffer {
    const datagram = Buffer.alloc(probeBytes)
    writeProbe(datagram, { kind: probeAsks, load: 0, sequence, tag })
    return datagram
}

function isSteady(figures: PathFigures): boolean {
    return figures.loss <= neighbourDefaults.maxLoss && figures.jitterP95Ms <= neighbourDefaults.maxJitterP95Ms
}
