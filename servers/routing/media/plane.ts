/**
 * The media plane of a routing server: one UDP socket for endpoint probes, RTP and RTCP, one 20 ms ticker, and the sessions that
 * both serve, with their legs and links.
 *
 * Owns the socket, what each datagram is, and how many came to what. Never signals, never decides who may be in a session, never
 * opens a link: packets to neighbours leave through `sendOnLink`, packets from them enter through `receiveFromLink`. Nothing
 * received changes sessions.
 */

import { type MediaHost, systemHost } from "../../../media/host.ts"
import { loadOpus } from "../../../media/opus.ts"
import { type Outcome, success } from "../../../media/outcome.ts"
import { isRtcp } from "../../../media/rtcp.ts"
import { RtpHeader, readRtp } from "../../../media/rtp.ts"
import type { SrtpRefusal } from "../../../media/srtp.ts"
import { Ticker, type TickerClock } from "../../../media/ticker.ts"
import type { UdpIo } from "../../../media/udp.ts"
import { probeAnswers, probeAsks, probeBytes, readProbe } from "../../../protocol/probe.ts"
import { type Channel, tickMs } from "./channel.ts"
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
import { Legs } from "./legs.ts"
import { Links } from "./links.ts"
import { ProbeLimit } from "./probe-limit.ts"
import { Sessions } from "./sessions.ts"

export type * from "./interface.ts"

const probesPerSecondDefault = 200
const probeFirstByte = 0x50
/** No train takes longer. */
const trainMs = 100

export class MediaPlane implements MediaPlaneFace {
    private readonly sessions: Sessions
    private readonly legs: Legs
    private readonly links: Links
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
        this.limit = new ProbeLimit(options.probesPerSecond ?? probesPerSecondDefault)
        this.sessions = new Sessions({
            onFirst: () => this.ticker.add(this),
            onLast: () => this.ticker.remove(this),
            onSpeaker: (session, speaker) => this.tellSpeaker(session, speaker),
            onMix: options.onMix,
        })
        this.links = new Links(this.sessions, this.clock, (peer, label, packet) => this.sendOnLink(peer, label, packet))
        this.legs = new Legs({
            sessions: this.sessions,
            clock: this.clock,
            send: (packet, ip, port) => this.io?.send(packet, ip, port),
            onGone: session => this.links.dropDeserted(session),
        })
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
        return this.legs.add(leg)
    }

    removeLeg(ssrc: number): boolean {
        return this.legs.remove(ssrc)
    }

    setMuted(ssrc: number, on: boolean): boolean {
        return this.legs.setMuted(ssrc, on)
    }

    addLink(link: TreeLink): Outcome<void, PlaneRefusal> {
        return this.links.add(link)
    }

    removeLink(session: string, peer: string): boolean {
        return this.links.remove(session, peer)
    }

    setSessionKeys(session: string, keys: SessionKeys | undefined): void {
        this.links.setSessionKeys(session, keys)
    }

    reports(): LegReport[] {
        return this.legs.reports()
    }

    dspUnitsUsed(): number {
        return this.sessions.dspUnitsUsed()
    }

    silentLegs(sinceMs: number): Leg[] {
        return this.legs.silent(sinceMs)
    }

    statistics(): PlaneStatistics {
        const nowMs = this.clock.nowMs()
        return {
            sessions: this.sessions.count,
            legs: this.legs.statistics(nowMs),
            links: this.links.statistics(nowMs),
            dspUnitsUsed: this.dspUnitsUsed(),
            datagrams: { ...this.counts, sendFailures: this.sendOnLinkFailures + (this.io?.sendFailures ?? 0) },
            ticks: this.ticker.statistics(),
        }
    }

    async close(): Promise<void> {
        this.legs.removeAll()
        this.links.dropAll()
        const io = this.io
        this.io = undefined
        await io?.close()
    }

    /** Part of the ticker: one tick of every session. */
    onTick(deadlineMs: number, tick: number): void {
        this.legs.beginTick(deadlineMs)
        this.links.dropLeft(deadlineMs)
        this.sessions.tick(deadlineMs, tick)
        this.legs.report(tick)
    }

    receiveFromLink(peer: string, label: number, packet: Buffer): void {
        const link = this.links.at(peer, label)
        if (!link) {
            this.counts.unknownLabel++
            return
        }
        const protection = this.links.protectionOf(link.session)
        const taken = protection?.unprotect(packet, this.clock.nowMs())
        if (typeof taken !== "number") {
            if (taken === "replayed") this.counts.replayed++
            else this.counts.noKey++
            return
        }
        if (readRtp(packet, this.header, taken)) this.deliver(link.channel, packet)
        else this.counts.unknownLabel++
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
        const isTaken = this.options.serverDatagram?.(datagram, ip, port, reply) ?? false
        // More of a train is to come, and when each of its packets came is what is asked.
        if (isTaken) this.io?.hurry?.(trainMs)
        return isTaken
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
        const leg = this.legs.ofSound(this.header, ip, port)
        if (typeof leg === "string") {
            this.counts[leg]++
            return
        }
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
        if (this.deliver(leg.channel, datagram)) this.legs.hear(leg, this.header, ip, port)
    }

    private receiveRtcp(datagram: Buffer, ip: string, port: number): void {
        const leg = this.legs.at(datagram.readUInt32BE(4), ip, port)
        if (typeof leg === "string") {
            this.counts[leg]++
            return
        }
        const taken = leg.receiver ? leg.receiver.unprotectRtcp(datagram) : datagram.length
        if (typeof taken !== "number") this.refuse(taken)
        else if (leg.reports.take(datagram, taken, performance.timeOrigin + this.clock.nowMs())) this.counts.malformed++
        else this.counts.reports++
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

    private sendOnLink(peer: string, label: number, packet: Buffer): void {
        try {
            this.options.sendOnLink(peer, label, packet)
        } catch {
            this.sendOnLinkFailures++
        }
    }

    private tellSpeaker(session: string, speaker: Channel | undefined): void {
        const { onSpeaker } = this.options
        if (!onSpeaker) return
        const endpoint = speaker && this.legs.endpointOf(speaker)
        const peer = speaker && this.links.peerOf(speaker)
        try {
            onSpeaker(session, endpoint, peer)
        } catch (error) {
            this.options.log?.("onSpeaker failed", { session, error: String(error) })
        }
    }
}
