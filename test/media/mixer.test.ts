import assert from "node:assert/strict"
import { before, describe, test } from "node:test"
import { type CodecName, soundRate } from "../../media/codec.ts"
import { FrameSum, framePower } from "../../media/frames.ts"
import { power } from "../../media/level.ts"
import { loadOpus } from "../../media/opus.ts"
import { pcmuSilence } from "../../media/pcmu.ts"
import { createRandom } from "../../media/random.ts"
import { RtpHeader, readRtp } from "../../media/rtp.ts"
import type { ChannelKind } from "../../servers/routing/media/channel.ts"
import { Room } from "./room.ts"

before(loadOpus)

/** A mixer under virtual time, with members that each say a steady tone. */
function room(members: { kind?: ChannelKind; hertz: number; amplitude: number; codec?: CodecName }[], ticks = 60) {
    const room = new Room()
    const all = members.map(({ kind, hertz, amplitude, codec }) =>
        room.add({ kind, codec, say: at => amplitude * Math.sin((2 * Math.PI * hertz * at) / soundRate) }),
    )
    room.pass(ticks)
    return { sent: all.map(member => member.packets), heard: all.map(member => member.heard()) }
}

/** Amplitude of one frequency in the last half of what was heard. */
function amplitudeOf(heard: Int16Array, hertz: number): number {
    const half = heard.subarray(heard.length / 2)
    let re = 0
    let im = 0
    half.forEach((sample, i) => {
        const angle = (2 * Math.PI * hertz * i) / soundRate
        re += sample * Math.cos(angle)
        im += sample * Math.sin(angle)
    })
    return (2 * Math.hypot(re, im)) / half.length
}

const tones = [400, 700, 1000, 1300, 1600]

describe("the mixer of a session", () => {
    test("gives everybody all the others and not themselves", () => {
        const members = tones.slice(0, 3).map(hertz => ({ hertz, amplitude: 3000 }))
        const { heard } = room(members)
        members.forEach((_, listener) => {
            members.forEach(({ hertz, amplitude }, speaker) => {
                const amount = amplitudeOf(heard[listener]!, hertz)
                if (speaker === listener) assert.ok(amount < 30, `${listener} hears itself: ${amount}`)
                else assert.ok(Math.abs(amount - amplitude) < 60, `${listener} hears ${speaker} at ${amount}`)
            })
        })
    })

    test("sends on a link everything but what came from it", () => {
        const { heard } = room([
            { kind: "link", hertz: 400, amplitude: 3000 },
            { kind: "link", hertz: 700, amplitude: 3000 },
            { hertz: 1000, amplitude: 3000 },
        ])
        assert.ok(amplitudeOf(heard[0]!, 400) < 30, "no echo into the first link")
        assert.ok(amplitudeOf(heard[0]!, 700) > 2900, "the other link")
        assert.ok(amplitudeOf(heard[0]!, 1000) > 2900, "the local endpoint")
        assert.ok(amplitudeOf(heard[1]!, 400) > 2900, "through to the second link")
    })

    test("lets the three loudest be heard, and gives those three only the other two", () => {
        const members = tones.map((hertz, index) => ({ hertz, amplitude: 1000 + 700 * index }))
        const { heard } = room(members)
        for (const listener of [0, 1])
            for (const speaker of [2, 3, 4]) assert.ok(amplitudeOf(heard[listener]!, tones[speaker]!) > 2000, "heard")
        assert.ok(amplitudeOf(heard[0]!, tones[1]!) < 30, "the fourth is not heard")
        assert.ok(amplitudeOf(heard[4]!, tones[4]!) < 30, "the loudest does not hear itself")
        assert.ok(amplitudeOf(heard[4]!, tones[3]!) > 2000, "but the second")
        assert.ok(amplitudeOf(heard[4]!, tones[0]!) < 30, "and none of the quiet ones")
    })

    test("passes a single speaker on unchanged, at any loudness", () => {
        const { sent, heard } = room([
            { hertz: 400, amplitude: 32000 },
            { hertz: 0, amplitude: 0 },
        ])
        assert.ok(amplitudeOf(heard[1]!, 400) > 31500, "full scale is not bent")
        const silent = sent[0]!.every(packet => packet.subarray(12).every(byte => byte === pcmuSilence))
        assert.ok(silent, "and hears digital silence")
    })

    test("bends sums that are too loud, without wrapping and without losing their order", () => {
        const sum = new FrameSum(8)
        const frame = new Int16Array(8)
        let previous = -Infinity
        for (let total = -98301; total <= 98301; total += 7) {
            sum.clear()
            for (let rest = total, part = 0; part < 3; part++, rest -= frame[0]!) {
                frame.fill(Math.round(rest / (3 - part)))
                sum.add(frame)
            }
            const limited = sum.take(false)[5]!
            assert.ok(limited >= previous, `${total} -> ${limited}`)
            if (Math.abs(total) <= 24576) assert.equal(limited, total)
            else
                assert.ok(
                    Math.abs(limited) > 24576 && Math.sign(limited) === Math.sign(total),
                    `${total} -> ${limited}`,
                )
            previous = limited
        }
    })

    test("adds up exactly, and takes one out again, whatever else is in the sum", () => {
        const random = createRandom(5)
        const frames = Array.from({ length: 3 }, () =>
            Int16Array.from({ length: 320 }, () => Math.round((random() - 0.5) * 16000)),
        )
        const sum = new FrameSum(320)
        sum.clear()
        for (const frame of frames) sum.add(frame)
        const all = Int16Array.from(frames[0]!, (_, i) => frames[0]![i]! + frames[1]![i]! + frames[2]![i]!)
        assert.deepEqual(sum.take(false), all)
        assert.deepEqual(
            sum.without(frames[1]!, false),
            Int16Array.from(all, (sample, i) => sample - frames[1]![i]!),
        )
        const loud = new Int16Array(320).fill(-32768)
        assert.equal(framePower(loud), 32768 * 32768)
        assert.ok(Math.abs(framePower(frames[0]!) - power(frames[0]!)) < 1e-3)
        sum.clear()
        sum.add(loud)
        assert.deepEqual(sum.take(true), loud, "one voice alone is left as it is")
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
            assert.equal(header.timestamp, 1000 + (index + 1) * 160)
            assert.equal(header.marker, index === 0)
            assert.equal(header.payloadBytes, 160)
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
        const room = new Room()
        const say = () => 8000
        const [first, second] = [1, 2].map(() => room.add({ kind: "link", say, arrives: () => false }))
        room.pass(500)
        assert.equal(first.packets.length + second.packets.length, 0)
        room.add({ kind: "link", say })
        room.pass(10)
        assert.ok(first.packets.length > 0, "what comes from one link goes on to the others")

        const other = new Room()
        other.add({ kind: "link", say, arrives: () => false })
        const leg = other.add({ say: () => 0, arrives: () => false })
        other.pass(5)
        assert.equal(leg.packets.length, 5, "who is here is sent to from the first tick on")
    })
})
