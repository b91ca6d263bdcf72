/** What is held at one server: sums that never go beyond what there is, and shares that epochs of a session have in common. */

import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { Ledger } from "../../servers/routing/reservation/ledger.ts"
import { seededRandom } from "../support/random.ts"

const ledgerOf = (kbps: number, dspUnits = 10) => new Ledger(() => kbps, dspUnits)

describe("bandwidth in the ledger", () => {
    test("is held as far as there is some, to the last kbit/s, and each neighbour has its own", () => {
        const ledger = ledgerOf(300)
        assert.equal(ledger.hold("b", "s1", 1, 200), true)
        assert.equal(ledger.hold("b", "s2", 1, 101), false)
        assert.equal(ledger.held("b"), 200, "a refusal changes nothing")
        assert.equal(ledger.hold("b", "s2", 1, 100), true)
        assert.equal(ledger.hold("c", "s2", 1, 300), true)
        assert.deepEqual([ledger.held("b"), ledger.held("c"), ledger.free("b", "s3")], [300, 300, 0])
    })

    test("of several epochs of a session is the largest of them, not their sum", () => {
        const ledger = ledgerOf(300)
        ledger.hold("b", "s1", 1, 200)
        assert.equal(ledger.free("b", "s1"), 300, "what the session holds is free for itself")
        assert.equal(ledger.hold("b", "s1", 2, 300), true)
        assert.equal(ledger.held("b"), 300)
        ledger.release("b", "s1", 2)
        assert.equal(ledger.held("b"), 200)
        ledger.hold("b", "s1", 3, 100)
        ledger.release("b", "s1", 1)
        assert.equal(ledger.held("b"), 100)
        ledger.release("b", "s1", 3)
        assert.equal(ledger.held("b"), 0)
    })

    test("held twice for one epoch is held once, and released twice is released once", () => {
        const ledger = ledgerOf(300)
        ledger.hold("b", "s1", 1, 200)
        ledger.hold("b", "s1", 1, 200)
        assert.equal(ledger.held("b"), 200)
        ledger.hold("b", "s2", 1, 100)
        ledger.release("b", "s1", 1)
        ledger.release("b", "s1", 1)
        ledger.release("x", "s1", 1)
        assert.equal(ledger.held("b"), 100)
    })

    test("of a link that is gone is gone, and a late release of it takes nothing from the link that came back", () => {
        const ledger = ledgerOf(300)
        ledger.hold("b", "s1", 1, 200)
        ledger.dropLink("b")
        assert.equal(ledger.held("b"), 0)
        ledger.hold("b", "s2", 1, 300)
        ledger.release("b", "s1", 1)
        assert.equal(ledger.held("b"), 300)
    })

    test("stays held when the link turns out to carry less, and nothing more is given before it fits again", () => {
        let kbps = 300
        const ledger = new Ledger(() => kbps, 0)
        ledger.hold("b", "s1", 1, 200)
        kbps = 150
        assert.equal(ledger.held("b"), 200)
        assert.equal(ledger.hold("b", "s2", 1, 1), false)
        ledger.release("b", "s1", 1)
        assert.equal(ledger.hold("b", "s2", 1, 150), true)
    })
})

describe("DSP units in the ledger [claim 16]", () => {
    test("are members and links, each the most that any epoch of the session needs", () => {
        const ledger = ledgerOf(0)
        assert.equal(ledger.holdDsp("s1", 1, 3, 1), true)
        assert.equal(ledger.holdDsp("s1", 2, 2, 4), true)
        assert.equal(ledger.dspOf("s1"), 3 + 4)
        ledger.releaseDsp("s1", 1)
        assert.equal(ledger.dspOf("s1"), 2 + 4)
        ledger.releaseDsp("s1", 2)
        ledger.releaseDsp("s1", 2)
        assert.deepEqual([ledger.dspOf("s1"), ledger.dspHeld(), ledger.dspFree()], [0, 0, 10])
    })

    test("are given to the last one, and a refusal leaves the epoch as it was", () => {
        const ledger = ledgerOf(0)
        ledger.holdDsp("s1", 1, 3, 1)
        assert.equal(ledger.holdDsp("s2", 1, 5, 2), false)
        assert.equal(ledger.holdDsp("s2", 1, 5, 1), true)
        assert.equal(ledger.holdDsp("s1", 1, 3, 2), false)
        assert.equal(ledger.dspOf("s1"), 4)
        assert.equal(ledger.dspWith("s1", 2, 3), 3 + 3)
        assert.equal(ledger.dspHeld(), 10)
    })

    test("of members who are in the session are held whatever becomes of its trees", () => {
        const ledger = ledgerOf(0)
        assert.equal(ledger.holdPresent("s1", 2), true)
        ledger.holdDsp("s1", 1, 3, 1)
        assert.equal(ledger.dspOf("s1"), 3 + 1, "they are among those who are expected")
        ledger.releaseDsp("s1", 1)
        assert.equal(ledger.dspOf("s1"), 2)
        ledger.holdDsp("s1", 2, 1, 2)
        assert.equal(ledger.dspOf("s1"), 2 + 2, "more have come than were expected")
        ledger.holdPresent("s1", 0)
        assert.equal(ledger.dspOf("s1"), 1 + 2)
        ledger.releaseDsp("s1", 2)
        assert.equal(ledger.dspHeld(), 0)
    })

    test("that are short for one more member are counted before he comes, and fewer members always fit", () => {
        const ledger = ledgerOf(0)
        ledger.holdPresent("s1", 4)
        ledger.holdDsp("s2", 1, 4, 2)
        assert.deepEqual(
            [4, 5, 7].map(units => ledger.shortForPresent("s1", units)),
            [0, 1, 3],
        )
        assert.equal(ledger.holdPresent("s1", 5), false)
        assert.equal(ledger.dspOf("s1"), 4)
        assert.equal(ledger.shortForPresent("s2", 4), 0, "those are expected")
        assert.equal(ledger.holdPresent("s1", 3), true)
        assert.equal(ledger.dspHeld(), 9)
    })
})

test("whatever happens in whatever order, sums are within what there is, equal their parts, and end at nothing", () => {
    const { next: random } = seededRandom(7)
    const pick = (among: number) => Math.floor(random() * among)
    const ledger = ledgerOf(500, 20)
    const bandwidth = new Map<string, number>()
    const units = new Map<string, [number, number]>()
    const present = new Map<string, number>()
    const most = (numbers: number[]) => Math.max(0, ...numbers)
    for (let round = 0; round < 4000; round++) {
        const [peer, sid, ep] = [`p${pick(3)}`, `s${pick(4)}`, 1 + pick(3)]
        const [link, session] = [`${peer} ${sid} ${ep}`, `${sid} ${ep}`]
        switch (pick(6)) {
            case 0: {
                const kbps = 1 + pick(200)
                if (ledger.hold(peer, sid, ep, kbps)) bandwidth.set(link, kbps)
                break
            }
            case 1:
                ledger.release(peer, sid, ep)
                bandwidth.delete(link)
                break
            case 2: {
                const need: [number, number] = [pick(5), pick(4)]
                if (ledger.holdDsp(sid, ep, ...need)) units.set(session, need)
                break
            }
            case 3:
                ledger.releaseDsp(sid, ep)
                units.delete(session)
                break
            case 4: {
                const count = pick(5)
                if (ledger.holdPresent(sid, count)) present.set(sid, count)
                break
            }
            case 5:
                if (pick(20) > 0) break
                ledger.dropLink(peer)
                for (const key of bandwidth.keys()) if (key.startsWith(`${peer} `)) bandwidth.delete(key)
        }
        const sids = ["s0", "s1", "s2", "s3"]
        for (const each of ["p0", "p1", "p2"]) {
            const sum = sids.reduce((so, s) => {
                const held = [...bandwidth].filter(([key]) => key.startsWith(`${each} ${s} `))
                return so + most(held.map(([, kbps]) => kbps))
            }, 0)
            assert.equal(ledger.held(each), sum)
            assert.ok(sum <= 500)
        }
        const sum = sids.reduce((so, s) => {
            const needs = [...units].filter(([key]) => key.startsWith(`${s} `)).map(([, need]) => need)
            const members = most([present.get(s) ?? 0, ...needs.map(([count]) => count)])
            return so + members + most(needs.map(([, links]) => links))
        }, 0)
        assert.equal(ledger.dspHeld(), sum)
        assert.ok(sum <= 20)
    }
    for (const sid of ["s0", "s1", "s2", "s3"]) {
        ledger.holdPresent(sid, 0)
        for (const ep of [1, 2, 3]) {
            ledger.releaseDsp(sid, ep)
            for (const peer of ["p0", "p1", "p2"]) ledger.release(peer, sid, ep)
        }
    }
    assert.deepEqual(ledger.view(), { links: [], dspUnits: 20, dspHeld: 0, sessions: [] })
})
