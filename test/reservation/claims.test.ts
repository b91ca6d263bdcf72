/**
 * The claims of reservation, one by one, in `window` mode, which is their words. Each step of a claim is decided by a case in
 * which it alone decides: what comes before and after is as good as it can be.
 */

import assert from "node:assert/strict"
import { describe, test } from "node:test"
import type { ReservationLimits } from "../../servers/routing/reservation/model.ts"
import { type Sent, TestNetwork } from "./network.ts"

function windows(
    links: string[],
    limits: Partial<ReservationLimits> & { dsp?: Record<string, number> } = {},
): TestNetwork {
    return TestNetwork.of(links, { guidedAttempts: 0, ...limits })
}

const is = (t: string, from: string, to?: string) => (sent: Sent) =>
    sent.message.t === t && sent.from === from && (to === undefined || sent.to === to)

/** Requests from one server to another, as their usage counts. */
function counts(network: TestNetwork, from: string, to: string): number[] {
    return network
        .messages("req")
        .filter(sent => sent.from === from && sent.to === to)
        .map(({ message }) => message.usageCount)
}

/** Whom a server has told that it is a child. */
function parentsTold(network: TestNetwork, rs: string): string[] {
    return network
        .messages("resv")
        .filter(({ from, message }) => from === rs && message.label !== undefined)
        .map(({ to }) => to)
}

describe("transit [claim 4]", () => {
    test("[claim 4] a server in transit passes the session through: no unit is held, and its links are joined by label", () => {
        const network = windows(["a t 10", "t d 10"])
        network.wish("a", ["d"])
        network.pass(200)
        const [tree] = network.of("t", "tree")
        assert.equal(tree.transit, true)
        assert.deepEqual(
            tree.branches.map(({ peer }) => peer),
            ["a", "d"],
        )
        assert.equal(network.at("t").ledger.dspHeld(), 0)
        assert.deepEqual(network.held(), ["a 2", "a > t 100", "d 2", "d > t 100", "t > a 100", "t > d 100"])
    })

    test("[claim 4] a server on the way that has members itself is not in transit: it mixes, with units for each link", () => {
        const network = windows(["a m 10", "m d 10"])
        network.wish("a", ["m", "d"])
        network.pass(200)
        assert.equal(network.of("m", "tree").at(-1)?.transit, false)
        assert.equal(network.at("m").ledger.dspHeld(), 1 + 2)
    })

    test("[claim 4] [claim 18] labels are handed upstream with the reservation, and each sends under what the other wants", () => {
        const network = windows(["a t 10", "t d 10", "t e 10"])
        // Labels of another session, so that equal numbers do not prove anything.
        network.wish("d", ["t"], { sid: "s0" })
        network.pass(200)
        network.wish("a", ["d", "e"])
        network.pass(200)
        const branch = (rs: string, peer: string) => {
            const tree = network.of(rs, "tree").filter(({ sid }) => sid === "s1")
            return tree.at(-1)?.branches.find(one => one.peer === peer)
        }
        const resv = network.messages("resv").filter(({ from, message }) => from === "t" && message.sid === "s1")
        assert.equal(
            resv[0].message.label,
            branch("a", "t")?.labelOut,
            "what went upstream is what the parent sends under",
        )
        for (const [parent, child] of ["at", "td", "te"]) {
            assert.ok(branch(parent, child))
            assert.equal(branch(parent, child)?.labelOut, branch(child, parent)?.labelIn, `${parent} to ${child}`)
            assert.equal(branch(child, parent)?.labelOut, branch(parent, child)?.labelIn, `${child} to ${parent}`)
        }
        const labelsIn = network
            .of("t", "tree")
            .at(-1)
            ?.branches.map(({ labelIn }) => labelIn)
        assert.equal(new Set(labelsIn).size, 3)
    })
})

describe("the source [claims 14-17]", () => {
    test("[claim 14] checks its own units first: short of one it refuses at once, names what is short and asks nobody", () => {
        const short = windows(["a d 10"], { dsp: { a: 3 } })
        short.wish("a", ["d"], { dspUnits: 3 })
        assert.deepEqual(short.sent, [])
        assert.deepEqual(short.of("a", "refused")[0]?.short, [
            { rs: "a", reason: "no-dsp", what: "4 DSP units needed at a, 3 free", at: "a" },
        ])
        assert.deepEqual(short.held(), [])
        short.pass(10_000)
        assert.deepEqual(short.sent, [], "and does not try again by itself")

        const enough = windows(["a d 10"], { dsp: { a: 4 } })
        enough.wish("a", ["d"], { dspUnits: 3 })
        enough.pass(100)
        assert.equal(enough.of("a", "active").length, 1)
    })

    test("[claim 14] units that other sessions hold are not there, and those of members who are in already count once", () => {
        const network = windows(["a d 10"], { dsp: { a: 6 } })
        network.wish("a", ["d"], { sid: "s0", dspUnits: 2 })
        network.pass(200)
        network.at("a").ledger.holdPresent("s1", 2)
        network.wish("a", ["d"], { dspUnits: 3 })
        assert.equal(network.of("a", "refused").length, 1)
        network.wish("a", ["d"], { dspUnits: 2 })
        network.pass(200)
        assert.equal(network.of("a", "active").at(-1)?.sid, "s1")
        assert.equal(network.at("a").ledger.dspHeld(), 6)
    })

    test("[claim 14] a session at one server alone takes its units and asks nobody", () => {
        const network = windows(["a d 10"])
        network.wish("a", [], { dspUnits: 3 })
        assert.deepEqual(network.of("a", "active")[0]?.tree, [])
        assert.deepEqual(network.sent, [])
        assert.deepEqual(network.held(), ["a 3"])
    })

    test("[claim 14] sends requests to all destinations", () => {
        const network = windows(["a b 10", "a t 10", "t c 10", "t d 10"])
        network.wish("a", ["b", "c", "d"])
        network.pass(300)
        for (const { message } of network.messages("req"))
            assert.deepEqual(
                message.dests.map(({ id }) => id),
                ["b", "c", "d"],
            )
        assert.deepEqual(network.said("req"), ["a > b", "a > t", "t > c", "t > d"])
        assert.deepEqual(network.tree("a"), ["a > b", "a > t", "t > c", "t > d"])
    })

    test("[claim 14] checks for the bandwidth of every path: one that is short refuses the session and names its destination", () => {
        for (const [kbps, answer] of [
            [99, "refused"],
            [100, "active"],
        ] as const) {
            const network = windows(["a b 10", "a t 10", `t d 10 ${kbps}`])
            network.wish("a", ["b", "d"])
            network.pass(2000)
            assert.equal(network.of("a", answer).length, 1, `${kbps} kbit/s`)
            if (answer === "active") continue
            assert.deepEqual(
                network.of("a", "refused")[0].short.map(({ rs, reason }) => [rs, reason]),
                [["d", "no-bandwidth"]],
            )
            assert.equal(network.of("a", "active").length, 0)
            assert.deepEqual(network.held(), [])
        }
    })

    test("[claim 14] checks for the units of every destination: one that is short refuses the session and is named", () => {
        for (const [units, answer] of [
            [1, "refused"],
            [2, "active"],
        ] as const) {
            const network = windows(["a b 10", "a t 10", "t d 10"], { dsp: { d: units } })
            network.wish("a", ["b", "d"])
            network.pass(2000)
            assert.equal(network.of("a", answer).length, 1, `${units} units`)
            if (answer === "active") continue
            const [{ rs, reason, at }] = network.of("a", "refused")[0].short
            assert.deepEqual([rs, reason, at], ["d", "no-dsp", "d"])
            assert.deepEqual(network.held(), [])
        }
    })

    test("[claim 14] a notification of bandwidth alone, or of units alone, is not enough", () => {
        for (const [bandwidth, dsp] of [
            [1, 0],
            [0, 1],
        ]) {
            const network = windows(["a b 10", "a d 10"])
            network.loses = is("resv", "d")
            network.wish("a", ["b", "d"])
            const ep = network.messages("req")[0].message.ep
            network.agenda.at(25, () =>
                network.slip("d", "a", { t: "resv", sid: "s1", ep, dests: [{ id: "d", bandwidth, dsp }], label: 9 }),
            )
            network.pass(2000)
            assert.equal(network.of("a", "active").length, 0)
            assert.equal(network.messages("conf").length, 0)
            assert.equal(network.of("a", "refused").length, 1)
        }
    })

    test("[claim 15] the source itself waits for the notifications of all, and confirms with the last one", () => {
        const network = windows(["a b 10", "a t 10", "t d 10"])
        network.delays = sent => (is("resv", "t")(sent) ? 100 : 0)
        network.wish("a", ["b", "d"])
        const last = () => network.messages("resv").find(({ from }) => from === "t")
        network.pass(100)
        assert.deepEqual(network.said("resv"), ["b > a", "d > t", "t > a"], "all are on their way")
        assert.deepEqual(network.said("conf"), [])
        assert.deepEqual(network.at("a").attempts()[0].state, "reserving")
        network.pass(300)
        const [first] = network.messages("conf")
        assert.equal(first.atMs, (last()?.atMs ?? 0) + 10 + 100)
        assert.equal(network.of("a", "active").length, 1)
    })

    test("[claim 15] a session whose notification is missing is never active", () => {
        const network = windows(["a b 10", "a t 10", "t d 10"])
        network.loses = is("resv", "t")
        network.wish("a", ["b", "d"])
        network.pass(10_000)
        assert.equal(network.of("a", "active").length, 0)
        assert.deepEqual(network.said("conf"), [])
        assert.deepEqual(network.held(), [])
    })

    test("[claim 16] the resources are DSP units: of the members, and one of each link that is mixed", () => {
        const network = windows(["a m 10", "m d 10", "m e 10"], { dspUnitsPerLink: 2 })
        const destinations = [
            { rs: "m", dspUnits: 4 },
            { rs: "d", dspUnits: 5 },
            { rs: "e", dspUnits: 6 },
        ]
        network.wish("a", [], { destinations, dspUnits: 3 })
        network.pass(300)
        const units = ["a", "m", "d", "e"].map(rs => network.at(rs).ledger.dspHeld())
        assert.deepEqual(units, [3 + 2, 4 + 3 * 2, 5 + 2, 6 + 2])
        network.drop("a")
        network.pass(100)
        assert.deepEqual(network.held(), [])
    })

    test("[claim 17] notifications that come after the time limit do not count: nothing is active and all is released", () => {
        // The limit: 2 x 20 ms, ten windows of 1 ms, 300 ms.
        const limitMs = 350
        for (const [extraMs, isInTime] of [
            [limitMs - 22, true],
            [limitMs - 20, false],
        ] as const) {
            const network = windows(["a d 10"])
            network.delays = sent => (is("resv", "d")(sent) ? extraMs : 0)
            network.wish("a", ["d"])
            assert.equal(network.messages("req")[0].message.deadlineMs, limitMs - 10, "as the receiver has it")
            network.pass(5000)
            assert.equal(network.of("a", "active").length, isInTime ? 1 : 0, `${extraMs} ms later`)
            assert.equal(network.of("a", "refused").length, isInTime ? 0 : 1)
            if (isInTime) continue
            assert.equal(network.effects.find(({ effect }) => effect.type === "refused")?.atMs, limitMs)
            assert.deepEqual(network.said("conf"), [])
            assert.deepEqual(network.said("tear"), ["a > d", "a > d"], "with the limit, and in answer to the late one")
            assert.deepEqual(network.held(), [])
        }
    })

    test("[claim 17] whoever would hear of a request too late is not asked, and the time that is left is handed on", () => {
        for (const [deadlineMs, isAsked] of [
            [0, false],
            [10, false],
            [11, true],
        ] as const) {
            const network = windows(["a t 10", "t d 10"])
            const dests = [{ id: "d", maxDelay: 3000, dsp: 1 }]
            const times = { usageCount: 0, delaySoFar: 1000, window: 0, deadlineMs }
            network.slip("a", "t", { t: "req", sid: "s1", ep: 1, src: "a", dests, bandwidth: 100, ...times })
            assert.deepEqual(
                network.messages("req").map(({ message }) => message.deadlineMs),
                isAsked ? [1] : [],
            )
        }
    })

    test("[claim 17] one that is late does not count either when the server has been too busy to look at its clock", () => {
        const network = windows(["a d 10"])
        network.loses = is("resv", "d")
        network.wish("a", ["d"])
        network.pass(100)
        const [{ message }] = network.messages("resv")
        const effects = network.at("a").step({ type: "message", from: "d", message }, 351)
        assert.equal(
            effects.some(effect => effect.type === "send" && effect.message.t === "conf"),
            false,
        )
    })
})

/** Claims 18 and 20 share what they say of each kind of server. */
for (const claim of ["claim 18", "claim 20"]) {
    describe(`a server that is asked [${claim}]`, () => {
        test(`[${claim}] in transit forwards, leaves the usage count, and holds nothing before somebody below has notified it`, () => {
            const network = windows(["a t 10", "t u 10", "u d 10"])
            network.loses = is("resv", "d")
            network.wish("a", ["d"])
            network.pass(30)
            assert.deepEqual(counts(network, "t", "u"), [0])
            assert.deepEqual(counts(network, "u", "d"), [0])
            assert.deepEqual(network.held(), ["a 1"], "nothing in transit")
            network.pass(250)
            assert.deepEqual(network.said("resv"), ["d > u"])
            assert.deepEqual(network.held(), ["a 1", "d 2", "d > u 100"], "the notification has not come")
        })

        test(`[${claim}] as destination only holds the way to the upstream neighbour, and forwards nothing`, () => {
            const network = windows(["a d 10", "d e 10", "a e 30"])
            network.wish("a", ["d"])
            network.loses = is("resv", "d")
            network.pass(50)
            assert.deepEqual(network.held(), ["a 1", "d 2", "d > a 100"])
            assert.deepEqual(network.said("req"), ["a > d"])
        })

        test(`[${claim}] as destination and in transit holds, and forwards with a usage count that is one more`, () => {
            const network = windows(["a m 10", "m n 10", "n t 10", "t d 10"])
            network.wish("a", ["m", "n", "d"])
            network.loses = is("resv", "m")
            network.pass(20)
            assert.deepEqual(network.held(), ["a 1", "m 2", "m > a 100"], "before anybody below has answered")
            network.pass(100)
            assert.deepEqual(counts(network, "a", "m"), [0])
            assert.deepEqual(counts(network, "m", "n"), [1])
            assert.deepEqual(counts(network, "n", "t"), [2])
            assert.deepEqual(counts(network, "t", "d"), [2], "in transit it stays")
        })

        test(`[${claim}] forwards only to downstream neighbours that have enough bandwidth`, () => {
            for (const kbps of [99, 100]) {
                const network = windows(["a t 10", `t x 10 ${kbps}`, "x d 10", "t y 10", "y d 10"])
                network.wish("a", ["d"])
                network.pass(300)
                const asked = network.said("req").filter(text => text.startsWith("t > "))
                assert.deepEqual(asked, kbps < 100 ? ["t > y"] : ["t > x", "t > y"])
                assert.equal(network.of("a", "active").length, 1)
            }
        })

        test(`[${claim}] counts as free what the session holds on the link already, and nothing of what others hold`, () => {
            const network = windows(["a t 10", "t d 10 150"])
            network.wish("a", ["d"])
            network.pass(300)
            network.wish("a", ["d"], { dspUnits: 2 })
            network.pass(300)
            assert.equal(network.of("a", "active").length, 2, "its own next attempt")
            network.wish("a", ["d"], { sid: "s2" })
            network.pass(2000)
            assert.equal(network.of("a", "refused")[0]?.sid, "s2")
            assert.deepEqual(network.said("req", "s2"), ["a > t"])
        })

        test(`[${claim}] forwards neither back, nor away from the destinations, nor where it would be late`, () => {
            // From t, s is closer to d and o is not; by s it is 50 ms to d, where 45 are allowed, by o 40.
            const network = windows(["a t 10", "t d 20", "t s 25", "s d 15", "t o 5", "a o 10"])
            network.wish("a", ["d"])
            network.pass(300)
            assert.deepEqual(network.said("req").sort(), ["a > o", "a > t", "o > t", "t > d"].sort())
        })

        test(`[${claim}] does not forward to the source, though the way to a destination leads through it`, () => {
            // t has selected x before it hears from a itself, and to b it goes by a.
            const network = windows(["a x 1", "x t 1", "a t 8", "a b 24", "t e 10"])
            network.wish("a", ["b", "e"])
            network.pass(300)
            assert.equal(network.messages("resv").find(({ from }) => from === "t")?.to, "x")
            assert.deepEqual(network.said("req").sort(), ["a > b", "a > t", "a > x", "t > e", "x > t"])
        })
    })
}

describe("a server that has forwarded [claim 19]", () => {
    test("[claim 19] checks for the notification of the downstream path before it notifies upstream", () => {
        const network = windows(["a t 10", "t d 10"])
        network.delays = sent => (is("resv", "d")(sent) ? 50 : 0)
        network.wish("a", ["d"])
        network.pass(300)
        const [below, above] = network.messages("resv")
        assert.deepEqual([below.from, above.from], ["d", "t"])
        assert.equal(above.atMs, below.atMs + 10 + 50)
    })

    test("[claim 19] says nothing upstream when no notification comes", () => {
        const network = windows(["a t 10", "t d 10"])
        network.loses = is("resv", "d")
        network.wish("a", ["d"])
        network.pass(5000)
        assert.deepEqual(network.said("resv"), ["d > t"])
        assert.deepEqual(network.held(), [])
    })

    test("[claim 19] holds the way down with the notification: where it cannot, the path is not reserved and nothing is passed up", () => {
        const network = windows(["a t 10", "t d 10 150"])
        network.wish("a", ["d"])
        network.pass(15)
        // Meanwhile another session takes the link from t to d.
        network.at("t").ledger.hold("d", "s9", 1, 100)
        network.pass(1500)
        assert.deepEqual(network.said("rerr"), ["t > d"])
        assert.deepEqual(
            network.said("resv").filter(text => text === "t > a"),
            [],
        )
        assert.equal(network.of("a", "refused").length, 1)
        assert.deepEqual(network.held(), ["t > d 100"])
    })

    test("[claim 19] a destination on the way notifies of itself at once, and of those below when they have notified it", () => {
        const network = windows(["a m 10", "m d 10"])
        network.loses = is("resv", "d")
        network.wish("a", ["m", "d"])
        network.pass(5000)
        const told = network.messages("resv").filter(({ from }) => from === "m")
        assert.deepEqual(
            told.map(({ message }) => message.dests.map(({ id }) => id)),
            [["m"]],
        )
        assert.equal(network.of("a", "active").length, 0)
    })
})

describe("the window [claim 20]", () => {
    /** To d by t at 20 ms with count 0, by the destination m with count 1; the window is 0.05 x 2 x 20 ms. */
    const square = (mToD: number) => windows(["a t 10", "t d 10", "a m 10", `m d ${mToD}`])

    test("[claim 20] requests that come within it are all candidates, those after the selection are ignored", () => {
        for (const [mToD, parent] of [
            [11.9, "m"],
            [12.1, "t"],
        ] as const) {
            const network = square(mToD)
            network.wish("a", ["m", "d"])
            network.pass(500)
            assert.equal(network.messages("req")[0].message.window, 200)
            assert.deepEqual(counts(network, "m", "d"), [1], "it was asked by both")
            assert.deepEqual(counts(network, "t", "d"), [0])
            assert.deepEqual(parentsTold(network, "d"), [parent])
            assert.ok(network.tree("a").includes(`${parent} > d`), network.tree("a").join())
        }
    })

    test("[claim 20] the window begins with the first request, and nothing is selected, held or forwarded before its end", () => {
        const network = windows(["a d 10", "d e 10"])
        network.wish("a", ["d", "e"])
        network.pass(11.9)
        assert.equal(network.at("d").attempts()[0].state, "collecting")
        assert.equal(network.at("d").ledger.held("a") + network.at("d").ledger.dspHeld(), 0)
        assert.deepEqual(network.said("req"), ["a > d"])
        network.pass(0.2)
        assert.equal(network.at("d").ledger.held("a"), 100)
        assert.deepEqual(network.said("req"), ["a > d", "d > e"])
    })

    test("[claim 20] a request is too late when the window has passed, though the server was too busy to close it", () => {
        const network = square(10)
        network.loses = sent => sent.to === "d"
        network.wish("a", ["m", "d"])
        network.pass(50)
        const request = (from: string) => network.messages("req").find(sent => sent.from === from && sent.to === "d")
        const d = network.at("d")
        d.step({ type: "message", from: "t", message: request("t")!.message }, 60)
        d.step({ type: "message", from: "m", message: request("m")!.message }, 62.1)
        d.step({ type: "tick" }, 63)
        assert.equal(d.attempts()[0].upstream, "t")
    })

    test("[claim 20] bandwidth is held towards the selected upstream neighbour only", () => {
        const network = square(11)
        network.wish("a", ["m", "d"])
        network.loses = is("resv", "d")
        network.pass(50)
        assert.equal(network.at("d").ledger.held("m"), 100)
        assert.equal(network.at("d").ledger.held("t"), 0)
    })

    test("[claim 20] a server in transit selects as well, and hands the count of the selected one on", () => {
        // v hears of it by t (count 0) and by the destination m (count 1).
        const network = windows(["a t 10", "t v 10", "a m 10", "m v 11", "v d 10"])
        network.wish("a", ["m", "d"])
        network.pass(500)
        assert.deepEqual(counts(network, "v", "d"), [1])
        assert.deepEqual(parentsTold(network, "v"), ["m"])
        assert.deepEqual(network.tree("a"), ["a > m", "m > v", "v > d"])
    })
})

describe("the selection [claim 21]", () => {
    test("[claim 21] the only one with the maximum usage count is selected, though it came last", () => {
        // To d: t and u with count 0 at 20 and 20.2 ms, m with count 1 at 21 ms.
        const network = windows(["a t 10", "t d 10", "a u 10", "u d 10.2", "a m 10", "m d 11"])
        network.wish("a", ["m", "d"])
        network.pass(500)
        const asked = network.messages("req").filter(({ to }) => to === "d")
        assert.deepEqual(
            asked.map(({ from, message }) => [from, message.usageCount]),
            [
                ["m", 1],
                ["t", 0],
                ["u", 0],
            ],
        )
        assert.deepEqual(parentsTold(network, "d"), ["m"])
        assert.deepEqual(network.tree("a"), ["a > m", "m > d"])
    })

    test("[claim 21] of several with the maximum usage count the one whose request came first is selected", () => {
        // t comes first of all, with count 0; m and n have 1, and either may be the earlier.
        for (const [mToD, nToD, parent] of [
            [11, 11.5, "m"],
            [11.5, 11, "n"],
        ] as const) {
            const network = windows(["a t 10", "t d 10", "a m 10", `m d ${mToD}`, "a n 10", `n d ${nToD}`])
            network.wish("a", ["m", "n", "d"])
            network.pass(500)
            assert.deepEqual(
                [counts(network, "t", "d"), counts(network, "m", "d"), counts(network, "n", "d")],
                [[0], [1], [1]],
            )
            assert.deepEqual(parentsTold(network, "d"), [parent])
            assert.ok(network.tree("a").includes(`${parent} > d`))
        }
    })

    test("[claim 21] with all counts equal arrival alone decides, whatever the names", () => {
        for (const [first, second] of ["tu", "ut"]) {
            const network = windows([`a ${first} 10`, `${first} d 10`, `a ${second} 10`, `${second} d 10.5`])
            network.wish("a", ["d"])
            network.pass(500)
            assert.deepEqual(parentsTold(network, "d"), [first])
        }
    })
})

describe("a server that has forwarded and selected [claim 22]", () => {
    test("[claim 22] checks for the notification from below before it notifies the selected upstream neighbour, and nobody else", () => {
        const network = windows(["a t 10", "t v 10", "a m 10", "m v 11", "v d 10"])
        network.delays = sent => (is("resv", "d")(sent) ? 50 : 0)
        network.wish("a", ["m", "d"])
        network.pass(500)
        const below = network.messages("resv").find(({ from }) => from === "d")
        const above = network.messages("resv").filter(({ from }) => from === "v")
        assert.deepEqual(
            above.map(({ to, atMs }) => [to, atMs]),
            [["m", (below?.atMs ?? 0) + 10 + 50]],
        )
    })

    test("[claim 22] with no notification from below it notifies nobody, and keeps nothing", () => {
        const network = windows(["a t 10", "t v 10", "a m 10", "m v 11", "v d 10"])
        network.loses = is("resv", "d")
        network.wish("a", ["m", "d"])
        network.pass(5000)
        assert.deepEqual(parentsTold(network, "v"), [])
        assert.equal(network.of("a", "active").length, 0)
        assert.deepEqual(network.held(), [])
    })

    test("[claim 22] a shortage below is passed up to the selected one as what it is", () => {
        const network = windows(["a t 10", "t v 10", "a m 10", "m v 11", "v d 10"], { dsp: { d: 0 } })
        network.wish("a", ["m", "d"])
        network.pass(500)
        const above = network.messages("resv").filter(({ from }) => from === "v")
        assert.deepEqual(
            above.map(({ to, message }) => [to, message.dests, message.label]),
            [["m", [{ id: "d", bandwidth: 1, dsp: 0 }], undefined]],
        )
        assert.equal(network.of("a", "refused")[0]?.short[0]?.reason, "no-dsp")
    })
})
