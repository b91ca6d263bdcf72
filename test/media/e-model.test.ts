import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { delayImpairment, lossImpairment, opinion, opinionOf, rating } from "../../media/e-model.ts"

function near(value: number, expected: number, within: number) {
    assert.ok(Math.abs(value - expected) <= within, `${value} is not ${expected} +- ${within}`)
}

describe("The E-model", () => {
    test("G.107 annex B: opinion scores of the ratings that bound the classes of quality", () => {
        // Table B.1 of G.107: lower limits of R and the MOS for it.
        for (const [r, mos] of [
            [90, 4.34],
            [80, 4.03],
            [70, 3.6],
            [60, 3.1],
            [50, 2.58],
        ] as const)
            near(opinionOf(r), mos, 0.01)
        assert.equal(opinionOf(-5), 1)
        assert.equal(opinionOf(0), 1)
        assert.equal(opinionOf(100), 4.5)
    })

    test("G.107: with all defaults R is 93.2 and the opinion 4.41", () => {
        near(rating("pcmu", 0, 0), 93.2, 1e-9)
        near(opinion("pcmu", 0, 0), 4.41, 0.005)
    })

    test("delay costs nothing up to 100 ms, and grows as in figure 1 of G.114", () => {
        assert.equal(delayImpairment(0), 0)
        assert.equal(delayImpairment(100), 0)
        // R falls to about 90 at 200 ms (echo-free), to about 70 at 400 ms.
        near(93.2 - delayImpairment(200), 90, 1.5)
        near(93.2 - delayImpairment(400), 69, 3)
        for (let ms = 100; ms < 1000; ms += 10) assert.ok(delayImpairment(ms + 10) >= delayImpairment(ms))
    })

    test("G.113 appendix I: random loss over G.711 with concealment", () => {
        // Ie-eff = 95 * Ppl / (Ppl + 25.1): 1 % costs 3.6, 2 % 7.0, 5 % 15.8, 10 % 27.1.
        for (const [loss, cost] of [
            [0, 0],
            [1, 3.64],
            [2, 7.01],
            [5, 15.78],
            [10, 27.07],
        ] as const)
            near(lossImpairment("pcmu", loss), cost, 0.01)
        assert.ok(lossImpairment("opus", 5) < lossImpairment("pcmu", 5))
        assert.equal(opinion("pcmu", 2000, 100), 1)
    })
})
