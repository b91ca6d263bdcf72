/**
 * The datagrams of one link, as long as its keys live: hellos and probes at their times, sequence numbers, what is fresh and
 * authentic, the figures of the link.
 *
 * Owns the keys, the replay window and the times at which datagrams are sent and come. Never judges whether the link is alive
 * and never knows sessions. The data plane gives it what comes, and takes from it what is not its own.
 */

import {
    datagramHeaderBytes,
    datagramKinds,
    datagramTagBytes,
    helloBodyBytes,
    linkLimits,
    probeBodyBytes,
} from "../../../protocol/link.ts"
import {
    blank,
    bodyOf,
    type DatagramKeys,
    isAuthentic,
    kindOf,
    lastSequence,
    readHello,
    seal,
    sequenceOf,
    writeHello,
} from "../link/datagram.ts"
import { Measurement } from "../link/measurement.ts"
import { ReplayWindow } from "../link/replay-window.ts"
import { sharedMs } from "./clock.ts"
import type { DataReport, OpenLink } from "./messages.ts"
import type { LinkCounters, LinkFigures } from "./statistics.ts"

/** What a link needs of the data plane. */
export interface LinkEnvironment {
    bootId: number
    helloMs: number
    /** False: hellos are not sent, so that neighbours do not believe that this server is well. */
    isWell(): boolean
    /** The datagram may be written again after the call. False: not sent, as `mayDrop` and the system takes no more now. */
    send(datagram: Buffer, ip: string, port: number, mayDrop: boolean): boolean
    tell(report: DataReport): void
    /** Calls back then; returns what prevents it. */
    after(delayMs: number, call: () => void): () => void
}

export class LinkDatagrams {
    readonly link: number
    readonly peer: string
    readonly ip: string
    readonly port: number
    readonly receiveId: number
    readonly counters: LinkCounters
    /** Media and routed datagrams pass. */
    isAdjacent = false
    readonly #environment: LinkEnvironment
    readonly #keys: DatagramKeys
    readonly #window = new ReplayWindow(linkLimits.replayWindow)
    readonly #measurement = new Measurement()
    #sequence = 0
    #helloNumber = 0
    #heard: { sentUs: number; atUs: number } | undefined
    #probesLeft = 0
    #cancelHello: () => void = () => {}
    #cancelProbe: () => void = () => {}
    #nextHelloMs = performance.now()

    constructor(opened: OpenLink, counters: LinkCounters, environment: LinkEnvironment) {
        this.link = opened.link
        this.peer = opened.peer
        this.ip = opened.ip
        this.port = opened.port
        this.#keys = opened.keys
        this.receiveId = opened.keys.receive.linkId
        this.counters = counters
        this.#environment = environment
        this.#hello()
    }

    close(): void {
        this.#cancelHello()
        this.#cancelProbe()
        this.#probesLeft = 0
        this.isAdjacent = false
    }

    /** Whether a datagram that carries our receive id and came from the peer's address is authentic and new. Counts it. */
    accepts(datagram: Buffer): boolean {
        const sequence = sequenceOf(datagram)
        if (!this.#window.isFresh(sequence)) {
            this.counters.replayed++
            return false
        }
        if (!isAuthentic(datagram, this.#keys.receive)) {
            this.counters.forged++
            return false
        }
        this.#window.accept(sequence)
        this.counters.received++
        return true
    }

    /** Takes in a datagram of the link itself that was accepted. False: of no known form. */
    take(datagram: Buffer): boolean {
        const body = bodyOf(datagram)
        switch (kindOf(datagram)) {
            case datagramKinds.hello:
                return this.#onHello(body)
            case datagramKinds.probe: {
                if (body.length !== probeBodyBytes) return false
                const echo = blank(probeBodyBytes)
                body.copy(echo, datagramHeaderBytes)
                this.#send(datagramKinds.echo, echo)
                return true
            }
            case datagramKinds.echo:
                if (body.length !== probeBodyBytes) return false
                this.#measurement.roundTrip((clockUs() - body.readUInt32BE(4)) >>> 0)
                this.#environment.tell({ type: "measured", link: this.link, figures: this.#figures() })
                return true
        }
        return false
    }

    probe(count: number): void {
        this.#cancelProbe()
        this.#probesLeft = count
        this.#probe()
    }

    /** Sends on what `datagram` holds behind its label, under another one, in place. */
    forward(datagram: Buffer, label: number): boolean {
        if (!this.isAdjacent) return false
        datagram.writeUInt32BE(label, datagramHeaderBytes)
        return this.#send(datagramKinds.media, datagram)
    }

    sendMedia(label: number, packet: Uint8Array): boolean {
        if (!this.isAdjacent || packet.length > linkLimits.mediaPacketBytes) return false
        const datagram = scratchOf(4 + packet.length)
        datagram.writeUInt32BE(label, datagramHeaderBytes)
        datagram.set(packet, datagramHeaderBytes + 4)
        return this.#send(datagramKinds.media, datagram)
    }

    sendRouted(body: Uint8Array): boolean {
        if (!this.isAdjacent || body.length > linkLimits.mediaPacketBytes) return false
        const datagram = scratchOf(body.length)
        datagram.set(body, datagramHeaderBytes)
        return this.#send(datagramKinds.routed, datagram)
    }

    #onHello(body: Buffer): boolean {
        const hello = readHello(body)
        if (!hello || hello.number < 1) return false
        const nowUs = clockUs()
        this.#heard = { sentUs: hello.sentUs, atUs: nowUs }
        this.#measurement.hello(hello.number)
        if (hello.echo) this.#measurement.roundTrip((nowUs - hello.echo.sentUs - hello.echo.heldUs) >>> 0)
        this.#environment.tell({
            type: "hello",
            link: this.link,
            bootId: hello.bootId,
            hearsMe: hello.echo !== undefined,
            atMs: sharedMs(),
            figures: this.#figures(),
        })
        return true
    }

    #figures(): LinkFigures {
        const measurement = this.#measurement
        return {
            delay: measurement.delay(),
            jitter: measurement.jitter(),
            lossPermille: measurement.lossPermille(),
        }
    }

    /** Sends a hello now and the next one an interval after this one was due, so that lateness does not add up. */
    #hello(): void {
        const { bootId, helloMs } = this.#environment
        if (this.#environment.isWell()) {
            const nowUs = clockUs()
            const datagram = blank(helloBodyBytes)
            const heard = this.#heard
            writeHello(datagram, {
                bootId,
                number: ++this.#helloNumber,
                sentUs: nowUs,
                ...(heard && { echo: { sentUs: heard.sentUs, heldUs: (nowUs - heard.atUs) >>> 0 } }),
            })
            this.#send(datagramKinds.hello, datagram)
        }
        const nowMs = performance.now()
        this.#nextHelloMs = Math.max(this.#nextHelloMs + helloMs, nowMs)
        this.#cancelHello = this.#environment.after(this.#nextHelloMs - nowMs, () => this.#hello())
    }

    #probe(): void {
        if (this.#probesLeft <= 0) return
        const datagram = blank(probeBodyBytes)
        datagram.writeUInt32BE(this.#probesLeft--, datagramHeaderBytes)
        datagram.writeUInt32BE(clockUs(), datagramHeaderBytes + 4)
        this.#send(datagramKinds.probe, datagram)
        this.#cancelProbe = this.#environment.after(linkLimits.probeIntervalMs, () => this.#probe())
    }

    #send(kind: number, datagram: Buffer): boolean {
        if (this.#sequence >= lastSequence) {
            this.#environment.tell({ type: "exhausted", link: this.link })
            return false
        }
        seal(datagram, this.#keys.send, kind, ++this.#sequence)
        const mayDrop = kind === datagramKinds.media || kind === datagramKinds.routed
        if (!this.#environment.send(datagram, this.ip, this.port, mayDrop)) {
            if (mayDrop) this.counters.congested++
            return false
        }
        this.counters.sent++
        return true
    }
}

const scratches: (Buffer | undefined)[] = []

/** A datagram for a body of so many bytes that is written again for the next one of that length. */
function scratchOf(bodyBytes: number): Buffer {
    const known = scratches[bodyBytes]
    if (known) return known
    const made = Buffer.alloc(datagramHeaderBytes + bodyBytes + datagramTagBytes)
    scratches[bodyBytes] = made
    return made
}

/** A clock for round trips: microseconds in 32 bits, differences of which are right for 71 minutes. */
function clockUs(): number {
    return Math.floor(performance.now() * 1000) % 4294967296
}
