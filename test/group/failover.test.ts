import assert from "node:assert/strict"
import { describe, test } from "node:test"
import type { ServerSession } from "../../protocol/servers.ts"
import { drawSeed, seededRandom } from "../support/random.ts"
import { outcome, sidOf, World } from "./world.ts"

/** a, b and c in an ad-hoc session at rs-a, rs-b and rs-c; rs-d is the spare of all. All pairs 10 ms apart but rs-b, 5 ms. */
function inSession(): { world: World; sid: string } {
    const world = new World()
    const servers = ["rs-a", "rs-b", "rs-c", "rs-d"]
    world.rooms("a", "b", "c")
    world.servers(...servers)
    for (const from of servers) {
        const list = servers
            .filter(rs => rs !== from)
            .map(rs => ({ rs, delay: from === "rs-b" || rs === "rs-b" ? 500 : 1000 }))
        world.ask("rs", from, "distances", { list })
    }
    world.do({ do: "createGroup", id: "all", name: "All", members: ["a", "b", "c"] })
    for (const room of ["a", "b", "c"]) world.attach(room, `rs-${room}`)
    const sid = sidOf(world.book("a", "all", 0, 60))
    for (const room of ["a", "b", "c"]) world.ask("rs", `rs-${room}`, "joined", { sid, ep: room })
    world.sent = []
    return { world, sid }
}

function session(world: World, sid: string) {
    return world.state.durable.sessions.get(sid)!
}

function status(world: World, sid: string, room: string): string {
    const { status, server } = session(world, sid).invitations.find(one => one.endpoint === room)!
    return server ? `${status} ${server}` : status
}

function toldOf(world: World, server: string, room: string): string | undefined {
    const told = world.take<ServerSession>(server, "session").at(-1)
    return told?.members.find(member => member.ep === room)?.rs
}

describe("a member whose endpoint moves to its spare", () => {
    test("goes on in the session: the new and the old server hear of it before it asks to join", () => {
        const { world, sid } = inSession()
        assert.equal(session(world, sid).source, "rs-b")
        world.attach("c", "rs-d")
        assert.equal(toldOf(world, "rs-d", "c"), "rs-d")
        assert.equal(toldOf(world, "rs-c", "c"), "rs-d", "its old server")
        assert.equal(toldOf(world, "rs-a", "c"), "rs-d", "the others")
        assert.equal(status(world, sid, "c"), "left")
        world.pass(2)
        world.ask("rs", "rs-d", "joined", { sid, ep: "c" })
        // The old server notices later.
        world.ask("rs", "rs-c", "left", { sid, ep: "c" })
        assert.equal(status(world, sid, "c"), "joined rs-d")
        assert.equal(session(world, sid).state, "open")
        assert.equal(session(world, sid).source, "rs-b", "the source has not moved")
    })

    test("is found whether the word of its new server or its own comes first", () => {
        const { world, sid } = inSession()
        // Its own state is late: nothing is torn, and the session follows with the state.
        assert.equal(outcome(world.ask("rs", "rs-d", "want", { sid, ep: "c" })), "done")
        assert.equal(status(world, sid, "c"), "joined rs-c")
        world.attach("c", "rs-d")
        assert.equal(toldOf(world, "rs-d", "c"), "rs-d")
        world.ask("rs", "rs-d", "joined", { sid, ep: "c" })
        // A state that comes after the join changes nothing.
        world.ask("rs", "rs-a", "joined", { sid, ep: "b" })
        world.attach("b", "rs-a")
        assert.deepEqual([status(world, sid, "b"), status(world, sid, "c")], ["joined rs-a", "joined rs-d"])
    })

    test("is found when the group server has restarted and knows no states", () => {
        const { world, sid } = inSession()
        world.restart()
        world.tell("rs", "rs-d", { boot: 1, on: 1, dspFree: 10 }, true)
        world.sent = []
        world.ask("rs", "rs-d", "want", { sid, ep: "c" })
        assert.equal(toldOf(world, "rs-d", "c"), "rs-d")
        world.ask("rs", "rs-d", "joined", { sid, ep: "c" })
        assert.equal(status(world, sid, "c"), "joined rs-d")
    })

    test("who is alone in an ad-hoc session keeps it while it moves", () => {
        const { world, sid } = inSession()
        for (const room of ["a", "b"]) world.ask("rs", `rs-${room}`, "left", { sid, ep: room })
        world.attach("c", "rs-d")
        world.pass(30)
        world.ask("rs", "rs-d", "joined", { sid, ep: "c" })
        world.pass(120)
        assert.equal(session(world, sid).state, "open")
    })
})

describe("a session whose source server dies", () => {
    test("gets another source at once, and its members go on at their spares", () => {
        const { world, sid } = inSession()
        world.tell("rs", "rs-b", { boot: 1, on: 0 })
        assert.notEqual(session(world, sid).source, "rs-b")
        for (const server of ["rs-a", "rs-c"]) {
            const told = world.take<ServerSession>(server, "session").at(-1)!
            assert.equal(told.source, session(world, sid).source)
        }
        assert.match(session(world, sid).sourceReason, /^rs-[ac]: worst pair 20.00 ms|^rs-[ac]: worst pair 10.00 ms/)
        world.pass(1)
        world.attach("b", "rs-d")
        assert.equal(toldOf(world, "rs-d", "b"), "rs-d")
        world.ask("rs", "rs-d", "joined", { sid, ep: "b" })
        assert.deepEqual(
            ["a", "b", "c"].map(room => status(world, sid, room)),
            ["joined rs-a", "joined rs-d", "joined rs-c"],
        )
        // Back again, it is told what became of the session that it was the source of.
        world.serverHello("rs-b", 2, "127.0.9.2")
        assert.equal(world.take("rs-b", "end").length, 0)
    })

    test("whatever dies and moves in whatever order, ends with a living source and everybody where they are", () => {
        const seed = drawSeed("failover")
        for (let run = 0; run < 60; run++) {
            const random = seededRandom(seed + run)
            const { world, sid } = inSession()
            const servers = ["rs-a", "rs-b", "rs-c", "rs-d"]
            const boots = new Map(servers.map(server => [server, 1]))
            const alive = new Set(servers)
            const at = new Map(["a", "b", "c"].map(room => [room, `rs-${room}`]))
            for (let event = 0; event < 30; event++) {
                const server = random.pick(servers)
                if (random.chance(0.4)) {
                    if (alive.has(server) && alive.size > 1) {
                        alive.delete(server)
                        world.tell("rs", server, { boot: boots.get(server), on: 0 })
                    } else if (!alive.has(server)) {
                        alive.add(server)
                        boots.set(server, boots.get(server)! + 1)
                        world.serverHello(server, boots.get(server)!, `127.0.9.${servers.indexOf(server) + 1}`)
                    }
                }
                for (const [room, present] of at) {
                    if (alive.has(present) && random.chance(0.8)) continue
                    const next = random.pick([...alive])
                    at.set(room, next)
                    const steps = [
                        () => world.attach(room, next),
                        () => world.ask("rs", next, "want", { sid, ep: room }),
                        () => world.ask("rs", next, "joined", { sid, ep: room }),
                    ]
                    // Its own state may come before, between or after what its server says.
                    if (random.chance(0.5)) steps.push(steps.shift()!)
                    for (const step of steps) step()
                    if (next !== present && alive.has(present)) world.ask("rs", present, "left", { sid, ep: room })
                }
                world.pass(random.int(0, 5))
            }
            // The dust settles: whoever is at a server is in the session there.
            for (const [room, server] of at) world.ask("rs", server, "joined", { sid, ep: room })
            const { source, state } = session(world, sid)
            const label = `seed ${seed + run}`
            assert.equal(state, "open", label)
            assert.ok(alive.has(source), `${label}: source ${source}`)
            assert.ok([...at.values()].includes(source), `${label}: the source ${source} has members`)
            for (const [room, server] of at) assert.equal(status(world, sid, room), `joined ${server}`, label)
            const told = new Map<string, ServerSession>()
            for (const server of new Set(at.values()))
                for (const message of world.take<ServerSession>(server, "session"))
                    if (message.n >= (told.get(server)?.n ?? 0)) told.set(server, message)
            const last = [...told.values()].sort((a, b) => b.n - a.n)[0]
            assert.equal(last.source, source, label)
            for (const { ep, rs } of last.members) assert.equal(rs, at.get(ep), label)
        }
    })
})
