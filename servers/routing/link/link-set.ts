/**
 * The links of a routing server: to its neighbours, and to servers of the list that ask or are asked to become some.
 *
 * Owns who dials whom, which of two connections stays, reconnecting, which datagram belongs to which link, and whether a
 * link is one of neighbours: it is while both ends say so (`neighbour`), and only then is it up for others. Never decides
 * who is a neighbour (`setNeighbours`) and never knows what other control messages or media mean.
 */

import type { RemoteInfo } from "node:dgram"
import { EventEmitter } from "node:events"
import type { TLSSocket } from "node:tls"
import { linkLimits, neighbourShape } from "../../../protocol/link.ts"
import { problemWith } from "../../../protocol/shape.ts"
import { backOffMs } from "./back-off.ts"
import { Contact } from "./contact.ts"
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
    /** Both ends have each other as neighbours, and hear each other. */
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
    routed: [rs: string, body: Buffer]
    /** A link to a server of the list stands, whether it is a neighbour or not. */
    opened: [rs: string]
    closed: [rs: string]
}

/** `kept`: dialled again whenever it is gone. Otherwise the link lasts as long as it lasts. */
export interface WantedNeighbour {
    rs: string
    kept: boolean
}

const backOff = { firstMs: linkLimits.backOffFirstMs, maxMs: linkLimits.backOffMaxMs }

export class LinkSet extends EventEmitter<LinkSetEvents> {
    readonly #options: LinkSetOptions
    readonly #listener: LinkListener
    /** Servers that may have a link with us, by identifier. */
    readonly #listed = new Map<string, LinkPeer>()
    readonly #addresses = new Set<string>()
    readonly #contacts = new Map<string, Contact>()
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
            isExpected: address => this.#addresses.has(address),
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

    /** Exactly these may have a link with us. One whose address or fingerprint changed is another one. */
    setListed(peers: readonly LinkPeer[]): void {
        if (this.#closed) return
        const before = new Map(this.#listed)
        this.#listed.clear()
        this.#addresses.clear()
        for (const peer of peers) {
            if (peer.rs === this.#options.id) continue
            const known = before.get(peer.rs)
            this.#listed.set(peer.rs, known && isSame(known, peer) ? known : peer)
            this.#addresses.add(peer.ip)
            this.#options.underlay?.learn(peer.rs, peer.ip)
        }
        for (const contact of [...this.#contacts.values()]) {
            const peer = this.#listed.get(contact.rs)
            if (peer === contact.link.peer) continue
            const { wanted } = contact
            this.#remove(contact, "removed")
            if (peer && wanted) this.#want(peer, wanted === "kept")
        }
    }

    /** Exactly these of the list are neighbours from now on, as far as this end is concerned. */
    setNeighbours(neighbours: readonly WantedNeighbour[]): void {
        if (this.#closed) return
        const wanted = new Map(neighbours.map(each => [each.rs, each]))
        for (const contact of [...this.#contacts.values()])
            if (contact.wanted && !wanted.has(contact.rs)) this.#unwant(contact)
        for (const { rs, kept } of wanted.values()) {
            const peer = this.#listed.get(rs)
            if (peer) this.#want(peer, kept)
        }
    }

    /** Exactly these are listed, and kept neighbours. */
    setPeers(peers: readonly LinkPeer[]): void {
        this.setListed(peers)
        this.setNeighbours(peers.map(({ rs }) => ({ rs, kept: true })))
    }

    /** Sees to it that there is a link to a server of the list, until `letGo`. Dials whoever has the smaller identifier. */
    open(rs: string): void {
        const peer = this.#listed.get(rs)
        if (!peer || this.#closed) return
        const contact = this.#contact(peer)
        contact.asking = true
        clearTimeout(contact.idle)
        if (!contact.link.isSecured && !contact.giveUp) this.#dial(contact)
    }

    letGo(rs: string): void {
        const contact = this.#contacts.get(rs)
        if (!contact?.asking) return
        contact.asking = false
        this.#idle(contact, linkLimits.lingerMs)
    }

    /** Whether a server of the list has this address. */
    isListed(ip: string): boolean {
        return this.#addresses.has(ip)
    }

    /** A link stands, whether or not it is one of neighbours. */
    isOpen(rs: string): boolean {
        return this.#contacts.get(rs)?.link.isUp ?? false
    }

    /** Neighbours whose link is up, in order of their names. */
    up(): string[] {
        const up: string[] = []
        for (const [rs, { adjacent }] of this.#contacts) if (adjacent) up.push(rs)
        return up.sort()
    }

    isUp(rs: string): boolean {
        return this.#contacts.get(rs)?.adjacent ?? false
    }

    /** To a neighbour. False when the link is not up. Messages on a link that stays up arrive, once and in order. */
    sendControl(rs: string, message: object): boolean {
        return this.isUp(rs) && this.sendAside(rs, message)
    }

    /** To any server with a link. */
    sendAside(rs: string, message: object): boolean {
        return this.#contacts.get(rs)?.link.sendControl(message) ?? false
    }

    /** Sends `packet` under the label that `rs` handed out; it may be changed after the call. False: link not up. */
    sendMedia(rs: string, label: number, packet: Buffer): boolean {
        const contact = this.#contacts.get(rs)
        return contact?.adjacent === true && contact.link.sendMedia(label, packet)
    }

    /** Hands a routed datagram to a neighbour. False: link not up. */
    sendRouted(rs: string, body: Buffer): boolean {
        const contact = this.#contacts.get(rs)
        return contact?.adjacent === true && contact.link.sendRouted(body)
    }

    /** Smoothed one-way delay in 0.01 ms, or undefined while the link is down or not yet measured. */
    delay(rs: string): number | undefined {
        const contact = this.#contacts.get(rs)
        return contact?.adjacent ? contact.link.measurement.delay() : undefined
    }

    /** The links that this end wants to be neighbours'. */
    snapshot(): LinkSnapshot[] {
        return [...this.#contacts.values()]
            .filter(({ wanted }) => wanted)
            .map(({ rs, adjacent, link }) => ({
                rs,
                up: adjacent,
                delay: this.delay(rs),
                jitter: link.measurement.jitter(),
                lossPermille: link.measurement.lossPermille(),
                counters: { ...link.counters },
            }))
    }

    async close(): Promise<void> {
        for (const contact of [...this.#contacts.values()]) this.#remove(contact, "shutdown")
        this.#closed = true
        await this.#listener.close()
    }

    // ---- contacts ---------------------------------------------------------------------------------------------------------

    #contact(peer: LinkPeer): Contact {
        const known = this.#contacts.get(peer.rs)
        if (known) return known
        const { rs } = peer
        const link = new Link(peer, this.#options.bootId, this.#options.helloMs ?? linkLimits.helloIntervalMs, {
            up: bootId => {
                contact.attempt = 0
                contact.bootId = bootId
                if (contact.wanted) link.sendControl({ k: "neighbour", on: 1 })
                this.#judge(contact)
                this.emit("opened", rs)
            },
            down: (reason, silentMs) => {
                contact.peerWants = false
                this.#judge(contact, reason, silentMs)
                this.emit("closed", rs)
            },
            control: message => this.#onControl(contact, message),
            media: (label, packet) => contact.adjacent && this.emit("media", rs, label, packet),
            routed: body => contact.adjacent && this.emit("routed", rs, body),
            ended: () => {
                this.#forgetReceiveId(contact)
                if (contact.isNeeded) this.#dialLater(contact)
                else this.#remove(contact, "closed")
            },
            send: datagram => this.#listener.send(datagram, peer.linkPort, peer.ip),
        })
        const contact = new Contact(link)
        this.#contacts.set(rs, contact)
        return contact
    }

    #want(peer: LinkPeer, kept: boolean): void {
        const contact = this.#contact(peer)
        const was = contact.wanted
        contact.wanted = kept ? "kept" : "once"
        clearTimeout(contact.idle)
        if (!was) {
            contact.link.sendControl({ k: "neighbour", on: 1 })
            this.#judge(contact)
        }
        if (!kept || was === "kept" || contact.link.isSecured || contact.giveUp) return
        if (this.#isMineToDial(contact)) this.#dial(contact)
        else this.#dialLater(contact)
    }

    #unwant(contact: Contact): void {
        contact.wanted = undefined
        contact.link.sendControl({ k: "neighbour", on: 0 })
        this.#judge(contact, "removed")
        if (contact.link.isSecured) this.#idle(contact, linkLimits.lingerMs)
        else if (!contact.isNeeded) this.#remove(contact, "removed")
    }

    /** Whether the link is one of neighbours now; tells when that has changed. */
    #judge(contact: Contact, reason: LinkDownReason = "removed", silentMs = 0): void {
        const { rs, link } = contact
        const adjacent = link.isUp && contact.wanted !== undefined && contact.peerWants
        if (adjacent === contact.adjacent) return
        contact.adjacent = adjacent
        if (adjacent) {
            this.#log("info", "link up", { peer: rs, boot: contact.bootId })
            this.emit("linkUp", rs, contact.bootId)
        } else {
            this.#log("warn", "link down", { peer: rs, reason, silentMs })
            this.emit("linkDown", rs, reason, silentMs)
        }
    }

    #onControl(contact: Contact, message: Record<string, unknown>): void {
        if (message.k !== "neighbour") {
            this.emit("control", contact.rs, message)
            return
        }
        if (problemWith(neighbourShape, message)) {
            contact.link.close("malformed")
            return
        }
        contact.peerWants = message.on === 1
        this.#judge(contact)
    }

    /** Closes a link that nobody here needs; the other end does the same unless it does need it. */
    #idle(contact: Contact, waitMs: number): void {
        clearTimeout(contact.idle)
        if (contact.isNeeded) return
        contact.idle = setTimeout(() => {
            if (!contact.isNeeded && this.#isCurrent(contact)) this.#remove(contact, "removed")
        }, waitMs)
    }

    #remove(contact: Contact, reason: LinkDownReason): void {
        if (!this.#isCurrent(contact)) return
        this.#contacts.delete(contact.rs)
        contact.forget()
        contact.link.close(reason)
        this.#forgetReceiveId(contact)
    }

    #isCurrent(contact: Contact): boolean {
        return this.#contacts.get(contact.rs) === contact
    }

    // ---- connections ------------------------------------------------------------------------------------------------------

    /** Of two that both want the link the smaller identifier dials; one that asks dials whatever its identifier. */
    #isMineToDial(contact: Contact): boolean {
        return contact.asking || this.#options.id < contact.rs
    }

    #dial(contact: Contact): void {
        clearTimeout(contact.retry)
        contact.giveUp = dial(this.#options, contact.link.peer, meeting => {
            contact.giveUp = undefined
            if (!this.#isCurrent(contact) || (contact.link.isSecured && this.#options.id > contact.rs)) {
                if (meeting.ok) meeting.channel.close("removed")
                return
            }
            if (meeting.ok) return this.#secure(contact, meeting)
            this.#log("info", "server not reached", { peer: contact.rs, reason: meeting.what })
            if (contact.isNeeded) this.#dialLater(contact)
            else this.#remove(contact, "removed")
        })
    }

    #dialLater(contact: Contact): void {
        if (!this.#isCurrent(contact) || !(contact.asking || contact.wanted === "kept")) return
        clearTimeout(contact.retry)
        const courtesyMs = this.#isMineToDial(contact) ? 0 : linkLimits.courtesyMs
        const waitMs = courtesyMs + backOffMs(contact.attempt++, this.#random(), backOff)
        contact.retry = setTimeout(() => {
            const needed = contact.asking || contact.wanted === "kept"
            if (needed && !contact.link.isSecured && !contact.giveUp) this.#dial(contact)
        }, waitMs)
    }

    #onConnection(socket: TLSSocket, settled: () => void): void {
        const address = socket.remoteAddress ?? ""
        const callers = [...this.#listed.values()].filter(peer => peer.ip === address)
        receive(this.#options, socket, callers, meeting => {
            settled()
            if (!meeting.ok) return this.#log("warn", "connection refused", { address, reason: meeting.what })
            const { rs } = meeting.peer
            if (this.#closed || this.#listed.get(rs) !== meeting.peer) return meeting.channel.close("removed")
            const contact = this.#contact(meeting.peer)
            // Both have dialled: the connection of the smaller identifier stays.
            if (contact.giveUp) {
                if (this.#options.id < rs) return meeting.channel.close("replaced")
                const { giveUp } = contact
                contact.giveUp = undefined
                giveUp()
            }
            this.#secure(contact, meeting)
            this.#idle(contact, linkLimits.unusedMs)
        })
    }

    #secure(contact: Contact, meeting: Meeting & { ok: true }) {
        const { receive } = meeting.keys
        // One in four thousand million; the other end dials again and gets other keys.
        if (this.#byReceiveId.has(receive.linkId)) return meeting.channel.close("closed")
        this.#forgetReceiveId(contact)
        clearTimeout(contact.retry)
        contact.receiveId = receive.linkId
        this.#byReceiveId.set(receive.linkId, contact.link)
        contact.link.secured(meeting.channel, meeting.bootId, meeting.keys, meeting.helloMs)
    }

    #forgetReceiveId(contact: Contact): void {
        if (contact.receiveId !== undefined) this.#byReceiveId.delete(contact.receiveId)
        contact.receiveId = undefined
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
