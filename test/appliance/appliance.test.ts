import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { limits } from "../../protocol/limits.ts"
import { callTable, linkTable } from "../../src/appliance/phases.ts"
import { Button, Phase, World } from "./world.ts"

describe("the state tables", () => {
    test("decide every event in every phase, and name only actions that exist", () => {
        assert.equal(linkTable.length, 7)
        for (const row of linkTable) assert.match(row, /^[.rcdhwpkanitfl]{12}$/)
        assert.equal(callTable.length, 5)
        for (const row of callTable) assert.match(row, /^[.bqjsouxeyg]{10}$/)
    })
})

describe("an appliance that comes up", () => {
    test("registers, probes the candidates and attaches to the nearest, keeping the second as a spare", () => {
        const world = new World().ready()
        assert.equal(world.phase(), Phase.Idle)
        assert.equal(world.appliance.link.serverId(), "rs-12")
        assert.equal(world.appliance.link.spare?.rs, "rs-13")
        assert.deepEqual(world.published("state").at(-1), { boot: 7, on: 1, rs: "rs-12", muted: 0 })
        assert.match(world.screen(), /^Room A +\d\d:\d\d\nReady/)
    })

    test("without provisioning says what to do, and stays there", () => {
        const world = new World({}, "")
        world.pass(60000)
        assert.equal(world.phase(), Phase.Unprovisioned)
        assert.match(world.screen(), /Not set up yet\nAsk your operator/)
    })

    test("with a wrong secret says so and whom to call, and registers when it is accepted later", () => {
        const world = new World()
        world.event(a => a.denied(4))
        assert.equal(world.phase(), Phase.Refused)
        assert.match(world.screen(), /Not accepted:\nwrong secret\nCall your operator/)
        world.ready()
        assert.equal(world.phase(), Phase.Idle)
        world.agenda({ sid: "s1" })
        world.event(a => a.denied(4))
        assert.match(world.screen(), /wrong secret/)
    })

    test("waits for its sound module before it chooses a routing server", () => {
        const world = new World()
        world.event(a => a.connected())
        assert.equal(world.phase(), Phase.Choosing)
        assert.match(world.screen(), /No sound module/)
        world.event(a => a.mediaAppeared())
        assert.equal(world.phase(), Phase.Idle)
    })

    test("tries again, less and less often, while no routing server answers", () => {
        const world = new World()
        world.roundTripsUs = {}
        world.ready()
        world.pass(30000)
        assert.equal(world.phase(), Phase.Choosing)
        assert.match(world.screen(), /No server answers/)
        const asked = world.published("candidates").length
        assert.ok(asked > 3 && asked < 20, `asked ${asked} times`)
        world.roundTripsUs = { "127.0.1.13": 1000 }
        world.pass(11000)
        assert.equal(world.appliance.link.serverId(), "rs-13")
    })

    test("takes the spare when the best refuses to be attached to", () => {
        const world = new World()
        world.answers.attach = (_body, server) =>
            server === "rs-12" ? { reason: "draining", who: "operator" } : { load: 1 }
        world.ready()
        assert.equal(world.appliance.link.serverId(), "rs-13")
    })

    test("repeats its hello under the same id until it is answered, and starts anew when it expired", () => {
        const world = new World()
        const hello = world.answers.hello
        world.answers.hello = () => undefined
        world.ready()
        world.pass(limits.requestTimeoutMs - 100)
        const ids = world.published("hello").map(body => body.id)
        assert.ok(ids.length >= 3)
        assert.equal(new Set(ids).size, 1)
        world.answers.hello = hello
        world.pass(5000)
        assert.equal(world.phase(), Phase.Idle)
    })
})

describe("a session", () => {
    const inSession = () => {
        const world = new World().ready()
        world.agenda({ sid: "s1" })
        world.press(Button.Call)
        assert.equal(world.phase(), Phase.InSession)
        return world
    }

    test("is reminded of when it opens, and joined by one press", () => {
        const world = new World().ready()
        world.agenda({ sid: "s1", state: "scheduled" })
        assert.equal(world.phase(), Phase.Idle)
        assert.match(world.lines()[2], /Weekly/)
        world.agenda({ sid: "s1" })
        assert.equal(world.phase(), Phase.Reminding)
        assert.match(world.screen(), /Weekly\nfrom Room B/)
        world.press(Button.Call)
        assert.equal(world.phase(), Phase.InSession)
        assert.deepEqual([world.engine.open, world.engine.ssrc, world.engine.muted], [true, 99, false])
        assert.deepEqual(world.published("join")[0], {
            sid: "s1",
            ip: "127.0.2.1",
            port: 5004,
            id: world.published("join")[0].id,
        })
        assert.equal(world.published("state").at(-1).sid, "s1")
    })

    test("is not reminded of again once it was declined or left", () => {
        const world = new World().ready()
        world.agenda({ sid: "s1" })
        world.press(Button.Menu)
        assert.equal(world.phase(), Phase.Idle)
        assert.equal(world.published("decline")[0].sid, "s1")
        world.agenda({ sid: "s1" })
        assert.equal(world.phase(), Phase.Idle)

        const other = inSession()
        other.press(Button.Call)
        assert.equal(other.phase(), Phase.Idle)
        assert.equal(other.engine.open, false)
        assert.equal(other.published("leave")[0].sid, "s1")
        other.pass(10000)
        assert.equal(other.phase(), Phase.Idle)
    })

    test("writes the microphone's state before it opens the sound, each time", () => {
        const world = new World().ready()
        world.press(Button.Mute)
        world.engine.muted = false // another hand
        world.agenda({ sid: "s1" })
        const before = world.effects.length
        world.press(Button.Call)
        const order = world.effects.slice(before).map(e => e.type)
        assert.ok(order.indexOf("muted") >= 0 && order.indexOf("muted") < order.indexOf("open"))
        assert.equal(world.engine.muted, true)
    })

    test("is rejoined through the spare when the server dies, with the mute kept", () => {
        const world = inSession()
        world.press(Button.Mute)
        delete world.roundTripsUs["127.0.1.12"]
        world.event(a => a.serverLost("127.0.1.12"))
        assert.equal(world.phase(), Phase.InSession)
        assert.equal(world.appliance.link.serverId(), "rs-13")
        assert.deepEqual([world.engine.open, world.engine.muted, world.engine.opens], [true, true, 2])
    })

    test("is rejoined when the routing server has forgotten the appliance, or says bye to it", () => {
        const world = inSession()
        let attaches = world.published("attach").length
        let refusals = 1
        const join = world.answers.join
        world.answers.join = (body, server) =>
            refusals-- > 0 ? { reason: "not-attached", who: "nobody" } : join(body, server)
        world.pass(6000)
        world.event(a => a.call.legLost())
        assert.equal(world.phase(), Phase.InSession)
        assert.equal(world.published("attach").length, attaches + 1)

        attaches++
        world.push("rs/rs-12", "bye", { reason: "draining" })
        assert.equal(world.phase(), Phase.InSession)
        assert.equal(world.appliance.link.serverId(), "rs-13")
    })

    test("goes on while the broker is away, and is not opened a second time when it is back", () => {
        const world = inSession()
        world.event(a => a.disconnected())
        world.pass(20000)
        assert.equal(world.phase(), Phase.InSession)
        world.event(a => a.connected())
        assert.equal(world.phase(), Phase.InSession)
        assert.equal(world.appliance.link.isAttached(), true)
        assert.equal(world.engine.opens, 1)
    })

    test("gets a muted engine again after the engine restarted", () => {
        const world = inSession()
        world.press(Button.Mute)
        world.event(a => a.mediaVanished())
        assert.equal(world.phase(), Phase.Joining)
        world.engine = { muted: false, volume: 50, open: false, ssrc: 0, opens: 0 }
        world.event(a => a.mediaAppeared())
        assert.equal(world.engine.muted, true)
        world.event(a => a.mediaAddress("127.0.2.1", 5006))
        assert.equal(world.phase(), Phase.InSession)
        assert.deepEqual([world.engine.open, world.engine.muted], [true, true])
        assert.equal(world.published("join").at(-1).port, 5006)
    })

    test("ends when the group server, the routing server or the clock says so", () => {
        const ended = inSession()
        ended.agenda({ sid: "s1", state: "ended" })
        assert.deepEqual([ended.phase(), ended.engine.open], [Phase.Idle, false])
        assert.match(ended.screen(), /Session has ended/)

        const cancelled = inSession()
        cancelled.agenda()
        assert.deepEqual([cancelled.phase(), cancelled.engine.open], [Phase.Idle, false])

        const removed = inSession()
        removed.push("rs/rs-12", "bye", { sid: "s1", reason: "ended" })
        assert.deepEqual([removed.phase(), removed.engine.open], [Phase.Idle, false])

        const alone = inSession()
        alone.event(a => a.disconnected())
        alone.pass(3700_000)
        assert.deepEqual([alone.phase(), alone.engine.open], [Phase.Connecting, false])
    })

    test("is rejoined after a while when the routing server has dropped it for a reason that passes", () => {
        const world = inSession()
        world.push("rs/rs-12", "bye", { sid: "s1", reason: "no-dsp" })
        assert.deepEqual([world.phase(), world.engine.open], [Phase.Joining, false])
        assert.match(world.screen(), /Rejoining/)
        world.pass(2000)
        assert.deepEqual([world.phase(), world.engine.open], [Phase.InSession, true])
    })

    test("is not ended by a routing server that it is not attached to", () => {
        const world = inSession()
        world.push("rs/rs-13", "bye", { sid: "s1", reason: "ended" })
        world.push("rs/rs-13", "bye", { reason: "draining" })
        assert.equal(world.phase(), Phase.InSession)
        assert.equal(world.appliance.link.serverId(), "rs-12")
    })

    test("is reminded of by the own clock while the group server cannot be reached", () => {
        const world = new World().ready()
        world.agenda({ sid: "s1", state: "scheduled", start: world.seconds() + 600, end: world.seconds() + 4000 })
        world.event(a => a.disconnected())
        world.pass(299_000)
        assert.equal(world.phase(), Phase.Connecting)
        world.pass(2000)
        assert.equal(world.phase(), Phase.Reminding)
        world.press(Button.Call)
        assert.equal(world.phase(), Phase.Joining)
        world.pass(5100)
        assert.equal(world.phase(), Phase.Reminding)
        assert.match(world.screen(), /No answer\nTry again/)
    })

    test("that refuses says why, who can help and when it fits", () => {
        const world = new World().ready()
        world.agenda({ sid: "s1" })
        world.answers.join = () => ({
            reason: "no-dsp",
            who: "operator",
            next: world.seconds() - (world.seconds() % 86400) + 3600 * 15,
        })
        world.press(Button.Call)
        assert.match(world.screen(), /Server is full\nFree at 15:00\nCall your operator/)
        world.pass(5100)
        assert.equal(world.phase(), Phase.Reminding)
    })
})

describe("the microphone", () => {
    test("stays as a person left it through every event that is not a press of MUTE", () => {
        const seed = Date.now() % 1_000_000
        let state = seed
        const random = (n: number) => {
            state = (Math.imul(state, 1664525) + 1013904223) >>> 0
            return Math.floor((state / 4294967296) * n)
        }
        const world = new World().ready()
        world.press(Button.Mute)
        for (let i = 0; i < 3000; i++) {
            switch (random(14)) {
                case 0:
                    world.event(a => a.disconnected())
                    break
                case 1:
                    world.event(a => a.connected())
                    break
                case 2:
                    world.event(a => a.mediaVanished())
                    world.engine.muted = random(2) === 0
                    world.engine.open = false
                    break
                case 3:
                    world.event(a => a.mediaAppeared())
                    world.event(a => a.mediaAddress("127.0.2.1", 5004))
                    break
                case 4:
                    world.press(Button.Call)
                    break
                case 5:
                    world.press(Button.Menu)
                    break
                case 6:
                    world.turn(random(7) - 3)
                    break
                case 7:
                    world.agenda({ sid: `s${random(3)}`, state: ["scheduled", "opening", "open", "ended"][random(4)] })
                    break
                case 8:
                    world.event(a => a.serverLost(`127.0.1.1${1 + random(3)}`))
                    break
                case 9:
                    world.push(`rs/rs-1${1 + random(3)}`, "bye", { sid: `s${random(3)}`, reason: "ended" })
                    break
                case 10:
                    world.push(`rs/rs-1${1 + random(3)}`, "bye", { reason: "draining" })
                    break
                case 11:
                    world.event(a => a.call.engineMuted(false))
                    break
                case 12:
                    world.event(a => a.call.legLost())
                    break
                default:
                    world.pass(random(8000))
            }
            assert.equal(world.appliance.call.muted, true, `seed ${seed} step ${i}`)
            if (world.engine.open) assert.equal(world.engine.muted, true, `seed ${seed} step ${i}`)
            for (const line of world.lines()) assert.ok([...line].length <= 20, `seed ${seed}: "${line}"`)
        }
        assert.equal(world.saved.muted, "1")
    })
})
