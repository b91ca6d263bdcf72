/**
 * A board's media engine: the leg to a routing server, microphone and speaker, mute and volume, probes and the watch.
 *
 * Owns the UDP socket on the board's own address and everything that is heard or said. Never decides: the firmware opens, closes
 * and mutes (through `server.ts`). Starts muted and closed; `close`, `stop` and `start` never lift a mute.
 * It works in pieces of 5 ms, as a sound card does: what is captured in a piece is complete at its tick, what is played is
 * handed over one piece ahead.
 */

import { randomInt } from "node:crypto"
import { type Codec, type Encoder, soundRate, unknownLossPercent } from "../../media/codec.ts"
import { codecOfPayloadType } from "../../media/codecs.ts"
import { type MediaHost, systemHost } from "../../media/host.ts"
import { JitterBuffer } from "../../media/jitter-buffer.ts"
import type { LegKeys } from "../../media/leg-keys.ts"
import { power, powerToDb } from "../../media/level.ts"
import { loadOpus } from "../../media/opus.ts"
import type { Outcome } from "../../media/outcome.ts"
import { success } from "../../media/outcome.ts"
import { Pause } from "../../media/pause.ts"
import { isRtcp, reportBytesMax } from "../../media/rtcp.ts"
import { RtpHeader, readRtp, rtpHeaderBytes, writeRtp } from "../../media/rtp.ts"
import { RtpReports, reportIntervalMs } from "../../media/rtp-reports.ts"
import { SrtpReceiver, SrtpSender, srtpTagBytes } from "../../media/srtp.ts"
import { Ticker, type TickerClock } from "../../media/ticker.ts"
import type { UdpIo, UdpRefusal } from "../../media/udp.ts"
import { probeAnswers, probeAsks, probeBytes, readProbe, writeProbe } from "../../protocol/probe.ts"
import { CardClock } from "./card-clock.ts"
import type { MediaEngineStatistics, SoundSink, SoundSource } from "./interface.ts"
import { Microphone } from "./microphone.ts"
import { Prober, type ProberEffect } from "./prober.ts"
import { Recorder } from "./recorder.ts"
import { Underlay, type UnderlayOptions } from "./underlay.ts"

const pieceMs = 5
const pieceSamples = (soundRate * pieceMs) / 1000
const levelPieces = 100 / pieceMs
const legSilenceMs = 2000
const jitterFloorMs = 4
const jitterMaxMs = 250
const packetBuffers = 4
/** Length of a codec's packet of silence. */
const silenceMs = 20

/** A stall of up to 200 ms loses no sound, as the buffers of a sound card are that long. */
const stallMs = 200

/** One timer for all boards of a process. */
const soundTicker = new Ticker(pieceMs, systemHost.clock, stallMs)

export type EngineEvent =
    | Exclude<ProberEffect, { type: "send" }>
    | { type: "legLost"; ssrc: number }
    /** Register values that changed by themselves. */
    | { type: "changed" }

export interface LegOptions {
    ssrc: number
    ip: string
    port: number
    payloadType: number
    frameMs: number
    /** Undefined: the far side has given none, and nothing is sent in the clear. */
    keys: LegKeys | undefined
}

interface Leg extends LegOptions {
    sender: SrtpSender
    receiver: SrtpReceiver
    reports: RtpReports
    reportAtMs: number
    codec: Codec
    encoder: Encoder
    jitter: JitterBuffer
    /** Nothing but keep-alives is sent while it is muted. */
    pause: Pause
    /** The encoder has not heard what was before. */
    wasMuted: boolean
    frame: Int16Array
    filled: number
    packets: Buffer[]
    sent: number
    sequence: number
    timestampStart: number
    heardMs: number
    lost: boolean
}

export interface EngineOptions {
    ipAddress: string
    port: number
    recordSeconds: number
    /** How much faster than real time the sound card's clock runs, in parts per million; negative: slower. */
    clockPpm: number
    underlay: UnderlayOptions
    /** Another clock and another network than the process's own: those of a virtual world. */
    host?: MediaHost
    onEvent: (event: EngineEvent) => void
    log?: (event: string, details: Record<string, unknown>) => void
}

export class Engine {
    readonly microphone = new Microphone()
    readonly captured: Recorder
    readonly played: Recorder
    readonly underlay: Underlay
    speaker: SoundSink | undefined
    /** In place of the emulated microphone. */
    source: SoundSource | undefined
    muted = true
    volume = 50

    private io: UdpIo | undefined
    private leg: Leg | undefined
    private readonly prober = new Prober(randomInt(2 ** 31))
    private readonly header = new RtpHeader()
    private readonly probeOut = Buffer.alloc(probeBytes)
    private readonly heard = new Int16Array(pieceSamples)
    private readonly said = new Int16Array(pieceSamples)
    private readonly inputPowers = new Float64Array(levelPieces)
    private readonly outputPowers = new Float64Array(levelPieces)
    private readonly card: CardClock
    private readonly host: MediaHost
    private readonly clock: TickerClock
    private readonly ticker: Ticker
    private refused = 0

    constructor(private readonly options: EngineOptions) {
        this.card = new CardClock(pieceMs, options.clockPpm)
        this.captured = new Recorder(soundRate, options.recordSeconds)
        this.played = new Recorder(soundRate, options.recordSeconds)
        this.host = options.host ?? systemHost
        this.clock = this.host.clock
        this.ticker = options.host ? new Ticker(pieceMs, this.clock, stallMs) : soundTicker
        this.underlay = new Underlay(options.underlay, this.clock)
    }

    async start(): Promise<Outcome<{ ip: string; port: number }, UdpRefusal>> {
        const { ipAddress: ip, port } = this.options
        await loadOpus()
        if (!this.io) {
            const opened = await this.host.openUdp(ip, port, (datagram, fromIp, fromPort) => {
                if (this.underlay.isTransparentFor(fromIp)) {
                    this.receive(datagram, fromIp, fromPort, this.clock.nowMs())
                    return
                }
                const copy = Buffer.from(datagram)
                this.underlay.pass(fromIp, atMs => this.receive(copy, fromIp, fromPort, atMs))
            })
            if (!opened.ok) return opened
            this.io = opened.value
            this.card.restart()
            this.ticker.add(this)
        }
        this.options.onEvent({ type: "changed" })
        return success({ ip, port: this.io.port })
    }

    async stop(): Promise<void> {
        const io = this.io
        if (!io) return
        this.ticker.remove(this)
        this.close()
        this.apply(this.prober.watch("", 0, 0, 0))
        this.muted = true
        this.underlay.clear()
        this.io = undefined
        this.options.onEvent({ type: "changed" })
        await io.close()
    }

    get isOpen(): boolean {
        return this.leg !== undefined
    }

    /** Where the engine sends from; port 0 while it is stopped. */
    get address(): { ip: string; port: number } {
        return { ip: this.options.ipAddress, port: this.io?.port ?? 0 }
    }

    /** Opens the leg in place of any other. What cannot be carried is lost at once, so that nobody waits for it. */
    open(options: LegOptions): void {
        this.close()
        const { keys, ...rest } = options
        const { ssrc, port, payloadType, frameMs } = options
        const codec = codecOfPayloadType(payloadType)
        const isCarried = this.io !== undefined && keys && port !== 0 && codec?.framesMs.includes(frameMs)
        const encoder = isCarried ? codec?.createEncoder() : undefined
        const jitter = codec && encoder ? newJitterBuffer(codec) : undefined
        if (!codec || !encoder || !jitter?.canDecode || !keys) {
            encoder?.free()
            this.options.log?.("leg refused", { ...rest, hasKeys: keys !== undefined, running: this.io !== undefined })
            this.options.onEvent({ type: "legLost", ssrc })
            return
        }
        const packetBytes = rtpHeaderBytes + codec.payloadBytesMax + srtpTagBytes
        this.leg = {
            ...options,
            sender: new SrtpSender(keys.toServer),
            receiver: new SrtpReceiver(keys.toEndpoint),
            reports: new RtpReports(codec.name, codec.clockRate, `engine@${this.options.ipAddress}`),
            reportAtMs: 0,
            codec,
            encoder,
            jitter,
            pause: new Pause(),
            wasMuted: true,
            frame: new Int16Array((frameMs * soundRate) / 1000),
            filled: 0,
            packets: Array.from({ length: packetBuffers }, () => Buffer.alloc(packetBytes)),
            sent: 0,
            // The first wrap must be one that the server can tell (RFC 3711, 3.3.1).
            sequence: randomInt(32768),
            timestampStart: randomInt(2 ** 32),
            heardMs: this.clock.nowMs(),
            lost: false,
        }
        this.options.onEvent({ type: "changed" })
    }

    close(): void {
        if (!this.leg) return
        this.leg.encoder.free()
        this.leg.jitter.free()
        this.leg = undefined
        this.outputPowers.fill(0)
        this.options.onEvent({ type: "changed" })
    }

    probe(tag: number, ip: string, port: number, count: number): void {
        this.apply(this.prober.probe(tag, ip, this.io ? port : 0, count, this.clock.nowMs()))
    }

    watch(ip: string, port: number, intervalMs: number): void {
        this.apply(this.prober.watch(ip, this.io ? port : 0, intervalMs, this.clock.nowMs()))
    }

    statistics(): MediaEngineStatistics {
        const jitter = this.leg?.jitter.statistics()
        const { done, late, skipped, latenessMaxMs } = this.ticker.statistics()
        return {
            open: this.isOpen,
            muted: this.muted,
            volume: this.volume,
            sent: this.leg?.sent ?? 0,
            received: jitter?.received ?? 0,
            lost: jitter?.lost ?? 0,
            late: jitter?.late ?? 0,
            duplicates: jitter?.duplicates ?? 0,
            concealed: Math.ceil((jitter?.concealedSamples ?? 0) / (this.leg?.frame.length ?? 1)),
            jitterMs: jitter?.jitterMs ?? 0,
            delayMs: jitter?.delayMs ?? 0,
            inputDb: meanDb(this.inputPowers),
            outputDb: meanDb(this.outputPowers),
            refused: this.refused,
            ticks: { done, late, skipped, latenessMaxMs },
        }
    }

    /** Part of the ticker: what is due by the sound card's own clock goes in and out, mostly one piece. */
    onTick(deadlineMs: number): void {
        this.underlay.run(deadlineMs)
        ;(this.source ?? this.microphone).skip(this.card.skip(deadlineMs) * pieceSamples)
        while (this.card.isDue(deadlineMs)) {
            const { dueMs, piece } = this.card
            this.capture(dueMs, piece)
            this.play(dueMs, piece)
            this.card.next()
        }
        this.apply(this.prober.tick(this.clock.nowMs()))
        this.checkLeg(deadlineMs)
    }

    private capture(deadlineMs: number, piece: number): void {
        ;(this.source ?? this.microphone).read(this.said, pieceSamples)
        this.captured.append(deadlineMs - pieceMs, this.said, pieceSamples)
        this.inputPowers[piece % levelPieces] = power(this.said)
        const leg = this.leg
        if (!leg) return
        if (this.muted) leg.frame.fill(0, leg.filled, leg.filled + pieceSamples)
        else leg.frame.set(this.said, leg.filled)
        leg.filled += pieceSamples
        if (leg.filled < leg.frame.length) return
        leg.filled = 0
        this.sendFrame(leg, piece)
    }

    private sendFrame(leg: Leg, piece: number): void {
        const { codec, encoder, frame, pause } = leg
        if (!pause.isDue(this.muted)) return
        const packet = leg.packets[leg.sent % packetBuffers]!
        // From the number of the piece: pieces that a stall left out leave a gap in time, as they should.
        const begin = (piece + 1) * pieceSamples - frame.length
        const timestamp = leg.timestampStart + (begin * codec.clockRate) / soundRate
        writeRtp(
            packet,
            leg.sent === 0 || pause.hasEnded,
            leg.payloadType,
            leg.sequence + leg.sent,
            timestamp,
            leg.ssrc,
        )
        leg.sent++
        // A word begun before the press is held back whole: a muted engine sends silence from the next packet on.
        if (this.muted) frame.fill(0)
        if (this.muted || leg.wasMuted) encoder.restart()
        leg.wasMuted = this.muted
        const { silence } = codec
        let bytes = silence.length
        if (this.muted && leg.frameMs === silenceMs) packet.set(silence, rtpHeaderBytes)
        else bytes = encoder.encode(frame, frame.length, packet, rtpHeaderBytes)
        const nowMs = this.clock.nowMs()
        leg.reports.sent(leg.ssrc, timestamp >>> 0, bytes, performance.timeOrigin + nowMs)
        const length = leg.sender.protect(packet, rtpHeaderBytes + bytes)
        if (length > 0) this.send(packet.subarray(0, length), leg.ip, leg.port)
        if (nowMs >= leg.reportAtMs) this.report(leg, nowMs)
    }

    private report(leg: Leg, nowMs: number): void {
        leg.reportAtMs = nowMs + reportIntervalMs * (0.9 + Math.random() / 5)
        const packet = Buffer.alloc(reportBytesMax)
        const { jitterMs } = leg.jitter.statistics()
        const unixMs = performance.timeOrigin + nowMs
        leg.encoder.expectLoss(leg.reports.lossOutPercent(unixMs) ?? unknownLossPercent)
        const bytes = leg.reports.write(packet, leg.ssrc, jitterMs, unixMs)
        const length = leg.sender.protectRtcp(packet, bytes)
        if (length > 0) this.send(packet.subarray(0, length), leg.ip, leg.port)
    }

    private play(deadlineMs: number, piece: number): void {
        const heard = this.heard
        const leg = this.leg
        if (leg) {
            leg.jitter.pull(heard, deadlineMs)
            if (this.volume < 100)
                for (let i = 0; i < pieceSamples; i++) heard[i] = Math.round((heard[i]! * this.volume) / 100)
            this.played.append(deadlineMs + pieceMs, heard, pieceSamples)
        } else heard.fill(0)
        this.outputPowers[piece % levelPieces] = power(heard)
        this.speaker?.write(deadlineMs + pieceMs, heard, pieceSamples)
    }

    private checkLeg(nowMs: number): void {
        const leg = this.leg
        if (!leg || leg.lost || nowMs - leg.heardMs <= legSilenceMs) return
        leg.lost = true
        this.options.onEvent({ type: "legLost", ssrc: leg.ssrc })
    }

    private receive(datagram: Buffer, ip: string, port: number, atMs: number): void {
        const probe = readProbe(datagram)
        if (probe) {
            if (probe.kind === probeAnswers) this.apply(this.prober.answered(probe, ip, port, atMs))
            else this.refused++
            return
        }
        const leg = this.leg
        if (leg?.ip !== ip || leg.port !== port) {
            this.refused++
            return
        }
        if (isRtcp(datagram)) {
            const taken = leg.receiver.unprotectRtcp(datagram)
            if (typeof taken !== "number" || leg.reports.take(datagram, taken, performance.timeOrigin + atMs))
                this.refused++
            return
        }
        const taken = leg.receiver.unprotect(datagram)
        const packet = typeof taken === "number" ? datagram.subarray(0, taken) : undefined
        if (!packet || !readRtp(packet, this.header) || this.header.payloadType !== leg.payloadType) {
            this.refused++
            return
        }
        leg.reports.hear(this.header)
        leg.heardMs = atMs
        leg.lost = false
        leg.jitter.push(packet, this.header, atMs, Math.max(0, atMs - this.ticker.nextDeadlineMs))
    }

    private send(packet: Buffer, ip: string, port: number): void {
        if (this.underlay.isTransparentFor(ip)) this.io?.send(packet, ip, port)
        else {
            const copy = Buffer.from(packet)
            this.underlay.pass(ip, () => this.io?.send(copy, ip, port))
        }
    }

    private apply(effects: ProberEffect[]): void {
        for (const effect of effects) {
            if (effect.type !== "send") this.options.onEvent(effect)
            else {
                const { ip, port, sequence, tag } = effect
                writeProbe(this.probeOut, { kind: probeAsks, load: 0, sequence, tag })
                this.send(Buffer.from(this.probeOut), ip, port)
            }
        }
    }
}

function newJitterBuffer(codec: Codec): JitterBuffer {
    return new JitterBuffer({ codec, pullSamples: pieceSamples, floorMs: jitterFloorMs, maxMs: jitterMaxMs })
}

function meanDb(powers: Float64Array): number {
    let sum = 0
    for (const value of powers) sum += value
    return powerToDb(sum / powers.length)
}
