/** What the world of the reservation promises to its checkers: how links break and heal, what a crash forgets, what is called possible. */

import assert from "node:assert/strict"
import { test } from "node:test"
import { Random } from "../../sim/world/random.ts"
import { isFeasible } from "../../sim/world/reservation/feasible.ts"
import { runSeed } from "../../sim/world/reservation/run.ts"
import { makeScenario, type Scenario } from "../../sim/world/reservation/scenario.ts"
import { makeTopology, topologyKinds } from "../../sim/world/reservation/topology.ts"
import { Trace } from "../../sim/world/reservation/trace.ts"
import { detectLeastMs, detectMostMs, World } from "../../sim/world/reservation/world.ts"

/** A square 0-1-2-3, 10 ms a side, and what was told of it. */
function square(options: Partial<Scenario> = {}, capacityKbps = 100) {
    const links = [
        [0, 1],
        [1, 2],
        [2, 3],
        [3, 0],
    ].map(([a, b]) => ({ a, b, delay: 1000, capacityKbps }))
    const servers = [0, 1, 2, 3].map(index => ({ id: `rs${index}`, limits: { dspUnits: 10, dspUnitsPerLink: 1 } }))
    const plain: Partial<Scenario> = { profile: "faults", mode: "guided", sessions: [], jitterMs: 0, strict: true }
    const story: string[] = []
    const trace = new Trace(line => story.push(line))
    const world = new World({ ...makeScenario(1), ...plain, servers, links, ...options }, trace)
    world.start()
    world.agenda.runUntil(1000)
    /** When words were told, ms. */
    const when = (words: string) => {
        const line = story.find(line => line.includes(words))
        return line === undefined ? undefined : Math.round(Number.parseFloat(line) * 100_000) / 100
    }
    return { world, when }
}

test("every kind of network is connected, has no link twice and none from a server to itself", () => {
    for (const kind of topologyKinds)
        for (let seed = 1; seed <= 30; seed++) {
            const random = new Random(seed)
            const servers = 5 + random.below(26)
            const links = makeTopology(kind, servers, random)
            const reached = new Set([0])
            for (let before = 0; before < reached.size; ) {
                before = reached.size
                for (const { a, b } of links)
                    if (reached.has(a) || reached.has(b)) {
                        reached.add(a)
                        reached.add(b)
                    }
                if (before === reached.size) break
            }
            assert.equal(reached.size, servers, `${kind} ${seed}`)
            assert.equal(new Set(links.map(({ a, b }) => `${Math.min(a, b)} ${Math.max(a, b)}`)).size, links.length)
            assert.ok(links.every(({ a, b, delay }) => a !== b && delay > 0))
        }
})

test("a cut is noticed by each end within the detection time, a silent one at its end", () => {
    for (const silent of [false, true]) {
        const { world, when } = square()
        world.breakLink(world.links[0], silent)
        world.agenda.runUntil(2000)
        for (const words of ["rs0 notices that its link to rs1", "rs1 notices that its link to rs0"]) {
            const afterMs = when(words)! - 1000
            assert.ok(afterMs >= (silent ? detectMostMs : detectLeastMs) && afterMs <= detectMostMs, `${afterMs} ms`)
        }
        assert.ok(!world.links[0].isUsable && world.links[1].isUsable)
    }
})

test("what is on its way is lost with its link, also when the link is back before it would have arrived", () => {
    for (const breaks of [false, true]) {
        const { world, when } = square()
        const destinations = [{ rs: "rs1", dspUnits: 1 }]
        const wish = { sid: "s0", version: 1, bandwidthKbps: 10, dspUnits: 1, destinations }
        world.act(world.servers[0], { type: "wish", wish })
        world.agenda.runUntil(1005)
        if (breaks) {
            world.breakLink(world.links[0], false)
            world.joinLink(world.links[0])
        }
        world.agenda.runUntil(1040)
        assert.equal(when("rs0 -> rs1  REQ s0/1.1"), breaks ? undefined : 1010)
    }
})

test("neighbours of a server that is back before they noticed are told that the link was down first", () => {
    const { world, when } = square()
    const [server] = world.servers
    const { bootId } = server
    world.crash(server)
    assert.equal(server.isUp("rs1"), false)
    world.restart(server)
    assert.equal(server.bootId, bootId + 1)
    world.agenda.runUntil(1400)
    const downMs = when("rs1 notices that its link to rs0 is down")!
    const upMs = when("rs1 has its link to rs0 up")!
    assert.ok(downMs <= upMs, `${downMs} ${upMs}`)
    assert.deepEqual(server.reservation.attempts(), [])
    assert.ok(world.links.every(link => link.isUsable))
})

test("a tree is called possible only over links that live and have room, with units for its members", () => {
    const { world } = square()
    const [source, neighbour] = world.servers
    const destinations = [{ rs: "rs1", dspUnits: 1 }]
    const wish = { sid: "s0", version: 1, source, bandwidthKbps: 60, dspUnits: 1, destinations }
    assert.ok(isFeasible(world, wish, []))
    assert.ok(!isFeasible(world, { ...wish, bandwidthKbps: 101 }, []), "more than the links have")
    assert.ok(!isFeasible(world, { ...wish, dspUnits: 10 }, []), "units for the members, none for the link")
    assert.ok(!isFeasible(world, wish, [{ ...wish, sid: "s1" }]), "another session may take the link")
    assert.ok(isFeasible(world, { ...wish, bandwidthKbps: 40 }, [{ ...wish, sid: "s1" }]))
    assert.ok(source.reservation.ledger.hold("rs1", "s1", 1, 60))
    assert.ok(!isFeasible(world, wish, []), "held; and the way around is three times as long")
    world.breakLink(world.links[0], true)
    assert.ok(isFeasible(world, wish, []), "the way around is the shortest one now")
    world.crash(neighbour)
    assert.ok(!isFeasible(world, wish, []))
})

test("one seed is one network, whatever is asked of it later", () => {
    assert.deepEqual(makeScenario(42), makeScenario(42))
    const calm = runSeed(42, {
        scenario: { ...makeScenario(42), profile: "calm", faultEveryMs: Number.POSITIVE_INFINITY },
    })
    assert.equal(calm.violation, undefined)
    assert.equal(calm.counts.faults, 0)
})
