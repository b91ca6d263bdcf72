/**
 * The media plane of a routing server: one UDP socket for endpoint probes and RTP, the sessions' mixers, one 20 ms ticker.
 *
 * Owns legs, links and what is counted. Never signals, never decides who may be in a session, never opens a link: packets to
 * neighbours leave through `sendOnLink`, packets from them enter through `receiveFromLink`. Nothing received changes sessions.
 */

import { randomInt } from "node:crypto"
import { isIPv4 } from "node:net"
import type { CodecName } from "../../../media/codec.ts"
import { codecs, isCodecName } from "../../../media/codecs.ts"
import { loadOpus } from "../../../media/opus.ts"
import { type Failure, failure, type Outcome, success } from "../../../media/outcome.ts"
import { RtpHeader, readRtp } from "../../../media/rtp.ts"
import { systemClock, Ticker } from "../../../media/ticker.ts"
import { openUdp, type UdpIo } from "../../../media/udp.ts"
import { probeAnswers, probeAsks, probeBytes, readProbe } from "../../../protocol/probe.ts"
import { Channel, tickMs } from "./channel.ts"
import { dspUnitsOf } from "./dsp-units.ts"
import type { Leg, MediaPlaneFace, MediaPlaneOptions, PlaneRefusal, PlaneStatistics, TreeLink } from "./interface.ts"
import { Mixer } from "./mixer.ts"
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
const u32 = 4294967295

interface HeldLeg extends Leg {
    channel: Channel
    /** When its endpoint joined last. */
    sinceMs: number
}

interface HeldLink extends TreeLink {
    channel: Channel
}

export class MediaPlane implements MediaPlaneFace {
    private readonly sessions = new Map<string, Mixer>()
    private readonly legs = new Map<number, HeldLeg>()
    /** By peer, then by the label that its packets carry. */
    private readonly links = new Map<string, Map<number, HeldLink>>()
    private readonly ticker = new Ticker(tickMs)
    private readonly limit: ProbeLimit
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
    }

    constructor(private readonly options: MediaPlaneOptions) {
        this.limit = new ProbeLimit(options.probesPerSecond ?? planeLimits.probesPerSecond)
    }

    async start(): Promise<Outcome<{ port: number }>> {
        if (this.io) return success({ port: this.io.port })
        await loadOpus()
        const { ip, port } = this.options
        const opened = await openUdp(ip, port, (datagram, fromIp, fromPort) => this.receive(datagram, fromIp, fromPort))
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
        if (held && held.channel.codec.name === codec) {
            held.sinceMs = systemClock.nowMs()
            if (held.remoteIp === leg.remoteIp && held.remotePort === leg.remotePort) return success(undefined)
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
        const created: HeldLeg = {
            ...leg,
            channel: new Channel("leg", codecs[codec], randomInt(1, u32), randomInt(u32), packet =>
                this.io?.send(packet, created.remoteIp, created.remotePort),
            ),
            sinceMs: systemClock.nowMs(),
        }
        // Anybody may name an address when they join. Only a packet from there proves that it wants to hear us; until
        // then nothing is sent, so that nobody can turn our sound on somebody else.
        created.channel.open = false
        this.legs.set(leg.ssrc, created)
        this.enter(leg.session, created.channel)
        return success(undefined)
    }

    removeLeg(ssrc: number): boolean {
        const leg = this.legs.get(ssrc)
        if (!leg) return false
        this.legs.delete(ssrc)
        this.leave(leg.session, leg.channel)
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
        const known = this.links.get(peer)
        const sameLabel = known?.get(labelIn)
        if (sameLabel && sameLabel.session !== session)
            return failure("taken", `label ${labelIn} of ${peer} belongs to another session`, "maker")
        if (!isCodecName(codec)) return failure("malformed", `there is no codec ${String(codec)}`, "maker")
        const held = this.findLink(session, peer)
        if (held && held.channel.codec.name !== codec) this.removeLink(session, peer)
        else if (held) {
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
            channel: new Channel("link", codecs[codec], randomInt(1, u32), randomInt(u32), packet =>
                this.sendOnLink(created, packet),
            ),
        }
        const labels = this.links.get(peer) ?? new Map<number, HeldLink>()
        labels.set(labelIn, created)
        this.links.set(peer, labels)
        this.enter(session, created.channel)
        return success(undefined)
    }

    removeLink(session: string, peer: string): boolean {
        const link = this.findLink(session, peer)
        if (!link) return false
        const labels = this.links.get(peer)!
        labels.delete(link.labelIn)
        if (labels.size === 0) this.links.delete(peer)
        this.leave(session, link.channel)
        return true
    }

    receiveFromLink(peer: string, label: number, packet: Buffer): void {
        const link = this.links.get(peer)?.get(label)
        if (!link || !readRtp(packet, this.header)) {
            this.counts.unknownLabel++
            return
        }
        this.deliver(link.channel, packet)
    }

    dspUnitsUsed(): number {
        let units = 0
        for (const mixer of this.sessions.values())
            for (const { kind, codec } of mixer.channels) units += dspUnitsOf(kind, codec.name)
        return units
    }

    silentLegs(sinceMs: number): Leg[] {
        const heardBefore = systemClock.nowMs() - sinceMs
        return [...this.legs.values()].filter(leg => Math.max(leg.sinceMs, leg.channel.lastHeardMs) < heardBefore)
    }

    statistics(): PlaneStatistics {
        const nowMs = systemClock.nowMs()
        return {
            sessions: this.sessions.size,
            legs: [...this.legs.values()].map(leg => ({
                endpoint: leg.endpoint,
                ssrc: leg.ssrc,
                ...channelStatistics(leg.session, leg.channel, nowMs),
            })),
            links: [...this.links.values()].flatMap(labels =>
                [...labels.values()].map(link => ({
                    peer: link.peer,
                    ...channelStatistics(link.session, link.channel, nowMs),
                })),
            ),
            dspUnitsUsed: this.dspUnitsUsed(),
            datagrams: { ...this.counts, sendFailures: this.sendOnLinkFailures + (this.io?.sendFailures ?? 0) },
            ticks: this.ticker.statistics(),
        }
    }

    async close(): Promise<void> {
        for (const ssrc of [...this.legs.keys()]) this.removeLeg(ssrc)
        for (const labels of [...this.links.values()])
            for (const link of [...labels.values()]) this.removeLink(link.session, link.peer)
        const io = this.io
        this.io = undefined
        await io?.close()
    }

    /** Part of the ticker: one tick of every session. */
    onTick(deadlineMs: number, tick: number): void {
        for (const mixer of this.sessions.values()) mixer.tick(deadlineMs, tick)
    }

    private receive(datagram: Buffer, ip: string, port: number): void {
        if (this.options.hears?.(ip) === false) return
        this.counts.received++
        if (datagram[0] === probeFirstByte && datagram.length === probeBytes) this.answerProbe(datagram, ip, port)
        else if (datagram[0] === probeFirstByte && this.takenByServer(datagram, ip, port)) return
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
        if (!this.limit.allows(ip, systemClock.nowMs())) {
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
        const leg = this.legs.get(this.header.ssrc)
        if (!leg) this.counts.unknownLeg++
        else if (leg.remotePort !== port || leg.remoteIp !== ip) this.counts.wrongAddress++
        else if (this.deliver(leg.channel, datagram)) leg.channel.open = true
    }

    /** Whether it was a packet that the stream may have. */
    private deliver(channel: Channel, packet: Buffer): boolean {
        const outcome =
            this.header.payloadType === channel.codec.payloadType
                ? channel.receive(packet, this.header, systemClock.nowMs(), this.ticker.behindMs())
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

    private countLinks(): number {
        let count = 0
        for (const labels of this.links.values()) count += labels.size
        return count
    }
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

function isLabel(label: number): boolean {
    return Number.isInteger(label) && label >= 0 && label <= u32
}

function problemWithLeg(leg: Leg): string | undefined {
    if (!leg.session || !leg.endpoint) return "a leg needs a session and an endpoint"
    if (!Number.isInteger(leg.ssrc) || leg.ssrc < 1 || leg.ssrc > u32) return "the SSRC is not in 1..2^32-1"
    if (leg.codec !== undefined && !isCodecName(leg.codec)) return `there is no codec ${String(leg.codec)}`
    if (!isIPv4(leg.remoteIp)) return "the remote address is no IPv4 address"
    if (!Number.isInteger(leg.remotePort) || leg.remotePort < 1 || leg.remotePort > 65535)
        return "the remote port is not in 1..65535"
    return undefined
}
