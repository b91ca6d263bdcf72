import assert from "node:assert/strict"
import { before, describe, test } from "node:test"
import type { Codec, Decoder, Encoder } from "../../media/codec.ts"
import { codecOfPayloadType, codecs } from "../../media/codecs.ts"
import { power, powerToDb } from "../../media/level.ts"
import { measure, toneSnrDb } from "../../media/measure.ts"
import { loadOpus, opus, opusLimits } from "../../media/opus.ts"
import { pcmu } from "../../media/pcmu.ts"
import { createRandom } from "../../media/random.ts"
import { decodePcmu, encodePcmu, pcmuToLinear } from "./g711.ts"
import { readSpeech } from "./speech.ts"

const frame = 320
const speech = readSpeech()

before(loadOpus)

function made<Part>(part: Part | undefined): Part {
    assert.ok(part, "there is one left")
    return part
}

/** What comes out of these encoders and decoders, one after the other. */
function through(codec: Codec, samples: Int16Array, times = 1): Int16Array {
    const ways: [Encoder, Decoder][] = []
    for (let i = 0; i < times; i++) ways.push([made(codec.createEncoder()), made(codec.createDecoder())])
    const packet = new Uint8Array(codec.payloadBytesMax)
    const decoded = new Int16Array(960)
    const out = new Int16Array(samples.length)
    for (let at = 0; at + frame <= samples.length; at += frame) {
        decoded.set(samples.subarray(at, at + frame))
        for (const [encoder, decoder] of ways) {
            const bytes = encoder.encode(decoded, frame, packet, 0)
            assert.equal(codec.samplesOf(packet, 0, bytes), frame)
            assert.equal(decoder.decode(packet, 0, bytes, decoded), frame)
        }
        out.set(decoded.subarray(0, frame), at)
    }
    for (const way of ways) for (const part of way) part.free()
    return out
}

const tone = (hertz: number, amplitude: number, seconds = 2) =>
    Int16Array.from(
        { length: seconds * 16000 },
        (_, i) => amplitude * Math.sin(0.4 + (2 * Math.PI * hertz * i) / 16000),
    )

describe("codecs", () => {
    test("are known by name and payload type", () => {
        assert.equal(codecOfPayloadType(0), codecs.pcmu)
        assert.equal(codecOfPayloadType(111), codecs.opus)
        assert.equal(codecOfPayloadType(8), undefined)
    })

    test("carry speech", () => {
        for (const [codec, least] of [
            [pcmu, 0.99],
            [opus, 0.97],
        ] as const) {
            const heard = { atMs: 0, samples: through(codec, speech) }
            const measured = measure({ atMs: 0, samples: speech.subarray(0, speech.length - 3200) }, heard, {
                maxDelayMs: 50,
            })
            assert.ok(measured.ok, codec.name)
            assert.ok(measured.value.correlation > least, `${codec.name}: ${measured.value.correlation}`)
            assert.ok(measured.value.delayMaxMs < 8, `${codec.name}: ${measured.value.delayMaxMs} ms`)
        }
    })

    test("of PCMU carry a 1 kHz tone with 35 dB, and three times in a row no worse than once", () => {
        for (const amplitude of [3000, 8000, 12345, 16000, 30000]) {
            const once = toneSnrDb(through(pcmu, tone(1000, amplitude)).subarray(8000), 1000)
            const thrice = toneSnrDb(through(pcmu, tone(1000, amplitude), 3).subarray(8000), 1000)
            assert.ok(once >= 35, `${amplitude}: ${once} dB`)
            assert.ok(thrice >= once - 0.5, `${amplitude}: ${thrice} dB after ${once} dB`)
        }
    })

    test("of PCMU are taken in packets of one sample to 200 ms, and sound the same however they are cut", () => {
        assert.deepEqual(
            [0, 1, 481, 1600, 1601].map(bytes => pcmu.samplesOf(new Uint8Array(bytes), 0, bytes)),
            [0, 2, 962, 3200, 0],
        )
        const encoder = made(pcmu.createEncoder())
        const bytes = new Uint8Array(8000)
        for (let at = 0; at < bytes.length; at += 160)
            encoder.encode(speech.subarray(2 * at, 2 * at + frame), frame, bytes, at)
        const cut = (sizes: readonly number[]) => {
            const decoder = made(pcmu.createDecoder())
            const piece = new Int16Array(3200)
            const out: number[] = []
            for (let at = 0, i = 0; at < bytes.length; i++) {
                const size = Math.min(sizes[i % sizes.length]!, bytes.length - at)
                assert.equal(decoder.decode(bytes, at, size, piece), 2 * size)
                out.push(...piece.subarray(0, 2 * size))
                at += size
            }
            return out
        }
        const even = cut([160])
        assert.ok(
            even.some(sample => Math.abs(sample) > 1000),
            "there is speech in it",
        )
        for (const sizes of [[1600], [1488, 560], [1, 1600, 40, 7]]) assert.deepEqual(cut(sizes), even, `${sizes}`)
    })

    test("send silence that is decoded to silence, also after sound", () => {
        for (const codec of Object.values(codecs)) {
            const decoder = made(codec.createDecoder())
            const encoder = made(codec.createEncoder())
            const packet = new Uint8Array(codec.payloadBytesMax)
            const decoded = new Int16Array(960)
            const loud = tone(440, 10000, 0.2)
            for (let at = 0; at < loud.length; at += frame) {
                const bytes = encoder.encode(loud.subarray(at, at + frame), frame, packet, 0)
                decoder.decode(packet, 0, bytes, decoded)
            }
            for (let i = 0; i < 30; i++) {
                assert.equal(decoder.decode(codec.silence, 0, codec.silence.length, decoded), frame)
                if (i > 5) assert.ok(powerToDb(power(decoded, 0, frame)) <= -80, `${codec.name}, frame ${i}`)
            }
            encoder.free()
            decoder.free()
        }
    })

    test("of Opus are repaired by what the next packet holds of a lost one", () => {
        const encoder = made(opus.createEncoder())
        const decoder = made(opus.createDecoder())
        const packets: Uint8Array[] = []
        const packet = new Uint8Array(opus.payloadBytesMax)
        for (let at = 0; at + frame <= 32000; at += frame)
            packets.push(packet.slice(0, encoder.encode(speech.subarray(at, at + frame), frame, packet, 0)))
        const decoded = new Int16Array(960)
        let repaired = 0
        for (let i = 0; i + 1 < packets.length; i += 2) {
            const next = packets[i + 1]!
            if (decoder.recover(next, 0, next.length, decoded) === frame) repaired++
            assert.equal(decoder.decode(next, 0, next.length, decoded), frame)
        }
        assert.ok(repaired > 30, `${repaired} of ${packets.length / 2}`)
        assert.equal(decoder.recover(opus.silence, 0, opus.silence.length, decoded), 0)
        assert.equal(decoder.conceal(frame, decoded), frame)
        assert.equal(decoder.conceal(80, decoded), 160)
        encoder.free()
        decoder.free()
    })

    test("of Opus carry repair only while somebody is expected to need it", () => {
        const encoder = made(opus.createEncoder())
        const decoder = made(opus.createDecoder())
        const packet = new Uint8Array(opus.payloadBytesMax)
        const decoded = new Int16Array(960)
        const repairsOf = (fromFrame: number) => {
            let repairs = 0
            for (let at = fromFrame * frame; at < (fromFrame + 50) * frame; at += frame) {
                const bytes = encoder.encode(speech.subarray(at, at + frame), frame, packet, 0)
                // The first frame after a change was made before it.
                if (at > (fromFrame + 1) * frame && decoder.recover(packet, 0, bytes, decoded) > 0) repairs++
                decoder.decode(packet, 0, bytes, decoded)
            }
            return repairs
        }
        assert.ok(repairsOf(0) > 10, "nobody has told yet")
        encoder.expectLoss(0)
        assert.equal(repairsOf(50), 0)
        encoder.expectLoss(0.2)
        assert.ok(repairsOf(0) > 10, "a little is lost")
        encoder.free()
        decoder.free()
    })

    test("of Opus take no harm from packets of a stranger, and neither does anybody's sound", context => {
        const seed = Number(process.env.PARLEY_SEED ?? 31)
        context.diagnostic(`seed ${seed}`)
        const random = createRandom(seed)
        const before = through(opus, speech.subarray(0, 32000))
        const decoder = made(opus.createDecoder())
        const decoded = new Int16Array(960)
        let decodedCount = 0
        for (let i = 0; i < 30_000; i++) {
            const bytes = new Uint8Array(1 + Math.floor(random() * (random() < 0.7 ? 60 : 1400)))
            for (let k = 0; k < bytes.length; k++) bytes[k] = random() * 256
            const samples = opus.samplesOf(bytes, 0, bytes.length)
            if (samples === 0) continue
            if (random() < 0.3)
                assert.ok([0, 40, 80, 160, 320].includes(decoder.recover(bytes, 0, bytes.length, decoded)))
            const count = decoder.decode(bytes, 0, bytes.length, decoded)
            assert.ok(count === 0 || count === samples, `${count} of ${samples}, seed ${seed}`)
            if (count > 0) decodedCount++
        }
        assert.ok(decodedCount > 5000, `${decodedCount}`)
        decoder.free()
        assert.deepEqual(through(opus, speech.subarray(0, 32000)), before)
    })

    test("of Opus are bounded in number, and freed ones can be had again", () => {
        const limit = opusLimits.streams
        const held: Decoder[] = []
        try {
            opusLimits.streams = 20
            for (let i = 0; i < 20; i++) held.push(made(opus.createDecoder()))
            assert.equal(opus.createEncoder(), undefined)
            assert.equal(opus.createDecoder(), undefined)
            const given = held.pop()
            given?.free()
            given?.free()
            held.push(made(opus.createDecoder()))
            assert.equal(opus.createDecoder(), undefined)
        } finally {
            opusLimits.streams = limit
            for (const decoder of held) decoder.free()
        }
    })

    test("know the length of any Opus packet from its first bytes", () => {
        // RFC 6716, section 3.1: configuration, then the code of how many frames there are.
        const lengthOf = (...bytes: number[]) => opus.samplesOf(Uint8Array.from(bytes), 0, bytes.length)
        assert.equal(lengthOf((1 << 3) | 0, 0), 320)
        assert.equal(lengthOf((3 << 3) | 0, 0), 960)
        assert.equal(lengthOf((3 << 3) | 1, 0), 0, "120 ms are refused")
        assert.equal(lengthOf((13 << 3) | 2, 0), 640)
        assert.equal(lengthOf((16 << 3) | 0, 0), 40)
        assert.equal(lengthOf((31 << 3) | 3, 3), 960)
        assert.equal(lengthOf((31 << 3) | 3), 0)
        assert.equal(lengthOf(), 0)
    })
})

describe("the kernels of PCMU", () => {
    const lawOf = (sample: number) => {
        const byte = new Uint8Array(1)
        encodePcmu(Int16Array.of(sample), 1, byte, 0)
        return byte[0]!
    }

    test("decode every byte of the law, and keep it between others", () => {
        const decoder = made(pcmu.createDecoder())
        const payload = Uint8Array.from({ length: 480 }, (_, i) => (i * 37) & 0xff)
        const wide = new Int16Array(960)
        assert.equal(decoder.decode(payload, 0, 480, wide), 960)
        for (let i = 0; i < 468; i++) assert.equal(wide[2 * (i + 12)], pcmuToLinear(payload[i]!), `byte ${payload[i]}`)
    })

    test("encode every sample as the law says", () => {
        const encoder = made(pcmu.createEncoder())
        const payload = new Uint8Array(80)
        const samples = new Int16Array(160)
        for (let sample = -32768; sample <= 32767; sample++) {
            encoder.encode(samples.fill(sample), 160, payload, 0)
            assert.equal(payload[79], lawOf(sample), `sample ${sample}`)
        }
    })

    test("work on packets of any length as on one stream", () => {
        const payload = Uint8Array.from({ length: 480 }, (_, i) => lawOf(Math.round(9000 * Math.sin(i / 3))))
        const whole = new Int16Array(960)
        made(pcmu.createDecoder()).decode(payload, 0, 480, whole)
        const decoder = made(pcmu.createDecoder())
        const encoder = made(pcmu.createEncoder())
        const pieces = new Int16Array(960)
        const packet = new Uint8Array(500)
        const back = new Uint8Array(480)
        made(pcmu.createEncoder()).encode(whole, 960, back, 0)
        for (let at = 0, bytes = 1; at < 480; at += bytes, bytes = Math.min(bytes + 6, 480 - at)) {
            const piece = new Int16Array(960)
            assert.equal(decoder.decode(payload, at, bytes, piece), 2 * bytes)
            pieces.set(piece.subarray(0, 2 * bytes), 2 * at)
            assert.equal(encoder.encode(piece, 2 * bytes, packet, at), bytes)
        }
        assert.deepEqual(pieces, whole)
        assert.deepEqual(packet.subarray(0, 480), back)
    })

    test("go up and down again to what went in, 1.5 ms and 1.4 ms later", () => {
        const narrow = Int16Array.from({ length: 480 }, (_, i) => 9000 * Math.sin(i * 0.5) + 3000 * Math.sin(i * 2.2))
        const payload = new Uint8Array(480)
        encodePcmu(narrow, 480, payload, 0)
        const wide = new Int16Array(960)
        made(pcmu.createDecoder()).decode(payload, 0, 480, wide)
        const back = new Uint8Array(480)
        made(pcmu.createEncoder()).encode(wide, 960, back, 0)
        let worn = 0
        for (let i = 100; i < 480; i++) {
            const [before, after] = [pcmuToLinear(payload[i - 23]!), pcmuToLinear(back[i]!)]
            if (before !== after) worn++
            assert.ok(Math.abs(before - after) <= 30 + Math.abs(before) / 16, `${i}: ${before} ${after}`)
        }
        assert.ok(worn < 20, `${worn} of 380 are another step of the law`)
    })

    test("keep what a telephone carries and nothing of what it cannot", () => {
        const levelAfter = (hertz: number) => {
            const encoder = made(pcmu.createEncoder())
            const payload = new Uint8Array(480)
            const wide = tone(hertz, 16000, 1).subarray(0, 960)
            encoder.encode(wide, 960, payload, 0)
            const out = new Int16Array(480)
            decodePcmu(payload, 0, 480, out)
            return powerToDb(power(out, 100, 380)) - powerToDb(power(wide, 0, 960))
        }
        for (const hertz of [300, 1000, 2000, 3000, 3400]) assert.ok(Math.abs(levelAfter(hertz)) < 0.1, `${hertz} Hz`)
        for (const hertz of [4800, 5000, 6000, 7500])
            assert.ok(levelAfter(hertz) < -55, `${hertz}: ${levelAfter(hertz)}`)
    })
})
