import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { describe, test } from "node:test"
import { levelDb } from "../../media/level.ts"
import { measure } from "../../media/measure.ts"
import { createRandom } from "../../media/random.ts"
import { parseWav } from "../../media/wav.ts"
import { decodePcmu, encodePcmu } from "./g711.ts"

const rate = 16000
const wav = parseWav(readFileSync(new URL("../../sim/samples/speech.wav", import.meta.url)), rate)
assert.ok(wav.ok, "the sample can be read")
const speech = wav.value.samples

/** What is heard of `samples` after `delaySamples`, changed by `change`. */
function heard(samples: Int16Array, delaySamples: number, change = (sample: number) => sample): Int16Array {
    const result = new Int16Array(samples.length + rate * 2)
    for (let i = 0; i < samples.length; i++) result[i + delaySamples] = Math.round(change(samples[i]!))
    return result
}

describe("measuring what was said against what was heard", () => {
    test("finds the delay to a sample and the gain, in less than a second for 10 s", () => {
        const startMs = performance.now()
        const result = measure(
            { atMs: 5000, samples: speech },
            { atMs: 4900, samples: heard(speech, 3200, x => x / 2) },
        )
        const tookMs = performance.now() - startMs
        assert.ok(result.ok, "measured")
        assert.ok(Math.abs(result.value.delayMs - 100) < 0.2, `${result.value.delayMs}`)
        assert.ok(Math.abs(result.value.delayP95Ms - 100) < 0.2, `${result.value.delayP95Ms}`)
        assert.ok(result.value.correlation > 0.999, `${result.value.correlation}`)
        assert.ok(Math.abs(result.value.gain - 0.5) < 0.01, `${result.value.gain}`)
        assert.ok(tookMs < 1000, `${tookMs} ms`)
    })

    test("takes G.711 and moderate noise for what they are", () => {
        const bytes = new Uint8Array(speech.length)
        const coded = new Int16Array(speech.length)
        encodePcmu(speech, speech.length, bytes, 0)
        decodePcmu(bytes, 0, speech.length, coded)
        const clean = measure({ atMs: 0, samples: speech }, { atMs: 0, samples: heard(coded, 1920) })
        assert.ok(clean.ok && clean.value.correlation > 0.998, "G.711 alone")
        const random = createRandom(3)
        const noisy = measure(
            { atMs: 0, samples: speech },
            { atMs: 0, samples: heard(coded, 1920, x => x + (random() - 0.5) * 4000) },
        )
        assert.ok(noisy.ok, "measured")
        assert.ok(noisy.value.correlation > 0.85 && noisy.value.correlation < 0.98, `${noisy.value.correlation}`)
        assert.ok(Math.abs(noisy.value.delayP95Ms - 120) < 0.5, `${noisy.value.delayP95Ms}`)
    })

    test("shows a delay that changed in between in its 95th percentile", () => {
        const half = Math.floor(speech.length / 2)
        const result = heard(speech.subarray(0, half), 800)
        const both = new Int16Array(speech.length + rate * 2)
        both.set(result.subarray(0, half + 800))
        both.set(speech.subarray(half), half + 1600)
        const measured = measure({ atMs: 0, samples: speech }, { atMs: 0, samples: both })
        assert.ok(measured.ok, "measured")
        assert.ok(Math.abs(measured.value.delayP95Ms - 100) < 1, `${measured.value.delayP95Ms}`)
        assert.ok(measured.value.correlation > 0.9, `${measured.value.correlation}`)
    })

    test("does not find one voice in another", () => {
        const third = Math.floor(speech.length / 3)
        const measured = measure(
            { atMs: 0, samples: speech.subarray(0, third) },
            { atMs: 0, samples: heard(speech.subarray(third, 2 * third), 0) },
        )
        assert.ok(measured.ok && measured.value.correlation < 0.6, measured.ok ? `${measured.value.correlation}` : "")
    })

    test("says when nothing was said, nothing was heard, or the recording is too short", () => {
        const silence = new Int16Array(rate * 12)
        const nothingSaid = measure({ atMs: 0, samples: silence }, { atMs: 0, samples: silence })
        assert.equal(!nothingSaid.ok && nothingSaid.code, "nothing-said")
        const nothingHeard = measure({ atMs: 0, samples: speech }, { atMs: 0, samples: silence })
        assert.equal(!nothingHeard.ok && nothingHeard.code, "nothing-heard")
        const tooShort = measure({ atMs: 0, samples: speech }, { atMs: 0, samples: silence.subarray(0, 100) })
        assert.equal(!tooShort.ok && tooShort.code, "too-short")
    })

    test("gives levels in dBov", () => {
        assert.equal(levelDb(new Int16Array(80)), -127)
        assert.ok(Math.abs(levelDb(new Int16Array(80).fill(-32768))) < 0.01, "full scale")
        const sine = Int16Array.from({ length: 16000 }, (_, i) => 3277 * Math.sin((2 * Math.PI * 440 * i) / rate))
        assert.ok(Math.abs(levelDb(sine) + 23.01) < 0.05, `${levelDb(sine)}`)
    })
})
