/**
 * One link to one neighbour: its TLS connection, its datagrams, its liveness and its figures.
 *
 * Owns the binding of the pure parts (liveness, replay window, measurement) to timers and sockets. Never accepts or dials
 * connections (link-set.ts does) and never knows what control messages or media mean.
 */

import {
    datagramHeaderBytes,
    datagramKinds,
    helloBodyBytes,
    linkLimits,
    probeBodyBytes,
} from "../../../protocol/link.ts"
import type { ControlChannel } from "./control-channel.ts"
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
} from "./datagram.ts"
import {
    dueMs,
    type LinkDownReason,
    type Liveness,
    type LivenessEffect,
    type LivenessEvent,
    type LivenessLimits,
    step,
} from "./liveness.ts"
import { Measurement } from "./measurement.ts"
import type { LinkPeer } from "./meeting.ts"
import { ReplayWindow } from "./replay-window.ts"

export interface LinkEvents {
    up(bootId: number): void
    down(reason: LinkDownReason, silentMs: number): void
    control(message: Record<string, unknown>): void
    media(label: number, packet: Buffer): void
    routed(body: Buffer): void
    /** The TLS connection is gone; the datagram keys are void. */
    ended(): void
    send(datagram: Buffer): void
}

export interface LinkCounters {
    received: number
    sent: number
    /** Datagrams dropped: forged, replayed or of no known form. */
    forged: number
    replayed: number
    malformed: number
}

/** Everything that lives as long as one TLS connection. */
interface Secured {
    channel: ControlChannel
    keys: DatagramKeys
    window: ReplayWindow
    sequence: number
    helloNumber: number
    heard?: { sentUs: number; atUs: number }
    probesLeft: number
}

export class Link {
    readonly peer: LinkPeer
    readonly counters: LinkCounters = { received: 0, sent: 0, forged: 0, replayed: 0, malformed: 0 }
    measurement = new Measurement()
    readonly #bootId: number
    /** Between our hellos; the peer has an interval of its own. */
    readonly #helloMs: number
    readonly #events: LinkEvents
    #liveness: Liveness = { state: "down" }
    #secured: Secured | undefined
    #helloTimer: NodeJS.Timeout | undefined
    #silenceTimer: NodeJS.Timeout | undefined
    #probeTimer: NodeJS.Timeout | undefined
    #nextHelloMs = 0
    #limits: LivenessLimits = linkLimits

    constructor(peer: LinkPeer, bootId: number, helloMs: number, events: LinkEvents) {
        this.peer = peer
        this.#bootId = bootId
        this.#helloMs = helloMs
        this.#events = events
    }

    get isUp(): boolean {
        return this.#liveness.state === "up"
    }

    /** Whether a TLS connection stands, though datagrams may not flow yet. */
    get isSecured(): boolean {
        return this.#secured !== undefined
    }

    /** Takes over a connection whose other end has proven to be this peer, in place of any other. */
    secured(channel: ControlChannel, bootId: number, keys: DatagramKeys, peerHelloMs: number): void {
        const former = this.#drop()
        this.#limits = { ...linkLimits, helloIntervalMs: peerHelloMs }
        this.#feed({ type: "secured", bootId })
        former?.channel.close("replaced")
        this.measurement = new Measurement()
        this.#secured = {
            channel,
            keys,
            window: new ReplayWindow(linkLimits.replayWindow),
            sequence: 0,
            helloNumber: 0,
            probesLeft: linkLimits.probesOnUp,
        }
        channel.onMessage = message => {
            // A peer speaks when the link is up at its end, which takes a hello of ours that has heard one of its own:
            // both directions are proven, though its next hello may still be on the way.
            if (!this.isUp) this.#feed({ type: "hello", bootId, hearsMe: true })
            this.#events.control(message)
        }
        channel.onClosed = reason => {
            if (this.#secured?.channel !== channel) return
            this.#drop()
            this.#feed({ type: "lost", reason })
            this.#events.ended()
        }
        this.#nextHelloMs = performance.now()
        this.#hello()
        this.#watch()
    }

    close(reason: LinkDownReason): void {
        this.#secured?.channel.close(reason)
    }

    sendControl(message: object): boolean {
        return this.isUp && (this.#secured?.channel.send(message) ?? false)
    }

    sendMedia(label: number, packet: Buffer): boolean {
        if (!this.isUp || packet.length > linkLimits.mediaPacketBytes) return false
        const datagram = blank(4 + packet.length)
        datagram.writeUInt32BE(label, datagramHeaderBytes)
        packet.copy(datagram, datagramHeaderBytes + 4)
        return this.#send(datagramKinds.media, datagram)
    }

    sendRouted(body: Buffer): boolean {
        if (!this.isUp || body.length > linkLimits.mediaPacketBytes) return false
        const datagram = blank(body.length)
        body.copy(datagram, datagramHeaderBytes)
        return this.#send(datagramKinds.routed, datagram)
    }

    /** A datagram that carries our receive id and came from the peer's address. */
    onDatagram(datagram: Buffer) {
        const secured = this.#secured
        if (!secured) return
        const sequence = sequenceOf(datagram)
        if (!secured.window.isFresh(sequence)) {
            this.counters.replayed++
            return
        }
        if (!isAuthentic(datagram, secured.keys.receive)) {
            this.counters.forged++
            return
        }
        secured.window.accept(sequence)
        this.counters.received++
        this.#onAuthentic(secured, kindOf(datagram), bodyOf(datagram))
    }

    #onAuthentic(secured: Secured, kind: number, body: Buffer) {
        switch (kind) {
            case datagramKinds.hello:
                return this.#onHello(secured, body)
            case datagramKinds.probe: {
                if (body.length !== probeBodyBytes) break
                const echo = blank(probeBodyBytes)
                body.copy(echo, datagramHeaderBytes)
                this.#send(datagramKinds.echo, echo)
                return
            }
            case datagramKinds.echo:
                if (body.length !== probeBodyBytes) break
                return this.measurement.roundTrip((clockUs() - body.readUInt32BE(4)) >>> 0)
            case datagramKinds.media:
                if (body.length < 4) break
                if (this.isUp) this.#events.media(body.readUInt32BE(0), body.subarray(4))
                return
            case datagramKinds.routed:
                if (this.isUp) this.#events.routed(body)
                return
        }
        this.counters.malformed++
    }

    #onHello(secured: Secured, body: Buffer) {
        const hello = readHello(body)
        if (!hello || hello.number < 1) {
            this.counters.malformed++
            return
        }
        const nowUs = clockUs()
        secured.heard = { sentUs: hello.sentUs, atUs: nowUs }
        this.measurement.hello(hello.number)
        if (hello.echo) this.measurement.roundTrip((nowUs - hello.echo.sentUs - hello.echo.heldUs) >>> 0)
        this.#feed({ type: "hello", bootId: hello.bootId, hearsMe: hello.echo !== undefined })
    }

    #feed(event: LivenessEvent) {
        const next = step(this.#liveness, event, performance.now(), this.#limits)
        this.#liveness = next.state
        for (const effect of next.effects) this.#perform(effect)
    }

    #perform(effect: LivenessEffect) {
        switch (effect.type) {
            case "linkUp":
                this.#watch()
                this.#probe()
                return this.#events.up(effect.bootId)
            case "linkDown":
                return this.#events.down(effect.reason, Math.round(effect.silentMs))
            case "hangUp":
                return this.#secured?.channel.close(effect.reason)
        }
    }

    /** Sends a hello now and the next one an interval after this one was due, so that lateness does not add up. */
    #hello(): void {
        const secured = this.#secured
        if (!secured) return
        const nowUs = clockUs()
        const datagram = blank(helloBodyBytes)
        writeHello(datagram, {
            bootId: this.#bootId,
            number: ++secured.helloNumber,
            sentUs: nowUs,
            ...(secured.heard && {
                echo: { sentUs: secured.heard.sentUs, heldUs: (nowUs - secured.heard.atUs) >>> 0 },
            }),
        })
        this.#send(datagramKinds.hello, datagram)
        const nowMs = performance.now()
        this.#nextHelloMs = Math.max(this.#nextHelloMs + this.#helloMs, nowMs)
        this.#helloTimer = setTimeout(() => this.#hello(), this.#nextHelloMs - nowMs)
    }

    /** Wakes when the silence can have become too long, not at each hello. */
    #watch(): void {
        clearTimeout(this.#silenceTimer)
        const due = dueMs(this.#liveness, this.#limits)
        if (due === undefined) return
        this.#silenceTimer = setTimeout(
            () =>
                // Datagrams that wait in the socket because this process was late are heard first.
                setImmediate(() => {
                    this.#feed({ type: "tick" })
                    if (this.#secured) this.#watch()
                }),
            Math.max(0, due - performance.now()),
        )
    }

    /** A burst when the link comes up: the delay is known at once and not only after seconds of hellos. */
    #probe(): void {
        const secured = this.#secured
        if (!secured || secured.probesLeft <= 0) return
        const datagram = blank(probeBodyBytes)
        datagram.writeUInt32BE(secured.probesLeft--, datagramHeaderBytes)
        datagram.writeUInt32BE(clockUs(), datagramHeaderBytes + 4)
        this.#send(datagramKinds.probe, datagram)
        this.#probeTimer = setTimeout(() => this.#probe(), linkLimits.probeIntervalMs)
    }

    #send(kind: number, datagram: Buffer): boolean {
        const secured = this.#secured
        if (!secured) return false
        if (secured.sequence >= lastSequence) {
            secured.channel.close("closed") // new connection, new keys
            return false
        }
        seal(datagram, secured.keys.send, kind, ++secured.sequence)
        this.counters.sent++
        this.#events.send(datagram)
        return true
    }

    #drop(): Secured | undefined {
        const former = this.#secured
        this.#secured = undefined
        clearTimeout(this.#helloTimer)
        clearTimeout(this.#silenceTimer)
        clearTimeout(this.#probeTimer)
        return former
    }
}

/** A clock for round trips: microseconds in 32 bits, differences of which are right for 71 minutes. */
function clockUs(): number {
    return Math.floor(performance.now() * 1000) % 4294967296
}
