import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { isMeshed } from "../../bench/data/meshed.ts"
import { measureLoad } from "../../bench/reservation/load.ts"
import { ReserveNetwork } from "../../bench/reservation/network.ts"
import { measureSetups } from "../../bench/reservation/setups.ts"
import { measureSpeed } from "../../bench/reservation/speed.ts"
import { Random } from "../../sim/world/random.ts"
import { networkOf, randomNetwork } from "./random-network.ts"

const network = { name: "random", graph: randomNetwork(30, 60, new Random(3)) }

describe("what the bench of the reservation measures", () => {
    test("a request and its notification take one round trip, and so do confirmation and answer", () => {
        const line = {
            name: "line",
            graph: networkOf(3, [
                [0, 1, 500],
                [1, 2, 700],
            ]),
        }
        // All servers of a line take part: its ways, links and messages are known beforehand.
        const { setupRtts, activeRtts, linksVsKmb, delayStretch, messages } = measureSetups(line, 1, 2, 10, {})
        assert.ok(Math.abs(setupRtts - 1) < 1e-6 && Math.abs(activeRtts - 2) < 1e-6, `${setupRtts}, ${activeRtts}`)
        assert.deepEqual([linksVsKmb, delayStretch], [1, 1])
        // Two requests; a notification for each destination and link on its way up: two or three.
        assert.ok(messages >= 4 && messages <= 5, String(messages))
    })

    test("both modes set up every session on an idle network, and nothing stays held", () => {
        const guided = measureSetups(network, 1, 6, 20, {})
        const window = measureSetups(network, 1, 6, 20, { guidedAttempts: 0 })
        assert.deepEqual([guided.refused, window.refused], [0, 0])
        assert.equal(guided.sptLinksVsKmb, window.sptLinksVsKmb, "the same sessions for both")
        assert.ok(guided.linksVsKmb < window.linksVsKmb && guided.messages < window.messages)
    })

    test("the same seed gives the same figures", () => {
        assert.deepEqual(measureSetups(network, 2, 4, 5, {}), measureSetups(network, 2, 4, 5, {}))
        assert.deepEqual(measureLoad(network, 2, 60), measureLoad(network, 2, 60))
    })

    test("a full link is advertised as full, in steps of a sixteenth", () => {
        const graph = networkOf(2, [[0, 1, 100]])
        const full = new ReserveNetwork({ graph, seed: 1, linkKbps: 1600 })
        const outcomes: string[] = []
        full.onOutcome = (_, { type, sid }) => outcomes.push(`${sid} ${type}`)
        const wish = (sid: string, bandwidthKbps: number) => {
            const destinations = [{ rs: graph.ids[1], dspUnits: 1 }]
            const wanted = { sid, version: 1, destinations, bandwidthKbps, dspUnits: 1 }
            full.feed(full.servers[0], { type: "wish", wish: wanted })
            full.agenda.runUntil(full.agenda.nowMs + 5000)
        }
        wish("a", 1550)
        wish("b", 100)
        assert.deepEqual(outcomes, ["a active", "b refused"])
        assert.equal(full.held(), 2 * 1550 + 4)
    })

    test("setups per second are counted on setups that all succeed", () => {
        assert.ok(measureSpeed(network, 1, 20) > 0)
    })

    test("a network is meshed when no link cuts off more than one server", () => {
        const ring = [0, 1, 2, 3].flatMap(a => [0, 1, 2, 3].filter(b => b > a).map(b => [a, b, 1] as const))
        const other = ring.map(([a, b]) => [a + 4, b + 4, 1] as const)
        assert.equal(isMeshed(networkOf(4, ring)), true)
        assert.equal(isMeshed(networkOf(8, [...ring, ...other, [0, 4, 1]])), false)
        assert.equal(isMeshed(networkOf(8, [...ring, ...other, [0, 4, 1], [1, 5, 1]])), true)
    })
})
