import assert from "node:assert/strict"
import { after, describe, test } from "node:test"
import { readRouted, routedAsks, routedTtl, writeRouted } from "../../protocol/routed.ts"
import { LocalData } from "../../servers/routing/data/local.ts"
import type { Route } from "../../servers/routing/route/routing-table.ts"
import { Forwarder } from "../../servers/routing/transit/forwarder.ts"
import { Transit } from "../../servers/routing/transit/transit.ts"
import { within } from "../support/deadline.ts"
import { Network } from "./network.ts"

const networks: Network[] = []
after(() => Promise.all(networks.map(network => network.stop())))

describe("transit", () => {
    test("[claim 4] carries a session through a server over real links, unread and without DSP units", async () => {
        const net = await Network.start(["rs-a", "rs-b", "rs-c"])
        networks.push(net)
        net.statics.add("rs-a rs-b").add("rs-b rs-c")
        net.limits = { ...net.limits, minBandwidthKbps: 4_000_000_000 }
        const [a, b, c] = await Promise.all(["rs-a", "rs-b", "rs-c"].map(id => net.add(id)))
        await net.settled()
        const [fromA, fromC] = [101, 103]
        assert.ok(b.data instanceof LocalData)
        const { transit, media } = b.data.plane
        const set = transit.set("s1", [
            { peer: "rs-a", labelIn: fromA, labelOut: 11 },
            { peer: "rs-c", labelIn: fromC, labelOut: 33 },
        ])
        assert.ok(set.ok)

        // Not even RTP: nobody on the way looks.
        const sent = Buffer.from("anything at all, encrypted or not")
        const atC = new Promise<[string, number, Buffer]>(resolve => c.links.once("media", (...all) => resolve(all)))
        assert.ok(a.links.sendMedia("rs-b", fromA, sent))
        const [from, label, packet] = await within(atC, "the packet at C")
        assert.deepEqual([from, label, packet.toString()], ["rs-b", 33, sent.toString()])
        const atA = new Promise<[string, number, Buffer]>(resolve => a.links.once("media", (...all) => resolve(all)))
        assert.ok(c.links.sendMedia("rs-b", fromC, sent))
        assert.deepEqual((await within(atA, "the packet at A")).slice(0, 2), ["rs-b", 11])
        assert.equal(media.dspUnitsUsed(), 0)
        assert.deepEqual(media.statistics().datagrams.unknownLabel, 0)
        assert.deepEqual(transit.counters, { packets: 2, copies: 2, notSent: 0 })

        assert.equal(transit.remove("s1"), true)
        assert.equal(transit.forward("rs-a", fromA, sent), false)
    })

    test("copies to every other link of the session, and refuses what cannot be", () => {
        const sent: [string, number][] = []
        const transit = new Transit((peer, label) => sent.push([peer, label]) > 0 && peer !== "rs-c")
        const branch = (peer: string, labelIn: number, labelOut: number) => ({ peer, labelIn, labelOut })
        assert.ok(transit.set("s1", [branch("rs-a", 1, 10), branch("rs-b", 1, 20), branch("rs-c", 1, 30)]).ok)
        assert.equal(transit.forward("rs-b", 1, Buffer.alloc(1)), true)
        assert.deepEqual(sent, [
            ["rs-a", 10],
            ["rs-c", 30],
        ])
        assert.deepEqual(transit.counters, { packets: 1, copies: 1, notSent: 1 })
        assert.equal(transit.forward("rs-b", 2, Buffer.alloc(1)), false)
        const refused = (sid: string, branches: ReturnType<typeof branch>[]) => {
            const outcome = transit.set(sid, branches)
            return outcome.ok ? "" : outcome.code
        }
        assert.equal(refused("s2", [branch("rs-a", 1, 1), branch("rs-d", 1, 1)]), "taken")
        assert.equal(refused("s2", [branch("rs-a", 5, 1)]), "malformed")
        assert.equal(refused("s2", [branch("rs-a", 5, 1), branch("rs-a", 6, 1)]), "malformed")
        assert.equal(refused("s2", [branch("rs-a", -1, 1), branch("rs-b", 6, 1)]), "malformed")
        assert.equal(refused("s1", [branch("rs-a", 1, 10), branch("rs-d", 4, 40)]), "", "its own label may stay")
        assert.equal(transit.list().length, 2)
    })
})

describe("a routed datagram", () => {
    test("goes by the alternate when the next hop's link is down, and no further than its TTL", () => {
        const down = new Set<string>()
        const sent: [string, Buffer][] = []
        const route = (destination: string): Route | undefined =>
            destination === "rs-x" ? undefined : { destination, nextHop: "rs-b", alternate: "rs-c", delay: 1, hops: 2 }
        const send = (peer: string, body: Buffer) => !down.has(peer) && sent.push([peer, body]) > 0
        const forwarder = new Forwarder({ id: "rs-a", route, send })
        const question = { ttl: 3, kind: routedAsks, hops: 0, hopsAsked: 0, number: 5, from: "rs-z", to: "rs-d" }
        forwarder.receive("rs-z", writeRouted(question), 0)
        down.add("rs-b")
        forwarder.receive("rs-z", writeRouted(question), 0)
        down.add("rs-c")
        forwarder.receive("rs-z", writeRouted(question), 0)
        assert.deepEqual(
            sent.map(([peer, body]) => [peer, readRouted(body)?.ttl, readRouted(body)?.hops]),
            [
                ["rs-b", 2, 1],
                ["rs-c", 2, 1],
            ],
        )
        down.clear()
        forwarder.receive("rs-z", writeRouted({ ...question, ttl: 1 }), 0)
        forwarder.receive("rs-z", writeRouted({ ...question, to: "rs-x" }), 0)
        const { expired, noRoute, byAlternate } = forwarder.counters
        assert.deepEqual([expired, noRoute, byAlternate], [1, 2, 1])
        for (let i = 0; i < 3000; i++) forwarder.receive("rs-z", writeRouted(question), 1)
        assert.ok(forwarder.counters.limited > 900, "a flood is cut off")
    })

    test("that is malformed is refused", () => {
        const good = writeRouted({
            ttl: routedTtl,
            kind: 1,
            hops: 0,
            hopsAsked: 0,
            number: 1,
            from: "rs-a",
            to: "rs-b",
        })
        assert.equal(readRouted(good)?.to, "rs-b")
        for (let length = 0; length < good.length; length++)
            assert.equal(readRouted(good.subarray(0, length)), undefined)
        for (const [at, value] of [
            [0, 0],
            [0, routedTtl + 1],
            [1, 3],
            [8, 0],
            [8, 200],
            [13, 3],
        ]) {
            const bad = Buffer.from(good)
            bad[at] = value
            assert.equal(readRouted(bad), undefined, `byte ${at} = ${value}`)
        }
    })
})
