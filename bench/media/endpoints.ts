/**
 * The endpoints of `mixing.ts` and `janus.ts`, in a process of their own: each sends a packet of speech every 20 ms, at a time of
 * its own within them, or what a muted engine sends, and counts what comes back; over SRTP, it reports on it each second as every
 * engine does. Owns the sockets; many endpoints share one, their SSRC tells them apart.
 */
import { BatchLoop } from "../../media/batch-udp/loop.ts"
import type { Codec, CodecName } from "../../media/codec.ts"
import { codecs } from "../../media/codecs.ts"
import { systemHost } from "../../media/host.ts"
import { loadOpus } from "../../media/opus.ts"
import { Pause } from "../../media/pause.ts"
import { isRtcp, reportBytesMax } from "../../media/rtcp.ts"
import { RtpHeader, readRtp, rtpHeaderBytes } from "../../media/rtp.ts"
import { RtpReports } from "../../media/rtp-reports.ts"
import { SrtpReceiver, SrtpSender } from "../../media/srtp.ts"
import type { UdpIo } from "../../media/udp.ts"
import { endpointsIp, keysOf } from "./addresses.ts"
import { encodedSpeech, withHeader } from "./speech.ts"

export type EndpointsOrder =
    | EndpointsStart
    /** Where the server is: one port for each endpoint, or the same for all. */
    | { type: "speak"; ip: string; ports: number[] }
    | { type: "count" }

export interface EndpointsStart {
    type: "start"
    codec: CodecName
    participants: number
    roomSize: number
    talkers: number
    /** RTP, else SRTP. */
    isPlain: boolean
    /** Between packets: see `speak`. */
    sleeps: boolean
}

export interface EndpointsReport {
    sent: number
    received: number
    /** Of those received over plain RTP, the ones with sound in them. */
    sounding: number
    /** When it was counted, on this process's clock. */
    atMs: number
}

const sockets = 4
const packetsOfSecond = 50
const packetBytes = 1500
const opusSilenceBytesMax = 16

/** Whoever drives a thousand endpoints from one processor must not be at its limit before the measured one is. */
const host = BatchLoop.open() ?? systemHost

class Endpoints {
    private readonly sockets: UdpIo[] = []
    private readonly counts = { sent: 0, received: 0, sounding: 0 }
    private codec!: Codec
    private payloads: Uint8Array[] = []
    private senders: SrtpSender[] = []
    private pauses: Pause[] = []
    private sentOf: number[] = []
    private order!: EndpointsStart
    private server: { ip: string; ports: number[] } = { ip: "", ports: [] }
    private readonly packet = Buffer.alloc(packetBytes)
    private readonly header = new RtpHeader()
    private reports: RtpReports[] = []
    /** By the SSRC that the server sends to it with. */
    private readonly hearing = new Map<number, RtpReports>()
    /** By socket, in order: those to whom nothing has come yet. */
    private waiting: { receiver: SrtpReceiver; reports: RtpReports }[][] = []

    async start(order: EndpointsStart): Promise<{ ports: number[] }> {
        await loadOpus()
        this.order = order
        this.codec = codecs[order.codec]
        this.payloads = encodedSpeech(this.codec)
        this.pauses = Array.from({ length: order.participants }, () => new Pause())
        this.sentOf = Array.from({ length: order.participants }, () => 0)
        const { name, clockRate } = this.codec
        this.reports = Array.from({ length: order.participants }, (_, i) => new RtpReports(name, clockRate, `${i}`))
        this.senders = Array.from({ length: order.participants }, (_, i) => new SrtpSender(keysOf(i).toServer))
        this.waiting = Array.from({ length: sockets }, () => [])
        for (const [i, reports] of this.reports.entries())
            this.waiting[i % sockets].push({ receiver: new SrtpReceiver(keysOf(i).toEndpoint), reports })
        for (let i = 0; i < sockets; i++) {
            const opened = await host.openUdp(endpointsIp, 0, datagram => this.receive(datagram, i))
            if (!opened.ok) throw new Error(opened.what)
            this.sockets.push(opened.value)
        }
        return { ports: this.sockets.map(({ port }) => port) }
    }

    private receive(datagram: Buffer, socket: number): void {
        if (isRtcp(datagram) || !readRtp(datagram, this.header)) return
        this.counts.received++
        if (this.order.isPlain) {
            if (hasSound(datagram)) this.counts.sounding++
            return
        }
        const { ssrc } = this.header
        const known = this.hearing.get(ssrc) ?? this.ownerOf(datagram, socket)
        if (!known) return
        this.hearing.set(ssrc, known)
        known.hear(this.header)
    }

    /** Whose key it was protected with tells whom it is for: nearly always the first of those who wait, as a server goes in order. */
    private ownerOf(datagram: Buffer, socket: number): RtpReports | undefined {
        const waiting = this.waiting[socket]
        const owner = waiting.findIndex(({ receiver }) => typeof receiver.unprotect(Buffer.from(datagram)) === "number")
        return owner < 0 ? undefined : waiting.splice(owner, 1)[0].reports
    }

    private report(index: number): void {
        const reports = this.reports[index]
        const packet = Buffer.alloc(reportBytesMax)
        const bytes = reports.write(packet, index + 1, 0, performance.timeOrigin + performance.now())
        const length = this.senders[index].protectRtcp(packet, bytes)
        if (length === 0) return
        const { ip, ports } = this.server
        this.sockets[index % sockets].send(packet.subarray(0, length), ip, ports[index % ports.length])
    }

    /**
     * Sends what is due each millisecond: a twentieth of the endpoints. Without sleep in between it takes its processor from what
     * the server does beside its main thread, which makes that wait; with it, on loopback, whoever sends pays for waking it.
     */
    speak(server: { ip: string; ports: number[] }): void {
        this.server = server
        const startMs = performance.now()
        let done = 0
        const work = () => {
            for (; done <= performance.now() - startMs; done++) this.sendOf(done)
            if (this.order.sleeps) host.clock.after(1, work)
            else host.clock.afterInput(work)
        }
        work()
    }

    count(): EndpointsReport {
        return { ...this.counts, atMs: performance.now() }
    }

    private sendOf(millisecond: number): void {
        const { participants, roomSize, talkers, isPlain } = this.order
        const { ip, ports } = this.server
        const number = Math.floor(millisecond / 20)
        for (let index = millisecond % 20; index < participants; index += 20) {
            const talks = index % roomSize < talkers
            if (!isPlain && (number + index) % packetsOfSecond === 0) this.report(index)
            if (!this.pauses[index].isDue(!talks)) continue
            const payload = talks ? this.payloads[(number + index * 37) % this.payloads.length] : this.codec.silence
            const plain = withHeader(this.packet, this.codec, payload, this.sentOf[index]++, number, index + 1)
            const bytes = isPlain ? plain : this.senders[index].protect(this.packet, plain)
            const port = ports[index % ports.length]
            this.sockets[index % sockets].send(this.packet.subarray(0, bytes), ip, port)
            this.counts.sent++
        }
    }
}

/** Silence is one byte again and again in PCMU, and a few bytes in Opus. */
function hasSound(packet: Uint8Array): boolean {
    for (let i = rtpHeaderBytes + opusSilenceBytesMax; i < packet.length; i++)
        if (packet[i] !== packet[rtpHeaderBytes]) return true
    return false
}

if (process.send) {
    const endpoints = new Endpoints()
    process.on("disconnect", () => process.exit(0))
    process.on("message", async (order: EndpointsOrder) => {
        if (order.type === "start") process.send?.(await endpoints.start(order))
        else if (order.type === "speak") process.send?.(endpoints.speak(order) ?? {})
        else process.send?.(endpoints.count())
    })
}
