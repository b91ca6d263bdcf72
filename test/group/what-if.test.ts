import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { type Policy, policy } from "../../servers/group/core/model.ts"
import { type Forecast, whatIf } from "../../servers/group/core/what-if.ts"
import { monday, sidOf, World } from "./world.ts"

/** Rooms a, b and c at rs-a, rs-b and rs-c, which are a chain: a - b - c, 5 ms a link. Room d is attached nowhere. */
function chain(free: Record<string, number> = {}): World {
    const world = new World()
    world.rooms("a", "b", "c", "d")
    world.servers("rs-a", "rs-b", "rs-c")
    const neighbours = { "rs-a": ["rs-b"], "rs-b": ["rs-a", "rs-c"], "rs-c": ["rs-b"] }
    for (const [server, peers] of Object.entries(neighbours)) {
        const links = peers.map(rs => ({ rs, up: 1, delay: 500 }))
        world.tell("rs", server, { boot: 1, on: 1, dspUnits: 10, dspFree: free[server] ?? 10, links })
    }
    for (const room of ["a", "b", "c"]) world.attach(room, `rs-${room}`)
    world.do({ do: "createGroup", id: "all", name: "All", members: ["a", "b", "c"] })
    return world
}

function ask(world: World, members: string[], start = 0, minutes = 30, rules: Policy = policy) {
    return whatIf(world.state, { members, start, minutes, kbps: 96 }, world.nowMs, rules)
}

function forecast(world: World, members: string[], start = 0, minutes = 30): Forecast {
    const answer = ask(world, members, start, minutes)
    if ("ok" in answer) throw new Error(`refused: ${answer.reason}`)
    return answer
}

function reason(answer: ReturnType<typeof ask>): string {
    return "ok" in answer ? answer.reason : "forecast"
}

describe("a dry run of a session", () => {
    test("says who is invited, where each is, where it would start and why, and what each server needs", () => {
        const world = chain()
        const before = JSON.stringify(world.state.durable.sessions.size)
        const { fits, invited, source, sourceReason, servers, busy, short, start, end } = forecast(world, ["all", "d"])
        assert.equal(fits, true)
        assert.deepEqual(
            invited.map(one => [one.endpoint, one.server]),
            [
                ["a", "rs-a"],
                ["b", "rs-b"],
                ["c", "rs-c"],
                ["d", undefined],
            ],
        )
        assert.equal(source, "rs-b")
        assert.match(sourceReason!, /^rs-b: worst pair 10.00 ms/)
        assert.deepEqual(servers, [
            { server: "rs-a", members: 1, links: 1, dspNeeded: 2, dspFree: 10 },
            { server: "rs-b", members: 1, links: 2, dspNeeded: 3, dspFree: 10 },
            { server: "rs-c", members: 1, links: 1, dspNeeded: 2, dspFree: 10 },
        ])
        assert.deepEqual([busy, short], [[], []])
        assert.deepEqual([start, end], [monday, monday + 1800])
        assert.equal(JSON.stringify(world.state.durable.sessions.size), before)
        assert.equal(world.sent.filter(send => send.verb === "session").length, 0, "nobody hears of it")
    })

    test("counts the links of servers on the way, and one link where no way is known", () => {
        const world = chain()
        world.rooms("e")
        world.servers("rs-e")
        world.attach("e", "rs-e")
        const { servers, source } = forecast(world, ["a", "c", "e"])
        assert.equal(source, "rs-a")
        assert.deepEqual(
            servers.map(one => [one.server, one.links]),
            // rs-b has no members: it only passes on, and needs no units.
            [
                ["rs-a", 2],
                ["rs-c", 1],
                ["rs-e", 1],
            ],
        )
    })

    test("names who is busy, until when, and the next time that fits them all", () => {
        const world = chain()
        world.book("a", "d", monday + 600, 60)
        const { fits, busy, next } = forecast(world, ["a", "b"], monday + 900)
        assert.equal(fits, false)
        assert.deepEqual(busy, [{ endpoint: "a", name: "Room a", from: monday + 600, until: monday + 4200 }])
        assert.equal(next, monday + 4200)
    })

    test("names the servers whose DSP units do not suffice now, and when those of another session are free", () => {
        const world = chain({ "rs-c": 1 })
        world.rooms("x", "y")
        world.attach("x", "rs-c")
        const other = sidOf(world.book("x", "y", 0, 20))
        const { fits, short, next } = forecast(world, ["all"])
        const { end } = world.state.durable.sessions.get(other)!
        assert.equal(fits, false)
        const what = "1 DSP units short: 2 needed, 1 free"
        assert.deepEqual(short, [{ server: "rs-c", reason: "no-dsp", what, who: "operator", next: end }])
        assert.equal(next, end)
    })

    test("says of a session that is larger than a server that its organiser must do something, and no time", () => {
        const world = chain()
        world.tell("rs", "rs-c", { boot: 1, on: 1, dspUnits: 1, dspFree: 1 })
        const { short, next } = forecast(world, ["all"])
        assert.deepEqual([short[0].who, short[0].next, next], ["organiser", undefined, undefined])
    })

    test("for later looks at what is booked for then, not at what is free now", () => {
        const world = chain({ "rs-c": 0 })
        const later = monday + 7200
        assert.equal(forecast(world, ["all"], later).fits, true)
        const rooms = Array.from({ length: 5 }, (_, index) => `r-${index}`)
        const others = Array.from({ length: 5 }, (_, index) => `s-${index}`)
        world.rooms(...rooms, ...others)
        for (const room of rooms) world.attach(room, "rs-c")
        for (const room of others) world.attach(room, "rs-a")
        for (const [index, room] of rooms.entries()) world.book(room, others[index], later, 30)
        // Five sessions with a member and a link each there take all ten units.
        const { servers, short } = forecast(world, ["all"], later)
        assert.equal(servers.find(one => one.server === "rs-c")!.dspFree, 0)
        assert.deepEqual(
            short.map(one => one.server),
            ["rs-a", "rs-c"],
        )
        assert.equal(forecast(world, ["all"], later + 1800).fits, true)
    })

    test("names a server that is offline, and that there is none at all", () => {
        const world = chain()
        world.tell("rs", "rs-c", { boot: 1, on: 0 })
        assert.deepEqual(
            forecast(world, ["all"]).short.map(one => [one.server, one.reason]),
            [["rs-c", "unavailable"]],
        )
        for (const server of ["rs-a", "rs-b"]) world.tell("rs", server, { boot: 1, on: 0 })
        const { short, source } = forecast(world, ["all"])
        assert.equal(source, undefined)
        assert.deepEqual(short.at(-1)!.reason, "no-servers")
    })

    test("is refused for what could not be booked either", () => {
        const world = chain()
        assert.equal(reason(ask(world, ["a", "nobody"])), "unknown-group")
        assert.equal(reason(ask(world, ["a", "a"])), "not-allowed")
        assert.equal(reason(ask(world, ["all"], monday - 3600)), "in-the-past")
        assert.equal(reason(ask(world, ["all"], monday + 500 * 86_400)), "too-far")
        assert.equal(reason(ask(world, ["all"], 0, 5000)), "too-long")
        assert.equal(reason(ask(world, ["all"], 0, 1)), "malformed")
        world.rooms(...Array.from({ length: 70 }, (_, index) => `m-${index}`))
        for (const [id, from] of [
            ["g-1", 0],
            ["g-2", 35],
        ] as const) {
            const members = Array.from({ length: 35 }, (_, index) => `m-${from + index}`)
            world.do({ do: "createGroup", id, name: id, members })
        }
        assert.equal(reason(ask(world, ["g-1", "g-2"])), "too-many")
        assert.equal(forecast(world, ["g-1", "all"]).invited.length, 38)
    })
})
