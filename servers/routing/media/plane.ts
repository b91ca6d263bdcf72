/**
 * The media plane of a routing server: one UDP socket for endpoint probes and RTP, the sessions' mixers, one 20 ms ticker.
 *
 * Owns legs, links and what is counted. Never signals, never decides who may be in a session, never opens a link: packets to
 * neighbours leave through `sendOnLink`, packets from them enter through `receiveFromLink`. Nothing received changes sessions.
 */

import { randomInt } from "node:crypto"
import { isIPv4 } from "node:net"
import { hostname } from "node:os"
import { type CodecName, unknownLossPercent } from "../../../media/codec.ts"
import { codecs, isCodecName } from "../../../media/codecs.ts"
import { type MediaHost, systemHost } from "../../../media/host.ts"
import { loadOpus } from "../../../media/opus.ts"
import { type Failure, failure, type Outcome, success } from "../../../media/outcome.ts"
import { isRtcp, reportBytesMax } from "../../../media/rtcp.ts"
import { RtpHeader, readRtp, rtpHeaderBytes } from "../../../media/rtp.ts"
import { RtpReports, reportIntervalMs } from "../../../media/rtp-reports.ts"
import {
    masterBytes,
    SrtpReceiver,
    type SrtpRefusal,
    SrtpSender,
    srtpCarriedTagBytes,
    srtpTagBytes,
} from "../../../media/srtp.ts"
import { Ticker, type TickerClock } from "../../../media/ticker.ts"
import type { UdpIo } from "../../../media/udp.ts"
import { probeAnswers, probeAsks, probeBytes, readProbe } from "../../../protocol/probe.ts"
import { Channel, tickMs } from "./channel.ts"
import { dspUnitsOf } from "./dsp-units.ts"
import type {
    Leg,
    LegReport,
    MediaPlaneFace,
    MediaPlaneOptions,
    PlaneRefusal,
    PlaneStatistics,
    SessionKeys,
    TreeLink,
} from "./interface.ts"
import { LinkProtection } from "./link-protection.ts"
import { Mixer } from "./mixer.ts"
import { isSamePlain, PlainLegs } from "./plain-legs.ts"
import { ProbeLimit } from "./probe-limit.ts"

export type * from "./interface.ts"

export const planeLimits = {
    legs: 4096,
    links: 4096,
    /** Legs and links together that carry Opus: each may need a decoder and two encoders, of some 30 KB. */
    opusChannels: 2000,
    probesPerSecond: 200,
}

const probeFirstByte = 0x50
/** So long at most a link that has left the tree is heard: its far side may hear of the change later. */
const farewellMs = 300
const reportTicks = reportIntervalMs / tickMs
const u32 = 4294967295

interface HeldLeg extends Leg {
    channel: Channel
    /** When its endpoint joined last. */
    sinceMs: number
    /** Of what the endpoint sends; a plain leg has none. */
    receiver: SrtpReceiver | undefined
    reports: RtpReports
    reportPacket: Buffer
    reportTick: number
}

interface HeldLink extends TreeLink {
    channel: Channel
    sinceMs: number
    /** When it left the tree; what is still under way is heard to its end, or until a link that came instead has sound. */
    leftMs: number | undefined
}

export class MediaPlane implements MediaPlaneFace {
    private readonly sessions = new Map<string, Mixer>()
    private readonly legs = new Map<number, HeldLeg>()
    /** By peer, then by the label that its packets carry. */
    private readonly links = new Map<string, Map<number, HeldLink>>()
    private readonly plain = new PlainLegs<HeldLeg>()
    private readonly protections = new Map<string, LinkProtection>()
    /** The present tick's time on the wall; it never goes back. */
    private unixMs = 0
    private readonly limit: ProbeLimit
    private readonly host: MediaHost
    private readonly clock: TickerClock
    private readonly header = new RtpHeader()
    private io: UdpIo | undefined
    private sendOnLinkFailures = 0
    private readonly counts = {
        received: 0,
        probesAnswered: 0,
        probesLimited: 0,
        accepted: 0,
        malformed: 0,
        unknownLeg: 0,
        wrongAddress: 0,
        wrongPayload: 0,
        unknownLabel: 0,
        reports: 0,
        forged: 0,
        replayed: 0,
        noKey: 0,
    }

    /** `ticker`: another than its own, of 20 ms, where somebody wants to look at it. */
    constructor(
        private readonly options: MediaPlaneOptions,
        private readonly ticker = new Ticker(tickMs, (options.host ?? systemHost).clock),
    ) {
        this.host = options.host ?? systemHost
        this.clock = this.host.clock
        this.limit = new ProbeLimit(options.probesPerSecond ?? planeLimits.probesPerSecond)
    }

    async start(): Promise<Outcome<{ port: number }>> {
        if (this.io) return success({ port: this.io.port })
        await loadOpus()
        const { ip, port } = this.options
        const opened = await this.host.openUdp(ip, port, (datagram, fromIp, fromPort) =>
            this.receive(datagram, fromIp, fromPort),
        )
        if (!opened.ok) return opened
        this.io = this.options.overNetwork?.(opened.value) ?? opened.value
        this.options.log?.("media plane listens", { ip, port: opened.value.port })
        return success({ port: opened.value.port })
    }

    addLeg(leg: Leg): Outcome<void, PlaneRefusal> {
        const wrong = problemWithLeg(leg)
        if (wrong) return failure("malformed", wrong, "maker")
        const codec = leg.codec ?? "pcmu"
        const held = this.legs.get(leg.ssrc)
        if (held && (held.session !== leg.session || held.endpoint !== leg.endpoint))
            return failure("taken", `SSRC ${leg.ssrc} belongs to another leg`, "maker")
        if (held && held.channel.codec.name === codec && isSamePlain(held.plain, leg.plain)) {
            held.sinceMs = this.clock.nowMs()
            // The same keys again must go on where they are: no index is ever used twice.
            if (leg.keys && !isSameKeys(leg, held)) {
                held.keys = leg.keys
                held.receiver = new SrtpReceiver(leg.keys.toServer)
                held.channel.sender = new SrtpSender(leg.keys.toEndpoint)
            }
            if (held.plain || (held.remoteIp === leg.remoteIp && held.remotePort === leg.remotePort))
                return success(undefined)
            held.remoteIp = leg.remoteIp
            held.remotePort = leg.remotePort
            held.channel.open = false
            return success(undefined)
        }
        // An endpoint that joins again has forgotten its old leg; heard twice it would hear itself.
        for (const other of this.legs.values())
            if (other.session === leg.session && other.endpoint === leg.endpoint) this.removeLeg(other.ssrc)
        if (this.legs.size >= planeLimits.legs)
            return failure("too-many", `${planeLimits.legs} legs are held already`, "operator")
        const full = this.problemWithCodec(codec)
        if (full) return full
        if (held) this.removeLeg(leg.ssrc)
        if (leg.plain && this.plain.isTaken(leg.plain))
            return failure("taken", `${leg.plain.ip}:${leg.plain.port} is another leg's address`, "operator")
        const tagBytes = leg.plain ? 0 : srtpTagBytes
        const emit = (packet: Buffer) => {
            const payloadBytes = packet.length - rtpHeaderBytes - tagBytes
            created.reports.sent(created.channel.ssrc, packet.readUInt32BE(4), payloadBytes, this.unixMs)
            this.io?.send(packet, created.remoteIp, created.remotePort)
        }
        const kind = codecs[codec]
        const created: HeldLeg = {
            ...leg,
            channel: new Channel(
                ...(["leg", kind, randomInt(1, u32), randomInt(u32), emit, tagBytes] as const),
                leg.plain?.payloadType,
            ),
            sinceMs: this.clock.nowMs(),
            receiver: leg.keys && new SrtpReceiver(leg.keys.toServer),
            reports: new RtpReports(codec, kind.clockRate, `parley@${hostname()}`),
            reportPacket: Buffer.alloc(reportBytesMax),
            reportTick: 0,
        }
        if (leg.keys) created.channel.sender = new SrtpSender(leg.keys.toEndpoint)
        // Anybody may name an address when they join. Only a packet from there proves that it wants to hear us; until
        // then nothing is sent, so that nobody can turn our sound on somebody else.
        created.channel.open = leg.plain !== undefined && leg.remotePort !== 0
        this.legs.set(leg.ssrc, created)
        if (leg.plain) this.plain.add(created, leg.plain)
        this.enter(leg.session, created.channel)
        return success(undefined)
    }

    removeLeg(ssrc: number): boolean {
        const leg = this.legs.get(ssrc)
        if (!leg) return false
        this.legs.delete(ssrc)
        if (leg.plain) this.plain.remove(leg)
        this.leave(leg.session, leg.channel)
        if (this.sessions.get(leg.session)?.channels.every(channel => channel.leaving))
            for (const link of this.linksOf(leg.session)) this.drop(link)
        return true
    }

    setMuted(ssrc: number, on: boolean): boolean {
        const leg = this.legs.get(ssrc)
        if (leg) leg.channel.muted = on
        return leg !== undefined
    }

    addLink(link: TreeLink): Outcome<void, PlaneRefusal> {
        const { session, peer, labelIn, labelOut, codec = "pcmu" } = link
        if (!session || !peer || !isLabel(labelIn) || !isLabel(labelOut))
            return failure("malformed", "a link needs a session, a peer and two labels", "maker")
        const left = this.links.get(peer)?.get(labelIn)
        // A label that is handed out anew ends what it stood for.
        if (left?.leftMs !== undefined && (left.session !== session || left.channel.codec.name !== codec))
            this.drop(left)
        const known = this.links.get(peer)
        const sameLabel = known?.get(labelIn)
        if (sameLabel && sameLabel.session !== session)
            return failure("taken", `label ${labelIn} of ${peer} belongs to another session`, "maker")
        if (!isCodecName(codec)) return failure("malformed", `there is no codec ${String(codec)}`, "maker")
        const held = this.findLink(session, peer)
        if (held && held.channel.codec.name !== codec) this.drop(held)
        else if (held) {
            if (held.leftMs !== undefined) held.sinceMs = this.clock.nowMs()
            held.leftMs = undefined
            held.channel.leaving = false
            known!.delete(held.labelIn)
            held.labelIn = labelIn
            held.labelOut = labelOut
            known!.set(labelIn, held)
            return success(undefined)
        }
        if (this.countLinks() >= planeLimits.links)
            return failure("too-many", `${planeLimits.links} links are held already`, "operator")
        const full = this.problemWithCodec(codec)
        if (full) return full
        const created: HeldLink = {
            ...link,
            sinceMs: this.clock.nowMs(),
            leftMs: undefined,
            channel: new Channel(
                ...(["link", codecs[codec], randomInt(1, u32), randomInt(u32)] as const),
                packet => this.sendOnLink(created, packet),
                srtpCarriedTagBytes,
            ),
        }
        created.channel.sender = this.protections.get(session)?.newSender()
        const labels = this.links.get(peer) ?? new Map<number, HeldLink>()
        labels.set(labelIn, created)
        this.links.set(peer, labels)
        this.enter(session, created.channel)
        return success(undefined)
    }

    removeLink(session: string, peer: string): boolean {
        const link = this.findLink(session, peer)
        if (!link || link.leftMs !== undefined) return false
        link.leftMs = this.clock.nowMs()
        link.channel.leaving = true
        const channels = this.sessions.get(session)?.channels ?? []
        // With nothing under way, or nobody who would hear it, there is nothing to wait for.
        if (channels.every(channel => channel.leaving)) for (const each of this.linksOf(session)) this.drop(each)
        else if (isDrained(link, link.leftMs)) this.drop(link)
        return true
    }

    private drop(link: HeldLink): void {
        const labels = this.links.get(link.peer)
        labels?.delete(link.labelIn)
        if (labels?.size === 0) this.links.delete(link.peer)
        this.leave(link.session, link.channel)
    }

    /** Links that have left the tree and need not be heard any more. */
    private dropLeft(nowMs: number): void {
        for (const labels of this.links.values())
            for (const link of labels.values()) {
                if (link.leftMs === undefined) continue
                const isOver = isDrained(link, nowMs) || nowMs - link.leftMs > farewellMs
                if (isOver || this.isReplaced(link.session, link.leftMs)) this.drop(link)
            }
    }

    /** A link that has come with the same change of the tree has sound: twice the same voice would be an echo. */
    private isReplaced(session: string, leftMs: number): boolean {
        for (const labels of this.links.values())
            for (const { session: of, leftMs: isLeaving, sinceMs, channel } of labels.values())
                if (of === session && isLeaving === undefined && sinceMs > leftMs - farewellMs && channel.active)
                    return true
        return false
    }

    setSessionKeys(session: string, keys: SessionKeys | undefined): void {
        const before = this.protections.get(session)
        if (!keys) this.protections.delete(session)
        else if (!before) this.protections.set(session, new LinkProtection(keys))
        // Who sends on under the same key keeps the place in it.
        if (keys && before?.update(keys)) return
        const protection = this.protections.get(session)
        for (const labels of this.links.values())
            for (const link of labels.values())
                if (link.session === session) link.channel.sender = protection?.newSender()
    }

    reports(): LegReport[] {
        return [...this.legs.values()].map(leg => ({
            session: leg.session,
            endpoint: leg.endpoint,
            ssrc: leg.ssrc,
            ...this.qualityOf(leg),
        }))
    }

    receiveFromLink(peer: string, label: number, packet: Buffer): void {
        const link = this.links.get(peer)?.get(label)
        if (!link) {
            this.counts.unknownLabel++
            return
        }
        const protection = this.protections.get(link.session)
        const taken = protection?.unprotect(packet, this.clock.nowMs())
        if (typeof taken !== "number") {
            if (taken === "replayed") this.counts.replayed++
            else this.counts.noKey++
            return
        }
        if (readRtp(packet, this.header, taken)) this.deliver(link.channel, packet)
        else this.counts.unknownLabel++
    }

    dspUnitsUsed(): number {
        let units = 0
        for (const mixer of this.sessions.values())
            for (const { kind, codec, leaving } of mixer.channels) if (!leaving) units += dspUnitsOf(kind, codec.name)
        return units
    }

    silentLegs(sinceMs: number): Leg[] {
        const heardBefore = this.clock.nowMs() - sinceMs
        return [...this.legs.values()].filter(
            leg => !leg.plain && Math.max(leg.sinceMs, leg.channel.lastHeardMs) < heardBefore,
        )
    }

    statistics(): PlaneStatistics {
        const nowMs = this.clock.nowMs()
        return {
            sessions: this.sessions.size,
            legs: [...this.legs.values()].map(leg => ({
                endpoint: leg.endpoint,
                ssrc: leg.ssrc,
                plain: leg.plain !== undefined,
                reports: leg.reports.received,
                ...this.qualityOf(leg),
                ...channelStatistics(leg.session, leg.channel, nowMs),
            })),
            links: [...this.links.values()].flatMap(labels =>
                [...labels.values()]
                    .filter(({ leftMs }) => leftMs === undefined)
                    .map(link => ({ peer: link.peer, ...channelStatistics(link.session, link.channel, nowMs) })),
            ),
            dspUnitsUsed: this.dspUnitsUsed(),
            datagrams: { ...this.counts, sendFailures: this.sendOnLinkFailures + (this.io?.sendFailures ?? 0) },
            ticks: this.ticker.statistics(),
        }
    }

    async close(): Promise<void> {
        for (const ssrc of [...this.legs.keys()]) this.removeLeg(ssrc)
        for (const labels of [...this.links.values()]) for (const link of [...labels.values()]) this.drop(link)
        const io = this.io
        this.io = undefined
        await io?.close()
    }

    /** Part of the ticker: one tick of every session. */
    onTick(deadlineMs: number, tick: number): void {
        this.unixMs = performance.timeOrigin + deadlineMs
        this.dropLeft(deadlineMs)
        const { onMix } = this.options
        for (const [session, mixer] of this.sessions) {
            const mix = mixer.tick(deadlineMs, tick)
            onMix?.(session, mix)
        }
        for (const leg of this.legs.values()) if (tick >= leg.reportTick) this.report(leg, tick)
    }

    /** Says what was sent and what has come, about once a second. */
    private report(leg: HeldLeg, tick: number): void {
        // Not all in one tick, and never in step with each other (RFC 3550, 6.3.1).
        leg.reportTick = tick + reportTicks - 5 + randomInt(10)
        leg.channel.lossPercent = leg.reports.lossOutPercent(this.unixMs) ?? unknownLossPercent
        // Whoever has shown no RTCP on this port may take it for bad sound.
        if (!leg.channel.open || leg.channel.sent === 0 || (leg.plain && leg.reports.received === 0)) return
        const packet = leg.reportPacket
        const { jitterMs } = leg.channel.jitter.statistics()
        let bytes = leg.reports.write(packet, leg.channel.ssrc, jitterMs, this.unixMs)
        if (leg.channel.sender) bytes = leg.channel.sender.protectRtcp(packet, bytes)
        // The socket may hold it for a moment; the next one is a second away.
        if (bytes > 0) this.io?.send(packet.subarray(0, bytes), leg.remoteIp, leg.remotePort)
    }

    private qualityOf(leg: HeldLeg) {
        const { delayMs } = leg.channel.jitter.statistics()
        return leg.reports.quality(delayMs, tickMs, performance.timeOrigin + this.clock.nowMs())
    }

    private receive(datagram: Buffer, ip: string, port: number): void {
        if (this.options.hears?.(ip) === false) return
        this.counts.received++
        if (datagram[0] === probeFirstByte && datagram.length === probeBytes) this.answerProbe(datagram, ip, port)
        else if (datagram[0] === probeFirstByte && this.takenByServer(datagram, ip, port)) return
        else if (isRtcp(datagram)) this.receiveRtcp(datagram, ip, port)
        else this.receiveRtp(datagram, ip, port)
    }

    private takenByServer(datagram: Buffer, ip: string, port: number): boolean {
        const reply = (answer: Buffer) => this.io?.send(answer, ip, port)
        return this.options.serverDatagram?.(datagram, ip, port, reply) ?? false
    }

    private answerProbe(datagram: Buffer, ip: string, port: number): void {
        const probe = readProbe(datagram)
        if (probe?.kind !== probeAsks) {
            this.counts.malformed++
            return
        }
        if (!this.limit.allows(ip, this.clock.nowMs())) {
            this.counts.probesLimited++
            return
        }
        // The answer is the question with two bytes changed: as long as it, with the asker's clock untouched.
        datagram[5] = probeAnswers
        datagram[6] = Math.max(0, Math.min(100, Math.round(this.options.loadPercent()) || 0))
        this.counts.probesAnswered++
        this.io?.send(datagram, ip, port)
    }

    private receiveRtp(datagram: Buffer, ip: string, port: number): void {
        if (!readRtp(datagram, this.header)) {
            this.counts.malformed++
            return
        }
        const { ssrc, payloadType } = this.header
        const leg = this.legs.has(ssrc)
            ? this.legAt(ssrc, ip, port)
            : (this.plain.newcomer(ip, port, payloadType) ?? this.legAt(ssrc, ip, port))
        if (!leg) return
        if (leg.receiver) {
            const taken = leg.receiver.unprotect(datagram)
            if (typeof taken !== "number") {
                this.refuse(taken)
                return
            }
            // Padding is told by the last byte, which could not be read before.
            if (!readRtp(datagram, this.header, taken)) {
                this.counts.malformed++
                return
            }
        }
        if (!this.deliver(leg.channel, datagram)) return
        if (leg.plain && leg.remotePort === 0) {
            leg.remoteIp = ip
            leg.remotePort = port
        }
        leg.channel.open = true
        leg.reports.hear(this.header)
    }

    private receiveRtcp(datagram: Buffer, ip: string, port: number): void {
        const leg = this.legAt(datagram.readUInt32BE(4), ip, port)
        if (!leg) return
        const taken = leg.receiver ? leg.receiver.unprotectRtcp(datagram) : datagram.length
        if (typeof taken !== "number") this.refuse(taken)
        else if (leg.reports.take(datagram, taken, performance.timeOrigin + this.clock.nowMs())) this.counts.malformed++
        else this.counts.reports++
    }

    /** The leg that a datagram is of: by its SSRC and address, or by the address alone where it is plain. */
    private legAt(ssrc: number, ip: string, port: number): HeldLeg | undefined {
        const plain = this.plain.at(ip, port)
        if (plain) return plain
        const leg = this.legs.get(ssrc)
        if (!leg || leg.plain) this.counts.unknownLeg++
        else if (leg.remotePort !== port || leg.remoteIp !== ip) this.counts.wrongAddress++
        else return leg
        return undefined
    }

    private refuse(why: SrtpRefusal): void {
        if (why === "replayed") this.counts.replayed++
        else if (why === "malformed") this.counts.malformed++
        else this.counts.forged++
    }

    /** Whether it was a packet that the stream may have. */
    private deliver(channel: Channel, packet: Buffer): boolean {
        const outcome =
            this.header.payloadType === channel.payloadType
                ? channel.receive(packet, this.header, this.clock.nowMs(), this.ticker.behindMs())
                : "wrong-size"
        const isFit = outcome !== "wrong-size"
        if (isFit) this.counts.accepted++
        else this.counts.wrongPayload++
        return isFit
    }

    private sendOnLink(link: HeldLink, packet: Buffer): void {
        try {
            this.options.sendOnLink(link.peer, link.labelOut, packet)
        } catch {
            this.sendOnLinkFailures++
        }
    }

    private enter(session: string, channel: Channel): void {
        let mixer = this.sessions.get(session)
        if (!mixer) {
            mixer = new Mixer(speaker => this.tellSpeaker(session, speaker))
            this.sessions.set(session, mixer)
            this.ticker.add(this)
        }
        mixer.add(channel)
    }

    private tellSpeaker(session: string, speaker: Channel | undefined): void {
        const { onSpeaker } = this.options
        if (!onSpeaker) return
        let endpoint: string | undefined
        let peer: string | undefined
        for (const leg of this.legs.values()) if (leg.channel === speaker) endpoint = leg.endpoint
        for (const labels of this.links.values())
            for (const link of labels.values()) if (link.channel === speaker) peer = link.peer
        try {
            onSpeaker(session, endpoint, peer)
        } catch (error) {
            this.options.log?.("onSpeaker failed", { session, error: String(error) })
        }
    }

    /** Opus has a bounded number of streams; PCMU needs none. */
    private problemWithCodec(codec: CodecName): Failure<"too-many"> | undefined {
        if (codec !== "opus") return undefined
        let count = 0
        for (const mixer of this.sessions.values())
            for (const channel of mixer.channels) if (channel.codec.name === codec) count++
        if (count < planeLimits.opusChannels) return undefined
        return failure("too-many", `${planeLimits.opusChannels} legs and links carry Opus already`, "operator")
    }

    private leave(session: string, channel: Channel): void {
        const mixer = this.sessions.get(session)
        mixer?.remove(channel)
        if (mixer?.channels.length !== 0) return
        this.sessions.delete(session)
        if (this.sessions.size === 0) this.ticker.remove(this)
    }

    private findLink(session: string, peer: string): HeldLink | undefined {
        for (const link of this.links.get(peer)?.values() ?? []) if (link.session === session) return link
        return undefined
    }

    private linksOf(session: string): HeldLink[] {
        return [...this.links.values()].flatMap(labels => [...labels.values()].filter(link => link.session === session))
    }

    private countLinks(): number {
        let count = 0
        for (const labels of this.links.values()) count += labels.size
        return count
    }
}

/** Nothing is there to be heard, and the next packet is overdue. */
function isDrained({ channel }: HeldLink, nowMs: number): boolean {
    return channel.jitter.isDry && nowMs - channel.lastHeardMs > 2 * tickMs
}

function channelStatistics(session: string, channel: Channel, nowMs: number) {
    const { received, lost, late, duplicates, concealedSamples, repairedSamples, jitterMs, delayMs } =
        channel.jitter.statistics()
    return {
        session,
        codec: channel.codec.name,
        sent: channel.sent,
        received,
        lost,
        late,
        duplicates,
        concealed: Math.ceil(concealedSamples / channel.frame.length),
        repaired: Math.ceil(repairedSamples / channel.frame.length),
        jitterMs,
        delayMs,
        levelDb: channel.levelDb,
        silentMs: channel.lastHeardMs < 0 ? -1 : Math.max(0, nowMs - channel.lastHeardMs),
        muted: channel.muted,
    }
}

function isSameKeys(a: Leg, b: Leg): boolean {
    if (!a.keys || !b.keys) return a.keys === b.keys
    const [one, other] = [Buffer.from(a.keys.toServer), Buffer.from(a.keys.toEndpoint)]
    return one.equals(b.keys.toServer) && other.equals(b.keys.toEndpoint)
}

function isLabel(label: number): boolean {
    return Number.isInteger(label) && label >= 0 && label <= u32
}

function problemWithLeg(leg: Leg): string | undefined {
    if (!leg.session || !leg.endpoint) return "a leg needs a session and an endpoint"
    if (!Number.isInteger(leg.ssrc) || leg.ssrc < 1 || leg.ssrc > u32) return "the SSRC is not in 1..2^32-1"
    if (leg.plain ? leg.keys !== undefined : leg.keys?.toServer.length !== masterBytes)
        return "a leg has keys, or is plain by an operator's word"
    if (leg.codec !== undefined && !isCodecName(leg.codec)) return `there is no codec ${String(leg.codec)}`
    if (!isIPv4(leg.remoteIp) || (leg.plain && !isIPv4(leg.plain.ip))) return "the remote address is no IPv4 address"
    const portMin = leg.plain ? 0 : 1
    if (!isPort(leg.remotePort, portMin)) return `the remote port is not in ${portMin}..65535`
    if (leg.plain && !isPort(leg.plain.port, 0)) return "the source port is not in 0..65535"
    return undefined
}

function isPort(port: number, min: number): boolean {
    return Number.isInteger(port) && port >= min && port <= 65535
}
