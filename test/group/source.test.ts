import assert from "node:assert/strict"
import { describe, test } from "node:test"
import type { ServerState } from "../../protocol/servers.ts"
import { chooseSource } from "../../servers/group/core/source.ts"
import { drawSeed, seededRandom } from "../support/random.ts"
import { outcome, sidOf, World } from "./world.ts"

/** The largest way between two members over `source`, computed for itself. */
function worstPair(source: number, members: number[], delay: (a: number, b: number) => number): number {
    let worst = 0
    for (const a of members)
        for (const b of members) if (a !== b) worst = Math.max(worst, delay(a, source) + delay(source, b))
    return worst
}

describe("the source of a session, by the delays that routing servers report", () => {
    test("has the smallest largest pair delay of all members, a fifth better than the first joiner's on the average", () => {
        const seed = drawSeed("source choice")
        const random = seededRandom(seed)
        let chosenSum = 0
        let firstSum = 0
        for (let run = 0; run < 200; run++) {
            const places = Array.from({ length: 20 }, () => ({ x: random.int(0, 9000), y: random.int(0, 5000) }))
            const delay = (a: number, b: number) =>
                Math.round(Math.hypot(places[a].x - places[b].x, places[a].y - places[b].y))
            const servers = new Map<string, ServerState>(
                places.map((_, index) => [`rs-${index}`, { boot: 1, on: 1, dspFree: 10 }]),
            )
            const reported = new Map(
                places.map((_, from) => [`rs-${from}`, new Map(places.map((_, to) => [`rs-${to}`, delay(from, to)]))]),
            )
            const members = [...new Set(Array.from({ length: random.int(3, 9) }, () => random.int(0, 19)))]
            if (members.length < 2) continue
            const counts = new Map(members.map(index => [`rs-${index}`, 1]))
            const choice = chooseSource(counts, servers, reported)!
            const chosen = worstPair(Number(choice.source.slice(3)), members, delay)
            const best = Math.min(...members.map(one => worstPair(one, members, delay)))
            assert.equal(chosen, best, `seed ${seed} run ${run}: ${choice.reason}`)
            assert.match(choice.reason, new RegExp(`worst pair ${(best / 100).toFixed(2)} ms`))
            chosenSum += chosen
            firstSum += worstPair(members[0], members, delay)
        }
        assert.ok(chosenSum < 0.85 * firstSum, `seed ${seed}: ${chosenSum} against ${firstSum}`)
    })

    test("follows a report while nobody has joined, and prefers it to the sum of the links", () => {
        const world = new World()
        world.rooms("a", "b", "c")
        world.servers("rs-a", "rs-b", "rs-c")
        world.do({ do: "createGroup", id: "all", name: "All", members: ["a", "b", "c"] })
        for (const room of ["a", "b", "c"]) {
            const links = ["rs-a", "rs-b", "rs-c"]
                .filter(rs => rs !== `rs-${room}`)
                .map(rs => ({ rs, up: 1, delay: 500 }))
            world.tell("rs", `rs-${room}`, { boot: 1, on: 1, dspFree: 5, links })
            world.attach(room, `rs-${room}`)
        }
        const sid = sidOf(world.book("a", "all"))
        const source = () => world.state.durable.sessions.get(sid)!
        assert.equal(source().source, "rs-a")
        const report = (from: string, list: { rs: string; delay: number }[]) =>
            world.ask("rs", from, "distances", { list })
        const far = [
            { rs: "rs-b", delay: 4000 },
            { rs: "rs-c", delay: 700 },
        ]
        world.take("rs-c", "session")
        assert.equal(outcome(report("rs-a", far)), "done")
        // rs-b reports nothing; the way back is taken to be as long.
        assert.equal(source().source, "rs-c")
        assert.match(source().sourceReason, /^rs-c: worst pair 12.00 ms/)
        assert.equal(world.take<{ source: string }>("rs-c", "session").at(-1)!.source, "rs-c")
        const audit = world.writes.flatMap(write => (write.table === "audit" ? [write.put] : []))
        assert.equal(audit.filter(entry => entry.action === "source").at(-1)!.outcome, "rs-c")

        // Once somebody is in it, better reports do not move it.
        world.ask("rs", "rs-c", "joined", { sid, ep: "c" })
        report("rs-a", [])
        assert.equal(source().source, "rs-c")
    })

    test("is no server that drains while another can be it", () => {
        const servers = new Map<string, ServerState>([
            ["rs-a", { boot: 1, on: 1, dspFree: 5, draining: 1 }],
            ["rs-b", { boot: 1, on: 1, dspFree: 5 }],
        ])
        const members = new Map([
            ["rs-a", 5],
            ["rs-b", 1],
        ])
        assert.equal(chooseSource(members, servers)!.source, "rs-b")
        servers.set("rs-b", { boot: 1, on: 0 })
        const choice = chooseSource(members, servers)!
        assert.equal(choice.source, "rs-a")
        assert.match(choice.reason, /draining/)
    })

    test("takes no report of a stranger, of nonsense, or about servers that do not exist; a restart voids them", () => {
        const world = new World()
        world.servers("rs-a", "rs-b")
        const report = (from: string, list: unknown) => outcome(world.ask("rs", from, "distances", { list }))
        assert.equal(report("rs-x", []), "unknown-server")
        assert.equal(report("rs-a", "near"), "malformed")
        assert.equal(
            report(
                "rs-a",
                Array.from({ length: 65 }, () => ({ rs: "rs-b", delay: 1 })),
            ),
            "malformed",
        )
        assert.equal(report("rs-a", [{ rs: "rs-b", delay: -1 }]), "malformed")
        const list = ["rs-a", "rs-b", "rs-x"].map(rs => ({ rs, delay: 7 }))
        assert.equal(report("rs-a", list), "done")
        assert.deepEqual([...world.state.live.distances.get("rs-a")!], [["rs-b", 7]])
        world.serverHello("rs-a", 2)
        assert.equal(world.state.live.distances.has("rs-a"), false)
        report("rs-a", list)
        world.tell("rs", "rs-a", { boot: 2, on: 0 })
        assert.equal(world.state.live.distances.has("rs-a"), false)
    })
})
