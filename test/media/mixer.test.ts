import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { decodePcmu, encodePcmu, pcmuSilence } from "../../media/g711.ts"
import { RtpHeader, readRtp, writeRtp } from "../../media/rtp.ts"
import { Channel, type ChannelKind, frameSamples, mixRate, tickMs } from "../../servers/routing/media/channel.ts"
import { Mixer, softLimit } from "../../servers/routing/media/mixer.ts"

/** A mixer under virtual time, with members that each say a steady tone. */
function room(members: { kind?: ChannelKind; hertz: number; amplitude: number }[], ticks = 60) {
    const mixer = new Mixer()
    const header = new RtpHeader()
    const sent: Buffer[][] = members.map(() => [])
    const channels = members.map(
        ({ kind = "leg" }, index) =>
            new Channel(kind, index + 1, index * 1000, packet => sent[index]!.push(Buffer.from(packet))),
    )
    for (const channel of channels) mixer.add(channel)
    const bytes = new Uint8Array(12 + frameSamples)
    const linear = new Int16Array(frameSamples)
    for (let tick = 1; tick <= ticks; tick++) {
        members.forEach(({ hertz, amplitude }, index) => {
            for (let i = 0; i < frameSamples; i++)
                linear[i] = Math.round(
                    amplitude * Math.sin((2 * Math.PI * hertz * (tick * frameSamples + i)) / mixRate),
                )
            writeRtp(bytes, false, 0, tick, tick * frameSamples, index + 100)
            encodePcmu(linear, frameSamples, bytes, 12)
            readRtp(bytes, header)
            channels[index]!.receive(bytes, header, tick * tickMs)
        })
        mixer.tick(tick * tickMs + 10, tick)
    }
    return { sent, channels }
}

/** Amplitude of one frequency in the last half of what was sent. */
function amplitudeOf(packets: Buffer[], hertz: number): number {
    const half = packets.slice(packets.length / 2)
    const linear = new Int16Array(frameSamples)
    let re = 0
    let im = 0
    half.forEach((packet, index) => {
        decodePcmu(packet, 12, frameSamples, linear)
        linear.forEach((sample, i) => {
            const angle = (2 * Math.PI * hertz * (index * frameSamples + i)) / mixRate
            re += sample * Math.cos(angle)
            im += sample * Math.sin(angle)
        })
    })
    return (2 * Math.hypot(re, im)) / (half.length * frameSamples)
}

const tones = [400, 700, 1000, 1300, 1600]

describe("the mixer of a session", () => {
    test("gives everybody all the others and not themselves", () => {
        const members = tones.slice(0, 3).map(hertz => ({ hertz, amplitude: 3000 }))
        const { sent } = room(members)
        members.forEach((_, listener) => {
            members.forEach(({ hertz, amplitude }, speaker) => {
                const heard = amplitudeOf(sent[listener]!, hertz)
                if (speaker === listener) assert.ok(heard < 30, `${listener} hears itself: ${heard}`)
                else assert.ok(Math.abs(heard - amplitude) < 60, `${listener} hears ${speaker} at ${heard}`)
            })
        })
    })

    test("sends on a link everything but what came from it", () => {
        const { sent } = room([
            { kind: "link", hertz: 400, amplitude: 3000 },
            { kind: "link", hertz: 700, amplitude: 3000 },
            { hertz: 1000, amplitude: 3000 },
        ])
        assert.ok(amplitudeOf(sent[0]!, 400) < 30, "no echo into the first link")
        assert.ok(amplitudeOf(sent[0]!, 700) > 2900, "the other link")
        assert.ok(amplitudeOf(sent[0]!, 1000) > 2900, "the local endpoint")
        assert.ok(amplitudeOf(sent[1]!, 400) > 2900, "through to the second link")
    })

    test("lets the three loudest be heard, and gives those three only the other two", () => {
        const members = tones.map((hertz, index) => ({ hertz, amplitude: 1000 + 700 * index }))
        const { sent } = room(members)
        for (const listener of [0, 1])
            for (const speaker of [2, 3, 4]) assert.ok(amplitudeOf(sent[listener]!, tones[speaker]!) > 2000, "heard")
        assert.ok(amplitudeOf(sent[0]!, tones[1]!) < 30, "the fourth is not heard")
        assert.ok(amplitudeOf(sent[4]!, tones[4]!) < 30, "the loudest does not hear itself")
        assert.ok(amplitudeOf(sent[4]!, tones[3]!) > 2000, "but the second")
        assert.ok(amplitudeOf(sent[4]!, tones[0]!) < 30, "and none of the quiet ones")
    })

    test("passes a single speaker on unchanged, at any loudness", () => {
        const { sent } = room([
            { hertz: 400, amplitude: 32000 },
            { hertz: 0, amplitude: 0 },
        ])
        assert.ok(amplitudeOf(sent[1]!, 400) > 31500, "full scale is not bent")
        const silent = sent[0]!.every(packet => packet.subarray(12).every(byte => byte === pcmuSilence))
        assert.ok(silent, "and hears digital silence")
    })

    test("bends sums that are too loud, without wrapping and without losing their order", () => {
        let previous = -Infinity
        for (let sum = -98304; sum <= 98301; sum += 7) {
            const limited = softLimit(sum)
            assert.ok(limited >= previous && limited >= -32768 && limited <= 32767, `${sum} -> ${limited}`)
            if (Math.abs(sum) <= 24576) assert.equal(limited, sum)
            previous = limited
        }
    })

    test("sends endpoints a packet every tick, with timestamps of the tick, also when nobody speaks", () => {
        const { sent } = room([
            { hertz: 0, amplitude: 0 },
            { hertz: 0, amplitude: 0 },
        ])
        const header = new RtpHeader()
        assert.equal(sent[0]!.length, 60)
        sent[1]!.forEach((packet, index) => {
            assert.ok(readRtp(packet, header), "valid RTP")
            assert.equal(header.sequence, (1000 + index) & 0xffff)
            assert.equal(header.timestamp, 1000 + (index + 1) * frameSamples)
            assert.equal(header.marker, index === 0)
            assert.equal(header.payloadBytes, frameSamples)
        })
    })

    test("sends little on a link when nobody speaks", () => {
        const { sent } = room(
            [
                { kind: "link", hertz: 0, amplitude: 0 },
                { hertz: 0, amplitude: 0 },
            ],
            500,
        )
        assert.ok(sent[0]!.length >= 15 && sent[0]!.length <= 35, `${sent[0]!.length} packets in 10 s`)
    })

    test("sends nothing for a session that is reserved and that nobody is in yet, and wakes when somebody is", () => {
        const mixer = new Mixer()
        let sent = 0
        const links = [1, 2].map(ssrc => new Channel("link", ssrc, 0, () => sent++))
        for (const link of links) mixer.add(link)
        let tick = 1
        for (; tick <= 500; tick++) mixer.tick(tick * tickMs, tick)
        assert.equal(sent, 0)
        const header = new RtpHeader()
        const bytes = new Uint8Array(12 + frameSamples).fill(0x10, 12)
        writeRtp(bytes, true, 0, 1, 160, 7)
        readRtp(bytes, header)
        links[0].receive(bytes, header, tick * tickMs)
        for (let i = 0; i < 5; i++, tick++) mixer.tick(tick * tickMs, tick)
        assert.ok(sent > 0, "what came from one link goes on to the other")
        const leg = new Channel("leg", 3, 0, () => {})
        const other = new Mixer()
        other.add(new Channel("link", 4, 0, () => {}))
        other.add(leg)
        for (let i = 0; i < 5; i++, tick++) other.tick(tick * tickMs, tick)
        assert.equal(leg.sent, 5, "who is here is sent to from the first tick on")
    })
})
