/**
 * The links of a routing server to all its neighbours.
 *
 * Owns who dials whom (the smaller id dials), reconnecting, and which datagram belongs to which link. Never decides who is
 * a neighbour (`setPeers`) and never knows what control messages or media mean.
 */

import type { RemoteInfo } from "node:dgram"
import { EventEmitter } from "node:events"
import type { TLSSocket } from "node:tls"
import { linkLimits } from "../../../protocol/link.ts"
import { backOffMs } from "./back-off.ts"
import { linkIdOf } from "./datagram.ts"
import { Link, type LinkCounters } from "./link.ts"
import { LinkListener, type ListenerEvents } from "./listener.ts"
import type { LinkDownReason } from "./liveness.ts"
import { dial, type LinkPeer, type Meeting, receive, type Self } from "./meeting.ts"

export type { LinkPeer } from "./meeting.ts"

export interface LinkSetOptions extends Self {
    /** TCP and UDP; 0 takes a free one. */
    port: number
    /** 0..1, for the spread of back-offs. */
    random?: () => number
    log?: (level: "info" | "warn", what: string, details: object) => void
}

export interface LinkSnapshot {
    rs: string
    up: boolean
    /** One way, 0.01 ms; undefined before the first measurement. */
    delay: number | undefined
    jitter: number
    lossPermille: number
    counters: LinkCounters
}

interface LinkSetEvents {
    linkUp: [rs: string, bootId: number]
    linkDown: [rs: string, reason: LinkDownReason, silentMs: number]
    control: [rs: string, message: Record<string, unknown>]
    media: [rs: string, label: number, packet: Buffer]
}

interface Neighbour {
    link: Link
    attempt: number
    giveUp?: () => void
    retry?: NodeJS.Timeout
    /** Our receive id while it is registered. */
    receiveId?: number
}

const backOff = { firstMs: linkLimits.backOffFirstMs, maxMs: linkLimits.backOffMaxMs }

export class LinkSet extends EventEmitter<LinkSetEvents> {
    readonly #options: LinkSetOptions
    readonly #listener: LinkListener
    readonly #neighbours = new Map<string, Neighbour>()
    readonly #byReceiveId = new Map<number, Link>()
    readonly #random: () => number
    #closed = false
    /** Datagrams that belong to no link. */
    stray = 0

    constructor(options: LinkSetOptions) {
        super()
        this.#options = options
        this.#random = options.random ?? Math.random
        const events: ListenerEvents = {
            isExpected: address => this.#peers().some(peer => peer.ip === address),
            connection: (socket, settled) => this.#onConnection(socket, settled),
            datagram: (datagram, from) => this.#onDatagram(datagram, from),
            refused: (address, what) => this.#log("warn", "connection refused", { address, reason: what }),
        }
        this.#listener = new LinkListener(options.ip, options.identity, events, options.underlay)
    }

    /** Listens. Throws when the address or port cannot be had. */
    start(): Promise<{ port: number }> {
        return this.#listener.start(this.#options.port)
    }

    /** Exactly these are neighbours from now on. A neighbour whose address or fingerprint changed is a new one. */
    setPeers(peers: LinkPeer[]): void {
        if (this.#closed) return
        const wanted = new Map(peers.filter(peer => peer.rs !== this.#options.id).map(peer => [peer.rs, peer]))
        for (const [rs, neighbour] of this.#neighbours) {
            const peer = wanted.get(rs)
            if (peer && isSame(peer, neighbour.link.peer)) wanted.delete(rs)
            else this.#remove(neighbour, "removed")
        }
        for (const peer of wanted.values()) this.#add(peer)
    }

    isUp(rs: string): boolean {
        return this.#neighbours.get(rs)?.link.isUp ?? false
    }

    /** False when the link is not up. Messages on a link that stays up arrive, once and in order. */
    sendControl(rs: string, message: object): boolean {
        return this.#neighbours.get(rs)?.link.sendControl(message) ?? false
    }

    /** Sends `packet` under the label that `rs` handed out; it may be changed after the call. False: link not up. */
    sendMedia(rs: string, label: number, packet: Buffer): boolean {
        return this.#neighbours.get(rs)?.link.sendMedia(label, packet) ?? false
    }

    /** Smoothed one-way delay in 0.01 ms, or undefined while the link is down or not yet measured. */
    delay(rs: string): number | undefined {
        const link = this.#neighbours.get(rs)?.link
        return link?.isUp ? link.measurement.delay() : undefined
    }

    snapshot(): LinkSnapshot[] {
        return [...this.#neighbours.values()].map(({ link }) => ({
            rs: link.peer.rs,
            up: link.isUp,
            delay: this.delay(link.peer.rs),
            jitter: link.measurement.jitter(),
            lossPermille: link.measurement.lossPermille(),
            counters: { ...link.counters },
        }))
    }

    async close(): Promise<void> {
        for (const neighbour of [...this.#neighbours.values()]) this.#remove(neighbour, "shutdown")
        this.#closed = true
        await this.#listener.close()
    }

    #peers(): LinkPeer[] {
        return [...this.#neighbours.values()].map(neighbour => neighbour.link.peer)
    }

    #add(peer: LinkPeer): void {
        const { rs } = peer
        this.#options.underlay?.learn(rs, peer.ip)
        const link = new Link(peer, this.#options.bootId, {
            up: bootId => {
                neighbour.attempt = 0
                this.#log("info", "link up", { peer: rs, boot: bootId })
                this.emit("linkUp", rs, bootId)
            },
            down: (reason, silentMs) => {
                this.#log("warn", "link down", { peer: rs, reason, silentMs })
                this.emit("linkDown", rs, reason, silentMs)
            },
            control: message => this.emit("control", rs, message),
            media: (label, packet) => this.emit("media", rs, label, packet),
            ended: () => {
                this.#forgetReceiveId(neighbour)
                this.#dialLater(neighbour)
            },
            send: datagram => this.#listener.send(datagram, peer.linkPort, peer.ip),
        })
        const neighbour: Neighbour = { link, attempt: 0 }
        this.#neighbours.set(rs, neighbour)
        if (this.#options.id < rs) this.#dial(neighbour)
    }

    #remove(neighbour: Neighbour, reason: LinkDownReason): void {
        this.#neighbours.delete(neighbour.link.peer.rs)
        clearTimeout(neighbour.retry)
        neighbour.giveUp?.()
        neighbour.link.close(reason)
        this.#forgetReceiveId(neighbour)
    }

    #isCurrent(neighbour: Neighbour): boolean {
        return this.#neighbours.get(neighbour.link.peer.rs) === neighbour
    }

    #dial(neighbour: Neighbour): void {
        neighbour.giveUp = dial(this.#options, neighbour.link.peer, meeting => {
            neighbour.giveUp = undefined
            if (!this.#isCurrent(neighbour)) {
                if (meeting.ok) meeting.channel.close("removed")
                return
            }
            if (meeting.ok) return this.#secure(neighbour, meeting)
            this.#log("info", "neighbour not reached", { peer: neighbour.link.peer.rs, reason: meeting.what })
            this.#dialLater(neighbour)
        })
    }

    #dialLater(neighbour: Neighbour): void {
        if (!this.#isCurrent(neighbour) || this.#options.id > neighbour.link.peer.rs) return
        clearTimeout(neighbour.retry)
        const waitMs = backOffMs(neighbour.attempt++, this.#random(), backOff)
        neighbour.retry = setTimeout(() => this.#dial(neighbour), waitMs)
    }

    #onConnection(socket: TLSSocket, settled: () => void): void {
        const address = socket.remoteAddress ?? ""
        const callers = this.#peers().filter(peer => peer.ip === address && peer.rs < this.#options.id)
        receive(this.#options, socket, callers, meeting => {
            settled()
            if (!meeting.ok) return this.#log("warn", "connection refused", { address, reason: meeting.what })
            const neighbour = this.#neighbours.get(meeting.peer.rs)
            if (neighbour && neighbour.link.peer === meeting.peer) this.#secure(neighbour, meeting)
            else meeting.channel.close("removed")
        })
    }

    #secure(neighbour: Neighbour, meeting: Meeting & { ok: true }) {
        const { receive } = meeting.keys
        // One in four thousand million; the other end dials again and gets other keys.
        if (this.#byReceiveId.has(receive.linkId)) return meeting.channel.close("closed")
        this.#forgetReceiveId(neighbour)
        neighbour.receiveId = receive.linkId
        this.#byReceiveId.set(receive.linkId, neighbour.link)
        neighbour.link.secured(meeting.channel, meeting.bootId, meeting.keys)
    }

    #forgetReceiveId(neighbour: Neighbour): void {
        if (neighbour.receiveId !== undefined) this.#byReceiveId.delete(neighbour.receiveId)
        neighbour.receiveId = undefined
    }

    #onDatagram(datagram: Buffer, from: RemoteInfo): void {
        const linkId = linkIdOf(datagram)
        const link = linkId === undefined ? undefined : this.#byReceiveId.get(linkId)
        if (!link || from.port !== link.peer.linkPort || from.address !== link.peer.ip) {
            this.stray++
            return
        }
        link.onDatagram(datagram)
    }

    #log(level: "info" | "warn", what: string, details: object): void {
        this.#options.log?.(level, what, details)
    }
}

function isSame(a: LinkPeer, b: LinkPeer): boolean {
    return a.ip === b.ip && a.linkPort === b.linkPort && a.fingerprint === b.fingerprint
}
