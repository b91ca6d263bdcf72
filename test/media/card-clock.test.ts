import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { CardClock } from "../../sim/media-engine/card-clock.ts"
import { Recorder } from "../../sim/media-engine/recorder.ts"

/** Pieces that are worked on in so many ticks of 5 ms, and those that are left out. */
function run(card: CardClock, fromMs: number, ticks: number) {
    let done = 0
    let skipped = 0
    for (let tick = 0; tick < ticks; tick++) {
        const nowMs = fromMs + tick * 5
        skipped += card.skip(nowMs)
        for (; card.isDue(nowMs); card.next()) done++
    }
    return { done, skipped }
}

describe("the clock of an emulated sound card", () => {
    test("gives one piece a tick when it runs true", () => {
        assert.deepEqual(run(new CardClock(5, 0), 1000.3, 720_000), { done: 720_000, skipped: 0 })
    })

    test("runs off by what it is told, in an hour by 144 pieces for 200 ppm", () => {
        for (const [ppm, more] of [
            [200, 144],
            [-200, -144],
        ] as const) {
            const { done, skipped } = run(new CardClock(5, ppm), 0, 720_000)
            assert.ok(Math.abs(done - 720_000 - more) <= 1, `${ppm} ppm: ${done}`)
            assert.equal(skipped, 0)
        }
    })

    test("leaves out what nobody was there for, and goes on in time", () => {
        const card = new CardClock(5, 0)
        run(card, 0, 10)
        assert.deepEqual(run(card, 300, 10), { done: 10, skipped: 50 })
        assert.equal(card.piece, 70)
    })
})

describe("a recorder", () => {
    test("keeps the sound of a card that runs off in one stretch, and tells when it began and ended", () => {
        const recorder = new Recorder(16000, 10)
        const piece = new Int16Array(80).fill(1)
        for (let i = 0; i < 4000; i++) recorder.append(100 + i * 5.001, piece, 80)
        const [stretch, ...others] = recorder.stretchesKept()
        assert.equal(others.length, 0)
        assert.equal(stretch!.samples.length, 160_000)
        assert.ok(Math.abs(stretch!.endMs - (100 + 3999 * 5.001 + 5)) < 0.01, `${stretch!.endMs}`)
        assert.ok(Math.abs(stretch!.endMs - stretch!.atMs - 10_002) < 0.1, `${stretch!.endMs - stretch!.atMs}`)
    })

    test("begins a stretch anew after a hole", () => {
        const recorder = new Recorder(16000, 10)
        const piece = new Int16Array(80)
        recorder.append(0, piece, 80)
        recorder.append(5, piece, 80)
        recorder.append(30, piece, 80)
        assert.deepEqual(
            recorder.stretchesKept().map(({ atMs, endMs }) => [atMs, endMs]),
            [
                [0, 10],
                [30, 35],
            ],
        )
    })
})
