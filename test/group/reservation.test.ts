import assert from "node:assert/strict"
import { describe, test } from "node:test"
import type { ReservationReport, ServerSession } from "../../protocol/servers.ts"
import { policy } from "../../servers/group/core/model.ts"
import { MediaKeys } from "../../servers/group/media-keys.ts"
import { monday, outcome, sidOf, World } from "./world.ts"

type Report = Partial<Omit<ReservationReport, "id">>
type Short = ReservationReport["short"][number]

/** Rooms a, b, c, each at its server rs-a, rs-b, rs-c; all pairs 10 ms apart but those with rs-a, 5 ms, so that it is the source. */
function three(units = 10): World {
    const world = new World()
    const servers = ["rs-a", "rs-b", "rs-c"]
    world.rooms("a", "b", "c")
    world.servers(...servers)
    for (const from of servers) {
        world.tell("rs", from, { boot: 1, on: 1, dspUnits: units, dspFree: units })
        const near = (rs: string) => rs === "rs-a" || from === "rs-a"
        const list = servers.filter(rs => rs !== from).map(rs => ({ rs, delay: near(rs) ? 500 : 1000 }))
        world.ask("rs", from, "distances", { list })
    }
    world.do({ do: "createGroup", id: "all", name: "All", members: ["a", "b", "c"] })
    for (const room of ["a", "b", "c"]) world.attach(room, `rs-${room}`)
    return world
}

function inSession(): { world: World; sid: string } {
    const world = three()
    const sid = sidOf(world.book("a", "all", 0, 60))
    world.sent = []
    return { world, sid }
}

let epoch = 0

function report(world: World, from: string, sid: string, more: Report): string {
    epoch++
    const whole = { sid, ep: epoch, state: "reserving", kbps: 96, tree: [], short: [], ...more }
    return outcome(world.ask("rs", from, "reservation", whole))
}

function units(rs: string): Short {
    return { rs, reason: "no-dsp", what: "1 DSP unit short", at: rs }
}

function link(rs: string, at: string, to: string): Short {
    return { rs, reason: "no-bandwidth", what: "96 kbit/s, 0 free", at, to }
}

function session(world: World, sid: string) {
    return world.state.durable.sessions.get(sid)!
}

function kept(world: World, sid: string) {
    return world.state.live.reservations.get(sid)
}

function left(world: World, sid: string): string[] {
    return [...(kept(world, sid)?.unreached.keys() ?? [])]
}

function told(world: World, server: string): ServerSession | undefined {
    return world.take<ServerSession>(server, "session").at(-1)
}

function audits(world: World, action: string) {
    return world.writes.flatMap(write => (write.table === "audit" && write.put.action === action ? [write.put] : []))
}

describe("what the source tells of a session's reservation", () => {
    const tree = [
        { rs: "rs-b", parent: "rs-a" },
        { rs: "rs-c", parent: "rs-b" },
    ]

    test("is kept with its history, and each change is in the audit log with its inputs", () => {
        const { world, sid } = inSession()
        assert.equal(session(world, sid).source, "rs-a")
        assert.equal(report(world, "rs-a", sid, { ep: 7, state: "reserving" }), "done")
        world.pass(1)
        assert.equal(report(world, "rs-a", sid, { ep: 7, state: "active", tree }), "done")
        const { told: now, history } = kept(world, sid)!
        assert.deepEqual(now, { ep: 7, state: "active", kbps: 96, tree, short: [], atMs: world.nowMs })
        assert.deepEqual(
            history.map(one => [one.state, one.ep, one.source, one.servers, one.atMs / 1000 - monday]),
            [
                ["reserving", 7, "rs-a", 0, 0],
                ["active", 7, "rs-a", 2, 1],
            ],
        )
        const [, entry] = audits(world, "reservation")
        assert.deepEqual([entry.actor, entry.subject, entry.outcome], ["rs:rs-a", sid, "active"])
        assert.deepEqual(entry.inputs.tree, tree)
        assert.deepEqual(entry.inputs.was, { ep: 7, state: "reserving" })
        assert.deepEqual(world.sent, [], "nobody has to hear of it")
    })

    test("is no change when it is told again, and an earlier epoch is old news", () => {
        const { world, sid } = inSession()
        const same: Report = { ep: 9, state: "active", tree }
        for (let times = 0; times < 3; times++) assert.equal(report(world, "rs-a", sid, same), "done")
        assert.equal(report(world, "rs-a", sid, { ep: 8, state: "refused", short: [units("rs-b")] }), "done")
        assert.equal(kept(world, sid)!.history.length, 1)
        assert.equal(audits(world, "reservation").length, 1)
        assert.deepEqual(left(world, sid), [])
    })

    test("of an earlier epoch counts when that goes on because what was tried after it has come to nothing", () => {
        const { world, sid } = inSession()
        report(world, "rs-a", sid, { ep: 8, state: "active", tree })
        report(world, "rs-a", sid, { ep: 9, state: "reserving" })
        report(world, "rs-a", sid, { ep: 9, state: "degraded", short: [units("rs-c")] })
        assert.equal(report(world, "rs-a", sid, { ep: 8, state: "active", tree }), "done")
        assert.deepEqual([kept(world, sid)?.told?.state, kept(world, sid)?.told?.ep], ["active", 8])
    })

    test("is old news from a server that is not the source now, and refused for sessions that are over or unknown", () => {
        const { world, sid } = inSession()
        assert.equal(report(world, "rs-b", sid, { state: "refused", short: [units("rs-c")] }), "done")
        assert.equal(kept(world, sid), undefined)
        assert.equal(report(world, "rs-a", "no-such", {}), "unknown-session")
        world.ask("ep", "a", "cancel", { sid })
        assert.equal(report(world, "rs-a", sid, {}), "ended")
        assert.equal(report(world, "rs-x", sid, {}), "unknown-server")
    })

    test("is refused as malformed when its tree is none, or its words are no words", () => {
        const { world, sid } = inSession()
        const wrong: Report[] = [
            { tree: [{ rs: "rs-b", parent: "rs-c" }] },
            {
                tree: [
                    { rs: "rs-b", parent: "rs-c" },
                    { rs: "rs-c", parent: "rs-b" },
                ],
            },
            { tree: [{ rs: "rs-a", parent: "rs-b" }] },
            { tree: [tree[0], tree[0]] },
            { tree: [{ rs: "Rs B", parent: "rs-a" }] },
            { short: [{ ...units("rs-b"), what: "\u0007" }] },
            { short: [{ ...units("rs-b"), at: "rs b" }] },
            { ep: -1 },
            { state: "great" as "active" },
        ]
        for (const one of wrong)
            assert.equal(report(world, "rs-a", sid, { state: "active", ...one }), "malformed", JSON.stringify(one))
        assert.equal(kept(world, sid), undefined)
    })

    test("is remembered for the last changes only, and forgotten with the session", () => {
        const { world, sid } = inSession()
        for (let count = 0; count < 40; count++) report(world, "rs-a", sid, { state: "active" })
        const { history } = kept(world, sid)!
        assert.equal(history.length, policy.reservationHistory)
        assert.equal(history.at(-1)!.ep, epoch)
        world.ask("ep", "a", "cancel", { sid })
        assert.equal(world.state.live.reservations.size, 0)
    })

    test("is void when the source is another one or has restarted; the history says whose it was", () => {
        const { world, sid } = inSession()
        report(world, "rs-a", sid, { state: "active", tree })
        world.serverHello("rs-a", 2, "127.0.9.1")
        assert.equal(kept(world, sid)!.told, undefined)
        report(world, "rs-a", sid, { state: "active", tree })
        world.tell("rs", "rs-a", { boot: 2, on: 0 })
        const { source } = session(world, sid)
        assert.notEqual(source, "rs-a")
        assert.equal(kept(world, sid)!.told, undefined)
        report(world, source, sid, { state: "reserving" })
        assert.deepEqual(
            kept(world, sid)!.history.map(one => one.source),
            ["rs-a", "rs-a", source],
        )
    })
})

describe("a destination that could not be had", () => {
    test("is left out, with the reason for its members; everybody hears of it and the others go on", () => {
        const { world, sid } = inSession()
        assert.equal(report(world, "rs-a", sid, { state: "refused", short: [units("rs-c")] }), "done")
        const unreached = [{ rs: "rs-c", reason: "no-dsp", what: "1 DSP unit short", who: "operator" }]
        for (const server of ["rs-a", "rs-b", "rs-c"]) {
            const message = told(world, server)!
            assert.deepEqual(message.unreached, unreached, server)
            assert.equal(message.source, "rs-a")
            assert.equal(message.members.length, 3, "its members are members still")
        }
        const [entry] = audits(world, "unreached")
        assert.deepEqual([entry.subject, entry.outcome, entry.inputs.server], [sid, "no-dsp", "rs-c"])
        report(world, "rs-a", sid, { state: "active", tree: [{ rs: "rs-b", parent: "rs-a" }] })
        assert.equal(told(world, "rs-a"), undefined)
    })

    test("in a session that is active already is left out as well", () => {
        const { world, sid } = inSession()
        for (const room of ["a", "b", "c"]) world.ask("rs", `rs-${room}`, "joined", { sid, ep: room })
        report(world, "rs-a", sid, { state: "active" })
        const short: Short[] = [{ rs: "rs-b", reason: "no-path", what: "no way to rs-b", at: "rs-a" }]
        report(world, "rs-a", sid, { state: "degraded", short })
        assert.deepEqual(left(world, sid), ["rs-b"])
        assert.equal(told(world, "rs-b")!.unreached![0].reason, "no-path")
        assert.equal(session(world, sid).state, "open")
    })

    test("still gets the session when it wants it: the refusal is in it", () => {
        const { world, sid } = inSession()
        report(world, "rs-a", sid, { state: "refused", short: [units("rs-c")] })
        world.sent = []
        assert.equal(outcome(world.ask("rs", "rs-c", "want", { sid, ep: "c" })), "done")
        assert.equal(told(world, "rs-c")!.unreached![0].rs, "rs-c")
        assert.equal(outcome(world.ask("rs", "rs-c", "joined", { sid, ep: "c" })), "done")
    })

    test("is told without a time when nobody else has what it lacks, and the organiser is named when it can never fit", () => {
        const world = three(1)
        const sid = sidOf(world.book("a", "all", 0, 60))
        report(world, session(world, sid).source, sid, { state: "refused", short: [units("rs-c")] })
        // One member and one link where there is one unit.
        const { who, next } = kept(world, sid)!.unreached.get("rs-c")!
        assert.deepEqual([who, next], ["organiser", undefined])
    })

    test("no longer stands in the message once its members have gone elsewhere", () => {
        const { world, sid } = inSession()
        report(world, "rs-a", sid, { state: "refused", short: [units("rs-c")] })
        world.attach("c", "rs-b")
        assert.equal(told(world, "rs-b")!.unreached, undefined)
    })
})

describe("the next feasible time of a server that is left out", () => {
    /** Another session of rooms x and y at rs-c and rs-b, for an hour. */
    function withOther(minutes = 60): { world: World; sid: string; other: string } {
        const { world, sid } = inSession()
        world.rooms("x", "y")
        world.attach("x", "rs-c")
        world.attach("y", "rs-b")
        const other = sidOf(world.book("x", "y", 0, minutes))
        world.sent = []
        return { world, sid, other }
    }

    test("for DSP units is the earliest end of another session that has members there", () => {
        const { world, sid, other } = withOther(20)
        world.rooms("z", "w")
        world.attach("z", "rs-c")
        world.book("z", "w", 0, 45)
        report(world, "rs-a", sid, { state: "refused", short: [units("rs-c")] })
        assert.equal(told(world, "rs-c")!.unreached![0].next, session(world, other).end)
    })

    test("for DSP units does not count sessions that are not going on, or that have left the server out themselves", () => {
        const { world, sid, other } = withOther()
        world.rooms("z", "w")
        world.attach("z", "rs-c")
        world.book("z", "w", world.now + 3600, 5)
        report(world, session(world, other).source, other, {
            state: "refused",
            short: [units(session(world, other).source === "rs-c" ? "rs-b" : "rs-c")],
        })
        const short = session(world, other).source === "rs-c" ? "rs-b" : "rs-c"
        report(world, "rs-a", sid, { state: "refused", short: [units(short)] })
        assert.equal(told(world, short)!.unreached![0].next, undefined)
    })

    test("for bandwidth is the earliest end of another session whose tree uses the link, in whichever direction", () => {
        const { world, sid, other } = withOther()
        const { source } = session(world, other)
        const far = source === "rs-b" ? "rs-c" : "rs-b"
        report(world, source, other, { state: "active", tree: [{ rs: far, parent: source }] })
        // While it is reserved anew the old tree is in use.
        report(world, source, other, { state: "reserving" })
        for (const [at, to] of [
            ["rs-b", "rs-c"],
            ["rs-c", "rs-b"],
        ]) {
            report(world, "rs-a", sid, { state: "refused", short: [link("rs-c", at, to)] })
            assert.equal(kept(world, sid)!.unreached.get("rs-c")!.next, session(world, other).end)
        }
        report(world, "rs-a", sid, { state: "refused", short: [link("rs-c", "rs-a", "rs-c")] })
        assert.equal(kept(world, sid)!.unreached.get("rs-c")!.next, undefined)
    })
})

describe("a server that is left out is tried again", () => {
    function without(short: Short = units("rs-c")): { world: World; sid: string } {
        const { world, sid } = inSession()
        report(world, "rs-a", sid, { state: "refused", short: [short] })
        world.sent = []
        return { world, sid }
    }

    test("after half a minute at the latest, and left out again when it still does not fit", () => {
        const { world, sid } = without()
        world.pass(29)
        assert.deepEqual(left(world, sid), ["rs-c"])
        assert.equal(told(world, "rs-a"), undefined)
        world.pass(1)
        assert.deepEqual(left(world, sid), [])
        assert.equal(told(world, "rs-a")!.unreached, undefined)
        assert.equal(audits(world, "retry").at(-1)!.inputs.why, "its time has come")
        report(world, "rs-a", sid, { state: "refused", short: [units("rs-c")] })
        assert.deepEqual(left(world, sid), ["rs-c"])
        world.pass(31)
        assert.deepEqual(left(world, sid), [])
    })

    test("at its own time, however often the source says the same meanwhile", () => {
        const { world, sid } = without()
        for (let count = 0; count < 5; count++) {
            world.pass(5)
            report(world, "rs-a", sid, { state: "refused", short: [units("rs-c")] })
        }
        world.pass(5)
        assert.deepEqual(left(world, sid), [])
    })

    test("together with others whose time comes within moments", () => {
        const { world, sid } = without()
        world.pass(2)
        report(world, "rs-a", sid, { state: "refused", short: [units("rs-b")] })
        world.sent = []
        world.pass(28)
        assert.deepEqual(left(world, sid), [])
        assert.equal(world.take("rs-a", "session").length, 1)
    })

    test("when another session that has members there ends, after its end was told", () => {
        const { world, sid } = inSession()
        world.rooms("x", "y")
        world.attach("x", "rs-c")
        world.attach("y", "rs-b")
        const other = sidOf(world.book("x", "y", 0, 60))
        report(world, "rs-a", sid, { state: "refused", short: [units("rs-c")] })
        world.sent = []
        world.pass(3)
        world.ask("ep", "x", "cancel", { sid: other })
        assert.deepEqual(left(world, sid), [])
        const verbs = world.sent.filter(send => send.to === "rs-c").map(send => send.verb)
        assert.deepEqual(verbs, ["end", "session"])
        assert.match(String(audits(world, "retry").at(-1)!.inputs.why), new RegExp(`session ${other} has ended`))
    })

    test("when another session ends whose tree uses the link that it lacks, and not when one ends that does not", () => {
        const { world, sid } = inSession()
        world.rooms("x", "y", "z")
        world.attach("x", "rs-a")
        world.attach("y", "rs-b")
        const other = sidOf(world.book("x", "y", 0, 60))
        const { source } = session(world, other)
        const idle = sidOf(world.book("z", "x", world.now + 7200, 60))
        const tree = [{ rs: source === "rs-a" ? "rs-b" : "rs-a", parent: source }]
        report(world, source, other, { state: "active", tree })
        report(world, "rs-a", sid, { state: "refused", short: [link("rs-c", "rs-a", "rs-b")] })
        world.ask("ep", "z", "cancel", { sid: idle })
        assert.deepEqual(left(world, sid), ["rs-c"])
        world.ask("ep", "x", "cancel", { sid: other })
        assert.deepEqual(left(world, sid), [])
    })

    test("when it newly comes online, whether its hello or its state is heard first", () => {
        for (const first of ["hello", "state"]) {
            const { world, sid } = without()
            world.pass(6)
            world.tell("rs", "rs-c", { boot: 1, on: 0 })
            assert.deepEqual(left(world, sid), ["rs-c"])
            if (first === "hello") world.serverHello("rs-c", 2, "127.0.9.3")
            else world.tell("rs", "rs-c", { boot: 2, on: 1, dspFree: 10 })
            assert.deepEqual(left(world, sid), [], first)
        }
    })

    test("when a link comes up and it lacked a way, but not at each flap", () => {
        const { world, sid } = without({ rs: "rs-c", reason: "no-path", what: "no way", at: "rs-a" })
        const links = (up: number) =>
            world.tell("rs", "rs-b", { boot: 1, on: 1, dspFree: 9, links: [{ rs: "rs-c", up, delay: 5 }] })
        links(0)
        links(1)
        assert.deepEqual(left(world, sid), ["rs-c"], "too soon after the last attempt")
        world.pass(5)
        assert.deepEqual(left(world, sid), [])
        report(world, "rs-a", sid, { state: "refused", short: [units("rs-c")] })
        world.pass(10)
        links(0)
        links(1)
        world.pass(1)
        assert.deepEqual(left(world, sid), ["rs-c"], "a link gives no DSP units")
    })

    test("after a restart of the group server, which has forgotten that it was left out", () => {
        const { world, sid } = without()
        world.restart()
        for (const server of ["rs-a", "rs-b", "rs-c"])
            world.tell("rs", server, { boot: 1, on: 1, dspUnits: 10, dspFree: 10 }, true)
        for (const room of ["a", "b", "c"]) world.attach(room, `rs-${room}`)
        assert.equal(told(world, "rs-a")!.unreached, undefined)
        // What its source had tried last comes with its hello.
        report(world, "rs-a", sid, { state: "refused", short: [units("rs-c")] })
        assert.deepEqual(left(world, sid), ["rs-c"])
    })

    test("is the source, asked again even when nobody could be left out for what it has refused", () => {
        const { world, sid } = inSession()
        report(world, "rs-a", sid, { state: "refused", short: [] })
        world.sent = []
        world.pass(29)
        assert.equal(told(world, "rs-a"), undefined)
        world.pass(1)
        assert.equal(told(world, "rs-a")!.sid, sid)
        assert.equal(told(world, "rs-b"), undefined, "for the others nothing has changed")
        world.pass(120)
        assert.equal(told(world, "rs-a"), undefined, "once")
    })
})

describe("a source that is short of its own DSP units", () => {
    test("makes room for another member server and is left out, when it has not even enough for a destination", () => {
        const { world, sid } = inSession()
        world.tell("rs", "rs-a", { boot: 1, on: 1, dspUnits: 10, dspFree: 1 })
        for (const room of ["b", "c"]) world.ask("rs", `rs-${room}`, "joined", { sid, ep: room })
        assert.equal(session(world, sid).source, "rs-a")
        report(world, "rs-a", sid, { state: "refused", short: [units("rs-a")] })
        assert.notEqual(session(world, sid).source, "rs-a")
        const message = told(world, "rs-a")!
        assert.deepEqual(
            message.unreached!.map(one => [one.rs, one.reason]),
            [["rs-a", "no-dsp"]],
        )
        assert.equal(message.source, session(world, sid).source)
        assert.equal(kept(world, sid)!.told, undefined, "the new source has told nothing yet")
    })

    test("goes on as a destination when its units do for that, and is not chosen again while others can be the source", () => {
        const { world, sid } = inSession()
        world.tell("rs", "rs-a", { boot: 1, on: 1, dspUnits: 10, dspFree: 2 })
        report(world, "rs-a", sid, { state: "refused", short: [units("rs-a")] })
        const { source } = session(world, sid)
        assert.notEqual(source, "rs-a")
        assert.deepEqual(left(world, sid), [])
        assert.equal(told(world, "rs-a")!.source, source)
        world.pass(60)
        assert.equal(session(world, sid).source, source)
        // It was short as a destination, too.
        report(world, source, sid, { state: "refused", short: [units("rs-a")] })
        assert.deepEqual(left(world, sid), ["rs-a"])
        world.pass(30)
        assert.deepEqual([left(world, sid), session(world, sid).source], [[], source])
    })

    test("whose members alone are in the session keeps it without destinations when everybody is left out", () => {
        const world = three(1)
        const sid = sidOf(world.book("a", "all", 0, 60))
        const tried: string[] = []
        for (let count = 0; count < 3; count++) {
            const { source } = session(world, sid)
            tried.push(source)
            report(world, source, sid, { state: "refused", short: [units(source)] })
        }
        assert.deepEqual([...tried].sort(), ["rs-a", "rs-b", "rs-c"])
        assert.equal(session(world, sid).source, tried[2], "the last one stays")
        assert.deepEqual(left(world, sid).sort(), ["rs-a", "rs-b", "rs-c"])
        const message = told(world, tried[2])!
        assert.equal(message.source, tried[2])
        assert.deepEqual(message.unreached!.map(one => one.rs).sort(), [tried[0], tried[1]].sort())
        // It says so again: nothing changes, and nobody is told the same.
        world.sent = []
        report(world, tried[2], sid, { state: "refused", short: [units(tried[2])] })
        assert.equal(told(world, tried[2]), undefined)
        world.pass(30)
        assert.deepEqual(left(world, sid), [])
        assert.equal(session(world, sid).state, "open")
    })

    test("in a session at one server only is asked again after half a minute", () => {
        const world = three()
        world.attach("b", "rs-a")
        const sid = sidOf(world.book("a", "b", 0, 60))
        report(world, "rs-a", sid, { state: "refused", short: [units("rs-a")] })
        world.sent = []
        assert.equal(session(world, sid).source, "rs-a")
        world.pass(30)
        assert.equal(told(world, "rs-a")!.unreached, undefined)
    })
})

describe("the source of a session with servers that are left out", () => {
    test("is one that is reached, and what was left out for a way from the old source is tried from the new one", () => {
        const { world, sid } = inSession()
        report(world, "rs-a", sid, {
            state: "refused",
            short: [{ rs: "rs-b", reason: "no-path", what: "no way", at: "rs-a" }, units("rs-c")],
        })
        assert.deepEqual(left(world, sid), ["rs-b", "rs-c"])
        world.tell("rs", "rs-a", { boot: 1, on: 0 })
        assert.equal(session(world, sid).source, "rs-b", "rs-c is short wherever the session starts")
        assert.deepEqual(left(world, sid), ["rs-c"])
        assert.deepEqual(
            told(world, "rs-b")!.unreached!.map(one => one.rs),
            ["rs-c"],
        )
    })

    test("stays where it is when its own reservation has taken the last units of the server", () => {
        const world = three(3)
        const sid = sidOf(world.book("a", "all", 0, 60))
        const tree = ["rs-b", "rs-c"].map(rs => ({ rs, parent: "rs-a" }))
        report(world, "rs-a", sid, { state: "active", tree })
        world.tell("rs", "rs-a", { boot: 1, on: 1, dspUnits: 3, dspFree: 0 })
        for (const rs of ["rs-b", "rs-c"]) world.tell("rs", rs, { boot: 1, on: 1, dspUnits: 3, dspFree: 1 })
        const near = ["rs-a", "rs-c"].map(rs => ({ rs, delay: rs === "rs-a" ? 500 : 1000 }))
        world.ask("rs", "rs-b", "distances", { list: near })
        assert.equal(session(world, sid).source, "rs-a")
    })

    test("moves while nobody has joined only for a source that is much better, and not before it has told", () => {
        const { world, sid } = inSession()
        const delays = (from: string, to: Record<string, number>) =>
            world.ask("rs", from, "distances", { list: Object.entries(to).map(([rs, delay]) => ({ rs, delay })) })
        report(world, "rs-a", sid, { state: "active" })
        // Over rs-a 20 ms, over rs-b 15 ms.
        delays("rs-a", { "rs-b": 1000, "rs-c": 1000 })
        delays("rs-c", { "rs-a": 1000, "rs-b": 500 })
        delays("rs-b", { "rs-a": 1000, "rs-c": 500 })
        assert.equal(session(world, sid).source, "rs-a", "5 ms are little")
        delays("rs-a", { "rs-b": 5000, "rs-c": 9000 })
        delays("rs-c", { "rs-a": 9000, "rs-b": 500 })
        delays("rs-b", { "rs-a": 5000, "rs-c": 500 })
        const over = (source: string) => session(world, sid).source === source
        assert.ok(over("rs-b"), session(world, sid).sourceReason)
        delays("rs-a", { "rs-b": 500, "rs-c": 500 })
        delays("rs-b", { "rs-a": 500, "rs-c": 9000 })
        delays("rs-c", { "rs-a": 500, "rs-b": 9000 })
        assert.ok(over("rs-b"), "it is reserving still")
        report(world, "rs-b", sid, { state: "active" })
        delays("rs-b", { "rs-a": 500, "rs-c": 9000 })
        assert.ok(over("rs-a"))
    })

    test("is another one when the people at the source have all gone", () => {
        const { world, sid } = inSession()
        for (const room of ["a", "b", "c"]) world.ask("rs", `rs-${room}`, "joined", { sid, ep: room })
        report(world, "rs-a", sid, { state: "degraded", short: [units("rs-c")] })
        world.attach("a", "rs-b")
        assert.equal(session(world, sid).source, "rs-b")
        assert.deepEqual(left(world, sid), ["rs-c"])
    })

    test("has units for its own members and a link where any server has, and reaches others where any does", () => {
        const world = three()
        world.rooms("d")
        world.attach("d", "rs-a")
        world.do({ do: "setMembers", id: "all", members: ["a", "b", "c", "d"] })
        // Two members and a link where there are two units.
        world.tell("rs", "rs-a", { boot: 1, on: 1, dspFree: 2 })
        const sid = sidOf(world.book("a", "all", 0, 60))
        assert.notEqual(session(world, sid).source, "rs-a")
        assert.match(session(world, sid).sourceReason, /rs-a: worst pair 10.00 ms|next rs-a/)
        world.tell("rs", "rs-b", { boot: 1, on: 1, dspFree: 1 })
        world.tell("rs", "rs-c", { boot: 1, on: 1, dspFree: 1 })
        const other = three()
        for (const server of ["rs-a", "rs-b", "rs-c"]) other.tell("rs", server, { boot: 1, on: 1, dspFree: 1 })
        // Nobody has enough: the best of those that have any.
        const poor = sidOf(other.book("a", "all", 0, 60))
        assert.equal(session(other, poor).source, "rs-a")
    })
})

describe("the servers that process a session", () => {
    const mixers = (message: ServerSession | undefined) => message?.mixers
    /** rs-d has no members: the tree branches there. */
    const branching = ["a", "b", "c"].flatMap(x =>
        x === "a" ? [{ rs: "rs-d", parent: "rs-a" }] : [{ rs: `rs-${x}`, parent: "rs-d" }],
    )

    test("[claim 4] are told of each other and get the session's key; one in transit is told nothing", () => {
        const { world, sid } = inSession()
        world.servers("rs-a", "rs-b", "rs-c", "rs-d", "rs-e")
        world.tell("rs", "rs-d", { boot: 1, on: 1 })
        world.tell("rs", "rs-e", { boot: 1, on: 1 })
        world.sent = []
        const passing = [
            { rs: "rs-e", parent: "rs-a" },
            { rs: "rs-b", parent: "rs-e" },
            { rs: "rs-c", parent: "rs-a" },
        ]
        report(world, "rs-a", sid, { state: "active", tree: passing })
        assert.deepEqual(world.sent, [], "nothing has changed for those who process it, and rs-e does not")

        report(world, "rs-a", sid, { state: "active", tree: branching })
        const all = ["rs-a", "rs-b", "rs-c", "rs-d"]
        for (const rs of all) assert.deepEqual(mixers(told(world, rs)), all, rs)
        assert.equal(told(world, "rs-e"), undefined)
        world.sent = []
        report(world, "rs-a", sid, { state: "active", tree: passing })
        for (const rs of ["rs-a", "rs-b", "rs-c"])
            assert.deepEqual(mixers(told(world, rs)), ["rs-a", "rs-b", "rs-c"], rs)
        assert.ok(told(world, "rs-d"), "it must hear that it has lost its key")
        assert.equal(mixers(told(world, "rs-d")), undefined)
    })

    test("get a key that is the same after a restart, another for each session, and added for them alone", () => {
        const secret = Buffer.alloc(32, 3)
        const keys = new MediaKeys(secret)
        assert.equal(Buffer.from(keys.of("s1"), "base64").length, 32)
        assert.equal(keys.of("s1"), new MediaKeys(Buffer.from(secret)).of("s1"))
        assert.notEqual(keys.of("s1"), keys.of("s2"))
        assert.notEqual(keys.of("s1"), new MediaKeys(Buffer.alloc(32, 4)).of("s1"))
        const message = { sid: "s1", mixers: ["rs-a"] }
        const send = (to: string, verb = "session") => keys.addTo({ kind: "rs", to, verb, message }).message
        assert.deepEqual(send("rs-a"), { ...message, key: keys.of("s1") })
        assert.deepEqual(send("rs-b"), message)
        assert.deepEqual(send("rs-a", "end"), message)
    })
})
