import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { limits } from "../../protocol/limits.ts"
import {
    maxRoutingServers,
    type NeighbourPolicy,
    neighbourLimitDefaults,
    type Peer,
    type Peers,
    peersShape,
    policyShape,
} from "../../protocol/servers.ts"
import { problemWith } from "../../protocol/shape.ts"
import { utf8Bytes } from "../../protocol/text.ts"
import { outcome, World } from "./world.ts"

const fingerprint = "ab".repeat(32)

function hello(world: World, id: string, more: Record<string, unknown> = {}, boot = 1) {
    const address = { ip: "127.0.9.1", linkPort: 7400, mediaPort: 7500, fingerprint, dspUnits: 10 }
    return world.ask("rs", id, "hello", { v: 1, boot, ...address, ...more })
}

function lastPolicy(world: World, server: string): NeighbourPolicy | undefined {
    const policies = world.take<NeighbourPolicy>(server, "policy")
    for (const policy of policies) assert.equal(problemWith(policyShape, policy), "")
    return policies.at(-1)
}

/** Puts the parts together as protocol/servers.ts tells a routing server to. */
class Receiver {
    applied: Peer[] | undefined
    n = 0
    private readonly parts = new Map<number, Peer[]>()

    take(peers: Peers): void {
        assert.equal(problemWith(peersShape, peers), "")
        assert.ok(utf8Bytes(JSON.stringify(peers)) <= limits.brokerMessageBytes)
        if (peers.n < this.n) return
        if (peers.n > this.n) this.parts.clear()
        this.n = peers.n
        this.parts.set(peers.part ?? 0, peers.list)
        if (this.parts.size === (peers.parts ?? 1))
            this.applied = [...this.parts.entries()].sort(([a], [b]) => a - b).flatMap(([, list]) => list)
    }
}

describe("the place of a routing server", () => {
    test("is what it announces until an operator stores another, field by field; it and its peers hear of each change", () => {
        const world = new World()
        world.servers("rs-a", "rs-b")
        hello(world, "rs-a", { tags: ["west", "lab", "lab"], risk: ["duct-7"], lat: 52_520, lon: 13_405 })
        assert.deepEqual(lastPolicy(world, "rs-a")!.own, {
            tags: ["lab", "west"],
            risk: ["duct-7"],
            lat: 52_520,
            lon: 13_405,
        })
        world.sent = []
        world.do({
            do: "placeServer",
            id: "rs-a",
            change: { tags: ["east"], area: "north", position: { lat: 1, lon: 2 } },
        })
        const own = { tags: ["east"], risk: ["duct-7"], area: "north", lat: 1, lon: 2 }
        assert.deepEqual(lastPolicy(world, "rs-a")!.own, own)
        const [peers] = world.take<Peers>("rs-b", "peers")
        assert.deepEqual(peers.list[0], {
            rs: "rs-a",
            ip: "127.0.9.1",
            linkPort: 7400,
            mediaPort: 7500,
            fingerprint,
            static: 0,
            ...own,
        })
        assert.equal(lastPolicy(world, "rs-b"), undefined, "its own place has not changed")

        // An empty list is a word, too: no tags, whatever it announces. Null takes the word back.
        world.do({ do: "placeServer", id: "rs-a", change: { tags: [], position: null } })
        const { tags: _, ...untagged } = { ...own, lat: 52_520, lon: 13_405 }
        assert.deepEqual(lastPolicy(world, "rs-a")!.own, untagged)
        world.restart()
        hello(world, "rs-a", { tags: ["south"] })
        assert.deepEqual(lastPolicy(world, "rs-a")!.own, { area: "north" })
        world.do({ do: "placeServer", id: "rs-a", change: { tags: null, area: null } })
        assert.deepEqual(lastPolicy(world, "rs-a")!.own, { tags: ["south"] })
    })

    test("is refused with what is wrong, from operators and from hellos, and then nothing changes", () => {
        const world = new World()
        world.servers("rs-a")
        const nine = Array.from({ length: 9 }, (_, index) => `t${index}`)
        const place = (change: object) => outcome(world.do({ do: "placeServer", id: "rs-a", change }))
        assert.equal(place({ tags: ["Not A Tag"] }), "malformed")
        assert.equal(place({ risk: ["x".repeat(17)] }), "malformed")
        assert.equal(place({ area: "" }), "malformed")
        assert.equal(place({ tags: nine }), "too-many")
        assert.equal(outcome(world.do({ do: "placeServer", id: "rs-x", change: {} })), "unknown-server")
        assert.equal(outcome(hello(world, "rs-a", { tags: nine })), "malformed")
        assert.equal(outcome(hello(world, "rs-a", { tags: ["Ä"] })), "malformed")
        assert.equal(outcome(hello(world, "rs-a", { lat: 5 })), "malformed")
        assert.equal(outcome(hello(world, "rs-a", { lat: 90_001, lon: 0 })), "malformed")
        const { stored, announced } = world.state.durable.servers.get("rs-a")!
        assert.deepEqual([stored, announced], [{}, {}])
    })
})

describe("the neighbour policy", () => {
    test("comes before the peers after hello, and to every server that is online on each change [claim 9]", () => {
        const world = new World()
        world.servers("rs-a", "rs-b")
        const verbs = world.sent.filter(send => send.to === "rs-b").map(send => send.verb)
        assert.ok(verbs.indexOf("policy") >= 0 && verbs.indexOf("policy") < verbs.indexOf("peers"))
        const before = lastPolicy(world, "rs-a")!
        assert.deepEqual([before.deny, before.limits, before.own], [[], neighbourLimitDefaults, {}])
        world.sent = []

        const limitsWanted = { ...neighbourLimitDefaults, degree: 4, maxDelayMs: 40 }
        const deny: [string, string][] = [
            ["tenant-b", "tenant-a"],
            ["tenant-a", "tenant-b"],
            ["dmz", "dmz"],
        ]
        const answer = world.do({ do: "putPolicy", deny, limits: limitsWanted })
        assert.deepEqual(answer, { ok: true, fields: { version: 1 } })
        for (const server of ["rs-a", "rs-b"]) {
            const policy = lastPolicy(world, server)!
            assert.ok(policy.n > before.n)
            assert.deepEqual(policy.deny, [
                ["dmz", "dmz"],
                ["tenant-a", "tenant-b"],
            ])
            assert.deepEqual(policy.limits, limitsWanted)
        }
        // The same again is no change.
        world.do({ do: "putPolicy", deny, limits: limitsWanted })
        assert.equal(world.sent.length, 0)
        world.restart()
        hello(world, "rs-a")
        const after = lastPolicy(world, "rs-a")!
        assert.equal(after.deny.length, 2)
        assert.ok(after.n > before.n + 1)
        const audit = world.writes.flatMap(write => (write.table === "audit" ? [write.put] : []))
        assert.equal(audit.filter(entry => entry.action === "putPolicy").length, 2)
    })

    test("is refused when another has changed it meanwhile, or when it makes no sense", () => {
        const world = new World()
        const put = (deny: string[][], more: object = {}, version?: number) =>
            outcome(
                world.do({
                    do: "putPolicy",
                    deny: deny as [string, string][],
                    limits: { ...neighbourLimitDefaults, ...more },
                    ...(version === undefined ? {} : { version }),
                }),
            )
        assert.equal(put([["a", "b"]], {}, 0), "done")
        assert.equal(put([["a", "c"]], {}, 0), "unavailable")
        assert.equal(put([["a", "c"]], {}, 1), "done")
        assert.equal(put([["a", "B!"]]), "malformed")
        assert.equal(put([], { degree: 8, degreeMax: 7 }), "malformed")
        assert.equal(put([], { maxLossPermille: 1001 }), "malformed")
        assert.equal(put([], { degree: undefined }), "malformed")
        const many = Array.from({ length: 257 }, (_, index) => ["a", `t${index}`])
        assert.equal(put(many), "too-many")
        assert.deepEqual(world.state.durable.neighbourPolicy.deny, [["a", "c"]])
    })
})

describe("the list of all routing servers", () => {
    test("of 2 000 with the longest fields comes in parts below the broker's limit, and every server gets all of it", () => {
        const world = new World()
        const ids = Array.from({ length: maxRoutingServers }, (_, index) => `rs-${String(index).padStart(21, "0")}`)
        const words = Array.from({ length: 8 }, (_, index) => `${index}`.padEnd(16, "x"))
        const place = { tags: words, risk: words, area: "a".repeat(16), lat: -89_999, lon: -179_999 }
        for (const id of ids) {
            world.do({ do: "enrolServer", id, secretHash: "-" })
            const row = world.state.durable.servers.get(id)!
            Object.assign(row, { ip: "127.255.255.255", linkPort: 65535, mediaPort: 65534, fingerprint, stored: place })
        }
        const online = [ids[0], ids[999], ids[1999]]
        world.sent = []
        world.writes = []
        for (const id of online) hello(world, id)
        world.pass(1)
        for (const id of online) {
            const messages = world.take<Peers>(id, "peers")
            assert.ok(messages.length > 10)
            // The newest list is whole in whatever order its parts come, and older ones do not disturb it.
            const receiver = new Receiver()
            for (const message of messages.reverse()) receiver.take(message)
            assert.deepEqual(
                receiver.applied!.map(peer => peer.rs).sort(),
                ids.filter(other => other !== id),
            )
        }
    })

    test("of a hundred servers goes to all of them at once; of two thousand it is paced, and all have the newest in the end", () => {
        const small = new World()
        small.servers(...Array.from({ length: 100 }, (_, index) => `rs-${index}`))
        small.sent = []
        small.do({ do: "putNeighbours", pairs: [{ a: "rs-1", b: "rs-2" }] })
        assert.equal(small.sent.filter(send => send.verb === "peers").length, 100)

        const large = new World()
        const ids = Array.from({ length: 1000 }, (_, index) => `rs-${index}`)
        for (const id of ids) {
            large.do({ do: "enrolServer", id, secretHash: "-" })
            const row = large.state.durable.servers.get(id)!
            Object.assign(row, { ip: "127.0.0.1", linkPort: 1, mediaPort: 2, fingerprint, boot: 1 })
            large.state.live.servers.set(id, { boot: 1, on: 1 })
        }
        const receivers = new Map(ids.map(id => [id, new Receiver()]))
        const deliver = () => {
            for (const send of large.sent)
                if (send.verb === "peers") receivers.get(send.to)!.take(send.message as unknown as Peers)
            const bytes = large.sent.reduce((sum, send) => sum + utf8Bytes(JSON.stringify(send.message)), 0)
            large.sent = []
            return bytes
        }
        large.do({ do: "putNeighbours", pairs: [{ a: "rs-1", b: "rs-2" }] })
        assert.ok(deliver() < 4 * 1024 * 1024)
        // A second change while the first is still on its way.
        large.do({ do: "placeServer", id: "rs-7", change: { area: "late" } })
        assert.equal(deliver() < 64 * 1024, true, "it waits for its turn")
        for (let step = 0; step < 200; step++) {
            large.pass(0.05)
            assert.ok(deliver() < 4 * 1024 * 1024)
        }
        for (const [id, { applied }] of receivers) {
            assert.equal(applied!.length, 999, id)
            if (id !== "rs-7") assert.equal(applied!.find(peer => peer.rs === "rs-7")!.area, "late", id)
        }
        assert.equal(large.state.live.peersPending.size, 0)
    })
})
