/**
 * The legs of a media plane: the endpoints of its sessions at this server, by SSRC, or by address where they are plain.
 *
 * Owns who is held, whose a packet is, and when each reports. Never reads a datagram and
 * never opens a socket: packets leave through `send`.
 */

import { randomInt } from "node:crypto"
import { unknownLossPercent } from "../../../media/codec.ts"
import { failure, type Outcome, success } from "../../../media/outcome.ts"
import { reportBytesMax } from "../../../media/rtcp.ts"
import type { RtpHeader } from "../../../media/rtp.ts"
import { reportIntervalMs } from "../../../media/rtp-reports.ts"
import type { TickerClock } from "../../../media/ticker.ts"
import { type Channel, tickMs } from "./channel.ts"
import { channelStatistics } from "./channel-statistics.ts"
import { HeldLeg } from "./held-leg.ts"
import type { Leg, LegReport, LegStatistics, PlaneRefusal } from "./interface.ts"
import { problemWithLeg } from "./leg-problem.ts"
import { isSamePlain, PlainLegs } from "./plain-legs.ts"
import type { Sessions } from "./sessions.ts"

const legsMost = 4096
const reportTicks = reportIntervalMs / tickMs

/** Why a packet is of no leg: nobody has this SSRC, or its leg has another address. */
export type LegUnfound = "unknownLeg" | "wrongAddress"

export interface LegsOptions {
    sessions: Sessions
    clock: TickerClock
    send: (packet: Buffer, ip: string, port: number) => void
    /** A leg of this session is gone. */
    onGone: (session: string) => void
}

export class Legs {
    private readonly legs = new Map<number, HeldLeg>()
    private readonly plain = new PlainLegs<HeldLeg>()
    /** The present tick's time on the wall; it never goes back. */
    private unixMs = 0
    private readonly reportPacket = Buffer.alloc(reportBytesMax)

    constructor(private readonly options: LegsOptions) {}

    add(leg: Leg): Outcome<void, PlaneRefusal> {
        const wrong = problemWithLeg(leg)
        if (wrong) return failure("malformed", wrong, "maker")
        const codec = leg.codec ?? "pcmu"
        const held = this.legs.get(leg.ssrc)
        if (held && (held.session !== leg.session || held.endpoint !== leg.endpoint))
            return failure("taken", `SSRC ${leg.ssrc} belongs to another leg`, "maker")
        if (held && held.channel.codec.name === codec && isSamePlain(held.plain, leg.plain)) {
            held.goOn(leg, this.options.clock.nowMs())
            return success(undefined)
        }
        // An endpoint that joins again has forgotten its old leg; heard twice it would hear itself.
        for (const other of this.legs.values())
            if (other.session === leg.session && other.endpoint === leg.endpoint) this.remove(other.ssrc)
        if (this.legs.size >= legsMost) return failure("too-many", `${legsMost} legs are held already`, "operator")
        const full = this.options.sessions.problemWithCodec(codec)
        if (full) return full
        if (held) this.remove(leg.ssrc)
        if (leg.plain && this.plain.isTaken(leg.plain))
            return failure("taken", `${leg.plain.ip}:${leg.plain.port} is another leg's address`, "operator")
        const { clock, send } = this.options
        const created = new HeldLeg(leg, codec, clock.nowMs(), { send, unixMs: () => this.unixMs })
        this.legs.set(leg.ssrc, created)
        if (leg.plain) this.plain.add(created, leg.plain)
        this.options.sessions.enter(leg.session, created.channel)
        return success(undefined)
    }

    remove(ssrc: number): boolean {
        const leg = this.legs.get(ssrc)
        if (!leg) return false
        this.legs.delete(ssrc)
        if (leg.plain) this.plain.remove(leg)
        this.options.sessions.leave(leg.session, leg.channel)
        this.options.onGone(leg.session)
        return true
    }

    removeAll(): void {
        for (const ssrc of [...this.legs.keys()]) this.remove(ssrc)
    }

    setMuted(ssrc: number, on: boolean): boolean {
        const leg = this.legs.get(ssrc)
        if (leg) leg.channel.muted = on
        return leg !== undefined
    }

    /** The leg that a packet of sound is of, be it the first one of a plain leg. */
    ofSound({ ssrc, payloadType }: RtpHeader, ip: string, port: number): HeldLeg | LegUnfound {
        const isNewcomer = !this.legs.has(ssrc)
        return (isNewcomer && this.plain.newcomer(ip, port, payloadType)) || this.at(ssrc, ip, port)
    }

    /** The leg that a datagram is of: by its SSRC and address, or by the address alone where it is plain. */
    at(ssrc: number, ip: string, port: number): HeldLeg | LegUnfound {
        const plain = this.plain.at(ip, port)
        if (plain) return plain
        const leg = this.legs.get(ssrc)
        if (!leg || leg.plain) return "unknownLeg"
        if (leg.remotePort !== port || leg.remoteIp !== ip) return "wrongAddress"
        return leg
    }

    /** Sound of a leg has come from where it may come from: now it is known that it wants to hear us, and where. */
    hear(leg: HeldLeg, header: RtpHeader, ip: string, port: number): void {
        if (leg.plain && leg.remotePort === 0) {
            leg.remoteIp = ip
            leg.remotePort = port
        }
        leg.channel.open = true
        leg.reports.hear(header)
    }

    endpointOf(channel: Channel): string | undefined {
        for (const leg of this.legs.values()) if (leg.channel === channel) return leg.endpoint
        return undefined
    }

    /** Legs from which nothing fit has come for `sinceMs`; of plain ones nothing is expected. */
    silent(sinceMs: number): Leg[] {
        const heardBefore = this.options.clock.nowMs() - sinceMs
        return [...this.legs.values()].filter(
            leg => !leg.plain && Math.max(leg.sinceMs, leg.channel.lastHeardMs) < heardBefore,
        )
    }

    reports(): LegReport[] {
        return [...this.legs.values()].map(leg => ({
            session: leg.session,
            endpoint: leg.endpoint,
            ssrc: leg.ssrc,
            ...this.qualityOf(leg),
        }))
    }

    statistics(nowMs: number): LegStatistics[] {
        return [...this.legs.values()].map(leg => ({
            endpoint: leg.endpoint,
            ssrc: leg.ssrc,
            plain: leg.plain !== undefined,
            reports: leg.reports.received,
            ...this.qualityOf(leg),
            ...channelStatistics(leg.session, leg.channel, nowMs),
        }))
    }

    /** A tick begins: what is sent from now on is sent at this time. */
    beginTick(deadlineMs: number): void {
        this.unixMs = performance.timeOrigin + deadlineMs
    }

    /** Sends the reports that are due at this tick. */
    report(tick: number): void {
        for (const leg of this.legs.values()) if (tick >= leg.reportTick) this.reportOf(leg, tick)
    }

    /** Says what was sent and what has come, about once a second. */
    private reportOf(leg: HeldLeg, tick: number): void {
        // Not all in one tick, and never in step with each other (RFC 3550, 6.3.1).
        leg.reportTick = tick + reportTicks - 5 + randomInt(10)
        leg.channel.lossPercent = leg.reports.lossOutPercent(this.unixMs) ?? unknownLossPercent
        // Whoever has shown no RTCP on this port may take it for bad sound.
        if (!leg.channel.open || leg.channel.sent === 0 || (leg.plain && leg.reports.received === 0)) return
        const packet = this.reportPacket
        const { jitterMs } = leg.channel.jitter.statistics()
        let bytes = leg.reports.write(packet, leg.channel.ssrc, jitterMs, this.unixMs)
        if (leg.channel.sender) bytes = leg.channel.sender.protectRtcp(packet, bytes)
        if (bytes > 0) this.options.send(packet.subarray(0, bytes), leg.remoteIp, leg.remotePort)
    }

    private qualityOf(leg: HeldLeg) {
        const { delayMs } = leg.channel.jitter.statistics()
        return leg.reports.quality(delayMs, tickMs, performance.timeOrigin + this.options.clock.nowMs())
    }
}
