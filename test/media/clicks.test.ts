import assert from "node:assert/strict"
import { before, describe, test } from "node:test"
import { findClicks } from "../../media/clicks.ts"
import type { Codec } from "../../media/codec.ts"
import { toneSnrDb } from "../../media/measure.ts"
import { loadOpus, opus } from "../../media/opus.ts"
import { pcmu } from "../../media/pcmu.ts"
import { createRandom } from "../../media/random.ts"
import { readSpeech } from "./speech.ts"

const speech = readSpeech()
const seed = Number(process.env.PARLEY_SEED ?? 5)
const msSamples = 16

before(loadOpus)

function coded(codec: Codec, samples: Int16Array): Int16Array {
    const encoder = codec.createEncoder()
    const decoder = codec.createDecoder()
    assert.ok(encoder && decoder, "a codec")
    const out = new Int16Array(samples.length)
    const packet = new Uint8Array(codec.payloadBytesMax)
    const frame = new Int16Array(960)
    for (let at = 0; at + 320 <= samples.length; at += 320) {
        const bytes = encoder.encode(samples.subarray(at, at + 320), 320, packet, 0)
        out.set(frame.subarray(0, decoder.decode(packet, 0, bytes, frame)), at)
    }
    encoder.free()
    decoder.free()
    return out
}

const tone = (hertz: number, amplitude: number, jumpAt = -1, jump = 0) =>
    Int16Array.from(
        { length: 8000 },
        (_, i) => amplitude * Math.sin((2 * Math.PI * hertz * i) / 16000 + (jumpAt >= 0 && i >= jumpAt ? jump : 0)),
    )

/** Share of `tries` places in which what `spoil` does at sample 4000 of a piece of sound is found there, within 3 ms. */
function foundShare(pieces: Iterable<Int16Array>, spoil: (piece: Int16Array, at: number) => void): number {
    let tries = 0
    let found = 0
    for (const piece of pieces) {
        spoil(piece, 4000)
        tries++
        if (findClicks(piece).some(({ atMs }) => Math.abs(atMs - 250) <= 3)) found++
    }
    return found / tries
}

/** Pieces of half a second of the sample, in which speech goes on for 15 ms about their middle. */
function* piecesOfSpeech(count: number): Generator<Int16Array> {
    const random = createRandom(seed)
    while (count > 0) {
        const piece = speech.slice(Math.floor(random() * (speech.length - 8000))).subarray(0, 8000)
        let power = 0
        for (let i = 3880; i < 4120; i++) power += piece[i]! ** 2
        if (power < 240 * 1500 ** 2) continue
        count--
        yield piece
    }
}

describe("the click detector", () => {
    test("finds nothing in clean speech, nor in speech that a codec has carried", () => {
        for (const [name, sound] of [
            ["clean", speech],
            ["PCMU", coded(pcmu, speech)],
            ["Opus", coded(opus, speech)],
        ] as const)
            assert.deepEqual(findClicks(sound), [], name)
    })

    test("finds nothing in steady tones of any pitch and loudness", () => {
        for (const hertz of [100, 440, 1000, 3000])
            for (const amplitude of [300, 3000, 30000]) {
                assert.deepEqual(findClicks(tone(hertz, amplitude)), [], `${hertz} Hz`)
                assert.deepEqual(findClicks(coded(pcmu, tone(hertz, amplitude)).subarray(800)), [], `${hertz} Hz PCMU`)
            }
    })

    test("finds a single wrong sample in speech, nearly always when it is large", context => {
        context.diagnostic(`seed ${seed}`)
        const spoilBy = (size: number) => (piece: Int16Array, at: number) => {
            piece[at] = Math.max(-32768, Math.min(32767, piece[at]! + (piece[at]! > 0 ? -size : size)))
        }
        const shares = [2000, 6000, 16000].map(size => foundShare(piecesOfSpeech(60), spoilBy(size)))
        context.diagnostic(shares.join(" "))
        assert.ok(shares[2]! >= 0.95 && shares[1]! >= 0.5, `${shares}`)
    })

    test("finds two of three holes of 5, 10 or 20 ms in speech: those that cut into a wave on both sides", context => {
        context.diagnostic(`seed ${seed}`)
        for (const ms of [5, 10, 20]) {
            const share = foundShare(piecesOfSpeech(60), (piece, at) => piece.fill(0, at, at + ms * msSamples))
            context.diagnostic(`${ms} ms: ${share}`)
            assert.ok(share >= 0.6, `${ms} ms: ${share}`)
        }
    })

    test("finds a jump of a fifth of a radian and more in a tone, and a hole of 2 ms", () => {
        for (const jump of [0.2, 0.5, 1, 3]) {
            let found = 0
            for (let at = 4000; at < 4016; at++)
                if (findClicks(tone(1000, 8000, at, jump)).some(({ atMs }) => Math.abs(atMs - at / 16) <= 3)) found++
            assert.ok(found >= 15, `${jump}: ${found} of 16`)
        }
        const broken = tone(1000, 8000)
        broken.fill(0, 4002, 4002 + 2 * msSamples)
        assert.ok(findClicks(broken).some(({ atMs }) => Math.abs(atMs - 250) <= 3))
    })
})

describe("the cleanness of a tone", () => {
    test("is what was mixed in", () => {
        const random = createRandom(seed)
        for (const wantedDb of [20, 35, 50]) {
            const noise = (10000 / Math.SQRT2 / 10 ** (wantedDb / 20)) * Math.sqrt(12)
            const noisy = tone(1000, 10000).map(sample => Math.round(sample + (random() - 0.5) * noise))
            const snrDb = toneSnrDb(noisy, 1000)
            assert.ok(Math.abs(snrDb - wantedDb) < 0.5, `${snrDb} for ${wantedDb} dB, seed ${seed}`)
        }
        assert.ok(toneSnrDb(tone(1000, 10000), 1000) > 70, "a pure one")
        assert.equal(toneSnrDb(new Int16Array(10), 1000), -Infinity)
    })
})
