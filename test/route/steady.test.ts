import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { Measurement } from "../../servers/routing/link/measurement.ts"
import type { AdvertisedLink } from "../../servers/routing/route/advertisement.ts"
import { LinkState } from "../../servers/routing/route/link-state.ts"
import { RoutingTable } from "../../servers/routing/route/routing-table.ts"
import { Random } from "../../sim/world/random.ts"

const dayMs = 24 * 3600 * 1000
const helloMs = 100
const tellEachMs = 1000

describe("routes over two equal paths", () => {
    for (const seed of [1, 2, 3])
        test(`[claim 3] whose delays jitter by 20 % for 24 hours: at most one switch (seed ${seed})`, () => {
            const random = new Random(seed)
            const links = ["a b", "b d", "a c", "c d"].map(pair => {
                const [from, to] = pair.split(" ")
                return { from, to, measurement: new Measurement() }
            })
            const states = new Map(["a", "b", "c", "d"].map(id => [id, new LinkState(id, 1)]))
            const table = new RoutingTable("a")
            let switches = -1
            let told = 0
            for (let nowMs = 0; nowMs < dayMs; nowMs += helloMs) {
                for (const { measurement } of links) {
                    // 10 ms one way, uniformly up to 20 % more or less for each packet there and back.
                    const roundTripUs = 10_000 * (random.between(0.8, 1.2) + random.between(0.8, 1.2))
                    measurement.roundTrip(roundTripUs)
                }
                if (nowMs % tellEachMs !== 0) continue
                for (const [id, state] of states) {
                    const own: AdvertisedLink[] = links
                        .filter(link => link.from === id || link.to === id)
                        .map(link => ({
                            to: link.from === id ? link.to : link.from,
                            delay: link.measurement.delay() ?? 1,
                            jitter: link.measurement.jitter(),
                            loss: 0,
                            capacity: 100_000,
                            free: 16,
                            hops: 1,
                        }))
                    const effects = [
                        ...state.step({ type: "measured", links: own }, nowMs),
                        ...state.step({ type: "tick" }, nowMs),
                    ]
                    for (const effect of effects) {
                        if (effect.type !== "changed") continue
                        told++
                        const moved = table.update(effect.origin, effect.advertisement)
                        switches += moved.filter(change => change.destination === "d").length
                    }
                }
            }
            assert.ok(table.route("d"), "there is a route at the end")
            assert.ok(switches <= 1, `${switches} switches, ${told} advertisements`)
            // The refresh of each server each 300 s, and little else.
            assert.ok(told < (4 * dayMs) / 300_000 + 400, `${told} advertisements in a day`)
        })
})
