import assert from "node:assert/strict"
import { describe, test } from "node:test"
import type { AdvertisedLink, Advertisement } from "../../servers/routing/route/advertisement.ts"
import { RoutingTable } from "../../servers/routing/route/routing-table.ts"

function link(to: string, delay: number): AdvertisedLink {
    return { to, delay, jitter: 0, loss: 0, capacity: 100000, free: 16, hops: 1 }
}

let seq = 0
function tell(origin: string, links: Record<string, number>): Advertisement {
    return {
        origin,
        bootId: 1,
        seq: ++seq,
        area: 0,
        links: Object.entries(links).map(([to, delay]) => link(to, delay)),
    }
}

/** The table of `self` in a network given as `{"a-b": delay}`, the same in both directions. */
function tableOf(self: string, network: Record<string, number>) {
    const table = new RoutingTable(self)
    const links = new Map<string, Record<string, number>>()
    const put = (a: string, b: string, delay: number) => {
        const of = links.get(a) ?? {}
        of[b] = delay
        links.set(a, of)
    }
    const set = (pair: string, delay: number | undefined) => {
        const [a, b] = pair.split("-")
        for (const [x, y] of [
            [a, b],
            [b, a],
        ]) {
            if (delay === undefined) delete links.get(x)?.[y]
            else put(x, y, delay)
        }
        return [a, b].flatMap(id => table.update(id, tell(id, links.get(id) ?? {})))
    }
    for (const [pair, delay] of Object.entries(network)) set(pair, delay)
    return { table, set }
}

describe("a routing table [claim 8]", () => {
    test("[claim 3] takes the path of shortest delay, not the one of fewest links", () => {
        const { table } = tableOf("a", { "a-d": 9000, "a-b": 1000, "b-c": 1000, "c-d": 1000 })
        assert.deepEqual(table.path("d"), ["a", "b", "c", "d"])
        assert.equal(table.route("d")?.nextHop, "b")
        assert.equal(table.route("d")?.delay, 3000)
        assert.equal(table.route("d")?.hops, 3)
    })

    test("[claim 3] follows the delays as they change", () => {
        const { table, set } = tableOf("a", { "a-b": 1000, "a-c": 2000, "b-d": 1000, "c-d": 2000 })
        assert.equal(table.route("d")?.nextHop, "b")
        const changes = set("b-d", 8000)
        assert.equal(table.route("d")?.nextHop, "c")
        assert.ok(changes.some(change => change.destination === "d" && change.after?.nextHop === "c"))
    })

    test("does not count a link that only one end lists", () => {
        const table = new RoutingTable("a")
        table.update("a", tell("a", { b: 1000 }))
        assert.equal(table.route("b"), undefined)
        table.update("b", tell("b", { a: 1000 }))
        assert.equal(table.route("b")?.nextHop, "b")
    })

    test("names an alternate that is closer to the destination, so that it cannot send packets back", () => {
        const { table } = tableOf("a", { "a-b": 1000, "b-d": 1000, "a-c": 1500, "c-d": 1500, "a-e": 100, "e-a": 100 })
        assert.equal(table.route("d")?.alternate, "c")
        // e reaches d only through a, so it is no alternate for anything.
        assert.equal(table.route("e")?.alternate, undefined)
    })

    test("keeps a route that another one beats by less than 10 % or 5 ms", () => {
        const { table, set } = tableOf("a", { "a-b": 1000, "b-d": 1000, "a-c": 1100, "c-d": 1100 })
        set("b-d", 1300)
        assert.equal(table.route("d")?.nextHop, "b", "1 ms better is not worth a move")
        set("b-d", 1900)
        assert.equal(table.route("d")?.nextHop, "c", "7 ms and 24 % is")
    })

    test("moves at once when the next hop is lost, and forgets whom nobody reaches", () => {
        const { table, set } = tableOf("a", { "a-b": 1000, "b-d": 1000, "a-c": 1100, "c-d": 1100 })
        set("a-b", undefined)
        assert.equal(table.route("d")?.nextHop, "c")
        set("c-d", undefined)
        set("b-d", undefined)
        assert.equal(table.route("d"), undefined)
        assert.deepEqual(table.reachable().sort(), ["a", "c"])
    })

    test("two equal paths whose delays wander by 20 % for 10 000 steps: at most one switch", () => {
        const { set } = tableOf("a", { "a-b": 1000, "b-d": 1000, "a-c": 1000, "c-d": 1000 })
        let state = 99
        const random = () => {
            state = (state * 48271) % 2147483647
            return state / 2147483647
        }
        let switches = 0
        for (let i = 0; i < 10_000; i++) {
            const pair = random() < 0.5 ? "b-d" : "c-d"
            switches += set(pair, Math.round(1000 * (0.8 + 0.4 * random()))).filter(c => c.destination === "d").length
        }
        assert.ok(switches <= 1, `${switches} switches (seed 99)`)
    })

    for (const seed of [21, 22, 23])
        test(`of every server leads to the destination without a loop, through 300 changes (seed ${seed})`, () => {
            let state = seed
            const random = () => {
                state = (state * 48271) % 2147483647
                return state / 2147483647
            }
            const ids = Array.from({ length: 24 }, (_, i) => `rs${i}`)
            const tables = ids.map(id => new RoutingTable(id))
            const links = new Map(ids.map(id => [id, {} as Record<string, number>]))
            const told: Record<string, Advertisement> = {}
            const publish = (id: string) => {
                told[id] = tell(id, links.get(id) ?? {})
                for (const table of tables) table.update(id, told[id])
            }
            for (let i = 1; i < ids.length; i++)
                for (const j of [Math.floor(random() * i), Math.floor(random() * i)]) {
                    const delay = 100 + Math.floor(random() * 3000)
                    links.get(ids[i])![ids[j]] = delay
                    links.get(ids[j])![ids[i]] = delay
                }
            for (const id of ids) publish(id)
            for (let step = 0; step < 300; step++) {
                const id = ids[Math.floor(random() * ids.length)]
                const of = links.get(id)!
                const peers = Object.keys(of)
                if (peers.length === 0) continue
                const peer = peers[Math.floor(random() * peers.length)]
                of[peer] = Math.max(1, Math.round(of[peer] * (0.5 + random())))
                publish(id)
                for (const target of ids)
                    for (const from of ids) {
                        let at = from
                        for (let hop = 0; at !== target; hop++) {
                            assert.ok(hop < ids.length, `loop from ${from} to ${target}, seed ${seed} step ${step}`)
                            const route = tables[ids.indexOf(at)].route(target)
                            assert.ok(route, `no route from ${at} to ${target}, seed ${seed} step ${step}`)
                            at = route.nextHop
                        }
                    }
            }
            // Against a fresh table that saw only the final state: same distances, whatever the history was.
            for (const table of tables) {
                const fresh = new RoutingTable(table.self)
                for (const id of ids) fresh.update(id, told[id])
                for (const id of ids) assert.equal(table.delayFrom(table.self, id), fresh.delayFrom(table.self, id))
            }
        })
})
