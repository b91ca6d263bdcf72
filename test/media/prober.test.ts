import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { Prober, type ProberEffect } from "../../sim/media-engine/prober.ts"

const ip = "10.0.0.1"
const port = 7500

/** Plays a prober against servers under virtual time; `reply` gives the round trip of a probe, or undefined when it is lost. */
function play(
    begin: (prober: Prober) => ProberEffect[],
    untilMs: number,
    reply: (atMs: number, target: string, sequence: number) => { afterMs: number; load?: number } | undefined,
) {
    const prober = new Prober(4294967290)
    const said: string[] = []
    const sends: number[] = []
    const answers: { atMs: number; sequence: number; tag: number; from: string; load: number }[] = []
    const apply = (effects: ProberEffect[], nowMs: number) => {
        for (const effect of effects) {
            if (effect.type === "send") {
                sends.push(nowMs)
                const answer = reply(nowMs, effect.ip, effect.sequence)
                if (answer) {
                    const { sequence, tag } = effect
                    answers.push({
                        atMs: nowMs + answer.afterMs,
                        sequence,
                        tag,
                        from: effect.ip,
                        load: answer.load ?? 0,
                    })
                }
            } else if (effect.type === "probed") {
                const { tag, minRttMs, jitterMs, answered, load } = effect
                said.push(`${nowMs} probed ${tag}: ${answered} rtt ${minRttMs} jitter ${jitterMs} load ${load}`)
            } else said.push(`${nowMs} ${effect.type}`)
        }
    }
    apply(begin(prober), 0)
    for (let nowMs = 1; nowMs <= untilMs; nowMs++) {
        for (const answer of answers.filter(({ atMs }) => atMs === nowMs))
            apply(prober.answered({ kind: 2, ...answer }, answer.from, port, nowMs), nowMs)
        apply(prober.tick(nowMs), nowMs)
    }
    return { said, sends }
}

describe("probing", () => {
    test("sends three probes 20 ms apart and tells the smallest round trip, the jitter and the load", () => {
        let n = 0
        const { said, sends } = play(
            prober => prober.probe(9, ip, port, 3, 0),
            1000,
            () => ({ afterMs: 30 + 5 * n++, load: 40 + n }),
        )
        assert.deepEqual(sends, [0, 20, 40])
        assert.deepEqual(said, ["80 probed 9: 3 rtt 30 jitter 10 load 43"])
    })

    test("ends 400 ms after the last probe when answers are missing", () => {
        const { said } = play(
            prober => prober.probe(9, ip, port, 3, 0),
            1000,
            atMs => (atMs === 20 ? { afterMs: 7 } : undefined),
        )
        assert.deepEqual(said, ["440 probed 9: 1 rtt 7 jitter 0 load 0"])
    })

    test("takes at most 8 targets at once and answers further ones at once", () => {
        const { said, sends } = play(
            prober => Array.from({ length: 10 }, (_, tag) => prober.probe(tag, ip, port, 1, 0)).flat(),
            1000,
            () => ({ afterMs: 5 }),
        )
        assert.equal(sends.length, 8)
        assert.deepEqual(said.slice(0, 2), [
            "0 probed 8: 0 rtt 0 jitter 0 load 0",
            "0 probed 9: 0 rtt 0 jitter 0 load 0",
        ])
        assert.equal(said.length, 10)
    })

    test("believes no answer from another address, under another tag, or twice", () => {
        const prober = new Prober(0)
        const [send] = prober.probe(9, ip, port, 1, 0)
        assert.ok(send?.type === "send", "sent")
        const answer = { kind: 2, load: 1, sequence: send.sequence, tag: 9 }
        assert.deepEqual(prober.answered(answer, "10.0.0.2", port, 5), [])
        assert.deepEqual(prober.answered(answer, ip, port + 1, 5), [])
        assert.deepEqual(prober.answered({ ...answer, tag: 8 }, ip, port, 5), [])
        assert.equal(prober.answered(answer, ip, port, 5).length, 1)
        assert.deepEqual(prober.answered(answer, ip, port, 6), [])
    })
})

describe("the watch", () => {
    test("says once that the server is lost after three keepalives without an answer, and once that it is found", () => {
        const { said } = play(
            prober => prober.watch(ip, port, 200, 0),
            5000,
            atMs => (atMs >= 1000 && atMs < 3000 ? undefined : { afterMs: 3 }),
        )
        assert.deepEqual(said, ["1600 watchLost", "3003 watchFound"])
    })

    test("is patient with two missing answers, and with a round trip longer than its interval", () => {
        const gaps = play(
            prober => prober.watch(ip, port, 200, 0),
            5000,
            atMs => (atMs % 600 === 0 ? { afterMs: 1 } : undefined),
        )
        assert.deepEqual(gaps.said, [])
        const slow = play(
            prober => prober.watch(ip, port, 200, 0),
            5000,
            () => ({ afterMs: 350 }),
        )
        assert.deepEqual(slow.said, [])
    })

    test("stops with port 0", () => {
        const { sends } = play(
            prober => [...prober.watch(ip, port, 200, 0), ...prober.watch("0.0.0.0", 0, 0, 0)],
            2000,
            () => undefined,
        )
        assert.equal(sends.length, 1)
    })
})
