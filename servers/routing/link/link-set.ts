/**
 * The links of a routing server: to its neighbours, and to servers of the list that ask or are asked to become some.
 *
 * Owns who dials whom, which of two connections stays, reconnecting, what the data plane is told of links, and whether a
 * link is one of neighbours: it is while both ends say so (`neighbour`), and only then is it up for others. Never decides
 * who is a neighbour (`setNeighbours`) and never knows what other control messages mean.
 */

import { EventEmitter } from "node:events"
import type { TLSSocket } from "node:tls"
import { linkLimits, neighbourShape } from "../../../protocol/link.ts"
import { problemWith } from "../../../protocol/shape.ts"
import type { DataHost } from "../data/host.ts"
import { LocalData } from "../data/local.ts"
import { type LinkCounters, newLinkCounters } from "../data/statistics.ts"
import { backOffMs } from "./back-off.ts"
import { Contact } from "./contact.ts"
import { Link } from "./link.ts"
import { LinkListener, type ListenerEvents } from "./listener.ts"
import type { LinkDownReason } from "./liveness.ts"
import { dial, type LinkPeer, type Meeting, receive, type Self } from "./meeting.ts"

export type { LinkPeer } from "./meeting.ts"

export interface LinkSetOptions extends Self {
    /** TCP and UDP; 0 takes a free one. */
    port: number
    /** What sends and hears datagrams; absent: one of its own, in this thread. */
    data?: DataHost
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
    /** Only where the data plane is in this thread. */
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
    readonly #receiveIds = new Set<number>()
    /** Contacts by the number of their link at the data plane. */
    readonly #byNumber = new Map<number, Contact>()
    readonly #data: DataHost
    readonly #ownsData: boolean
    readonly #random: () => number
    #lastNumber = 0
    #bound: (port: number | string) => void = () => {}
    #closed = false

    constructor(options: LinkSetOptions) {
        super()
        this.#options = options
        this.#random = options.random ?? Math.random
        const events: ListenerEvents = {
            isExpected: address => this.#addresses.has(address),
            connection: (socket, settled) => this.#onConnection(socket, settled),
            bindDatagrams: port => this.#bindDatagrams(port),
            refused: (address, what) => this.#log("warn", "connection refused", { address, reason: what }),
        }
        const { ip, bootId, helloMs = linkLimits.helloIntervalMs, underlay } = options
        this.#ownsData = !options.data
        this.#data = options.data ?? new LocalData({ ip, mediaPort: 0, bootId, helloMs }, underlay)
        this.#hearData()
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
        const link = this.#adjacent(rs)
        if (link === undefined || packet.length > linkLimits.mediaPacketBytes) return false
        this.#data.post({ type: "media", link, label, packet: Uint8Array.from(packet) })
        return true
    }

    /** Hands a routed datagram to a neighbour. False: link not up. */
    sendRouted(rs: string, body: Buffer): boolean {
        const link = this.#adjacent(rs)
        if (link === undefined || body.length > linkLimits.mediaPacketBytes) return false
        this.#data.post({ type: "routed", link, body: Uint8Array.from(body) })
        return true
    }

    /** Datagrams that belong to no link. */
    get stray(): number {
        return this.#data.links.stray
    }

    /** Smoothed one-way delay in 0.01 ms, or undefined while the link is down or not yet measured. */
    delay(rs: string): number | undefined {
        const contact = this.#contacts.get(rs)
        return contact?.adjacent ? contact.link.figures.delay : undefined
    }

    /** The links that this end wants to be neighbours'. */
    snapshot(): LinkSnapshot[] {
        const { counters } = this.#data.links
        return [...this.#contacts.values()]
            .filter(({ wanted }) => wanted)
            .map(({ rs, adjacent, link }) => ({
                rs,
                up: adjacent,
                delay: this.delay(rs),
                jitter: link.figures.jitter,
                lossPermille: link.figures.lossPermille,
                counters: counters[rs] ?? newLinkCounters(),
            }))
    }

    async close(): Promise<void> {
        for (const contact of [...this.#contacts.values()]) this.#remove(contact, "shutdown")
        this.#closed = true
        await this.#listener.close()
        if (this.#ownsData) await this.#data.close()
    }

    // ---- data plane -------------------------------------------------------------------------------------------------------

    #hearData(): void {
        const data = this.#data
        data.on({
            bound: ({ socket, port }) => socket === "links" && this.#bound(port),
            unbound: ({ socket, what }) => socket === "links" && this.#bound(what),
            hello: hello => this.#byNumber.get(hello.link)?.link.onHello(hello),
            measured: ({ link, figures }) => this.#byNumber.get(link)?.link.onMeasured(figures),
            caughtUp: ({ link }) => this.#byNumber.get(link)?.link.onCaughtUp(),
            exhausted: ({ link }) => this.#byNumber.get(link)?.link.close("closed"), // new connection, new keys
            routed: ({ link, body }) => {
                const contact = this.#byNumber.get(link)
                const { buffer, byteOffset, byteLength } = body
                if (contact?.adjacent) this.emit("routed", contact.rs, Buffer.from(buffer, byteOffset, byteLength))
            },
        })
        if (data instanceof LocalData)
            data.onMedia = (peer, label, packet) => {
                if (this.listenerCount("media") > 0) this.emit("media", peer, label, packet)
            }
    }

    /** Undefined when the data plane listens on the UDP port of this number, else what is wrong. */
    #bindDatagrams(port: number): Promise<string | undefined> {
        return new Promise(resolve => {
            this.#bound = outcome => resolve(typeof outcome === "string" ? outcome : undefined)
            void this.#data.failed.then(resolve)
            this.#data.post({ type: "bindLinks", port })
        })
    }

    /** The number of the link to a neighbour. */
    #adjacent(rs: string): number | undefined {
        const contact = this.#contacts.get(rs)
        return contact?.adjacent ? contact.link.number : undefined
    }

    // ---- contacts ---------------------------------------------------------------------------------------------------------

    #contact(peer: LinkPeer): Contact {
        const known = this.#contacts.get(peer.rs)
        if (known) return known
        const { rs } = peer
        const link = new Link(peer, {
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
            ended: () => {
                this.#forgetReceiveId(contact)
                if (contact.isNeeded) this.#dialLater(contact)
                else this.#remove(contact, "closed")
            },
            opened: keys => {
                const number = ++this.#lastNumber
                this.#byNumber.set(number, contact)
                const { ip, linkPort: port } = peer
                this.#data.post({ type: "openLink", link: number, peer: rs, ip, port, keys })
                return number
            },
            closed: number => {
                this.#byNumber.delete(number)
                this.#data.post({ type: "closeLink", link: number })
            },
            post: request => this.#data.post(request),
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
        if (link.number !== undefined) this.#data.post({ type: "adjacent", link: link.number, on: adjacent })
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
        this.#data.post({ type: "forgetPeer", peer: contact.rs })
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
        if (this.#receiveIds.has(receive.linkId)) return meeting.channel.close("closed")
        this.#forgetReceiveId(contact)
        clearTimeout(contact.retry)
        contact.receiveId = receive.linkId
        this.#receiveIds.add(receive.linkId)
        contact.link.secured(meeting.channel, meeting.bootId, meeting.keys, meeting.helloMs)
    }

    #forgetReceiveId(contact: Contact): void {
        if (contact.receiveId !== undefined) this.#receiveIds.delete(contact.receiveId)
        contact.receiveId = undefined
    }

    #log(level: "info" | "warn", what: string, details: object): void {
        this.#options.log?.(level, what, details)
    }
}

function isSame(a: LinkPeer, b: LinkPeer): boolean {
    return a.ip === b.ip && a.linkPort === b.linkPort && a.fingerprint === b.fingerprint
}
