/**
 * A routing server: binds the core to its links, its data plane, its MQTT connection and the clock.
 *
 * Owns the order in which events are applied and effects are performed, and starting and stopping. Never decides.
 */

import { randomBytes } from "node:crypto"
import { join } from "node:path"
import type { Logger } from "pino"
import { legKeysBytes, readLegKeys, writeLegKeys } from "../../media/leg-keys.ts"
import type { SoundFormat } from "../../media/sound-file.ts"
import { type Count, countShape, linkLimits } from "../../protocol/link.ts"
import type { Place, ServerState } from "../../protocol/servers.ts"
import { problemWith } from "../../protocol/shape.ts"
import { dspFree, loadPercent } from "./core/dsp.ts"
import { coreLimits, type Effect, type Event, type State } from "./core/model.ts"
import { type PlainRefusal, type PlainWish, plainEndpoint, whyNotPlain } from "./core/plain.ts"
import { initialState, step } from "./core/step.ts"
import type { DataHost } from "./data/host.ts"
import { LocalData } from "./data/local.ts"
import type { DataStatistics } from "./data/statistics.ts"
import { ThreadData } from "./data/thread.ts"
import type { Identity } from "./link/identity.ts"
import { LinkSet } from "./link/link-set.ts"
import { PathMeter } from "./measure/path-meter.ts"
import { dspUnitsOf } from "./media/dsp-units.ts"
import { deriveSessionKeys } from "./media/session-keys.ts"
import type { ChoiceLimits } from "./neighbours/model.ts"
import type { ReservationEffect } from "./reservation/model.ts"
import { Reserver } from "./reserver.ts"
import type { RouteExplanation } from "./route/explain.ts"
import type { LinkStateLimits } from "./route/link-state.ts"
import type { Route } from "./route/routing-table.ts"
import { StateTeller } from "./server-state.ts"
import { Signalling } from "./signalling.ts"
import { DelayReporter, delayReport } from "./topology/delay-report.ts"
import { Topology } from "./topology/topology.ts"
import type { NeighbourTrace } from "./topology/trace.ts"
import { type EchoOutcome, Forwarder } from "./transit/forwarder.ts"
import type { PathConditions, UnderlayPlan } from "./underlay/conditions.ts"
import { Underlay } from "./underlay/underlay.ts"

export interface ServerParts {
    id: string
    ip: string
    linkPort: number
    mediaPort: number
    broker: { host: string; port: number }
    secret: string
    dspUnits: number
    boot: number
    identity: Identity
    randomSeed: number
    /** Where media and transit run: in a thread of their own, or in the caller's, which tests may look into. */
    dataPlane?: "thread" | "local"
    /** Node's dgram, though the system could take many datagrams at once. */
    udp?: "dgram"
    /** The network to emulate from the start. */
    underlay?: UnderlayPlan
    /** Between hellos on links. */
    helloMs?: number
    /** What the operator says that each link carries; a measurement may only lower it. */
    capacityKbps?: number
    /** Folder of the recordings of sessions that start here; without it nothing is recorded. */
    recordings?: string
    /** What the operator says of this server; the group server's word counts. */
    place?: Place
    /** Differences from the defaults of the neighbour rule's and the link state's timing. */
    choice?: Partial<ChoiceLimits>
    linkState?: Partial<LinkStateLimits>
    log: Logger
}

const tickMs = 100
const linksTold = 64
/** The legs are looked through each so many ticks. */
const legsEachTicks = 10
export const capacityKbpsDefault = 100_000

export class RoutingServer {
    readonly id: string
    readonly ip: string
    linkPort = 0
    mediaPort = 0
    readonly links: LinkSet
    /** Media, transit [claim 4], everything that is a datagram. */
    readonly data: DataHost
    readonly meter: PathMeter
    readonly topology: Topology
    /** [claims 14-22] */
    readonly reserver: Reserver
    readonly forwarder: Forwarder
    /** The network that links pass through; plain unless somebody asks for another one. */
    readonly underlay: Underlay
    /** What operators talk to; stops with the server. */
    control: { readonly url: string; close(): Promise<void> } | undefined
    readonly #parts: ServerParts
    readonly #log: Logger
    readonly #teller = new StateTeller()
    readonly #reporter = new DelayReporter()
    readonly #events: Event[] = []
    #signalling: Signalling | undefined
    #state: State | undefined
    #timer: NodeJS.Timeout | undefined
    #applying = false
    #ticks = 0
    #ignoredControl = 0
    #loadTold = 0
    #bound: (outcome: number | string) => void = () => {}
    #failed: (what: string) => void = () => {}
    /** Fulfilled, with the reason, when the server cannot go on and must be started anew. */
    readonly failed = new Promise<string>(resolve => {
        this.#failed = resolve
    })

    constructor(parts: ServerParts) {
        this.#parts = parts
        this.id = parts.id
        this.ip = parts.ip
        this.#log = parts.log
        const { id, ip, boot: bootId, identity, linkPort, mediaPort, log } = parts
        this.underlay = new Underlay(parts.underlay)
        const { helloMs = linkLimits.helloIntervalMs, underlay } = parts
        const options = { ip, mediaPort, bootId, helloMs, underlay, udp: parts.udp }
        this.data = parts.dataPlane === "thread" ? new ThreadData(options) : new LocalData(options, this.underlay)
        this.#hearData()
        this.links = new LinkSet({
            ...{ underlay: this.underlay, data: this.data },
            ...{ id, ip, bootId, identity, port: linkPort, helloMs: parts.helloMs },
            log: (level, what, details) => log[level](details, what),
        })
        const configuredKbps = parts.capacityKbps ?? capacityKbpsDefault
        this.meter = new PathMeter({ ip, configuredKbps, underlay: this.underlay })
        this.topology = new Topology({
            ...{ id, ip, boot: bootId, links: this.links, meter: this.meter },
            ...{ choice: parts.choice, linkState: parts.linkState },
            heldKbps: rs => this.reserver.ledger.held(rs),
            log: (level, what, details) => log[level](details, what),
        })
        this.reserver = new Reserver({
            ...{ id, links: this.links, topology: this.topology },
            ...{ dspUnits: parts.dspUnits, dspUnitsPerLink: dspUnitsOf("link"), randomSeed: parts.randomSeed },
            capacityKbps: rs => this.meter.capacityKbps(rs),
            perform: effect => this.#onReservation(effect),
            log: (level, what, details) => log[level](details, what),
        })
        this.forwarder = new Forwarder({
            id,
            route: to => this.topology.route(to),
            send: (neighbour, body) => this.links.sendRouted(neighbour, body),
        })
        this.links.on("control", (peer, message) => this.#onControl(peer, message))
        this.links.on("routed", (peer, body) => this.forwarder.receive(peer, body, performance.now()))
    }

    /** Listens and begins to connect to the broker. What went wrong, or undefined. */
    async start(): Promise<string | undefined> {
        const { id, ip, broker, secret, boot, identity, dspUnits, randomSeed, log } = this.#parts
        try {
            this.linkPort = (await this.links.start()).port
        } catch (error) {
            await this.data.close()
            return `the link port cannot be had: ${(error as Error).message}`
        }
        const mediaPort = await this.#bindMedia()
        if (typeof mediaPort === "string") {
            await this.links.close()
            await this.data.close()
            return `the media port cannot be had: ${mediaPort}`
        }
        await this.meter.start()
        this.mediaPort = mediaPort
        const { linkPort } = this
        const { fingerprint } = identity
        this.#state = initialState(
            { id, ip, linkPort, mediaPort, fingerprint, boot, dspUnits, place: this.#parts.place },
            randomSeed,
            this.reserver.ledger,
            () => writeLegKeys(randomBytes(legKeysBytes)),
        )
        const submit = (event: Event) => this.#submit(event)
        this.#signalling = new Signalling({ id, secret, broker, ip, boot, log, submit })
        this.#timer = setInterval(() => {
            this.#submit({ type: "tick" })
            this.#tellData()
            if (++this.#ticks % legsEachTicks === 0) this.#lookAtLegs()
            this.#tellState()
            this.#tellDelays()
        }, tickMs)
        this.topology.start()
        log.info({ ip, linkPort, mediaPort, boot, fingerprint }, "routing server listens")
        return undefined
    }

    /** Resolves once the broker has let us in. */
    get ready(): Promise<void> {
        return this.#signalling?.ready ?? Promise.resolve()
    }

    /** Whether the group server has taken our hello. */
    get registered(): boolean {
        return this.#state?.registration.registered ?? false
    }

    get brokerConnected(): boolean {
        return this.#signalling?.connected ?? false
    }

    get signallingCounters(): Readonly<Record<string, number>> {
        return this.#signalling?.counters ?? {}
    }

    /** The state as it is told to others. */
    snapshot(): ServerState {
        const state = this.#state
        const { boot, dspUnits } = this.#parts
        if (!state) return { boot, on: 0 }
        let endpoints = 0
        for (const attachment of state.attachments.values()) if (attachment.lostMs === undefined) endpoints++
        const links = this.links
            .snapshot()
            .slice(0, linksTold)
            .map(({ rs, up, delay }) => ({ rs, up: up ? 1 : 0, delay: delay ?? 0 }))
        return { boot, on: 1, dspFree: dspFree(state), dspUnits, load: loadPercent(state), endpoints, links }
    }

    /** Why each server of the list is a neighbour, or is none [claims 7, 9, 11, 12]. */
    neighbourTrace(): NeighbourTrace[] {
        return this.topology.neighbourTrace()
    }

    /** The routing table [claim 8], by destination. */
    routes(): Route[] {
        return this.topology.routes()
    }

    route(to: string): Route | undefined {
        return this.topology.route(to)
    }

    /** [claim 3] Why the route to `to` is what it is. */
    explainRoute(to: string): RouteExplanation {
        return this.topology.explainRoute(to)
    }

    /** Sends one echo along the next hops to any other routing server. */
    ping(to: string, timeoutMs = 1000): Promise<EchoOutcome> {
        return this.forwarder.echo(to, timeoutMs)
    }

    /** What the data plane has counted, as it is now. */
    statistics(): Promise<DataStatistics> {
        return this.data.statistics()
    }

    /** Lets a plain leg into a session here, by an operator's word. Why not, or undefined. */
    addPlainLeg(wish: PlainWish): PlainRefusal | undefined {
        if (!this.#state) return { reason: "unavailable", what: "the server is starting", who: "you" }
        const refusal = whyNotPlain(this.#state, wish)
        if (!refusal) this.#submit({ type: "addPlain", wish })
        return refusal
    }

    /** Whether there was one. */
    removePlainLeg(sid: string, name: string): boolean {
        const isThere = this.#state?.sessions.get(sid)?.plain.has(name) ?? false
        if (isThere) this.#submit({ type: "removePlain", sid, name })
        return isThere
    }

    /** What is emulated towards `far` from now on, of connections and datagrams; undefined: nothing. */
    emulate(far: string, conditions: PathConditions | undefined): void {
        this.underlay.set(far, conditions)
        if (!this.#sharesUnderlay) this.data.post({ type: "emulate", far, conditions })
    }

    /** What is emulated, and what that did to datagrams. */
    emulated(): ReturnType<Underlay["list"]> {
        const told = new Map(this.data.links.underlay.map(({ far, counters }) => [far, counters]))
        return this.underlay.list().map(path => ({ ...path, counters: told.get(path.far) ?? path.counters }))
    }

    /** Sends everybody away with a reason, tells the group server and the neighbours, then stops. */
    async stop(): Promise<void> {
        clearInterval(this.#timer)
        await this.control?.close()
        this.#submit({ type: "drain" })
        await this.#signalling?.stop()
        this.reserver.close()
        this.topology.close()
        this.meter.close()
        await this.links.close()
        await this.data.close()
        this.#log.info("stopped")
    }

    #onControl(peer: string, message: Record<string, unknown>) {
        const ofTopology = this.topology.onControl(peer, message)
        if (ofTopology !== false) return this.#ignoreIf(ofTopology, peer)
        // Sessions are for neighbours only.
        if (!this.links.isUp(peer)) return
        if (message.k === "reserve") return this.#ignoreIf(this.reserver.onControl(peer, message), peer)
        const kind = String(message.k)
        const problem = kind === "count" ? problemWith(countShape, message) : `unknown kind "${kind.slice(0, 16)}"`
        if (!problem) return this.#submit({ type: "control", peer, message: message as unknown as Count })
        this.#ignoreIf(problem, peer)
    }

    #onReservation(effect: Exclude<ReservationEffect, { type: "send" }>) {
        if (effect.type !== "tree") return this.#submit({ type: "reserved", outcome: effect })
        const { sid, branches, transit } = effect
        this.#submit({ type: "tree", sid, branches, transit })
    }

    #ignoreIf(problem: string, peer: string) {
        if (!problem) return
        // A neighbour of another version may say this with every message.
        if (this.#ignoredControl++ % 1000 === 0)
            this.#log.warn({ peer, reason: problem, ignored: this.#ignoredControl }, "control message ignored")
    }

    get #sharesUnderlay(): boolean {
        return this.data instanceof LocalData
    }

    #hearData() {
        this.data.on({
            bound: ({ socket, port }) => socket === "media" && this.#bound(port),
            unbound: ({ socket, what }) => socket === "media" && this.#bound(what),
            legRefused: ({ session: sid, endpoint: ep, what }) => this.#submit({ type: "legRefused", sid, ep, what }),
            linkRefused: ({ session: sid, peer, what }) =>
                this.#log.warn({ sid, peer, reason: what }, "no media on the link"),
            transitRefused: ({ sid, what }) => this.#log.warn({ sid, reason: what }, "no transit"),
            silentLegs: ({ legs }) => {
                for (const { session: sid, endpoint: ep } of legs) this.#submit({ type: "legSilent", sid, ep })
            },
            legReports: ({ legs }) => {
                for (const { session: sid, endpoint: ep, lossInPercent, lossOutPercent } of legs)
                    this.#submit({ type: "legQuality", sid, ep, lossPercent: Math.max(lossInPercent, lossOutPercent) })
            },
            speaker: ({ session: sid, endpoint, peer }) =>
                this.#submit({ type: "speaker", sid, speaking: { endpoint, peer } }),
            log: ({ level, what, details }) => this.#log[level](details, what),
        })
        // Sessions would hear nothing and nobody would know: an end that others see is better.
        this.data.failed.then(what => {
            this.#log.fatal({ reason: what }, "the data plane has failed")
            this.#failed(what)
        })
    }

    /** The port, or why it cannot be had. */
    #bindMedia(): Promise<number | string> {
        return new Promise(resolve => {
            this.#bound = resolve
            void this.data.failed.then(resolve)
            this.data.post({ type: "bindMedia" })
        })
    }

    #tellData() {
        this.data.post({ type: "alive" })
        const percent = this.#state ? loadPercent(this.#state) : 0
        if (percent === this.#loadTold) return
        this.#loadTold = percent
        this.data.post({ type: "load", percent })
    }

    #lookAtLegs() {
        this.data.post({ type: "silentLegs", sinceMs: coreLimits.legSilenceMs })
        this.data.post({ type: "legReports" })
    }

    /** Applies events one after the other; effects may cause more. */
    #submit(event: Event) {
        if (!this.#state) return
        this.#events.push(event)
        if (this.#applying) return
        this.#applying = true
        for (let next = this.#events.shift(); next; next = this.#events.shift()) {
            try {
                for (const effect of step(this.#state, next, performance.now())) this.#perform(effect)
            } catch (error) {
                // A broken invariant of ours; the other sessions go on.
                this.#log.error({ event: next.type, err: error }, "event failed")
            }
            if (next.type === "connected") {
                this.#teller.reset()
                this.#tellState()
            }
        }
        this.#applying = false
    }

    #perform(effect: Effect) {
        switch (effect.type) {
            case "toGroup":
                return this.#signalling?.toGroup(effect.verb, effect.message)
            case "toEndpoint":
                return this.#signalling?.toEndpoint(effect.ep, effect.verb, effect.message, effect.replaces)
            case "follow":
                return this.#signalling?.follow(effect.ep)
            case "unfollow":
                return this.#signalling?.unfollow(effect.ep)
            case "servers":
                this.data.post({ type: "listed", addresses: effect.peers.map(({ ip }) => ip) })
                if (!this.#sharesUnderlay)
                    for (const { rs, ip } of effect.peers) this.data.post({ type: "locate", id: rs, address: ip })
                return this.topology.setPeers(effect.peers)
            case "policy":
                return this.topology.setPolicy(effect.policy)
            case "control":
                // A link that has just gone down says so by an event of its own.
                this.links.sendControl(effect.peer, effect.message)
                return
            case "reserve":
                return this.reserver.step(effect.event)
            case "transit":
                return this.data.post({ type: "transit", sid: effect.sid, branches: effect.branches })
            case "addLeg": {
                const { sid: session, ep: endpoint, key, muted } = effect
                const { ssrc, ip: remoteIp, port: remotePort, codec } = effect.leg
                const leg = { session, endpoint, ssrc, remoteIp, remotePort, codec, keys: readLegKeys(key) }
                this.data.post({ type: "addLeg", leg })
                return this.data.post({ type: "mute", ssrc, on: muted })
            }
            case "addPlainLeg": {
                const { sid: session, name } = effect
                const { ssrc, codec, from: plain, to = { ip: plain.ip, port: plain.port } } = effect.leg
                const leg = { session, endpoint: plainEndpoint(name), ssrc, remoteIp: to.ip, remotePort: to.port }
                return this.data.post({ type: "addLeg", leg: { ...leg, codec, plain } })
            }
            case "mute":
                return this.data.post({ type: "mute", ssrc: effect.ssrc, on: effect.on })
            case "removeLeg":
                return this.data.post({ type: "removeLeg", ssrc: effect.ssrc })
            case "addLink": {
                const { sid: session, peer, labelOut, labelIn } = effect
                return this.data.post({ type: "addLink", treeLink: { session, peer, labelOut, labelIn } })
            }
            case "sessionKey": {
                const { sid: session, key, mixers } = effect
                const keys = key === undefined ? undefined : deriveSessionKeys(key, this.id, mixers)
                return this.data.post({ type: "sessionKeys", session, keys })
            }
            case "record":
                return this.#record(effect.sid, effect.format)
            case "removeLink":
                return this.data.post({ type: "removeLink", session: effect.sid, peer: effect.peer })
            case "log":
                return this.#log[effect.level](effect.details, effect.what)
        }
    }

    #record(session: string, format: SoundFormat | undefined) {
        if (format === undefined) return this.data.post({ type: "stopRecording", session })
        const { recordings } = this.#parts
        if (recordings === undefined) return this.#log.warn({ session }, "not recorded: no state folder")
        const path = join(recordings, `${session}-${new Date().toISOString().replaceAll(":", "-")}.${format}`)
        this.data.post({ type: "record", session, path, format })
    }

    /** The group server places sessions by the delays of the routing tables. */
    #tellDelays() {
        const state = this.#state
        if (!state?.registration.registered) return this.#reporter.reset()
        const inSessions = new Set<string>()
        for (const { known } of state.sessions.values())
            for (const { rs } of known.members) if (rs !== undefined) inSessions.add(rs)
        const list = delayReport(this.topology.routes(), inSessions)
        if (this.#reporter.isDue(list, performance.now())) this.#submit({ type: "delays", list })
    }

    #tellState() {
        const now = this.snapshot()
        if (this.#signalling?.connected && this.#teller.isDue(now, performance.now()))
            this.#signalling.publishState(now)
    }
}
