import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { packItem, unpackItem } from "../../src/appliance/agenda.ts"
import { costUs, ranked, unprobed } from "../../src/appliance/choose.ts"
import { Clock, dayOf, timeOfDay } from "../../src/clock.ts"
import { toJson } from "../../src/json.ts"
import { Requests } from "../../src/requests.ts"

describe("JSON writing", () => {
    test("reads back as what it was, for any text, and leaves undefined fields out", () => {
        for (const value of [
            0,
            -5,
            1760000000123,
            "",
            'q"\\q',
            "é東😀",
            true,
            null,
            [1, "a", []],
            { a: 1, b: { c: "x" } },
        ])
            assert.deepEqual(JSON.parse(toJson(value)), value)
        assert.equal(toJson({ a: undefined, b: 1 }), '{"b":1}')
        assert.deepEqual(JSON.parse(toJson("a\nb\u0000c")), "a b c")
    })
})

describe("the clock", () => {
    test("knows the time within half of the round trip, and its error grows with drift", () => {
        const clock = new Clock()
        assert.equal(clock.isKnown(), false)
        clock.sync(1000, 1100, 5_000_000)
        assert.equal(clock.nowMs(1100), 5_000_050)
        assert.equal(clock.errorMs(1100), 50)
        assert.equal(clock.errorMs(1100 + 1_000_000), 150)
    })

    test("keeps a good measurement against a worse one until drift has made it worse", () => {
        const clock = new Clock()
        clock.sync(0, 10, 1000)
        clock.sync(100, 900, 9999)
        assert.equal(clock.nowMs(900), 1895)
        assert.equal(clock.isStale(1000), false)
        assert.equal(clock.isStale(3_000_000), true)
        clock.sync(3_000_000, 3_000_100, 3_001_200)
        assert.equal(clock.nowMs(3_000_100), 3_001_250)
    })

    test("shows local time of day and counts local days", () => {
        assert.equal(timeOfDay(1760023800, 0), "15:30")
        assert.equal(timeOfDay(1760023800, 120), "17:30")
        assert.equal(timeOfDay(1760023800, -16 * 60), "23:30")
        assert.equal(dayOf(86399, 0), 0)
        assert.equal(dayOf(86399, 60), 1)
    })
})

describe("requests", () => {
    test("end in exactly one outcome, and only by the party that was asked", () => {
        const requests = new Requests()
        const one = requests.open(0, "rs-a", "join", {})
        assert.equal(one.body.id, one.id)
        assert.equal(requests.due(0).length, 1)
        assert.equal(requests.due(100).length, 0)
        assert.equal(requests.due(1300).length, 1)
        assert.equal(one.sentAtMs, 0)
        assert.equal(requests.settle("rs-b", one.id), undefined)
        assert.equal(requests.settle("", one.id), undefined)
        assert.equal(requests.settle("rs-a", one.id), one)
        assert.equal(requests.settle("rs-a", one.id), undefined)
        assert.equal(requests.expire(99999), undefined)
    })

    test("expire after five seconds, sent or not, and are never more than a handful", () => {
        const requests = new Requests()
        for (let i = 0; i < 20; i++) requests.open(0, "", "time", {})
        assert.equal(requests.pending.length, 8)
        assert.equal(requests.expire(4999), undefined)
        let expired = 0
        while (requests.expire(5000)) expired++
        assert.equal(expired, 8)
    })
})

describe("the agenda in flash", () => {
    test("fits a setting for any title, and refuses what it did not write", () => {
        const item = {
            sid: "s".repeat(24),
            title: '"'.repeat(48),
            from: "\\".repeat(48),
            mine: 1,
            start: 1760000000,
            end: 1760003600,
            state: "open" as const,
        }
        assert.ok(Buffer.byteLength(packItem(item)) <= 210)
        assert.deepEqual(
            unpackItem(JSON.parse(packItem({ ...item, title: "Weekly", from: "Room B" })))?.title,
            "Weekly",
        )
        for (const wrong of [undefined, "", 5, [], {}, { ...item, start: -1 }, { ...item, state: 3 }])
            assert.equal(unpackItem(wrong), undefined)
    })
})

describe("the choice of a routing server", () => {
    test("weighs round trip, unsteadiness and load above 70 per cent, and leaves out who did not answer", () => {
        assert.equal(costUs(2000, 500, 70), 2500)
        assert.equal(costUs(2000, 500, 100), 42500)
        assert.equal(costUs(2000, 500, 85), 22500)
        const list = [5, -1, 3, 5].map((cost, i) => ({
            ...unprobed({ rs: `r${i}`, ip: "1.1.1.1", port: 1, load: 0 }),
            costUs: cost,
        }))
        assert.deepEqual(
            ranked(list).map(one => one.rs),
            ["r2", "r0", "r3"],
        )
    })
})
