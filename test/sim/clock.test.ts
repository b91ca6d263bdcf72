import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { VirtualClock } from "../../sim/clock.ts"
import { drawSeed, seededRandom } from "../support/random.ts"

describe("the virtual clock", () => {
    test("fires timers in the order of their times, and those of one time in the order they were set", () => {
        const clock = new VirtualClock()
        const fired: string[] = []
        clock.after(20, () => fired.push(`b ${clock.nowMs()}`))
        clock.after(10, () => fired.push(`a ${clock.nowMs()}`))
        clock.after(20, () => fired.push(`c ${clock.nowMs()}`))
        clock.advance(19)
        assert.deepEqual(fired, ["a 10"])
        clock.advance(1)
        assert.deepEqual(fired, ["a 10", "b 20", "c 20"])
    })

    test("lets a timer set by a timer fire in the same advance when its time has come", () => {
        const clock = new VirtualClock()
        const fired: number[] = []
        const again = () => {
            fired.push(clock.nowMs())
            if (fired.length < 5) clock.after(3, again)
        }
        clock.after(3, again)
        clock.advance(100)
        assert.deepEqual(fired, [3, 6, 9, 12, 15])
        assert.equal(clock.nowMs(), 100)
    })

    test("moves the time of day together with its own", () => {
        const clock = new VirtualClock(1_000_000)
        clock.advance(250)
        assert.equal(clock.wallMs(), 1_000_250)
    })

    test("says whether something happened within a limit of its own time", () => {
        const clock = new VirtualClock()
        let happened = false
        clock.after(70, () => {
            happened = true
        })
        assert.equal(
            clock.advanceUntil(() => happened, 50),
            false,
        )
        assert.equal(
            clock.advanceUntil(() => happened, 50),
            true,
        )
        assert.equal(clock.nowMs(), 70)
    })

    test("keeps the order however timers are set and cancelled", () => {
        const random = seededRandom(drawSeed("virtual clock"))
        const clock = new VirtualClock()
        const fired: number[] = []
        const expected: number[] = []
        const timers = Array.from({ length: 2000 }, () => {
            const atMs = random.int(0, 499)
            return { atMs, cancelled: random.chance(0.4), timer: clock.after(atMs, () => fired.push(atMs)) }
        })
        for (const { atMs, cancelled, timer } of timers) {
            if (cancelled) timer.cancel()
            else expected.push(atMs)
        }
        clock.advance(500)
        assert.deepEqual(
            fired,
            expected.sort((a, b) => a - b),
        )
        assert.equal(clock.pending, 0)
    })
})
