/** The rules of reservation beside the claims: loops, leases, falling back, repair, change. In virtual time. */

import assert from "node:assert/strict"
import { describe, test } from "node:test"
import type { ReservationMessage } from "../../protocol/reservation.ts"
import type { ReservationLimits } from "../../servers/routing/reservation/model.ts"
import { type Sent, TestNetwork } from "./network.ts"

type Limits = Partial<ReservationLimits> & { dsp?: Record<string, number> }

const windows = (links: string[], limits: Limits = {}) => TestNetwork.of(links, { guidedAttempts: 0, ...limits })

const is = (t: string, from: string, to?: string) => (sent: Sent) =>
    sent.message.t === t && sent.from === from && (to === undefined || sent.to === to)

const between = (a: string, b: string) => (sent: Sent) =>
    (sent.from === a && sent.to === b) || (sent.from === b && sent.to === a)

/** Epochs that a source has tried, in order. */
function epochs(network: TestNetwork, source: string, sid = "s1"): number[] {
    const eps = network.messages("req").filter(({ from, message }) => from === source && message.sid === sid)
    return [...new Set(eps.map(({ message }) => message.ep))]
}

function epochOf(network: TestNetwork, rs: string): number {
    return network.at(rs).attempts()[0].ep
}

/** What a line a - t - d holds for one session of 100 kbit/s. */
const lineHeld = ["a 2", "a > t 100", "d 2", "d > t 100", "t > a 100", "t > d 100"]

function activeLine(limits: Limits = {}): TestNetwork {
    const network = TestNetwork.of(["a t 10", "t d 10"], limits)
    network.wish("a", ["d"])
    network.pass(200)
    assert.deepEqual(network.held(), lineHeld)
    return network
}

describe("selecting and falling back", () => {
    /** To d by t at 20 ms with count 0, by the destination m with count 1. The window is 2 ms. */
    const square = (mToD: number) => windows(["a t 10", "t d 10", "a m 10", `m d ${mToD}`])

    test("S2: whose request came after the selection is not used to fall back on either", () => {
        for (const [mToD, isUsed] of [
            [11, true],
            [13, false],
        ] as const) {
            const network = square(mToD)
            network.wish("a", ["m", "d"])
            network.pass(15)
            // Whom d selects cannot be its parent: others have taken that link.
            network.at(isUsed ? "m" : "t").ledger.hold("d", "s9", 1, 950)
            network.pass(200)
            const told = network.messages("resv").filter(({ from }) => from === "d")
            assert.deepEqual(
                told.map(({ to }) => to),
                isUsed ? ["m", "t"] : ["t"],
            )
            assert.deepEqual(network.said("prune"), isUsed ? ["d > m"] : ["d > t"])
            assert.equal(network.of("a", "active").length, isUsed ? 1 : 0)
            if (isUsed) assert.deepEqual(network.tree("a"), ["a > m", "a > t", "t > d"])
            else assert.equal(network.at("d").ledger.dspHeld(), 0)
        }
    })

    test("S3: a request that comes after the end of its attempt does not revive it, for 10 s", () => {
        const network = activeLine()
        const request = network.messages("req").find(({ from }) => from === "t")
        network.drop("a")
        network.pass(100)
        const revive = () => network.slip("t", "d", request!.message).length
        assert.equal(revive(), 0)
        network.pass(9900)
        network.feed("d", { type: "tick" })
        assert.equal(revive(), 0)
        network.pass(200)
        network.feed("d", { type: "tick" })
        assert.ok(revive() > 0, "by then nobody else knows of it")
        network.pass(5000)
        assert.deepEqual(network.held(), [])
    })

    test("S4: notifications alone make no session: a tree that does not answer is torn down", () => {
        for (const lost of ["conf", "alive"]) {
            const network = windows(["a t 10", "t d 10"])
            network.loses = is(lost, lost === "conf" ? "t" : "d")
            network.wish("a", ["d"])
            network.pass(100)
            assert.deepEqual(network.said("resv"), ["d > t", "t > a"])
            assert.equal(network.at("a").attempts()[0].state, "committed")
            network.pass(1000)
            assert.equal(network.of("a", "active").length, 0)
            assert.equal(network.of("a", "refused").length, 1)
            assert.deepEqual(network.held(), [])
        }
    })

    test("who loses its upstream neighbour while it waits takes the next best one, and prunes nobody over a dead link", () => {
        const network = square(11)
        network.loses = is("resv", "d")
        network.wish("a", ["m", "d"])
        network.pass(30)
        assert.equal(network.at("d").attempts()[0].upstream, "m")
        network.loses = () => false
        network.cut("m", "d")
        network.pass(200)
        assert.deepEqual(network.said("prune"), [])
        assert.deepEqual(network.tree("a"), ["a > m", "a > t", "t > d"])
    })

    test("with nobody left to fall back on it lets go of all below, which then have to look for another one", () => {
        // d takes e as child before it hears that t will not have it; e has m as well, which lacks e's units upwards.
        const network = windows(["a t 10", "t d 10", "d e 1", "a m 10", "m e 12"])
        network.delays = sent => (is("rerr", "t")(sent) ? 5 : 0)
        network.wish("a", ["d", "e"])
        network.pass(15)
        network.at("t").ledger.hold("d", "s9", 1, 950)
        network.pass(15)
        assert.equal(network.at("e").attempts()[0].upstream, "d")
        network.pass(25)
        assert.deepEqual([...new Set(network.said("rerr"))], ["t > d", "d > e"])
        assert.deepEqual(network.at("d").attempts(), [])
        assert.equal(network.at("d").ledger.dspHeld(), 0)
        assert.equal(network.at("e").attempts()[0].upstream, "m")
        network.pass(5000)
        assert.deepEqual(network.held(), ["t > d 950"])
    })

    test("to the next best one it tells everything that is reached by it by then", () => {
        const network = windows(["a t 10", "t v 10", "a u 10", "u v 10.5", "v d 10", "d e 10"])
        network.loses = is("resv", "t")
        network.wish("a", ["d", "e"])
        network.pass(100)
        network.cut("t", "v")
        const told = network.messages("resv").filter(({ from }) => from === "v")
        assert.deepEqual(
            told.map(({ to, message }) => [to, message.dests.map(({ id }) => id)]),
            [
                ["t", ["d"]],
                ["t", ["e"]],
                ["u", ["d", "e"]],
            ],
        )
        network.pass(200)
        assert.deepEqual(network.tree("a"), ["a > u", "d > e", "u > v", "v > d"])
    })

    test("in transit it takes the next best one without holding anything as long as nobody below has notified it", () => {
        const network = windows(["a t 10", "t v 10", "a u 10", "u v 10.5", "v d 50"])
        network.wish("a", ["d"])
        network.pass(50)
        assert.equal(network.at("v").attempts()[0].upstream, "t")
        network.cut("t", "v")
        assert.equal(network.at("v").attempts()[0].upstream, "u")
        assert.deepEqual(network.held(), ["a 1"])
        network.pass(500)
        assert.deepEqual(network.tree("a"), ["a > u", "u > v", "v > d"])
    })

    test("the usage count that is handed on is that of the neighbour that could be taken in the end", () => {
        // d prefers m (count 1), but its own way to it is full; by t it is the first destination on the way to e.
        const network = windows(["a t 10", "t d 10", "a m 10", "m d 11 1000 50", "d e 10"])
        network.wish("a", ["m", "d", "e"])
        network.pass(500)
        assert.deepEqual(network.tree("a"), ["a > m", "a > t", "d > e", "t > d"])
        const [request] = network.messages("req").filter(({ from }) => from === "d")
        assert.equal(request.message.usageCount, 1)
        assert.equal(request.message.delaySoFar, 3000)
    })

    test("whoever cannot hold its way up leaves those below to others that had asked them", () => {
        const network = windows(["a t 10 1000 50", "t d 10", "a u 10", "u d 10.5"])
        network.wish("a", ["d"])
        network.pass(300)
        assert.deepEqual(network.said("rerr"), ["t > d"])
        assert.deepEqual(network.tree("a"), ["a > u", "u > d"])
    })

    test("a destination that cannot hold any way up says so, and the source need not wait for the limit", () => {
        const network = windows(["a d 10 1000 50"])
        network.wish("a", ["d"])
        network.pass(30)
        const [{ short }] = network.of("a", "refused")
        assert.deepEqual([short[0].rs, short[0].reason], ["d", "no-bandwidth"])
        network.pass(100)
        assert.deepEqual(network.held(), [])
    })
})

describe("messages from those who have no business to send them", () => {
    const attempt = (network: TestNetwork) => ({ sid: "s1", ep: epochOf(network, "t") })

    test("a notification for an attempt that is unknown, or from a server that was not asked, is answered with its end", () => {
        const network = activeLine()
        const dests = [{ id: "d", bandwidth: 1, dsp: 1 }]
        const ended = (message: ReservationMessage) =>
            network.slip("d", "a", message).map(effect => effect.type === "send" && [effect.to, effect.message.t])
        assert.deepEqual(ended({ t: "resv", sid: "s1", ep: 7, dests, label: 1 }), [["d", "tear"]])
        assert.deepEqual(ended({ t: "resv", ...attempt(network), dests, label: 1 }), [["d", "tear"]])
        assert.deepEqual(network.held(), lineHeld)
    })

    test("PRUNE counts from a child, TEAR and RERR from the upstream neighbour, and change nothing from anybody else", () => {
        const network = activeLine()
        const ep = attempt(network)
        network.slip("a", "t", { t: "prune", ...ep })
        network.slip("d", "t", { t: "tear", ...ep })
        network.slip("d", "t", { t: "rerr", ...ep, reason: "no-bandwidth" })
        network.slip("x", "t", { t: "tear", ...ep })
        network.slip("d", "a", { t: "prune", ...ep })
        assert.deepEqual(network.held(), lineHeld)
        network.pass(10_000)
        assert.equal(network.of("a", "active").length, 1)
        assert.deepEqual(network.held(), lineHeld)
    })

    test("CONF and REFRESH from another than the upstream neighbour are pruned and keep nothing alive", () => {
        const network = activeLine()
        const ep = attempt(network)
        for (const t of ["conf", "refresh"] as const) {
            const effects = network.slip("d", "t", { t, ...ep, label: 5, active: 1 })
            assert.deepEqual(
                effects.map(effect => effect.type === "send" && [effect.to, effect.message.t]),
                [["d", "prune"]],
            )
        }
        const unknown = network.slip("a", "t", { t: "refresh", sid: "s1", ep: 7, label: 5, active: 1 })
        assert.equal(unknown.length, 1, "pruned, so that whoever still counts on it hears")
    })

    test("RACK, ALIVE and PATHERR from strangers do nothing", () => {
        const network = activeLine()
        const ep = attempt(network)
        assert.deepEqual(network.slip("x", "t", { t: "rack", ...ep }), [])
        assert.deepEqual(network.slip("x", "t", { t: "alive", ...ep, dest: "d", via: [] }), [])
        assert.deepEqual(network.slip("x", "t", { t: "patherr", ...ep, from: "t", to: "d", reason: "no-path" }), [])
        assert.deepEqual(network.slip("x", "a", { t: "alive", ...ep, dest: "d", via: ["x"] }), [])
    })

    test("a request for an attempt of which this server is the source is ignored", () => {
        const network = TestNetwork.of(["a t 10", "t d 10"])
        network.wish("a", ["d"])
        assert.deepEqual(network.slip("t", "a", network.messages("req")[0].message), [])
    })

    test("a server with as many attempts as it may have names itself as the reason", () => {
        const network = TestNetwork.of(["a t 10", "t d 10", "b t 10"], { attempts: 1 })
        network.wish("a", ["d"])
        network.pass(200)
        network.wish("b", ["d"], { sid: "s2" })
        network.pass(5000)
        const [{ short }] = network.of("b", "refused")
        assert.deepEqual(short[0], { rs: "d", reason: "too-many", what: "from b to t", at: "b", to: "t" })
        assert.deepEqual(network.held(), lineHeld)
    })
})

describe("letting go", () => {
    test("the end of a session releases everything on its way, and takes its media away", () => {
        const network = activeLine()
        network.drop("a")
        network.pass(100)
        assert.deepEqual(network.said("tear"), ["a > t", "t > d"])
        assert.deepEqual(network.held(), [])
        for (const rs of ["a", "t", "d"]) {
            assert.deepEqual(network.of(rs, "tree").at(-1)?.branches, [])
            assert.deepEqual(network.at(rs).attempts(), [])
        }
    })

    test("a child that is pruned is released, and in transit the way up with it", () => {
        const network = windows(["a t 10", "t d 10"])
        network.loses = is("resv", "t")
        network.wish("a", ["d"])
        network.pass(40)
        assert.deepEqual(network.held(), ["a 1", "d 2", "d > t 100", "t > a 100", "t > d 100"])
        network.slip("d", "t", { t: "prune", sid: "s1", ep: epochOf(network, "t") })
        assert.deepEqual(network.said("prune"), ["t > a"])
        assert.deepEqual(network.at("t").attempts(), [])
        assert.deepEqual(network.held(), ["a 1", "d 2", "d > t 100"])
    })

    test("RERR from the upstream neighbour of a confirmed tree ends it: by then nobody may take another one", () => {
        const network = windows(["a t 10", "t d 10", "a u 10", "u d 10.5"])
        network.wish("a", ["d"])
        network.pass(200)
        network.slip("t", "d", { t: "rerr", sid: "s1", ep: epochOf(network, "d"), reason: "no-bandwidth" })
        assert.deepEqual(network.at("d").attempts(), [])
        assert.deepEqual(
            network.said("resv").filter(text => text.startsWith("d > ")),
            ["d > t"],
        )
        assert.equal(network.at("d").ledger.dspHeld(), 0)
    })

    test("a destination whose child is pruned stays, with units for one link less", () => {
        const network = windows(["a m 10", "m d 10"])
        network.wish("a", ["m", "d"])
        network.pass(60)
        assert.equal(network.at("m").ledger.dspHeld(), 3)
        network.slip("d", "m", { t: "prune", sid: "s1", ep: epochOf(network, "m") })
        assert.equal(network.at("m").ledger.dspHeld(), 2)
        assert.equal(network.at("m").ledger.held("d"), 0)
        assert.equal(network.at("m").ledger.held("a"), 100)
    })

    test("before it is confirmed an attempt holds for 2.5 s at both ends when nobody says anything any more", () => {
        const network = windows(["a t 10", "t d 10"])
        network.loses = sent => sent.message.t === "tear" || is("resv", "t")(sent)
        network.wish("a", ["d"])
        network.pass(2500)
        assert.deepEqual(network.held(), ["d 2", "d > t 100", "t > a 100", "t > d 100"])
        network.pass(30)
        assert.deepEqual(network.held(), [])
    })

    test("an active tree is kept by REFRESH and RACK; in silence each end releases 3.5 s after the last one", () => {
        const network = activeLine({ repairAttempts: 1, orphanMs: 60_000 })
        network.pass(60_000 - network.agenda.nowMs)
        assert.deepEqual(network.held(), lineHeld)
        // The last refresh was sent at 60 s: it is at t at 60.01, at d at 60.02.
        network.pass(30)
        network.loses = between("t", "d")
        network.pass(3500 - 11)
        assert.equal(network.at("d").ledger.held("t"), 100)
        network.pass(2)
        assert.equal(network.at("d").ledger.held("t"), 0, "the child has not been refreshed")
        assert.equal(network.at("d").ledger.dspHeld(), 0)
        network.pass(10)
        assert.equal(network.at("t").ledger.held("d"), 0, "the parent has had no answer")
    })

    test("what a server that was lost holds, and what is held for it, is released on both sides of the cut", () => {
        const network = activeLine({ orphanMs: 0 })
        network.cut("t", "d")
        assert.equal(network.at("d").ledger.held("t"), 0)
        assert.equal(network.at("t").ledger.held("d"), 0)
        network.pass(20_000)
        assert.deepEqual(network.held(), [])
    })
})

describe("another attempt", () => {
    test("is waited for between 50 and 250 ms, and no two sources wait alike", () => {
        const waits: number[] = []
        for (const source of ["a", "b"]) {
            const network = TestNetwork.of(["a d 10", "b d 10"])
            network.loses = is("resv", "d")
            network.wish(source, ["d"])
            network.pass(10_000)
            const asked = network.messages("req").map(({ atMs }) => atMs)
            const ended = network.messages("tear").map(({ atMs }) => atMs)
            assert.equal(asked.length, 4, "three guided ones and one by windows")
            for (let i = 1; i < 4; i++) waits.push(asked[i] - ended[i - 1])
            assert.deepEqual(
                network.messages("req").map(({ message }) => message.tree !== undefined),
                [true, true, true, false],
            )
            assert.equal(network.of(source, "refused").length, 1)
        }
        for (const wait of waits) assert.ok(wait >= 50 && wait <= 250, `${wait} ms`)
        assert.equal(new Set(waits).size, waits.length)
    })

    test("goes around the link that the last one failed on, though the database still says that it is free", () => {
        const network = TestNetwork.of(["a t 10", "t d 10", "a u 12", "u d 12"])
        network.at("t").ledger.hold("d", "s9", 1, 950)
        network.wish("a", ["d"])
        network.pass(1000)
        assert.deepEqual(network.said("patherr"), ["t > a"])
        assert.deepEqual(network.said("req"), ["a > t", "a > u", "u > d"], "nobody is asked in vain")
        assert.equal(epochs(network, "a").length, 2)
        assert.deepEqual(network.tree("a"), ["a > u", "u > d"])
    })

    test("goes around a link that is full only from the child to its parent, too", () => {
        const network = TestNetwork.of(["a t 10", "t d 10", "a u 12", "u d 12"])
        network.at("d").ledger.hold("t", "s9", 1, 950)
        network.wish("a", ["d"])
        network.pass(1000)
        assert.deepEqual(network.tree("a"), ["a > u", "u > d"])
        assert.equal(epochs(network, "a").length, 2)
    })

    test("names the link that is full, and only the destinations behind it, when there is no other way", () => {
        for (const [from, to] of ["td", "dt"]) {
            const network = TestNetwork.of(["a t 10", "t d 10", "t e 10"])
            network.at(from).ledger.hold(to, "s9", 1, 950)
            network.wish("a", ["d", "e"])
            network.pass(5000)
            assert.deepEqual(network.of("a", "refused")[0].short, [
                { rs: "d", reason: "no-bandwidth", what: `100 kbit/s from ${from} to ${to}`, at: from, to },
            ])
            assert.deepEqual(network.held(), [`${from} > ${to} 950`])
        }
    })

    test("is not made when all links of the source are full: bandwidth is what is named, not a path", () => {
        const network = TestNetwork.of(["a d 10 50"])
        network.wish("a", ["d"])
        network.pass(5000)
        assert.deepEqual(
            network.of("a", "refused")[0].short.map(({ rs, reason }) => [rs, reason]),
            [["d", "no-bandwidth"]],
        )
        assert.deepEqual(network.sent, [])
    })

    test("waits for a route, and is made at once when there is one", () => {
        const network = TestNetwork.of(["a t 10", "t d 10"])
        network.cut("t", "d")
        network.wish("a", ["d"])
        network.pass(800)
        assert.deepEqual(network.sent, [])
        network.restore("t", "d")
        assert.deepEqual(network.said("req"), ["a > t"])
        network.pass(200)
        assert.equal(network.of("a", "active").length, 1)
    })

    test("is not made for ever without a route", () => {
        const network = TestNetwork.of(["a t 10", "t d 10"])
        network.cut("t", "d")
        network.wish("a", ["d"])
        network.pass(5000)
        assert.deepEqual(network.of("a", "refused")[0].short, [
            { rs: "d", reason: "no-path", what: "no path to d", at: "d" },
        ])
        network.restore("t", "d")
        network.pass(5000)
        assert.deepEqual(network.sent, [], "the next wish decides")
    })
})

test("a way through more servers than an answer can name is refused, and nobody sends what has no shape", () => {
    for (const [between, answer] of [
        [64, "active"],
        [65, "refused"],
    ] as const) {
        const names = ["a", ...Array.from({ length: between }, (_, i) => `m${100 + i}`), "z"]
        const network = TestNetwork.of(
            names.slice(1).map((name, i) => `${names[i]} ${name} 1`),
            { guidedAttempts: 1, windowAttempts: 0 },
        )
        network.wish("a", ["z"])
        network.pass(3000)
        assert.equal(network.of("a", answer).length, 1)
    }
})

describe("many sessions at once", () => {
    test("are tried a few at a time in their order, and each is answered", () => {
        const network = TestNetwork.of(["a b 10 100000", "b c 10 100000"], { trialsAtOnce: 2, dspUnits: 1000 })
        const sids = ["s1", "s2", "s3", "s4", "s5"]
        for (const sid of sids) network.wish("a", ["c"], { sid })
        const asked = () => network.sent.filter(({ from, message }) => from === "a" && message.t === "req").length
        assert.equal(asked(), 2)
        network.pass(1000)
        assert.deepEqual(
            network.of("a", "active").map(({ sid }) => sid),
            sids,
        )
    })

    test("do not hold up a repair, nor a refusal for want of own units", () => {
        const network = TestNetwork.of(["a b 10 100000", "b c 10 100000", "a c 25 100000"], {
            trialsAtOnce: 1,
            dspUnits: 10,
        })
        network.wish("a", ["b"])
        network.pass(200)
        network.loses = ({ message }) => message.t === "resv" && message.sid === "s2"
        network.wish("a", ["c"], { sid: "s2" })
        network.wish("a", ["c"], { sid: "s3", dspUnits: 100 })
        assert.equal(network.of("a", "refused").at(-1)?.sid, "s3")
        const before = network.of("a", "active").length
        network.cut("a", "b")
        network.pass(150)
        assert.equal(network.of("a", "active").slice(before).at(-1)?.sid, "s1")
    })

    test("that are dropped while they wait are not tried", () => {
        const network = TestNetwork.of(["a b 10 100000"], { trialsAtOnce: 1 })
        for (const sid of ["s1", "s2"]) network.wish("a", ["b"], { sid })
        network.feed("a", { type: "drop", sid: "s2" })
        network.pass(500)
        assert.deepEqual(network.said("req", "s2"), [])
    })
})

describe("a change", () => {
    test("of the wish is one more epoch, makes before it breaks, and takes no bandwidth twice", () => {
        const network = TestNetwork.of(["a t 10 100", "t d 10 100", "t e 10 100"])
        network.wish("a", ["d"])
        network.pass(200)
        const before = network.effects.length
        network.wish("a", ["d", "e"])
        const [first] = epochs(network, "a")
        assert.deepEqual(
            network
                .at("a")
                .attempts()
                .map(({ ep, state }) => [ep > first, state]),
            [
                [false, "active"],
                [true, "reserving"],
            ],
        )
        network.pass(300)
        assert.deepEqual(network.tree("a"), ["a > t", "t > d", "t > e"])
        const trees = network.effects.slice(before).filter(({ effect }) => effect.type === "tree")
        for (const { effect } of trees) if (effect.type === "tree") assert.ok(effect.branches.length > 0)
        // Where the tree branches three streams meet, and each link carries one: they are mixed.
        assert.deepEqual(network.held(), [...lineHeld, "e 2", "e > t 100", "t > e 100", "t 3"].sort())
        assert.equal(network.at("t").attempts().length, 1, "the old epoch is over")
    })

    test("makes a server in transit mix where the tree begins to branch, and pass through unread where it ends to", () => {
        const network = TestNetwork.of(["a t 10", "t d 10", "t e 10"])
        network.wish("a", ["d"])
        network.pass(300)
        const media = () => network.of("t", "tree").at(-1)
        assert.deepEqual([media()?.transit, network.at("t").ledger.dspHeld()], [true, 0])
        network.wish("a", ["d", "e"])
        network.pass(300)
        assert.deepEqual([media()?.transit, network.at("t").ledger.dspHeld()], [false, 3])
        network.wish("a", ["e"])
        network.pass(300)
        assert.deepEqual([media()?.transit, network.at("t").ledger.dspHeld()], [true, 0])
    })

    test("a server without units where the tree would branch is no branching point", () => {
        const network = TestNetwork.of(["a t 10", "t d 10", "t e 10", "a e 15"], { dsp: { t: 2 } })
        network.wish("a", ["d", "e"])
        network.pass(1500)
        assert.deepEqual(network.tree("a").sort(), ["a > e", "a > t", "t > d"])
        assert.equal(network.at("t").ledger.dspHeld(), 0)
    })

    test("whoever leaves is released, and nobody else notices", () => {
        const network = TestNetwork.of(["a t 10 100", "t d 10 100", "t e 10 100"])
        network.wish("a", ["d", "e"])
        network.pass(300)
        const label = network.of("d", "tree").length
        network.wish("a", ["d"])
        network.pass(300)
        assert.deepEqual(network.held(), lineHeld)
        assert.equal(network.of("d", "tree").length, label)
        assert.deepEqual(network.of("e", "tree").at(-1)?.branches, [])
    })

    test("to no destination at all leaves the units of the source, and to one brings the tree back", () => {
        const network = activeLine()
        network.wish("a", [])
        network.pass(100)
        assert.deepEqual(network.held(), ["a 1"])
        assert.deepEqual(network.of("a", "active").at(-1)?.tree, [])
        network.pass(60_000)
        network.wish("a", ["d"])
        network.pass(200)
        assert.deepEqual(network.held(), lineHeld)
    })

    test("of bandwidth is held on top of what is held already, and only the new one remains", () => {
        for (const [kbps, isPossible] of [
            [1000, true],
            [1001, false],
        ] as const) {
            const network = activeLine()
            network.wish("a", ["d"], { bandwidthKbps: kbps })
            network.pass(5000)
            assert.equal(network.of("a", "active").length, isPossible ? 2 : 1)
            assert.equal(network.at("t").ledger.held("d"), isPossible ? kbps : 100)
            assert.equal(network.of("a", "degraded").length, isPossible ? 0 : 1)
        }
    })

    test("that cannot be had is reported, and the tree that is there goes on for those whom it has", () => {
        const network = TestNetwork.of(["a t 10", "t d 10", "t e 10 50"])
        network.wish("a", ["d"])
        network.pass(200)
        network.wish("a", ["d", "e"])
        network.pass(60_000)
        assert.deepEqual(
            network.of("a", "degraded").map(({ short }) => short.map(({ rs, reason }) => [rs, reason])),
            [[["e", "no-bandwidth"]]],
        )
        assert.deepEqual(network.held(), lineHeld)
        assert.equal(network.of("a", "active").length, 1)
    })

    for (const [phase, atMs] of [
        ["while requests are out", 15],
        ["while notifications come back", 25],
        ["while it is being confirmed", 55],
        ["when it has just become active", 75],
    ] as const)
        test(`is taken ${phase}, and leaves nothing of what it replaces`, () => {
            const network = TestNetwork.of(["a t 10", "t d 10", "t e 10", "e f 10"])
            network.wish("a", ["d", "f"])
            network.pass(atMs)
            network.wish("a", ["d"])
            network.pass(500)
            assert.deepEqual(network.tree("a"), ["a > t", "t > d"])
            assert.deepEqual(network.held(), lineHeld)
            for (const rs of ["a", "t", "d"]) assert.equal(network.at(rs).attempts().length, 1)
        })

    test("is taken while another attempt is waited for, after a refusal, and while a tree is repaired", () => {
        const network = TestNetwork.of(["a t 10", "t d 10", "t e 10"])
        network.at("t").ledger.hold("e", "s9", 1, 950)
        network.wish("a", ["e"])
        network.pass(45)
        assert.equal(network.at("a").attempts().length, 0, "between two attempts")
        network.wish("a", ["d"])
        network.pass(300)
        const others = "t > e 950"
        assert.deepEqual(network.held(), [...lineHeld, others])

        network.drop("a")
        network.wish("a", ["e"])
        network.pass(5000)
        assert.equal(network.of("a", "refused").length, 1)
        network.wish("a", ["d"])
        network.pass(300)
        assert.deepEqual(network.held(), [...lineHeld, others])

        network.cut("t", "d")
        network.pass(300)
        network.wish("a", [])
        network.pass(4000)
        assert.deepEqual(network.held(), ["a 1", others])
        assert.equal(network.of("a", "degraded").length, 0)
    })

    test("back to what the active tree is ends the attempt", () => {
        const network = activeLine()
        network.loses = is("resv", "d")
        network.wish("a", ["d"], { dspUnits: 5 })
        network.pass(30)
        network.wish("a", ["d"])
        network.pass(100)
        assert.deepEqual(network.held(), lineHeld)
        network.pass(10_000)
        assert.equal(network.of("a", "degraded").length, 0)
    })

    test("told twice, or late, changes nothing", () => {
        const network = activeLine()
        const wish = { sid: "s1", destinations: [{ rs: "d", dspUnits: 1 }], bandwidthKbps: 100, dspUnits: 1 }
        network.feed("a", { type: "wish", wish: { ...wish, version: 1 } })
        network.feed("a", { type: "wish", wish: { ...wish, version: 0, destinations: [] } })
        network.pass(1000)
        assert.equal(epochs(network, "a").length, 1)
        assert.deepEqual(network.held(), lineHeld)
    })

    test("of a guided tree is guided as well, however much the links carry: what the session has itself counts as free", () => {
        for (const [kbps, wanted] of [
            [100, 100],
            [4294967295, 10_000_000],
        ]) {
            const network = TestNetwork.of([`a t 10 ${kbps}`, `t d 10 ${kbps}`])
            network.wish("a", ["d"], { bandwidthKbps: wanted })
            network.pass(200)
            network.tellTopology()
            network.wish("a", ["d"], { bandwidthKbps: wanted, dspUnits: 2 })
            network.pass(200)
            assert.equal(network.of("a", "active").length, 2)
            for (const { message } of network.messages("req")) assert.ok(message.tree)
        }
    })

    test("of the source: the new one makes its tree with later epochs while that of the old one goes on", () => {
        const network = TestNetwork.of(["a t 10 100", "t d 10 100"])
        network.wish("a", ["d"])
        network.pass(200)
        network.wish("d", ["a"])
        network.pass(200)
        assert.ok(epochs(network, "d")[0] > epochs(network, "a")[0])
        assert.deepEqual(network.tree("d"), ["d > t", "t > a"])
        network.drop("a")
        network.pass(200)
        assert.deepEqual(network.held(), lineHeld)
        for (const rs of ["a", "t", "d"]) {
            assert.equal(network.at(rs).attempts().length, 1)
            for (const { branches } of network.of(rs, "tree")) assert.ok(branches.length > 0)
        }
        network.pass(20_000)
        assert.deepEqual(network.held(), lineHeld)
    })

    test("of the source to one whose tree is another: media go over the newer one as soon as it is active", () => {
        const network = TestNetwork.of(["a t 10 150", "t d 10 150", "a u 12", "u d 12"])
        network.wish("a", ["d"])
        network.pass(200)
        network.wish("d", ["a"], { bandwidthKbps: 200 })
        network.pass(200)
        assert.deepEqual(network.tree("d"), ["d > u", "u > a"])
        for (const rs of ["a", "d"]) {
            const peers = network
                .of(rs, "tree")
                .at(-1)
                ?.branches.map(({ peer }) => peer)
            assert.deepEqual(peers, ["u"])
        }
    })

    test("a session that comes again has other labels than before", () => {
        const network = activeLine()
        network.drop("a")
        network.pass(200)
        network.wish("a", ["d"])
        network.pass(200)
        const labels = network.messages("resv").filter(({ from }) => from === "t")
        assert.equal(labels.length, 2)
        assert.notEqual(labels[0].message.label, labels[1].message.label)
    })

    test("a session that comes again does not meet its own tombstones", () => {
        const network = activeLine()
        network.drop("a")
        network.feed("a", {
            type: "wish",
            wish: { sid: "s1", version: 1, destinations: [{ rs: "d", dspUnits: 1 }], bandwidthKbps: 100, dspUnits: 1 },
        })
        network.pass(200)
        assert.equal(epochs(network, "a").length, 2)
        assert.deepEqual(network.held(), lineHeld)
    })

    test("a wish that names the source among the destinations, or one of them twice, means what it can mean", () => {
        const network = TestNetwork.of(["a t 10", "t d 10"])
        network.wish("a", ["d", "a", "d"])
        network.pass(200)
        assert.deepEqual(network.tree("a"), ["a > t", "t > d"])
        assert.deepEqual(network.held(), lineHeld)
    })

    test("units at the source are counted as they will be held, with the links of the tree that goes on", () => {
        // Three links and one member are held; with four members the links stay.
        const network = TestNetwork.of(["a b 10", "a c 10", "a d 10"], { dsp: { a: 6 } })
        network.wish("a", ["b", "c", "d"])
        network.pass(200)
        assert.equal(network.at("a").ledger.dspHeld(), 4)
        network.wish("a", ["b", "c", "d"], { dspUnits: 4 })
        assert.deepEqual(network.of("a", "degraded")[0]?.short, [
            { rs: "a", reason: "no-dsp", what: "7 DSP units needed at a, 6 free", at: "a" },
        ])
        network.wish("a", ["b", "c", "d"], { dspUnits: 3 })
        network.pass(200)
        assert.equal(network.at("a").ledger.dspHeld(), 6)
    })
})

describe("repair", () => {
    const ring = (limits: Limits = {}) => TestNetwork.of(["a t 10", "t d 10", "a u 12", "u d 12"], limits)

    test("after a cut the session is active on another tree at once, and nothing of the old one is left", () => {
        for (const [a, b] of ["at", "td"]) {
            const network = ring()
            network.wish("a", ["d"])
            network.pass(200)
            network.cut(a, b)
            network.pass(200)
            assert.deepEqual(network.tree("a"), ["a > u", "u > d"])
            assert.equal(network.of("a", "active").length, 2)
            network.pass(5000)
            assert.deepEqual(network.held(), ["a 2", "a > u 100", "d 2", "d > u 100", "u > a 100", "u > d 100"])
            assert.deepEqual(network.at("t").attempts(), [])
        }
    })

    test("a destination that is silent for 2.5 s is looked for by another tree", () => {
        const network = ring()
        network.wish("a", ["d"])
        network.pass(200)
        // Nobody is told that the link has gone.
        network.loses = between("t", "d")
        network.pass(2200)
        assert.equal(epochs(network, "a").length, 1)
        // t itself believes in d until 3.6 s.
        network.pass(1000)
        assert.equal(epochs(network, "a").length, 2)
        network.pass(2000)
        assert.deepEqual(network.tree("a"), ["a > u", "u > d"])
        network.pass(5000)
        assert.deepEqual(network.held(), ["a 2", "a > u 100", "d 2", "d > u 100", "u > a 100", "u > d 100"])
    })

    test("has a budget: after five attempts the session is degraded, and what is left of it ends later", () => {
        const network = ring()
        network.wish("a", ["d"])
        network.pass(200)
        network.loses = sent => sent.message.t === "req" && sent.to === "d"
        network.cut("t", "d")
        network.pass(15_000)
        const tried = epochs(network, "a").slice(1)
        assert.equal(tried.length, 5)
        const startMs = tried.map(ep => network.messages("req").find(({ message }) => message.ep === ep)?.atMs ?? 0)
        const endMs = tried.map(ep => network.messages("tear").find(({ message }) => message.ep === ep)?.atMs ?? 0)
        const waits = startMs.slice(1).map((ms, i) => Math.round(ms - endMs[i]))
        assert.deepEqual(waits, [250, 500, 1000, 2000])
        const degraded = network.effects.filter(({ effect }) => effect.type === "degraded")
        assert.equal(degraded.length, 1)
        assert.equal(network.of("a", "refused").length, 0)
        network.pass(degraded[0].atMs + 10_100 - network.agenda.nowMs)
        assert.deepEqual(network.held(), [])
        assert.deepEqual(network.at("a").attempts(), [])
        network.pass(60_000)
        assert.equal(epochs(network, "a").length, 6)

        network.loses = () => false
        network.wish("a", ["d"])
        network.pass(300)
        assert.deepEqual(network.tree("a"), ["a > u", "u > d"])
    })

    test("that was begun by a change keeps the budget, and a tree that breaks meanwhile is not forgotten", () => {
        const network = ring()
        network.wish("a", ["d"])
        network.pass(200)
        network.loses = sent => sent.message.t === "req" && sent.to === "d"
        network.wish("a", ["d"], { dspUnits: 2 })
        network.pass(50)
        network.cut("t", "d")
        network.pass(30_000)
        assert.equal(epochs(network, "a").length, 1 + 5)
        assert.equal(network.of("a", "degraded").length, 1)
        assert.deepEqual(network.held(), [])
    })

    test("of a confirmed window tree that breaks before all have answered waits for the answers of the new way", () => {
        // d and f answer at once, e late; t loses d in between.
        const network = windows(["a t 10", "t d 10", "t f 10", "a m 10", "m e 10"])
        network.delays = sent => (is("alive", "e")(sent) ? 100 : 0)
        network.wish("a", ["d", "e", "f"])
        const isConfirmed = () => network.messages("alive").some(({ from }) => from === "t")
        while (!isConfirmed()) network.pass(1)
        network.pass(15)
        network.cut("t", "d")
        network.pass(200)
        assert.equal(network.of("a", "active").length, 0, "d is not connected")
        network.pass(20_000)
        assert.deepEqual(network.held(), [])
    })

    test("of a tree that is lost together with the better one that was being tried leaves no unit behind", () => {
        const network = TestNetwork.of(["a d 1", "d x 20", "x e 20", "d e 1", "a y 40", "y e 30"], { reviewMs: 1000 })
        network.cut("d", "e")
        network.wish("a", ["e"])
        network.pass(1000)
        assert.deepEqual(network.tree("a"), ["a > d", "d > x", "x > e"])
        network.restore("d", "e")
        network.delays = sent => (is("alive", "e", "d")(sent) ? 100 : 0)
        while (network.at("a").attempts().length < 2) network.pass(1)
        network.pass(50)
        assert.deepEqual(
            network
                .at("a")
                .attempts()
                .map(({ state, children }) => [state, children]),
            [
                ["active", ["d"]],
                ["committed", ["d"]],
            ],
        )
        network.cut("a", "d")
        network.pass(1000)
        assert.deepEqual(network.tree("a"), ["a > y", "y > e"])
        network.drop("a")
        network.pass(5000)
        assert.deepEqual(network.held(), [])
    })
})

describe("a better tree", () => {
    test("is moved to at the next review when it is much better, and the old one is broken only then", () => {
        const network = TestNetwork.of(["a t 20", "t d 20", "a d 10"])
        network.cut("a", "d")
        network.wish("a", ["d"])
        network.pass(1000)
        assert.deepEqual(network.tree("a"), ["a > t", "t > d"])
        network.restore("a", "d")
        network.pass(28_000)
        assert.equal(epochs(network, "a").length, 1)
        network.pass(2500)
        assert.deepEqual(network.tree("a"), ["a > d"])
        assert.deepEqual(network.held(), ["a 2", "a > d 100", "d 2", "d > a 100"])
    })

    test("is not worth a move for a little", () => {
        const network = TestNetwork.of(["a t 10", "t d 10", "a u 8", "u d 8"])
        network.cut("a", "u")
        network.wish("a", ["d"])
        network.pass(1000)
        network.restore("a", "u")
        network.pass(120_000)
        assert.deepEqual(network.tree("a"), ["a > t", "t > d"])
        assert.equal(epochs(network, "a").length, 1)
    })

    test("that cannot be had leaves the good one as it is, without a word", () => {
        const network = TestNetwork.of(["a t 20", "t d 20", "a d 10"])
        network.cut("a", "d")
        network.wish("a", ["d"])
        network.pass(1000)
        network.restore("a", "d")
        network.at("d").ledger.hold("a", "s9", 1, 950)
        network.pass(60_000)
        assert.ok(epochs(network, "a").length > 1)
        assert.deepEqual(network.tree("a"), ["a > t", "t > d"])
        assert.equal(network.of("a", "degraded").length, 0)
        assert.deepEqual(network.held(), [...lineHeld, "d > a 950"].sort())
    })
})
