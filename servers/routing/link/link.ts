/**
 * One link to one neighbour as control sees it: its TLS connection, its liveness, what was told of its datagrams.
 *
 * Owns the binding of liveness to timers and to the connection. Never accepts or dials connections (link-set.ts does), never
 * sees a datagram (the data plane does) and never knows what control messages mean.
 */

import { linkLimits } from "../../../protocol/link.ts"
import { ownMs } from "../data/clock.ts"
import type { DataReport, DataRequest } from "../data/messages.ts"
import { type LinkFigures, unknownFigures } from "../data/statistics.ts"
import type { ControlChannel } from "./control-channel.ts"
import type { DatagramKeys } from "./datagram.ts"
import {
    dueMs,
    type LinkDownReason,
    type Liveness,
    type LivenessEffect,
    type LivenessEvent,
    type LivenessLimits,
    step,
} from "./liveness.ts"
import type { LinkPeer } from "./meeting.ts"

export interface LinkEvents {
    up(bootId: number): void
    down(reason: LinkDownReason, silentMs: number): void
    control(message: Record<string, unknown>): void
    /** The TLS connection is gone; the datagram keys are void. */
    ended(): void
    /** The data plane takes the datagrams under these keys from now on. Returns the number of the link. */
    opened(keys: DatagramKeys): number
    closed(link: number): void
    post(request: DataRequest): void
}

/** Everything that lives as long as one TLS connection. */
interface Secured {
    channel: ControlChannel
    link: number
    /** The data plane was asked to catch up, so that what waits in its socket is heard before a verdict. */
    isCatchingUp: boolean
}

type Hello = Extract<DataReport, { type: "hello" }>

export class Link {
    readonly peer: LinkPeer
    figures: LinkFigures = unknownFigures
    readonly #events: LinkEvents
    #liveness: Liveness = { state: "down" }
    #secured: Secured | undefined
    #silenceTimer: NodeJS.Timeout | undefined
    #limits: LivenessLimits = linkLimits

    constructor(peer: LinkPeer, events: LinkEvents) {
        this.peer = peer
        this.#events = events
    }

    get isUp(): boolean {
        return this.#liveness.state === "up"
    }

    /** Whether a TLS connection stands, though datagrams may not flow yet. */
    get isSecured(): boolean {
        return this.#secured !== undefined
    }

    /** Its number at the data plane, while a TLS connection stands. */
    get number(): number | undefined {
        return this.#secured?.link
    }

    /** Takes over a connection whose other end has proven to be this peer, in place of any other. */
    secured(channel: ControlChannel, bootId: number, keys: DatagramKeys, peerHelloMs: number): void {
        const former = this.#drop()
        this.#limits = { ...linkLimits, helloIntervalMs: peerHelloMs }
        this.#feed({ type: "secured", bootId })
        former?.channel.close("replaced")
        this.figures = unknownFigures
        this.#secured = { channel, link: this.#events.opened(keys), isCatchingUp: false }
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
        this.#watch()
    }

    close(reason: LinkDownReason): void {
        this.#secured?.channel.close(reason)
    }

    sendControl(message: object): boolean {
        return this.isUp && (this.#secured?.channel.send(message) ?? false)
    }

    /** An authentic hello under the present keys. It counts from when it came, however late we hear of it. */
    onHello({ bootId, hearsMe, atMs, figures }: Hello): void {
        this.figures = figures
        this.#feed({ type: "hello", bootId, hearsMe }, ownMs(atMs))
    }

    onMeasured(figures: LinkFigures): void {
        this.figures = figures
    }

    /** Every datagram that had come when the silence seemed too long has been heard. */
    onCaughtUp(): void {
        if (!this.#secured?.isCatchingUp) return
        this.#secured.isCatchingUp = false
        this.#feed({ type: "tick" })
        if (this.#secured) this.#watch()
    }

    #feed(event: LivenessEvent, nowMs = performance.now()): void {
        const next = step(this.#liveness, event, nowMs, this.#limits)
        this.#liveness = next.state
        for (const effect of next.effects) this.#perform(effect)
    }

    #perform(effect: LivenessEffect) {
        switch (effect.type) {
            case "linkUp":
                this.#watch()
                if (this.#secured)
                    this.#events.post({ type: "probe", link: this.#secured.link, count: linkLimits.probesOnUp })
                return this.#events.up(effect.bootId)
            case "linkDown":
                return this.#events.down(effect.reason, Math.round(effect.silentMs))
            case "hangUp":
                return this.#secured?.channel.close(effect.reason)
        }
    }

    /** Wakes when the silence can have become too long, not at each hello. */
    #watch(): void {
        clearTimeout(this.#silenceTimer)
        const due = dueMs(this.#liveness, this.#limits)
        if (due === undefined) return
        this.#silenceTimer = setTimeout(
            () => {
                const secured = this.#secured
                if (!secured || secured.isCatchingUp) return
                // Either side may have been late: hellos that wait in the socket, or that wait to be told, are heard first.
                secured.isCatchingUp = true
                this.#events.post({ type: "catchUp", link: secured.link })
            },
            Math.max(0, due - performance.now()),
        )
    }

    #drop(): Secured | undefined {
        const former = this.#secured
        this.#secured = undefined
        clearTimeout(this.#silenceTimer)
        if (former) this.#events.closed(former.link)
        return former
    }
}
