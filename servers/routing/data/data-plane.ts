/**
 * The data plane of a routing server: the UDP ports, the datagrams of all links, transit, mixing, the answers to probes and
 * trains, and the datagram part of the emulated network.
 *
 * Owns everything that must not wait for control: it runs in a thread of its own, or in the caller's (see `local.ts` and
 * `thread.ts`), by the messages of `messages.ts` alone. Never opens a TLS connection, never judges liveness, never decides on
 * sessions.
 */

import { type MediaHost, systemHost } from "../../../media/host.ts"
import type { DatagramHandler, UdpIo } from "../../../media/udp.ts"
import { datagramHeaderBytes, datagramKinds, datagramTagBytes } from "../../../protocol/link.ts"
import { bodyOf, kindOf, linkIdOf } from "../link/datagram.ts"
import { TrainAnswerer } from "../measure/train-answerer.ts"
import { MediaPlane } from "../media/plane.ts"
import { Transit } from "../transit/transit.ts"
import { UnderlayUdp } from "../underlay/udp.ts"
import { Underlay } from "../underlay/underlay.ts"
import { Backlog } from "./backlog.ts"
import { LinkDatagrams, type LinkEnvironment } from "./link-datagrams.ts"
import type { DataOptions, DataReport, DataRequest, OpenLink } from "./messages.ts"
import { Recordings } from "./recordings.ts"
import { type DataStatistics, type LinkCounters, type LinksStatistics, newLinkCounters } from "./statistics.ts"

/** Statistics of links are told so often. */
const tellMs = 200
/** The control side tells each tick of 100 ms that it is there. After so long without it our hellos stop. */
const controlSilenceMs = 5000
const mediaAt = datagramHeaderBytes + 4

export interface DataPlaneSeams {
    report(report: DataReport): void
    /** Its sockets and its time; the system's when it is absent. */
    host?: MediaHost
    /** Shared with the control side when both are in one thread. */
    underlay?: Underlay
    /** Sees media that no session passes through, before the mixer does. For tests. */
    onMedia?(peer: string, label: number, packet: Buffer): void
}

export class DataPlane {
    readonly media: MediaPlane
    /** [claim 4] */
    readonly transit: Transit
    readonly #options: DataOptions
    readonly #seams: DataPlaneSeams
    readonly #underlay: Underlay
    readonly #host: MediaHost
    readonly #backlog: Backlog
    readonly #recordings: Recordings
    readonly #trains: TrainAnswerer
    readonly #environment: LinkEnvironment
    readonly #links = new Map<number, LinkDatagrams>()
    readonly #byReceiveId = new Map<number, LinkDatagrams>()
    readonly #byPeer = new Map<string, LinkDatagrams>()
    /** They outlive a link's keys. */
    readonly #counters = new Map<string, LinkCounters>()
    #listed = new Set<string>()
    #socket: UdpIo | undefined
    #stray = 0
    #loadPercent = 0
    /** Undefined until it has spoken for the first time. */
    #controlHeardMs: number | undefined
    #timer: NodeJS.Timeout | undefined
    readonly #bindings: Promise<void>[] = []

    constructor(options: DataOptions, seams: DataPlaneSeams) {
        this.#options = options
        this.#seams = seams
        this.#host = seams.host ?? systemHost
        this.#backlog = new Backlog(this.#host.clock)
        const { ip, bootId, helloMs } = options
        this.#underlay = seams.underlay ?? new Underlay(options.underlay, this.#host.clock)
        this.#environment = {
            ...{ bootId, helloMs },
            isWell: () => performance.now() - (this.#controlHeardMs ?? performance.now()) < controlSilenceMs,
            send: (datagram, ip, port, mayDrop) => this.#socket?.send(datagram, ip, port, mayDrop) ?? false,
            tell: report => seams.report(report),
            after: (delayMs, call) => this.#host.clock.after(delayMs, call),
        }
        this.#recordings = new Recordings((level, what, details) => seams.report({ type: "log", level, what, details }))
        this.transit = new Transit((peer, label, datagram) => {
            return this.#byPeer.get(peer)?.forward(datagram, label) ?? false
        })
        this.#trains = new TrainAnswerer(address => this.#listed.has(address))
        this.media = new MediaPlane({
            ...{ ip, port: options.mediaPort, host: this.#host },
            overNetwork: io => new UnderlayUdp(io, this.#underlay),
            hears: address => this.#underlay.isPlain || this.#underlay.hears(address),
            serverDatagram: (datagram, address, port, reply) =>
                this.#trains.take(datagram, address, port, performance.now() * 1000, reply),
            loadPercent: () => this.#loadPercent,
            sendOnLink: (peer, label, packet) => void this.#byPeer.get(peer)?.sendMedia(label, packet),
            onMix: (session, mix) => this.#recordings.take(session, mix),
            onSpeaker: (session, endpoint, peer) => seams.report({ type: "speaker", session, endpoint, peer }),
            log: (what, details) => seams.report({ type: "log", level: "info", what, details }),
        })
    }

    /** Does what the control side asks; what comes of it is reported. */
    take(request: DataRequest) {
        switch (request.type) {
            case "bindLinks":
                this.#bindings.push(this.#bindLinks(request.port))
                return
            case "bindMedia":
                this.#bindings.push(this.#bindMedia())
                return
            case "openLink":
                return this.#openLink(request)
            case "closeLink":
                return this.#closeLink(request.link)
            case "forgetPeer":
                this.#counters.delete(request.peer)
                return
            case "adjacent": {
                const link = this.#links.get(request.link)
                if (link) link.isAdjacent = request.on
                return
            }
            case "probe":
                this.#links.get(request.link)?.probe(request.count)
                return
            case "catchUp": {
                const { link } = request
                return this.#backlog.whenCaughtUp(() => this.#seams.report({ type: "caughtUp", link }))
            }
            case "routed":
                this.#links.get(request.link)?.sendRouted(request.body)
                return
            case "media":
                this.#links.get(request.link)?.sendMedia(request.label, request.packet)
                return
            case "transit": {
                const set = this.transit.set(request.sid, request.branches)
                if (!set.ok) this.#seams.report({ type: "transitRefused", sid: request.sid, what: set.what })
                return
            }
            case "addLeg": {
                const { session, endpoint } = request.leg
                const added = this.media.addLeg(request.leg)
                if (!added.ok) this.#seams.report({ type: "legRefused", session, endpoint, what: added.what })
                return
            }
            case "mute":
                this.media.setMuted(request.ssrc, request.on)
                return
            case "sessionKeys":
                return this.media.setSessionKeys(request.session, request.keys)
            case "legReports":
                return this.#seams.report({ type: "legReports", legs: this.media.reports() })
            case "removeLeg":
                this.media.removeLeg(request.ssrc)
                return
            case "record":
                return this.#recordings.start(request)
            case "stopRecording":
                return this.#recordings.stop(request.session)
            case "addLink": {
                const { session, peer } = request.treeLink
                const added = this.media.addLink(request.treeLink)
                if (!added.ok) this.#seams.report({ type: "linkRefused", session, peer, what: added.what })
                return
            }
            case "removeLink":
                this.media.removeLink(request.session, request.peer)
                return
            case "silentLegs": {
                const legs = this.media
                    .silentLegs(request.sinceMs)
                    .map(({ session, endpoint }) => ({ session, endpoint }))
                return this.#seams.report({ type: "silentLegs", legs })
            }
            case "listed":
                this.#listed = new Set(request.addresses)
                return
            case "load":
                this.#loadPercent = request.percent
                return
            case "emulate":
                return this.#underlay.set(request.far, request.conditions)
            case "locate":
                return this.#underlay.learn(request.id, request.address)
            case "alive":
                this.#controlHeardMs = performance.now()
                return
            case "statistics": {
                const { number } = request
                return this.#seams.report({ type: "statistics", number, statistics: this.statistics() })
            }
            case "close":
                void this.#close()
                return
        }
    }

    linksStatistics(): LinksStatistics {
        const counters: Record<string, LinkCounters> = {}
        for (const [peer, of] of this.#counters) counters[peer] = { ...of }
        const underlay = this.#underlay.list().map(({ far, counters }) => ({ far, counters }))
        return { counters, stray: this.#stray, transit: { ...this.transit.counters }, underlay }
    }

    statistics(): DataStatistics {
        const { heapUsed, heapTotal } = process.memoryUsage()
        return {
            ...this.linksStatistics(),
            media: this.media.statistics(),
            transitEntries: this.transit.list(),
            trains: { ...this.#trains.counters },
            recordings: this.#recordings.list(),
            udp: this.#host === systemHost ? "dgram" : "batch",
            heapBytes: heapUsed,
            heapHeldBytes: heapTotal,
        }
    }

    async #bindLinks(port: number): Promise<void> {
        const { ip } = this.#options
        const hear: DatagramHandler = (datagram, fromIp, fromPort) => {
            if (this.#underlay.isPlain || this.#underlay.hears(fromIp)) this.#onDatagram(datagram, fromIp, fromPort)
        }
        const opened = await this.#host.openUdp(ip, port, hear, {
            isPressing: true,
            onTurn: mayHoldMore => this.#backlog.turned(mayHoldMore),
        })
        if (!opened.ok) return this.#seams.report({ type: "unbound", socket: "links", what: opened.what })
        this.#socket = new UnderlayUdp(opened.value, this.#underlay)
        this.#backlog.start()
        this.#timer = setInterval(() => {
            this.#seams.report({ type: "links", statistics: this.linksStatistics() })
        }, tellMs)
        this.#seams.report({ type: "bound", socket: "links", port: opened.value.port })
    }

    async #bindMedia(): Promise<void> {
        const started = await this.media.start()
        if (started.ok) this.#seams.report({ type: "bound", socket: "media", port: started.value.port })
        else this.#seams.report({ type: "unbound", socket: "media", what: started.what })
    }

    #openLink(opened: OpenLink): void {
        const { link, peer } = opened
        const known = this.#counters.get(peer)
        const counters = known ?? newLinkCounters()
        this.#counters.set(peer, counters)
        const datagrams = new LinkDatagrams(opened, counters, this.#environment)
        this.#links.set(link, datagrams)
        this.#byReceiveId.set(datagrams.receiveId, datagrams)
        this.#byPeer.set(peer, datagrams)
    }

    #closeLink(link: number): void {
        const datagrams = this.#links.get(link)
        if (!datagrams) return
        datagrams.close()
        this.#links.delete(link)
        if (this.#byReceiveId.get(datagrams.receiveId) === datagrams) this.#byReceiveId.delete(datagrams.receiveId)
        if (this.#byPeer.get(datagrams.peer) === datagrams) this.#byPeer.delete(datagrams.peer)
    }

    /** The path of every packet: nothing in here is allocated for one that is forwarded. */
    #onDatagram(datagram: Buffer, ip: string, port: number) {
        this.#backlog.count()
        const linkId = linkIdOf(datagram)
        const link = linkId === undefined ? undefined : this.#byReceiveId.get(linkId)
        if (!link || port !== link.port || ip !== link.ip) {
            this.#stray++
            return
        }
        const kind = kindOf(datagram)
        if (kind === datagramKinds.media && this.#backlog.drops()) {
            link.counters.late++
            return
        }
        if (!link.accepts(datagram)) return
        switch (kind) {
            case datagramKinds.media:
                if (datagram.length < mediaAt + datagramTagBytes) break
                if (link.isAdjacent) this.#onMedia(link.peer, datagram)
                return
            case datagramKinds.routed: {
                if (!link.isAdjacent) return
                // A copy: it is read later, and elsewhere.
                const body = Uint8Array.from(bodyOf(datagram))
                return this.#seams.report({ type: "routed", link: link.link, body })
            }
            default:
                if (link.take(datagram)) return
        }
        link.counters.malformed++
    }

    #onMedia(peer: string, datagram: Buffer): void {
        const label = datagram.readUInt32BE(datagramHeaderBytes)
        if (this.transit.forward(peer, label, datagram)) return
        const packet = datagram.subarray(mediaAt, datagram.length - datagramTagBytes)
        this.#seams.onMedia?.(peer, label, packet)
        this.media.receiveFromLink(peer, label, packet)
    }

    async #close(): Promise<void> {
        // What is being opened would stay so.
        await Promise.all(this.#bindings)
        clearInterval(this.#timer)
        for (const link of [...this.#links.keys()]) this.#closeLink(link)
        this.#backlog.close()
        this.#trains.close()
        const socket = this.#socket
        this.#socket = undefined
        await Promise.all([this.media.close(), socket?.close(), this.#recordings.close()])
        this.#underlay.close()
        this.#seams.report({ type: "closed" })
    }
}
