import assert from "node:assert/strict"
import { describe, test } from "node:test"
import type { ServerSession } from "../../protocol/servers.ts"
import { monday, outcome, sidOf, World } from "./world.ts"

/** a and b in a session at rs-a and rs-b, its source is rs-a. */
function inSession(): { world: World; sid: string } {
    const world = new World()
    world.rooms("a", "b")
    world.servers("rs-a", "rs-b")
    for (const room of ["a", "b"]) world.attach(room, `rs-${room}`)
    const sid = sidOf(world.book("a", "b", 0, 60))
    for (const room of ["a", "b"]) world.ask("rs", `rs-${room}`, "joined", { sid, ep: room })
    assert.equal(world.state.durable.sessions.get(sid)!.source, "rs-a")
    return { world, sid }
}

const server = { boot: 1, on: 1, dspFree: 8 }

function statuses({ world, sid }: { world: World; sid: string }): string[] {
    return world.state.durable.sessions.get(sid)!.invitations.map(one => one.status)
}

describe("after the connection to the broker was lost", () => {
    test("who is not heard of any more is off: its Will was forgotten with the broker", () => {
        const { world, sid } = inSession()
        world.run({ type: "connection", up: false })
        world.pass(300)
        assert.deepEqual(statuses({ world, sid }), ["joined", "joined"], "nobody could be heard meanwhile")
        world.run({ type: "connection", up: true })
        world.tell("rs", "rs-b", server, true)
        world.hello("b")
        world.sent = []
        world.pass(60)
        assert.deepEqual(
            [...world.state.live.endpoints].map(([id, { on }]) => [id, on]),
            [
                ["a", 0],
                ["b", 1],
            ],
        )
        assert.deepEqual(statuses({ world, sid }), ["left", "joined"])
        assert.equal(world.take<ServerSession>("rs-b", "session").at(-1)?.source, "rs-b", "a source that lives")
        assert.equal(outcome(world.ask("ep", "b", "candidates")), "done")
    })

    test("whoever speaks again is there again", () => {
        const { world, sid } = inSession()
        world.run({ type: "connection", up: true })
        world.pass(60)
        assert.deepEqual(statuses({ world, sid }), ["left", "left"])
        world.serverHello("rs-a", 1)
        world.ask("rs", "rs-a", "joined", { sid, ep: "a" })
        world.tell("ep", "a", { boot: 1, on: 1, rs: "rs-a" })
        assert.deepEqual(statuses({ world, sid }), ["joined", "left"])
        assert.equal(world.state.live.endpoints.get("a")!.on, 1)
        world.pass(600)
        assert.equal(world.state.live.servers.get("rs-a")!.on, 1, "once is enough")
    })

    test("a session does not wait for ever for a source that never came back since the group server was restarted", () => {
        const { world, sid } = inSession()
        world.restart()
        world.run({ type: "connection", up: true })
        world.tell("rs", "rs-b", server, true)
        assert.equal(world.state.durable.sessions.get(sid)!.source, "rs-a", "its state may be on its way")
        world.pass(60)
        assert.equal(world.state.durable.sessions.get(sid)!.source, "rs-b")
    })
})

describe("how lives of an endpoint ended", () => {
    const crash = { kind: "exception", text: "TypeError: ü", boot: 1, seconds: 60, log: "59 phase 6, " }

    function lived(boots: number, more: object = {}) {
        const world = new World()
        world.rooms("a")
        for (let boot = 2; boot <= boots; boot++)
            world.ask("ep", "a", "hello", {
                v: 1,
                boot,
                board: "b",
                fw: "0",
                caps: [],
                crash: { ...crash, boot: boot - 1, ...more },
            })
        return world.state.durable.endpoints.get("a")!.crashes
    }

    test("is kept with what ran then, the last eight", () => {
        assert.deepEqual(lived(2), [{ ...crash, atMs: monday * 1000, firmware: "0" }])
        assert.deepEqual(
            lived(20).map(({ boot }) => boot),
            [19, 18, 17, 16, 15, 14, 13, 12],
        )
    })

    test("is cut to what is known of it, and refused when it is out of bounds", () => {
        assert.deepEqual(Object.keys(lived(2, { further: "x".repeat(1000) })[0]).includes("further"), false)
        assert.deepEqual(lived(2, { text: "x".repeat(225) }), [])
        assert.deepEqual(lived(2, { log: "x".repeat(289) }), [])
    })

    test("is no crash when the program was replaced: that ends it without a word as well", () => {
        const world = new World()
        world.rooms("a")
        const hello = { v: 1, board: "b", caps: [], crash: { ...crash, kind: "panic" } }
        world.ask("ep", "a", "hello", { ...hello, boot: 2, fw: "1" })
        assert.deepEqual(world.state.durable.endpoints.get("a")!.crashes, [])
        world.ask("ep", "a", "hello", { ...hello, boot: 3, fw: "1" })
        assert.equal(world.state.durable.endpoints.get("a")!.crashes.length, 1)
    })
})
