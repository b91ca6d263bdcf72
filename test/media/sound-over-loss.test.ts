import assert from "node:assert/strict"
import { before, describe, test } from "node:test"
import { findClicks } from "../../media/clicks.ts"
import { measure, toneSnrDb } from "../../media/measure.ts"
import { loadOpus } from "../../media/opus.ts"
import { createRandom } from "../../media/random.ts"
import { talking, tone } from "./room.ts"
import { readSpeech } from "./speech.ts"
import { carry, type Played, type StreamOptions } from "./stream.ts"

const speech = readSpeech()
const seed = Number(process.env.PARLEY_SEED ?? 1127)
const seconds = 20

before(loadOpus)

/** How much of what was said in the first 20 s was heard. */
function correlationOf(played: Played): number {
    const say = talking(speech)
    const said = Int16Array.from({ length: seconds * 16000 }, (_, at) => say(at))
    const measured = measure({ atMs: 0, samples: said }, { atMs: played.atMs, samples: played.sound })
    assert.ok(measured.ok, measured.ok ? "" : measured.what)
    return measured.value.correlation
}

/** Clicks after the first second, in which the network is still unknown. */
function clicksIn({ sound }: Played): string[] {
    const found = findClicks(sound).filter(({ atMs }) => atMs > 1000)
    return found.map(({ kind, atMs, size, contrast }) => `${kind} at ${atMs} ms: ${size}, ${contrast}`)
}

function talk(options: Partial<StreamOptions>): Played {
    return carry({ codec: "opus", seconds, say: talking(speech), ...options })
}

describe("sound through a jitter buffer", () => {
    test("of Opus is repaired from the next packet, nearly all of 8 % that are lost, without a click", context => {
        context.diagnostic(`seed ${seed}`)
        const random = createRandom(seed)
        const played = talk({ arrives: (_, sentMs) => (random() < 0.08 ? undefined : sentMs) })
        const { lost, repairedSamples, concealedSamples } = played.statistics
        context.diagnostic(`lost ${lost} repaired ${repairedSamples / 320} concealed ${concealedSamples / 320}`)
        assert.ok(repairedSamples > 0.7 * lost * 320, `${repairedSamples / 320} of ${lost}`)
        const correlation = correlationOf(played)
        assert.ok(correlation > 0.94, `${correlation}`)
        assert.deepEqual(clicksIn(played), [])
    })

    test("of a stream that loses nothing is not held back for repair", () => {
        const delays: number[] = []
        const watch: StreamOptions["watch"] = ({ delayMs }) => delays.push(delayMs)
        const played = talk({ watch })
        assert.equal(played.statistics.repairedSamples, 0)
        assert.ok(Math.max(...delays) <= 23.01, `${Math.max(...delays)}`)
    })

    test("of PCMU hides a loss of 2 % without a click", context => {
        context.diagnostic(`seed ${seed}`)
        const random = createRandom(seed)
        const played = talk({ codec: "pcmu", arrives: (_, sentMs) => (random() < 0.02 ? undefined : sentMs) })
        const correlation = correlationOf(played)
        assert.ok(correlation > 0.97, `${correlation}`)
        assert.deepEqual(clicksIn(played), [])
    })

    test("that comes in bursts of 130 ms is whole once the bursts are known", () => {
        for (const codec of ["pcmu", "opus"] as const) {
            let concealedAtMs = 0
            let concealed = 0
            const played = talk({
                codec,
                arrives: (_, sentMs) => Math.ceil(sentMs / 130) * 130,
                watch({ concealedSamples, delayMs }, nowMs) {
                    if (concealedSamples > concealed) concealedAtMs = nowMs
                    concealed = concealedSamples
                    assert.ok(delayMs <= 160, `${codec}: ${delayMs} ms at ${nowMs}`)
                },
            })
            assert.ok(concealedAtMs < 2500, `${codec}: concealed until ${concealedAtMs} ms`)
            assert.equal(played.statistics.lost, 0)
            assert.deepEqual(clicksIn(played), [], codec)
        }
    })

    test("follows a clock that is 200 ppm off for 10 minutes: no jump, no click in a tone, delay bounded", () => {
        for (const [ppm, pullSamples] of [
            [-200, 320],
            [200, 320],
            [200, 80],
            [-200, 80],
        ] as const) {
            // A media engine steers more finely than a server: what it does shows in less time.
            const seconds = pullSamples === 320 ? 600 : 300
            let delayMax = 0
            const watch: StreamOptions["watch"] = ({ delayMs }, nowMs) => {
                if (nowMs > 1000) delayMax = Math.max(delayMax, delayMs)
            }
            const hertz = 440
            const played = carry({ codec: "pcmu", seconds, say: tone(hertz, 8000), ppm, pullSamples, watch })
            const name = `${ppm} ppm, pieces of ${pullSamples}`
            const { jumps, adjustments, concealedSamples, lost, late } = played.statistics
            assert.deepEqual([jumps, concealedSamples, lost, late], [0, 0, 0, 0], name)
            // 12 ms go by in a minute, by periods of at most 15 ms and at least 2.5 ms.
            assert.ok(
                adjustments >= seconds / 100 && adjustments <= seconds / 12,
                `${name}: ${adjustments} adjustments`,
            )
            assert.ok(delayMax <= 45, `${name}: ${delayMax} ms`)
            assert.deepEqual(clicksIn(played), [], name)
            const snrDb = toneSnrDb(played.sound, hertz)
            assert.ok(snrDb >= 35, `${name}: ${snrDb} dB`)
        }
    })

    test("of speech with a clock that is 200 ppm off has no click either", () => {
        for (const codec of ["pcmu", "opus"] as const)
            for (const ppm of [-200, 200]) {
                const played = talk({ codec, ppm, seconds: 120 })
                assert.equal(played.statistics.jumps, 0)
                assert.ok(played.statistics.adjustments > 0, "adjusted")
                assert.deepEqual(clicksIn(played), [], `${codec} ${ppm} ppm`)
            }
    })
})
