/**
 * A session at one server under virtual time, without sockets: members say what a function gives and hear what the mixer sends.
 * Owns nothing that outlives a test. Networks between are perfect unless a member has its own `pass`.
 */

import assert from "node:assert/strict"
import { type Codec, type CodecName, type Decoder, type Encoder, soundRate } from "../../media/codec.ts"
import { codecs } from "../../media/codecs.ts"
import { RtpHeader, readRtp, rtpHeaderBytes, writeRtp } from "../../media/rtp.ts"
import { Channel, type ChannelKind, frameSamples, tickMs } from "../../servers/routing/media/channel.ts"
import { Mixer } from "../../servers/routing/media/mixer.ts"

export interface MemberOptions {
    kind?: ChannelKind
    codec?: CodecName
    /** The sample with this number since the room began. */
    say: (at: number) => number
    /** False: the packet with this number is lost on its way to the server. */
    arrives?: (number: number) => boolean
}

export class Member {
    readonly channel: Channel
    /** Packets that the server sent, in order. */
    readonly packets: Buffer[] = []
    readonly codec: Codec
    private readonly encoder: Encoder
    private readonly header = new RtpHeader()
    private readonly frame = new Int16Array(frameSamples)
    private readonly packet: Uint8Array

    constructor(
        private readonly options: MemberOptions,
        private readonly index: number,
    ) {
        this.codec = codecs[options.codec ?? "pcmu"]
        const encoder = this.codec.createEncoder()
        assert.ok(encoder, "an encoder")
        this.encoder = encoder
        this.packet = new Uint8Array(rtpHeaderBytes + this.codec.payloadBytesMax)
        const emit = (packet: Buffer) => void this.packets.push(Buffer.from(packet))
        this.channel = new Channel(options.kind ?? "leg", this.codec, index + 1, index * 1000, emit)
    }

    /** Says the frame of this tick, which arrives at once. */
    speak(tick: number): void {
        for (let i = 0; i < frameSamples; i++) this.frame[i] = Math.round(this.options.say(tick * frameSamples + i))
        const { codec, packet, header } = this
        const bytes = this.encoder.encode(this.frame, frameSamples, packet, rtpHeaderBytes)
        const timestamp = (tick * codec.clockRate * tickMs) / 1000
        writeRtp(packet, false, codec.payloadType, tick, timestamp, this.index + 100)
        if (this.options.arrives?.(tick) === false) return
        assert.ok(readRtp(packet.subarray(0, rtpHeaderBytes + bytes), header), "valid RTP")
        this.channel.receive(packet, header, tick * tickMs)
    }

    /** All that the server sent, decoded; of a link, without its pauses. */
    heard(): Int16Array {
        const decoder = this.codec.createDecoder() as Decoder
        const sound = new Int16Array(this.packets.length * frameSamples)
        const frame = new Int16Array(960)
        this.packets.forEach((packet, index) => {
            const count = decoder.decode(packet, rtpHeaderBytes, packet.length - rtpHeaderBytes, frame)
            assert.equal(count, frameSamples)
            sound.set(frame.subarray(0, count), index * frameSamples)
        })
        decoder.free()
        return sound
    }

    free(): void {
        this.encoder.free()
    }
}

export class Room {
    readonly members: Member[] = []
    readonly speakers: (Member | undefined)[] = []
    /** When each of them began to be the speaker. */
    readonly speakerTicks: number[] = []
    tick = 0
    private readonly mixer = new Mixer(channel => {
        this.speakers.push(this.members.find(member => member.channel === channel))
        this.speakerTicks.push(this.tick)
    })

    add(options: MemberOptions): Member {
        const member = new Member(options, this.members.length)
        this.members.push(member)
        this.mixer.add(member.channel)
        return member
    }

    remove(member: Member): void {
        this.members.splice(this.members.indexOf(member), 1)
        this.mixer.remove(member.channel)
        member.free()
    }

    /** Lets so many ticks of 20 ms pass. */
    pass(ticks: number): void {
        for (let i = 0; i < ticks; i++) {
            this.tick++
            for (const member of this.members) member.speak(this.tick)
            this.mixer.tick(this.tick * tickMs + 10, this.tick)
        }
    }
}

/** Speech, again and again, beginning at sample `from` of it. */
export function talking(speech: Int16Array, from = 0): (at: number) => number {
    return at => speech[(at + from) % speech.length]!
}

export const tone = (hertz: number, amplitude: number) => (at: number) =>
    amplitude * Math.sin((2 * Math.PI * hertz * at) / soundRate)
