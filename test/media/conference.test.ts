import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { levelDb } from "../../media/level.ts"
import type { Measurement } from "../../media/measure.ts"
import { part, readSpeech } from "./speech.ts"
import { bestOfThree, compare, connect, join, passes, startEngine, startPlanes, type TestEngine } from "./support.ts"

const speech = readSpeech()
const sayMs = 2500

/** Lets `speaker` say the sample, and returns when it was said and everybody has heard it. */
async function say(speaker: TestEngine): Promise<{ fromMs: number; toMs: number }> {
    await passes(300)
    const fromMs = performance.now()
    speaker.engine.microphone.start(speech, false, 0)
    await passes(sayMs + 700)
    return { fromMs, toMs: fromMs + sayMs }
}

function show({ delayMs, delayP95Ms, correlation }: Measurement): string {
    return `delay ${delayMs.toFixed(1)} p95 ${delayP95Ms.toFixed(1)} correlation ${correlation.toFixed(4)}`
}

describe("rooms in a session", () => {
    test("on one routing server hear each other in less than 100 ms, and not themselves", async context => {
        const [plane] = await startPlanes(context, ["127.9.1.11"])
        const a = await startEngine(context, "127.9.2.1")
        const b = await startEngine(context, "127.9.2.2")
        join("s", a, plane!, 1)
        join("s", b, plane!, 2)
        a.engine.muted = false
        await bestOfThree(async () => {
            const { fromMs, toMs } = await say(a)
            const heard = compare(a, b, fromMs, toMs)
            context.diagnostic(show(heard))
            assert.ok(heard.correlation >= 0.95, show(heard))
            assert.ok(heard.delayP95Ms <= 100, show(heard))
            const own = part(a.engine.played.stretchesKept(), fromMs, toMs)
            assert.ok(levelDb(own.samples) <= -70, "nobody hears themselves")
        })
        assert.equal(b.engine.statistics().lost, 0)
        const { datagrams } = plane!.plane.statistics()
        assert.deepEqual([datagrams.malformed, datagrams.unknownLeg, datagrams.wrongAddress], [0, 0, 0])
    })

    test("three mixing servers apart hear each other in less than 150 ms, and the one in between too", async context => {
        const [pa, pc, pb] = await startPlanes(context, ["127.9.3.11", "127.9.3.13", "127.9.3.12"])
        connect("s", pa!, pc!, 100)
        connect("s", pc!, pb!, 200)
        const a = await startEngine(context, "127.9.4.1")
        const b = await startEngine(context, "127.9.4.2")
        const c = await startEngine(context, "127.9.4.3")
        join("s", a, pa!, 1)
        join("s", b, pb!, 2)
        join("s", c, pc!, 3)
        a.engine.muted = false
        await bestOfThree(async () => {
            const { fromMs, toMs } = await say(a)
            for (const [name, listener, mostMs] of [
                ["b", b, 150],
                ["c", c, 130],
            ] as const) {
                const heard = compare(a, listener, fromMs, toMs)
                context.diagnostic(`${name}: ${show(heard)}`)
                assert.ok(heard.correlation >= 0.95, `${name}: ${show(heard)}`)
                assert.ok(heard.delayP95Ms <= mostMs, `${name}: ${show(heard)}`)
            }
        })
        for (const listener of [b, c]) assert.equal(listener.engine.statistics().lost, 0)
        assert.equal(pc!.plane.dspUnitsUsed(), 3)
        const { done, late, latenessP99Ms, workMeanMs } = pc!.plane.statistics().ticks
        context.diagnostic(`ticks ${done} late ${late} p99 ${latenessP99Ms} ms work ${workMeanMs.toFixed(3)} ms`)
    })

    test("with Opus, over two servers and with sound cards that run off, hear each other", async context => {
        const [pa, pb] = await startPlanes(context, ["127.9.10.11", "127.9.10.12"])
        connect("s", pa!, pb!, 100, "opus")
        const a = await startEngine(context, "127.9.10.1", {}, 0, 0, 200)
        const b = await startEngine(context, "127.9.10.2", {}, 0, 0, -200)
        const c = await startEngine(context, "127.9.10.3")
        join("s", a, pa!, 1, "opus")
        join("s", b, pb!, 2, "opus")
        join("s", c, pb!, 3, "pcmu")
        a.engine.muted = false
        await bestOfThree(async () => {
            const { fromMs, toMs } = await say(a)
            for (const [name, listener] of [
                ["Opus", b],
                ["PCMU", c],
            ] as const) {
                const heard = compare(a, listener, fromMs, toMs)
                context.diagnostic(`${name}: ${show(heard)}`)
                assert.ok(heard.correlation >= 0.9, `${name}: ${show(heard)}`)
                assert.ok(heard.delayP95Ms <= 160, `${name}: ${show(heard)}`)
            }
        })
        for (const listener of [b, c]) assert.equal(listener.engine.statistics().lost, 0)
    })

    test("hear nothing of a muted one, from the press on, and hear it again after the next", async context => {
        const [plane] = await startPlanes(context, ["127.9.5.11"])
        const a = await startEngine(context, "127.9.6.1")
        const b = await startEngine(context, "127.9.6.2")
        join("s", a, plane!, 1)
        join("s", b, plane!, 2)
        b.engine.volume = 100
        a.engine.microphone.start(speech, true, 0)
        await passes(600)
        const atStart = part(b.engine.played.stretchesKept(), performance.now() - 500, performance.now())
        assert.ok(levelDb(atStart.samples) <= -70, "an engine starts muted")
        a.engine.muted = false
        await passes(900)
        a.engine.muted = true
        const pressMs = performance.now()
        await passes(1300)
        const before = part(b.engine.played.stretchesKept(), pressMs - 500, pressMs)
        const after = part(b.engine.played.stretchesKept(), pressMs + 500, pressMs + 1200)
        assert.ok(levelDb(before.samples) > -50, "it was heard before")
        assert.ok(levelDb(after.samples) <= -70, `${levelDb(after.samples)} dBov after the press`)
        assert.ok(a.engine.statistics().inputDb > -70, "its own level meter still moves")
        a.engine.close()
        join("s", a, plane!, 1)
        await passes(100)
        assert.equal(a.engine.muted, true, "close and open lift no mute")
        a.engine.muted = false
        const liftMs = performance.now()
        await passes(1200)
        const lifted = part(b.engine.played.stretchesKept(), liftMs + 200, liftMs + 1100)
        assert.ok(levelDb(lifted.samples) > -50, "it is heard again")
        assert.equal(b.engine.statistics().lost, 0)
    })

    test("with 30 ms of delay, 10 ms of jitter and a loss of 1 % each way still understand each other", async context => {
        const [plane] = await startPlanes(context, ["127.9.7.11"])
        const a = await startEngine(context, "127.9.8.1", { "127.9.7.11": 30 }, 10, 1)
        const b = await startEngine(context, "127.9.8.2", { "127.9.7.11": 30 }, 10, 1)
        join("s", a, plane!, 1)
        join("s", b, plane!, 2)
        a.engine.muted = false
        await bestOfThree(async () => {
            const { fromMs, toMs } = await say(a)
            const heard = compare(a, b, fromMs, toMs)
            context.diagnostic(show(heard))
            assert.ok(heard.correlation >= 0.85, show(heard))
            assert.ok(heard.delayMs > 90 && heard.delayP95Ms < 190, show(heard))
        })
    })
})
