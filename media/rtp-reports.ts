/**
 * One leg's reports: what is counted of the stream that comes and the one that goes, the compounds that say so to the far side
 * each second, and what the far side says in turn. From both, how good the leg is.
 *
 * Owns the numbers of RFC 3550 (A.3, 6.4). The same at both ends: routing server and media engine. Pure: time comes in.
 */

import type { CodecName } from "./codec.ts"
import { opinion } from "./e-model.ts"
import {
    Compound,
    descriptionOf,
    middleOf,
    ntpFractionOf,
    ntpSecondsOf,
    Report,
    ReportBlock,
    readRtcp,
    roundTripMs,
    writeRtcp,
} from "./rtcp.ts"
import { type RtpHeader, sequenceDistance } from "./rtp.ts"

/** Reports follow each other after about this time; each leg a little out of step (RFC 3550, 6.3.1). */
export const reportIntervalMs = 1000
/** Loss is judged over so many reports: one second of 50 packets says little. */
const window = 8
/** Jumps of the sequence number beyond this begin the count anew. */
const jumpMost = 3000
/** What the far side said longer ago does not count any more. */
const staleMs = 5000

export interface LegQuality {
    /** Loss in per cent over the last 8 s: of what comes here, and of what the far side misses. */
    lossInPercent: number
    lossOutPercent: number
    /** Interarrival jitter of what the far side receives; -1: it has not said. */
    jitterOutMs: number
    /** -1: not known (yet). */
    roundTripMs: number
    /** The E-model's estimate for the worse direction, 1..4.5. */
    opinion: number
}

/** Sums over the last reports. */
class LossWindow {
    private readonly expected = new Float64Array(window)
    private readonly lost = new Float64Array(window)
    private at = 0

    add(expected: number, lost: number): void {
        this.expected[this.at] = expected
        this.lost[this.at] = Math.max(0, Math.min(expected, lost))
        this.at = (this.at + 1) % window
    }

    get percent(): number {
        let expected = 0
        let lost = 0
        for (let i = 0; i < window; i++) {
            expected += this.expected[i]!
            lost += this.lost[i]!
        }
        return expected === 0 ? 0 : (lost * 100) / expected
    }
}

export class RtpReports {
    /** Valid compounds that came, and others. */
    received = 0
    malformed = 0

    private readonly compound = new Compound()
    private readonly report = new Report()
    private readonly block = new ReportBlock()
    private description = ""

    private isHearing = false
    private heardSsrc = 0
    private baseSequence = 0
    private highest = 0
    private heard = 0
    private expectedBefore = 0
    private heardBefore = 0
    private readonly lossIn = new LossWindow()

    private sentSsrc = 0
    private sentAtMs = 0
    private sentTimestamp = 0
    private sentPackets = 0
    private sentOctets = 0
    private readonly lossOut = new LossWindow()

    private lastReportMiddle = 0
    private lastReportAtMs = 0
    private roundTrip = -1
    private jitterOutMs = -1
    private blockAtMs = Number.NEGATIVE_INFINITY

    constructor(
        private readonly codec: CodecName,
        private readonly clockRate: number,
        private readonly cname: string,
    ) {}

    /** An RTP packet has come and is right. */
    hear(header: RtpHeader): void {
        const { ssrc, sequence } = header
        const distance = this.isHearing ? sequenceDistance(sequence, this.highest & 0xffff) : 0
        if (!this.isHearing || ssrc !== this.heardSsrc || distance > jumpMost || distance < -jumpMost) {
            this.isHearing = true
            this.heardSsrc = ssrc
            this.baseSequence = sequence
            this.highest = sequence
            this.heard = 1
            this.expectedBefore = 0
            this.heardBefore = 0
            return
        }
        if (distance > 0) this.highest += distance
        this.heard++
    }

    /** An RTP packet has been sent. */
    sent(ssrc: number, timestamp: number, payloadBytes: number, nowUnixMs: number): void {
        if (ssrc !== this.sentSsrc) {
            this.sentSsrc = ssrc
            this.sentPackets = 0
            this.sentOctets = 0
        }
        this.sentAtMs = nowUnixMs
        this.sentTimestamp = timestamp
        this.sentPackets++
        this.sentOctets += payloadBytes
    }

    /** Writes the report that is due: the loss since the one before goes into it. `jitterMs`: of what comes here. */
    write(packet: Uint8Array, ssrc: number, jitterMs: number, nowUnixMs: number, isBye = false): number {
        const { report } = this
        report.ssrc = ssrc
        report.isSender = ssrc === this.sentSsrc && this.sentPackets > 0
        report.ntpSeconds = ntpSecondsOf(nowUnixMs)
        report.ntpFraction = ntpFractionOf(nowUnixMs)
        report.timestamp = this.sentTimestamp + Math.round(((nowUnixMs - this.sentAtMs) * this.clockRate) / 1000)
        report.packets = this.sentPackets
        report.octets = this.sentOctets
        report.isBye = isBye
        report.block = this.isHearing ? this.fillBlock(jitterMs, nowUnixMs) : undefined
        const description = `${ssrc} ${this.cname}`
        if (description !== this.description) {
            this.description = description
            report.description = descriptionOf(ssrc, this.cname)
        }
        return writeRtcp(packet, report)
    }

    /** Reads a compound of the far side. "" or what is wrong with it. */
    take(packet: Uint8Array, bytes: number, nowUnixMs: number): string {
        const { compound } = this
        const wrong = readRtcp(packet, bytes, compound)
        if (wrong) {
            this.malformed++
            return wrong
        }
        this.received++
        if (compound.hasSenderReport) {
            this.lastReportMiddle = middleOf(compound.ntpSeconds, compound.ntpFraction)
            this.lastReportAtMs = nowUnixMs
        }
        const block = compound.blockOn(this.sentSsrc)
        if (!block) return ""
        this.blockAtMs = nowUnixMs
        this.lossOut.add(256, block.fractionLost)
        this.jitterOutMs = (block.jitter * 1000) / this.clockRate
        const measured = roundTripMs(block, nowUnixMs)
        // One slow answer is no slow network.
        if (measured !== undefined)
            this.roundTrip = this.roundTrip < 0 ? measured : this.roundTrip + (measured - this.roundTrip) / 4
        return ""
    }

    /** Loss in per cent of what is sent, as the far side has told of the last 8 s; undefined: it has not, or not lately. */
    lossOutPercent(nowUnixMs: number): number | undefined {
        return nowUnixMs - this.blockAtMs < staleMs ? this.lossOut.percent : undefined
    }

    /** Whether the compound that was taken last says that its sender leaves. */
    get isBye(): boolean {
        return this.compound.isBye
    }

    /** `bufferMs`: play-out delay of what comes; `frameMs`: length of a packet. */
    quality(bufferMs: number, frameMs: number, nowUnixMs: number): LegQuality {
        const known = this.lossOutPercent(nowUnixMs)
        const isFresh = known !== undefined
        const lossInPercent = this.lossIn.percent
        const lossOutPercent = known ?? 0
        const oneWayMs = Math.max(0, this.roundTrip) / 2 + bufferMs + 2 * frameMs
        return {
            lossInPercent,
            lossOutPercent,
            jitterOutMs: isFresh ? this.jitterOutMs : -1,
            roundTripMs: isFresh ? this.roundTrip : -1,
            opinion: opinion(this.codec, oneWayMs, Math.max(lossInPercent, lossOutPercent)),
        }
    }

    private fillBlock(jitterMs: number, nowUnixMs: number): ReportBlock {
        const { block } = this
        const expected = this.highest - this.baseSequence + 1
        const expectedNow = expected - this.expectedBefore
        const lostNow = Math.max(0, expectedNow - (this.heard - this.heardBefore))
        this.expectedBefore = expected
        this.heardBefore = this.heard
        this.lossIn.add(expectedNow, lostNow)
        block.ssrc = this.heardSsrc
        block.fractionLost = expectedNow <= 0 ? 0 : Math.min(255, Math.floor((lostNow * 256) / expectedNow))
        block.lost = expected - this.heard
        block.highestSequence = this.highest >>> 0
        block.jitter = Math.round((jitterMs * this.clockRate) / 1000)
        block.lastReport = this.lastReportMiddle
        block.sinceLastReport =
            this.lastReportMiddle === 0 ? 0 : Math.round(((nowUnixMs - this.lastReportAtMs) * 65536) / 1000) >>> 0
        return block
    }
}
