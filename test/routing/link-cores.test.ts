import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { backOffMs } from "../../servers/routing/link/back-off.ts"
import { FrameReader, frame, parse } from "../../servers/routing/link/frames.ts"
import { type Liveness, type LivenessEvent, step } from "../../servers/routing/link/liveness.ts"
import { Measurement } from "../../servers/routing/link/measurement.ts"
import { ReplayWindow } from "../../servers/routing/link/replay-window.ts"

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
let random = seed
function below(n: number): number {
    random = (Math.imul(random, 1103515245) + 12345) & 0x7fffffff
    return (random >>> 8) % n
}

/** Plays `[atMs, event]` in order and returns what the link had to say, with its times. */
function play(story: [number, LivenessEvent][]): string[] {
    let link: Liveness = { state: "down" }
    const said: string[] = []
    for (const [nowMs, event] of story) {
        const next = step(link, event, nowMs)
        link = next.state
        for (const effect of next.effects)
            said.push(`${nowMs} ${effect.type} ${effect.type === "linkUp" ? effect.bootId : effect.reason}`)
    }
    return said
}

const secured = (bootId: number): LivenessEvent => ({ type: "secured", bootId })
const hello = (bootId: number, hearsMe = true): LivenessEvent => ({ type: "hello", bootId, hearsMe })
const tick: LivenessEvent = { type: "tick" }

describe("the liveness of a link", () => {
    test("is up when both directions are proven, and down once after three missed hellos, with its connection", () => {
        const story: [number, LivenessEvent][] = [
            ...([
                [0, secured(7)],
                [10, hello(7, false)],
                [20, hello(7)],
            ] as [number, LivenessEvent][]),
            ...([
                [340, tick],
                [341, tick],
                [400, tick],
            ] as [number, LivenessEvent][]),
        ]
        assert.deepEqual(play(story), ["20 linkUp 7", "341 linkDown silent", "341 hangUp silent"])
    })

    test("gives up a connection whose datagrams do not come through, and ignores hellos without a connection", () => {
        assert.deepEqual(play([[0, hello(7)]]), [])
        assert.deepEqual(
            play([
                [0, secured(7)],
                [2000, tick],
                [2001, tick],
            ]),
            ["2001 hangUp unheard"],
        )
    })

    test("goes down and up for a peer that restarted, or opened a new connection, faster than it could be missed", () => {
        const up: [number, LivenessEvent][] = [
            [0, secured(7)],
            [1, hello(7)],
        ]
        assert.deepEqual(play([...up, [50, secured(8)], [60, hello(8)]]), [
            "1 linkUp 7",
            "50 linkDown restarted",
            "60 linkUp 8",
        ])
        assert.deepEqual(play([...up, [50, secured(7)], [60, hello(7)]]).slice(1), [
            "50 linkDown replaced",
            "60 linkUp 7",
        ])
        assert.deepEqual(play([...up, [50, hello(8)]]).slice(1), ["50 linkDown restarted", "50 hangUp restarted"])
        assert.deepEqual(play([...up, [50, { type: "lost", reason: "closed" }]]).slice(1), ["50 linkDown closed"])
    })
})

describe("the replay window", () => {
    test("says of any order of sequence numbers what a plain set of them says", () => {
        const size = 1024
        const window = new ReplayWindow(size)
        const seen = new Set<number>()
        let highest = 0
        for (let i = 0; i < 50_000; i++) {
            const jump = below(100) === 0 ? below(5000) : below(40)
            const sequence = Math.max(0, highest + jump - (below(3) === 0 ? below(1500) : 20))
            const fresh = sequence >= 1 && !seen.has(sequence) && (sequence > highest || sequence + size > highest)
            assert.equal(window.isFresh(sequence), fresh, `seed ${seed}, step ${i}, sequence ${sequence}`)
            if (!fresh) continue
            window.accept(sequence)
            seen.add(sequence)
            highest = Math.max(highest, sequence)
        }
    })

    test("works to the end of six bytes", () => {
        const window = new ReplayWindow(1024)
        window.accept(2 ** 48 - 2)
        assert.ok(window.isFresh(2 ** 48 - 1) && window.isFresh(2 ** 48 - 3))
        assert.ok(!window.isFresh(2 ** 48 - 2) && !window.isFresh(1))
    })
})

describe("the measurement of a link", () => {
    test("smooths half of the round trip by a sixth, in 0.01 ms, and ignores what cannot be", () => {
        const measurement = new Measurement()
        assert.equal(measurement.delay(), undefined)
        for (const wrong of [-1, Number.NaN, 4_000_000_000]) measurement.roundTrip(wrong)
        measurement.roundTrip(10_000)
        assert.equal(measurement.delay(), 500)
        measurement.roundTrip(22_000)
        assert.equal(measurement.delay(), 600)
        assert.equal(measurement.jitter(), Math.round(600 / 16))
    })

    test("counts hellos that were lost, and not those that came late", () => {
        const measurement = new Measurement()
        for (let number = 11; number <= 110; number++) if (number % 10 !== 0) measurement.hello(number)
        assert.equal(measurement.lossPermille(), 91, "9 of the 99 up to number 109")
        measurement.hello(100)
        assert.equal(measurement.lossPermille(), 81)
        for (let number = 111; number <= 300; number++) measurement.hello(number)
        assert.equal(measurement.lossPermille(), 0, "forgotten after 128")
        measurement.hello(10_000)
        assert.equal(measurement.lossPermille(), 992)
    })
})

describe("control frames", () => {
    const message = { k: "bind", sid: "s1", label: 4294967295, list: [1, -5, 1.5, true, null, "ü", { a: [] }] }

    test("arrive whole whatever the chunks", () => {
        const stream = Buffer.concat(Array.from({ length: 50 }, (_, i) => frame({ ...message, i })!))
        const reader = new FrameReader()
        const got: unknown[] = []
        for (let at = 0; at < stream.length; ) {
            const end = Math.min(stream.length, at + 1 + below(90))
            reader.push(stream.subarray(at, end), body => got.push(parse(body)))
            at = end
        }
        assert.deepEqual(
            got,
            Array.from({ length: 50 }, (_, i) => ({ ...message, i })),
            `seed ${seed}`,
        )
    })

    test("that are too large are neither sent nor read", () => {
        assert.equal(frame({ k: "x", text: "a".repeat(65_536) }), undefined)
        const reader = new FrameReader()
        reader.push(Buffer.from([0, 1, 0, 1]), () => assert.fail())
        assert.ok(reader.broken)
    })

    test("outside of our subset of CBOR are refused before a decoder sees them", () => {
        const bad: [string, number[]][] = [
            ["no map", [0x01]],
            ["a list of 100 million", [0xa1, 0x61, 0x6b, 0x9a, 0x05, 0xff, 0xff, 0xff]],
            ["a map of 2^64-1", [0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
            ["an indefinite map", [0xbf, 0x61, 0x6b, 0x01, 0xff]],
            ["a tag (a regular expression)", [0xa1, 0x61, 0x6b, 0xd8, 0x23, 0x61, 0x61]],
            ["a number as key", [0xa1, 0x01, 0x01]],
            ["more after the end", [0xa0, 0x00]],
            ["depth", [0xa1, 0x61, 0x6b, ...Array(20).fill(0x81), 0x01]],
            ["a cut text", [0xa1, 0x61, 0x6b, 0x65, 0x61]],
        ]
        for (const [name, bytes] of bad) assert.equal(parse(Buffer.from(bytes)), undefined, name)
    })

    test("of any bytes at all give a message or nothing, and never throw or pollute", () => {
        const good = frame(message)!.subarray(4)
        for (let i = 0; i < 50_000; i++) {
            const body = below(2) ? Buffer.from(good) : Buffer.from(Array.from({ length: below(40) }, () => below(256)))
            for (let changes = 1 + below(4); changes > 0 && body.length > 0; changes--)
                body[below(body.length)] = below(256)
            const parsed = parse(body)
            assert.ok(parsed === undefined || typeof parsed === "object", `seed ${seed}, step ${i}`)
        }
        const sneaky = parse(Buffer.from([0xa1, 0x69, ...Buffer.from("__proto__"), 0xa1, 0x61, 0x6b, 0x01]))
        assert.equal((sneaky as { k?: unknown } | undefined)?.k, undefined)
        assert.equal(({} as { k?: unknown }).k, undefined)
    })
})

describe("a back-off", () => {
    test("doubles to its cap and is spread over its upper half", () => {
        const limits = { firstMs: 100, maxMs: 5000 }
        assert.deepEqual(
            [0, 1, 2, 6, 60].map(attempt => backOffMs(attempt, 1, limits)),
            [100, 200, 400, 5000, 5000],
        )
        assert.equal(backOffMs(0, 0, limits), 50)
    })
})
