import assert from "node:assert/strict"
import { describe, test } from "node:test"
import {
    noConditions,
    type PathConditions,
    readConditions,
    readUnderlayPlan,
} from "../../servers/routing/underlay/conditions.ts"
import { EmulatedPath } from "../../servers/routing/underlay/path.ts"

function path(conditions: Partial<PathConditions>, seed = 7): EmulatedPath {
    const made = new EmulatedPath(seed)
    made.conditions = { ...noConditions, ...conditions }
    return made
}

/** Arrival times of `count` datagrams sent `everyMs`; undefined where one was lost. */
function arrivals(made: EmulatedPath, count: number, everyMs: number, bytes = 172): (number | undefined)[] {
    return Array.from({ length: count }, (_, i) => made.datagram(bytes, i * everyMs))
}

describe("an emulated path", () => {
    test("delivers at once where nothing is emulated", () => {
        assert.deepEqual(arrivals(path({}), 3, 5), [0, 5, 10])
    })

    test("delays each datagram by the same time when there is no jitter", () => {
        assert.deepEqual(arrivals(path({ delayMs: 20 }), 3, 5), [20, 25, 30])
    })

    test("varies the delay evenly within the jitter, and keeps the order", () => {
        const times = arrivals(path({ delayMs: 50, jitterMs: 10 }), 5000, 100) as number[]
        const delays = times.map((time, i) => time - i * 100)
        assert.ok(Math.min(...delays) >= 40 && Math.max(...delays) <= 60)
        const mean = delays.reduce((sum, each) => sum + each, 0) / delays.length
        assert.ok(Math.abs(mean - 50) < 0.5, `mean ${mean}`)
        const close = arrivals(path({ delayMs: 50, jitterMs: 10 }), 1000, 1) as number[]
        assert.ok(close.every((time, i) => i === 0 || time >= close[i - 1]))
    })

    test("loses the share that was asked for, the same datagrams for the same seed", () => {
        const lost = (seed: number) => arrivals(path({ loss: 0.1 }, seed), 20_000, 1).map(time => time === undefined)
        const first = lost(3)
        const share = first.filter(Boolean).length / first.length
        assert.ok(Math.abs(share - 0.1) < 0.01, `${share}`)
        assert.deepEqual(lost(3), first)
        assert.notDeepEqual(lost(4), first)
    })

    test("spreads a packet pair by what the bottleneck needs for the second", () => {
        const made = path({ rateKbps: 1000, delayMs: 5 })
        const [first, second] = [made.datagram(1222, 0)!, made.datagram(1222, 0)!]
        // 1250 bytes with headers at 125 bytes a millisecond.
        assert.equal(second - first, 10)
        assert.equal(first, 15)
    })

    test("drops what does not fit into the bottleneck's queue, and serves at its rate", () => {
        const made = path({ rateKbps: 1000, queueBytes: 10_000 })
        const times = Array.from({ length: 100 }, () => made.datagram(972, 0))
        const passed = times.filter(time => time !== undefined)
        assert.equal(passed.length, 10)
        assert.equal(passed.at(-1), 80)
        assert.equal(made.counters.overflowed, 90)
        assert.equal(made.datagram(972, 80), 88)
    })

    test("keeps a stream whole and in order, also where datagrams would be lost", () => {
        const made = path({ delayMs: 10, jitterMs: 8, loss: 0.2 })
        let last = 0
        let waited = 0
        for (let i = 0; i < 2000; i++) {
            const dueMs = made.stream(100, i * 50)
            assert.ok(dueMs >= last && dueMs >= i * 50)
            if (dueMs - i * 50 > 100) waited++
            last = dueMs
        }
        assert.ok(waited > 200, "a lost segment costs a retransmission")
        assert.ok(Number.isFinite(path({ loss: 1 }).stream(100, 0)), "also when all is lost")
    })

    test("forgets its queue when the conditions change, so that a shorter delay holds at once", () => {
        const made = path({ delayMs: 5000 })
        assert.equal(made.datagram(100, 0), 5000)
        made.conditions = { ...noConditions, delayMs: 1 }
        assert.equal(made.datagram(100, 1), 2)
    })
})

describe("a description of the network", () => {
    test("is taken with what it leaves out", () => {
        const read = readConditions({ delayMs: 12.5, cut: true })
        assert.deepEqual(read, { ok: true, conditions: { ...noConditions, delayMs: 12.5, cut: true } })
    })

    test("is refused with what is wrong", () => {
        const bad: [unknown, RegExp][] = [
            [null, /an object/],
            [[], /an object/],
            [{ delay: 3 }, /unknown "delay"/],
            [{ delayMs: -1 }, /delayMs: a number from 0 to 10000/],
            [{ delayMs: Number.NaN }, /delayMs/],
            [{ loss: 2 }, /loss/],
            [{ rateKbps: "1" }, /rateKbps/],
            [{ queueBytes: 10 }, /queueBytes: a number from 1500/],
            [{ cut: 1 }, /cut: true or false/],
        ]
        for (const [value, what] of bad) {
            const read = readConditions(value)
            assert.ok(!read.ok, JSON.stringify(value))
            assert.match(read.what, what)
        }
        const files: [string, RegExp][] = [
            ["", /not JSON/],
            ["[]", /one JSON object/],
            ['{"path": {}}', /unknown "path"/],
            ['{"seed": 1.5}', /seed/],
            ['{"paths": []}', /paths/],
            ['{"paths": {"Rs B": {}}}', /"Rs B" is neither/],
            ['{"paths": {"rs-b": {"cut": 3}}}', /paths.rs-b: cut/],
            [" ".repeat(1_048_577), /more than/],
        ]
        for (const [text, what] of files) {
            const read = readUnderlayPlan(text)
            assert.ok(!read.ok, text.slice(0, 40))
            assert.match(read.what, what)
        }
        const good = readUnderlayPlan('{"seed": 9, "paths": {"rs-b": {"delayMs": 3}, "127.0.1.13": {"cut": true}}}')
        assert.ok(good.ok)
        assert.equal(good.plan.seed, 9)
        assert.deepEqual([...good.plan.paths.keys()], ["rs-b", "127.0.1.13"])
    })
})
