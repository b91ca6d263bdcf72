/**
 * An endpoint as routing servers see it, played: attaches, joins, sends a tone or silence at the pace of sound and notes when it
 * hears one.
 */

import { createSocket, type Socket } from "node:dgram"
import { readLegKeys } from "../../media/leg-keys.ts"
import { pcmuPayloadType, pcmuSilence } from "../../media/pcmu.ts"
import { isRtcp } from "../../media/rtcp.ts"
import { RtpHeader, readRtp, rtpHeaderBytes, writeRtp } from "../../media/rtp.ts"
import { SrtpReceiver, SrtpSender, srtpTagBytes } from "../../media/srtp.ts"
import { Ticker } from "../../media/ticker.ts"
import type { JoinDone } from "../../protocol/messages.ts"
import { encodePcmu } from "../media/g711.ts"
import { loopbackAddress } from "../support/addresses.ts"
import { within } from "../support/deadline.ts"
import { type BrokerAddress, connectParty, type TestParty } from "../support/mqtt.ts"

const frameSamples = 160
const packetMs = 20
/** Below this share of loud bytes a packet is a pause, or the end of a sound that fades. */
const loudShare = 0.5

export class PlayedEndpoint {
    readonly id: string
    readonly party: TestParty
    /** When packets with sound in them came, of the monotonic clock. */
    readonly heardMs: number[] = []
    /** What it says: a tone, or nothing. It sends all the same. */
    isLoud = false
    readonly #socket: Socket
    readonly #ip: string
    readonly #ticker = new Ticker(packetMs)
    readonly #tone: Uint8Array
    readonly #header = new RtpHeader()
    #sender: SrtpSender | undefined
    #receiver: SrtpReceiver | undefined
    #sequence = 0
    #requests = 0
    #place: JoinDone | undefined
    #onPacketOf: Record<"sound" | "silence", () => void> = { sound: () => {}, silence: () => {} }

    private constructor(party: TestParty, id: string, socket: Socket, ip: string) {
        this.id = id
        this.party = party
        this.#socket = socket
        this.#ip = ip
        const samples = Int16Array.from({ length: frameSamples }, (_, i) => 8000 * Math.sin((2 * Math.PI * i) / 8))
        this.#tone = new Uint8Array(frameSamples)
        encodePcmu(samples, frameSamples, this.#tone, 0)
        // It may live for as long as it likes.
        party.closed.catch(() => {})
        socket.on("message", packet => this.#onPacket(packet))
    }

    static async connect(broker: BrokerAddress, id: string, secret: string): Promise<PlayedEndpoint> {
        const party = await connectParty(broker, id, secret)
        await party.subscribe(`parley/v1/ep/${id}/in/#`)
        const ip = loopbackAddress()
        const socket = createSocket("udp4")
        await new Promise<void>(resolve => socket.bind(0, ip, resolve))
        return new PlayedEndpoint(party, id, socket, ip)
    }

    /** Attaches to a routing server. */
    async attach(rs: string): Promise<void> {
        await this.request(rs, "attach", { boot: 1 })
    }

    /** Joins and sends from then on; what the server answers. */
    async join(rs: string, sid: string): Promise<JoinDone> {
        const { port } = this.#socket.address()
        const { verb, message } = await this.request(rs, "join", { sid, ip: this.#ip, port })
        if (verb !== "done") throw new Error(`${this.id} is refused: ${JSON.stringify(message)}`)
        this.#place = message as JoinDone
        const keys = readLegKeys(this.#place.key)
        if (!keys) throw new Error("the answer has no keys")
        this.#sender = new SrtpSender(keys.toServer)
        this.#receiver = new SrtpReceiver(keys.toEndpoint)
        this.#sequence = 0
        this.#ticker.add(this)
        return this.#place
    }

    /** Sends a request and awaits its answer, done or refused. */
    // biome-ignore lint/suspicious/noExplicitAny: tests know what they expect
    async request(rs: string, verb: string, fields: object): Promise<{ verb: string; message: any }> {
        const id = ++this.#requests
        const { client } = this.party
        const prefix = `parley/v1/ep/${this.id}/in/rs/${rs}/`
        let look: (topic: string, payload: Buffer) => void = () => {}
        // biome-ignore lint/suspicious/noExplicitAny: as above
        const answer = new Promise<{ verb: string; message: any }>(resolve => {
            look = (topic, payload) => {
                if (!topic.startsWith(prefix)) return
                const message = JSON.parse(payload.toString())
                if (message.re === id) resolve({ verb: topic.slice(prefix.length), message })
            }
        })
        client.on("message", look)
        try {
            await this.party.publish(`parley/v1/ep/${this.id}/out/rs/${rs}/${verb}`, { id, ...fields })
            return await within(answer, `an answer to ${verb} of ${this.id}`)
        } finally {
            client.off("message", look)
        }
    }

    /** The next packet with sound in it, or without. */
    nextHeard(what: "sound" | "silence" = "sound"): Promise<void> {
        return new Promise(resolve => {
            this.#onPacketOf[what] = resolve
        })
    }

    /** Part of the ticker. */
    onTick(_deadlineMs: number, tick: number): void {
        if (!this.#place || !this.#sender) return
        const { ssrc, ip, port } = this.#place
        const packet = Buffer.alloc(rtpHeaderBytes + frameSamples + srtpTagBytes, pcmuSilence)
        writeRtp(packet, false, pcmuPayloadType, this.#sequence++, tick * frameSamples, ssrc)
        if (this.isLoud) packet.set(this.#tone, rtpHeaderBytes)
        this.#sender.protect(packet, rtpHeaderBytes + frameSamples)
        this.#socket.send(packet, port, ip)
    }

    async end(): Promise<void> {
        this.#ticker.remove(this)
        this.#socket.close()
        await this.party.end()
    }

    #onPacket(datagram: Buffer): void {
        const taken = isRtcp(datagram) ? undefined : this.#receiver?.unprotect(datagram)
        if (typeof taken !== "number") return
        const packet = datagram.subarray(0, taken)
        if (!readRtp(packet, this.#header)) return
        let loud = 0
        for (let i = rtpHeaderBytes; i < packet.length; i++) if ((packet[i] & 0x7f) < 0x60) loud++
        const what = loud < loudShare * frameSamples ? "silence" : "sound"
        if (what === "sound") this.heardMs.push(performance.now())
        this.#onPacketOf[what]()
    }
}
