import assert from "node:assert/strict"
import { before, describe, test } from "node:test"
import { findClicks } from "../../media/clicks.ts"
import { type CodecName, soundRate, unknownLossPercent } from "../../media/codec.ts"
import { codecs } from "../../media/codecs.ts"
import { levelDb } from "../../media/level.ts"
import { measure, toneSnrDb } from "../../media/measure.ts"
import { loadOpus } from "../../media/opus.ts"
import { rtpHeaderBytes } from "../../media/rtp.ts"
import { type Member, Room, talking, tone } from "./room.ts"
import { readSpeech } from "./speech.ts"

const speech = readSpeech()
const silent = () => 0
const both: CodecName[] = ["pcmu", "opus"]

before(loadOpus)

function clicksIn(sound: Int16Array): string[] {
    return findClicks(sound).map(({ kind, atMs, size, contrast }) => `${kind} at ${atMs} ms: ${size}, ${contrast}`)
}

/** Of what is said by a function of the sample's number with what a member heard. */
function correlationOf(say: (at: number) => number, member: Member): number {
    const heard = member.heard()
    // The first frame is said in tick 1.
    const said = Int16Array.from({ length: heard.length }, (_, at) => say(at + 320))
    const measured = measure({ atMs: 0, samples: said }, { atMs: 0, samples: heard }, { maxDelayMs: 100 })
    assert.ok(measured.ok, measured.ok ? "" : measured.what)
    return measured.value.correlation
}

describe("mixing with codecs", () => {
    test("carries speech between all of them, without a click", () => {
        for (const from of both)
            for (const to of both) {
                const room = new Room()
                room.add({ codec: from, say: talking(speech) })
                const listener = room.add({ codec: to, say: silent })
                room.pass(500)
                const correlation = correlationOf(talking(speech), listener)
                assert.ok(
                    correlation > (from === to && from === "pcmu" ? 0.99 : 0.95),
                    `${from} to ${to}: ${correlation}`,
                )
                assert.deepEqual(clicksIn(listener.heard()), [], `${from} to ${to}`)
            }
    })

    test("carries a tone of 1 kHz over PCMU with 35 dB, also over a second server", () => {
        const far = new Room()
        const speaker = far.add({ say: tone(1000, 10000) })
        const link = far.add({ kind: "link", say: silent })
        const near: Int16Array[] = []
        far.pass(150)
        near.push(link.heard())
        const second = new Room()
        second.add({ kind: "link", say: at => near[0]![at] ?? 0 })
        const listener = second.add({ say: silent })
        second.pass(120)
        const once = toneSnrDb(near[0]!.subarray(soundRate / 2), 1000)
        const twice = toneSnrDb(listener.heard().subarray(soundRate), 1000)
        assert.ok(once >= 35, `${once} dB`)
        assert.ok(twice >= 35, `${twice} dB`)
        assert.equal(speaker.packets.length, 150)
    })

    test("encodes once for all listeners of a codec, and once for each of the three who are heard", () => {
        const room = new Room()
        let encodes = 0
        for (let i = 0; i < 20; i++)
            room.add({ codec: i % 2 ? "opus" : "pcmu", say: i < 3 ? tone(300 + 200 * i, 5000) : silent })
        room.pass(20)
        const originals = both.map(name => codecs[name])
        // The encoders are made by now: what they do is counted on their prototypes.
        const restore = originals.map(codec => {
            const encoder = codec.createEncoder()
            assert.ok(encoder, "an encoder")
            const prototype = Object.getPrototypeOf(encoder)
            const { encode } = prototype
            prototype.encode = function (...values: unknown[]) {
                encodes++
                return encode.apply(this, values)
            }
            encoder.free()
            return () => {
                prototype.encode = encode
            }
        })
        room.pass(10)
        for (const back of restore) back()
        // The members' own encoders are the same classes: 20 of them speak in each tick.
        assert.equal(encodes / 10 - 20, 2 + 3)
    })

    test("puts repair into a shared mix while one of its listeners misses something, and none while nobody does", () => {
        const room = new Room()
        room.add({ codec: "opus", say: talking(speech) })
        const listener = room.add({ codec: "opus", say: silent })
        const other = room.add({ codec: "opus", say: silent })
        const repairs = (from: number) => {
            const decoder = codecs.opus.createDecoder()!
            const frame = new Int16Array(960)
            // The first one after a change was made before it.
            const sent = listener.packets.slice(from + 2).filter(packet => packet.length > rtpHeaderBytes + 20)
            assert.ok(sent.length > 50, `${sent.length} packets with speech`)
            const count = sent.filter(
                packet => decoder.recover(packet, rtpHeaderBytes, packet.length - rtpHeaderBytes, frame) > 0,
            ).length
            decoder.free()
            return count
        }
        const passed = (lossPercent: number, otherPercent: number) => {
            listener.channel.lossPercent = lossPercent
            other.channel.lossPercent = otherPercent
            const from = listener.packets.length
            room.pass(150)
            return repairs(from)
        }
        room.pass(10)
        assert.ok(passed(unknownLossPercent, 0) > 20, "nobody has told of the way to this one")
        assert.equal(passed(0, 0), 0)
        assert.ok(passed(0, 1.5) > 20, "the other one misses something")
    })

    test("lets a listener speak, and a speaker listen, without a click for anybody", () => {
        for (const codec of both) {
            // The third comes in and leaves in turn, at the seams of its silence; the first talks all the time.
            const turn = (at: number) => (Math.floor(at / soundRate) % 2 ? speech[at % speech.length]! : 0)
            const room = new Room()
            room.add({ codec, say: talking(speech) })
            const listener = room.add({ codec, say: silent })
            const third = room.add({
                codec,
                say: at => turn(at) * Math.min(1, (at % soundRate) / 800, (soundRate - (at % soundRate)) / 800),
            })
            room.pass(480)
            assert.deepEqual(clicksIn(third.heard()), [], `${codec}: who comes and goes`)
            assert.deepEqual(clicksIn(listener.heard()), [], `${codec}: who listens`)
        }
    })

    test("hears one of four who talk at once no longer when a louder one has come, and not in shreds", () => {
        const room = new Room()
        for (let i = 0; i < 3; i++) room.add({ say: tone(400 + 300 * i, 6000) })
        const quiet = room.add({ say: at => (at > soundRate ? tone(2000, 2000)(at) : 0) })
        const late = room.add({ say: at => (at > 2 * soundRate ? tone(2600, 9000)(at) : 0) })
        room.pass(150)
        assert.equal(quiet.channel.chosen, false)
        assert.equal(late.channel.chosen, true)
        const heardOf = (sound: Int16Array, hertz: number) => {
            let re = 0
            let im = 0
            for (let i = 0; i < sound.length; i++) {
                re += sound[i]! * Math.cos((2 * Math.PI * hertz * i) / soundRate)
                im += sound[i]! * Math.sin((2 * Math.PI * hertz * i) / soundRate)
            }
            return (2 * Math.hypot(re, im)) / sound.length
        }
        const end = quiet.heard().subarray(-soundRate / 4)
        const amplitudes = [400, 700, 1000].map(hertz => heardOf(end, hertz))
        assert.equal(amplitudes.filter(amplitude => amplitude > 5000).length, 2, `${amplitudes}`)
        assert.equal(amplitudes.filter(amplitude => amplitude < 60).length, 1, `${amplitudes}`)
    })

    test("mixes nothing of a muted leg, whatever its packets hold, and ends it without a click", () => {
        for (const codec of both) {
            const room = new Room()
            const talker = room.add({ codec, say: tone(500, 9000) })
            const listener = room.add({ codec, say: silent })
            room.pass(50)
            talker.channel.muted = true
            room.pass(50)
            const heard = listener.heard()
            assert.ok(levelDb(heard.subarray(16000 * 0.7, 16000 * 0.98)) > -20, "heard before")
            assert.ok(levelDb(heard.subarray(16000 * 1.06)) <= -80, `${levelDb(heard.subarray(16000 * 1.06))} dBov`)
            assert.equal(talker.channel.levelDb, -127)
            assert.deepEqual(clicksIn(heard.subarray(8000, 19000)), [], codec)
            talker.channel.muted = false
            room.pass(50)
            assert.ok(levelDb(listener.heard().subarray(-8000)) > -20, "heard again")
        }
    })

    test("lets somebody leave in the middle of a word without a click", () => {
        const room = new Room()
        const talker = room.add({ say: tone(500, 9000) })
        const listener = room.add({ say: silent })
        room.pass(50)
        room.remove(talker)
        room.pass(30)
        const heard = listener.heard()
        assert.deepEqual(clicksIn(heard.subarray(8000, 22000)), [])
        assert.ok(levelDb(heard.subarray(16000 * 1.1)) <= -80)
    })

    test("gives back every encoder and decoder", () => {
        const counts: number[] = []
        for (let round = 0; round < 3; round++) {
            const room = new Room()
            for (let i = 0; i < 8; i++) room.add({ codec: "opus", say: tone(300 + 100 * i, 3000 + 500 * (i % 3)) })
            room.pass(30)
            for (const member of [...room.members]) room.remove(member)
            let free = 0
            const held = []
            for (let part = codecs.opus.createDecoder(); part && free < 5000; part = codecs.opus.createDecoder()) {
                held.push(part)
                free++
            }
            for (const part of held) part.free()
            counts.push(free)
        }
        assert.ok(
            counts.every(count => count === counts[0]),
            `${counts}`,
        )
    })
})

describe("the active speaker", () => {
    const amplitudes = (room: Room, levels: (at: number) => number[]) => {
        const count = levels(0).length
        return Array.from({ length: count }, (_, index) =>
            room.add({ say: at => levels(at / soundRate)[index]! * Math.sin(at * (0.1 + 0.05 * index)) }),
        )
    }

    test("is who has been loudest for 300 ms, and stays so through a pause and a short word of another", () => {
        const room = new Room()
        const [first, second] = amplitudes(room, seconds => {
            if (seconds < 1) return [0, 0]
            if (seconds < 3) return [8000, 0]
            if (seconds < 4) return [0, 0]
            if (seconds < 4.2) return [0, 4000]
            if (seconds < 6) return [8000, 0]
            return [0, 9000]
        })
        room.pass(400)
        assert.deepEqual(room.speakers, [first, second])
        assert.ok(Math.abs(room.speakerTicks[0]! - 65) <= 3, `after ${room.speakerTicks[0]} ticks`)
        assert.ok(room.speakerTicks[1]! >= 315 && room.speakerTicks[1]! <= 335, `after ${room.speakerTicks[1]} ticks`)
    })

    test("does not change between two who are about equally loud", () => {
        const room = new Room()
        amplitudes(room, seconds => [8000 + 1000 * Math.sin(seconds * 4), 8000 - 1000 * Math.sin(seconds * 4)])
        room.pass(500)
        assert.equal(room.speakers.length, 1)
    })

    test("is nobody after 3 s of silence, and when they leave", () => {
        const room = new Room()
        const [first] = amplitudes(room, seconds => [seconds < 2 ? 8000 : 0, 0])
        room.pass(350)
        assert.deepEqual(room.speakers, [first, undefined])
        const other = new Room()
        const [gone] = amplitudes(other, () => [8000, 0])
        other.pass(50)
        assert.deepEqual(other.speakers, [gone])
        other.remove(gone!)
        other.pass(1)
        assert.deepEqual(other.speakers, [gone, undefined])
    })

    test("is told at most every 250 ms, and never one who is muted", () => {
        const room = new Room()
        const [first, second] = amplitudes(room, seconds => {
            const isFirst = Math.floor(seconds * 2.5) % 2 === 0
            return isFirst ? [20000, 0] : [0, 20000]
        })
        room.pass(500)
        for (let i = 1; i < room.speakerTicks.length; i++)
            assert.ok(room.speakerTicks[i]! - room.speakerTicks[i - 1]! >= 12.5, `${room.speakerTicks}`)
        second!.channel.muted = true
        const before = room.speakers.length
        room.pass(300)
        assert.ok(
            room.speakers.slice(before).every(member => member === first),
            "only the first",
        )
    })
})
