import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { limits } from "../../protocol/limits.ts"
import { type Agenda, agendaShape, directoryDoneShape, refusedShape } from "../../protocol/messages.ts"
import { peersShape, type ServerSession, serverSessionShape } from "../../protocol/servers.ts"
import { problemWith } from "../../protocol/shape.ts"
import { utf8Bytes } from "../../protocol/text.ts"
import { monday, outcome, sidOf, World } from "./world.ts"

const hour = 3600

describe("booking", () => {
    test("a room with another puts the session into both agendas, and only the booker's says mine", () => {
        const world = new World()
        world.rooms("a", "b")
        world.sent = []
        const sid = sidOf(world.book("a", "b", monday + hour))
        const [agendaA] = world.take<Agenda>("a", "agenda")
        const [agendaB] = world.take<Agenda>("b", "agenda")
        assert.deepEqual([agendaA.list[0].sid, agendaA.list[0].mine], [sid, 1])
        assert.deepEqual([agendaB.list[0].mine, agendaB.list[0].from], [0, "Room a"])
        assert.equal(agendaB.list[0].end - agendaB.list[0].start, 30 * 60)
    })

    test("a busy room is refused with who is busy and the nearest time at which the session fits", () => {
        const world = new World()
        world.rooms("a", "b", "c", "d")
        sidOf(world.book("c", "b", monday + hour, 30))
        // A gap of 15 minutes is too short for half an hour; the one after the second session is not.
        sidOf(world.book("c", "b", monday + hour + 45 * 60, 30))
        const answer = world.book("a", "b", monday + hour, 30)
        assert.deepEqual(answer, {
            ok: false,
            reason: "busy",
            what: "Room b",
            who: "you",
            next: monday + hour + 75 * 60,
        })
        assert.equal(outcome(world.book("a", "b", monday + hour + 75 * 60, 30)), "done")
        // A shorter one fits the gap.
        assert.equal((world.book("d", "b", monday + hour, 15) as { next: number }).next, monday + hour + 30 * 60)
    })

    test("by two rooms of the same room at the same time is won by exactly one", () => {
        const world = new World()
        world.rooms("a", "b", "c")
        const outcomes = [world.book("a", "c", monday + hour), world.book("b", "c", monday + hour)].map(outcome)
        assert.deepEqual(outcomes, ["done", "busy"])
    })

    test("repeated under the same id of the same boot books once and answers the same", () => {
        const world = new World()
        world.rooms("a", "b")
        const first = world.book("a", "b", monday + hour, 30, { id: 77 })
        assert.deepEqual(world.book("a", "b", monday + hour, 30, { id: 77 }), first)
        assert.equal(world.state.durable.sessions.size, 1)
        // A refusal is remembered as well: its sender has shown it already.
        const refused = world.book("a", "b", monday + hour, 30, { id: 78 })
        assert.equal(outcome(refused), "busy")
        world.ask("ep", "a", "cancel", { sid: sidOf(first) })
        assert.deepEqual(world.book("a", "b", monday + hour, 30, { id: 78 }), refused)
        assert.equal(outcome(world.book("a", "b", monday + hour, 30, { id: 77, boot: 2 })), "done")
        assert.equal(outcome(world.book("a", "b", monday + 2 * hour, 30, { id: 77 })), "not-allowed")
    })

    test("is remembered for the last requests of each sender only, in memory and store alike", () => {
        const world = new World()
        world.rooms("a", "b")
        for (let index = 0; index < 200; index++) world.book("a", "nobody", 0, 30, { id: 1000 + index })
        assert.equal(world.state.durable.answered.get("ep:a")?.size, 64)
        const answered = world.writes.filter(write => write.table === "answered")
        assert.equal(
            answered.filter(write => "put" in write).length - answered.filter(write => "remove" in write).length,
            64,
        )
    })

    test("is refused with a reason for every wrong wish, and each refusal has its shape on the wire", () => {
        const world = new World()
        world.rooms("a", "b")
        world.do({ do: "createGroup", id: "lonely", name: "Lonely", members: ["a"] })
        const wishes: [string, number, number, Record<string, unknown>, string][] = [
            ["b", monday - hour, 30, {}, "in-the-past"],
            ["b", monday + 401 * 86400, 30, {}, "too-far"],
            ["b", 0, 24 * 60 + 1, {}, "too-long"],
            ["b", 0, 1, {}, "malformed"],
            ["nobody", 0, 30, {}, "unknown-group"],
            ["a", 0, 30, {}, "not-allowed"],
            ["lonely", 0, 30, {}, "not-allowed"],
            ["b", 0, 30, { title: "a\nb" }, "malformed"],
            ["b", 0, 30, { title: "ü".repeat(25) }, "malformed"],
        ]
        for (const [target, start, minutes, more, expected] of wishes) {
            const answer = world.book("a", target, start, minutes, more)
            assert.equal(outcome(answer), expected, `${target} ${start} ${minutes}`)
            if (!answer.ok) assert.equal(problemWith(refusedShape, { re: 1, ...answer }), "")
        }
        assert.equal(world.state.durable.sessions.size, 0)
    })

    test("is refused when a room has as many sessions booked as are allowed", () => {
        const world = new World()
        world.rooms("a", "b")
        for (let index = 0; index < limits.sessionsPerEndpoint; index++)
            assert.equal(outcome(world.book("a", "b", monday + (index + 1) * hour, 5)), "done")
        assert.equal(outcome(world.book("a", "b", monday + 30 * 60, 5)), "too-many")
    })

    test("is not for those who have not said hello, are not enrolled, or use a verb that does not exist", () => {
        const world = new World()
        world.rooms("b")
        world.do({ do: "enrolEndpoint", id: "new", name: "New", secretHash: "-" })
        assert.equal(outcome(world.book("new", "b")), "not-registered")
        assert.equal(outcome(world.book("stranger", "b")), "unknown-endpoint")
        assert.equal(outcome(world.ask("ep", "b", "explode")), "unsupported")
        assert.equal(outcome(world.ask("ep", "b", "constructor")), "unsupported")
        const strange = world.ask("ep", "new", "hello", {
            v: 1,
            boot: 1,
            board: "x",
            fw: "0",
            caps: [],
            need: ["warp"],
        })
        assert.deepEqual(
            [outcome(strange), (strange as { what: string }).what],
            ["unsupported", "feature warp: not known to this server"],
        )
    })

    test("says which part of a malformed message is wrong", () => {
        const world = new World()
        world.rooms("a", "b")
        const answer = world.book("a", "b", "soon" as unknown as number)
        assert.equal((answer as { what: string }).what, "message.start: an integer is needed")
    })
})

describe("a session", () => {
    test("opens 5 minutes before its start, is open from its start to its end, and its members hear of each", () => {
        const world = new World()
        world.rooms("a", "b")
        const sid = sidOf(world.book("a", "b", monday + hour))
        world.sent = []
        const states: string[] = []
        for (const seconds of [hour - 301, 1, 299, 1, 30 * 60 - 1, 1]) {
            world.pass(seconds)
            states.push(world.state.durable.sessions.get(sid)!.state)
        }
        assert.deepEqual(states, ["scheduled", "opening", "opening", "open", "open", "ended"])
        const seen = world.take<Agenda>("b", "agenda").map(agenda => agenda.list[0]?.state ?? "gone")
        assert.deepEqual(seen, ["opening", "open", "gone"])
    })

    test("that is declined frees the room and disappears from its agenda only", () => {
        const world = new World()
        world.rooms("a", "b", "c")
        const sid = sidOf(world.book("a", "b", monday + hour))
        assert.equal(outcome(world.ask("ep", "c", "decline", { sid })), "not-a-member")
        assert.equal(outcome(world.ask("ep", "a", "decline", { sid })), "not-allowed")
        assert.equal(outcome(world.ask("ep", "b", "decline", { sid })), "done")
        assert.equal(outcome(world.ask("ep", "b", "decline", { sid })), "done")
        assert.equal(world.take<Agenda>("b", "agenda").at(-1)!.list.length, 0)
        assert.equal(world.take<Agenda>("a", "agenda").at(-1)!.list.length, 1)
        assert.equal(outcome(world.book("c", "b", monday + hour)), "done")
        // Neither does a late report of its server bring it back: it would be in two sessions.
        world.servers("rs-a")
        assert.equal(outcome(world.ask("rs", "rs-a", "joined", { sid, ep: "b" })), "not-a-member")
    })

    test("is cancelled by its booker only, and cancelling twice is harmless", () => {
        const world = new World()
        world.rooms("a", "b")
        const sid = sidOf(world.book("a", "b", monday + hour))
        assert.equal(outcome(world.ask("ep", "b", "cancel", { sid })), "not-allowed")
        assert.equal(outcome(world.ask("ep", "a", "cancel", { sid: "no-such" })), "unknown-session")
        assert.equal(outcome(world.ask("ep", "a", "cancel", { sid })), "done")
        assert.equal(outcome(world.ask("ep", "a", "cancel", { sid })), "done")
        assert.equal(world.take<Agenda>("b", "agenda").at(-1)!.list.length, 0)
    })

    test("for now ends a minute after everybody has left, and not while somebody is in it", () => {
        const world = new World()
        world.rooms("a", "b")
        world.servers("rs-a")
        const sid = sidOf(world.book("a", "b"))
        const state = () => world.state.durable.sessions.get(sid)!.state
        assert.equal(state(), "open")
        world.pass(120)
        assert.equal(state(), "open", "nobody has come yet")
        for (const ep of ["a", "b"]) world.ask("rs", "rs-a", "joined", { sid, ep })
        world.ask("rs", "rs-a", "left", { sid, ep: "a" })
        world.pass(120)
        assert.equal(state(), "open")
        world.ask("rs", "rs-a", "left", { sid, ep: "b" })
        world.pass(59)
        world.ask("rs", "rs-a", "joined", { sid, ep: "b" })
        world.ask("rs", "rs-a", "left", { sid, ep: "b" })
        world.pass(59)
        assert.equal(state(), "open")
        world.pass(1)
        assert.equal(state(), "ended")
        assert.equal(world.take("rs-a", "end").length, 1)
    })

    test("that should have begun or ended while the server was down is where the clock says after the restart", () => {
        const world = new World()
        world.rooms("a", "b", "c", "d")
        const over = sidOf(world.book("a", "b", monday + hour, 5))
        const running = sidOf(world.book("c", "d", monday + hour, 60))
        world.nowMs += (hour + 600) * 1000
        world.restart()
        assert.equal(world.state.durable.sessions.get(over)!.state, "ended")
        assert.equal(world.state.durable.sessions.get(running)!.state, "open")
        const before = world.state.version
        world.tell("ep", "c", { boot: 1, on: 1 }, true)
        const [agenda] = world.take<Agenda>("c", "agenda").slice(-1)
        assert.equal(agenda.list[0].state, "open")
        assert.ok(agenda.n > before)
    })
})

describe("an agenda", () => {
    test("never exceeds the appliance's message limit, whatever the names are", () => {
        for (const character of ["ü", "界", "😀", '"', "\\"]) {
            const world = new World()
            const full = character.repeat(Math.floor(limits.nameBytes / utf8Bytes(character)))
            for (const id of ["a".repeat(24), "b".repeat(24)]) {
                world.do({ do: "enrolEndpoint", id, name: full, secretHash: "-" })
                world.hello(id)
            }
            for (let index = 1; index <= 9; index++)
                sidOf(world.book("a".repeat(24), "b".repeat(24), monday + index * hour, 30, { title: full }))
            const agendas = world.take<Agenda>("b".repeat(24), "agenda")
            for (const agenda of agendas) {
                assert.ok(utf8Bytes(JSON.stringify(agenda)) <= limits.messageToApplianceBytes)
                assert.equal(problemWith(agendaShape, agenda), "")
            }
            const last = agendas.at(-1)!
            assert.ok(last.list.length >= 3, `${last.list.length} sessions of ${character}`)
            assert.equal(last.list.length + last.more, 9)
        }
    })

    test("is sent after each hello, otherwise only when it has changed, with a version that grows over restarts", () => {
        const world = new World()
        world.rooms("a", "b")
        sidOf(world.book("a", "b", monday + hour))
        world.hello("b")
        world.ask("ep", "b", "time")
        const before = world.take<Agenda>("b", "agenda").map(agenda => agenda.n)
        assert.equal(before.length, 3)
        world.restart()
        world.hello("b")
        const [after] = world.take<Agenda>("b", "agenda")
        assert.ok(after.n > Math.max(...before))
        assert.equal(after.list.length, 1)
    })

    test("shows a new name of the room that booked", () => {
        const world = new World()
        world.rooms("a", "b")
        sidOf(world.book("a", "b", monday + hour))
        world.sent = []
        world.do({ do: "changeEndpoint", id: "a", name: "Aula" })
        assert.equal(world.take<Agenda>("b", "agenda")[0].list[0].from, "Aula")
    })
})

describe("the directory", () => {
    test("lists groups first and every other room, in pages that fit an appliance", () => {
        const world = new World()
        const rooms = Array.from({ length: 30 }, (_, index) => `room-${String(index).padStart(19, "0")}`)
        for (const id of rooms) world.do({ do: "enrolEndpoint", id, name: '"'.repeat(48), secretHash: "-" })
        world.do({ do: "createGroup", id: "all", name: "All", members: rooms })
        world.hello(rooms[0])
        const seen: string[] = []
        let from: number | undefined = 0
        while (from !== undefined) {
            const answer = world.ask("ep", rooms[0], "directory", { from })
            assert.ok(answer.ok)
            const page = { re: 4294967295, ...answer.fields } as { re: number; list: { id: string }[]; next?: number }
            assert.equal(problemWith(directoryDoneShape, page), "")
            assert.ok(utf8Bytes(JSON.stringify(page)) <= limits.messageToApplianceBytes)
            seen.push(...page.list.map(entry => entry.id))
            from = page.next
        }
        assert.deepEqual(seen, ["all", ...rooms.slice(1)])
        const beyond = world.ask("ep", rooms[0], "directory", { from: 5000 })
        assert.deepEqual(beyond, { ok: true, fields: { list: [] } })
    })
})

describe("routing servers", () => {
    test("are candidates while they are online: the last one used first, then by load", () => {
        const world = new World()
        world.rooms("a")
        assert.equal(outcome(world.ask("ep", "a", "candidates")), "no-servers")
        world.servers("rs-a", "rs-b", "rs-c", "rs-d")
        world.tell("rs", "rs-a", { boot: 1, on: 1, load: 50 })
        world.tell("rs", "rs-b", { boot: 1, on: 1, load: 10 })
        world.tell("rs", "rs-c", { boot: 1, on: 1, load: 90 })
        world.tell("rs", "rs-d", { boot: 1, on: 0 })
        const list = () => {
            const answer = world.ask("ep", "a", "candidates")
            return answer.ok ? (answer.fields.list as { rs: string }[]).map(candidate => candidate.rs) : []
        }
        assert.deepEqual(list(), ["rs-b", "rs-a", "rs-c"])
        world.attach("a", "rs-c")
        assert.deepEqual(list(), ["rs-c", "rs-b", "rs-a"])
    })

    test("get all their peers after hello and on every change, with their static neighbours marked [claim 7]", () => {
        const world = new World()
        world.servers("rs-a", "rs-b")
        world.sent = []
        world.do({ do: "putNeighbours", pairs: [{ a: "rs-b", b: "rs-a" }] })
        world.servers("rs-c")
        const peers = world.take<{ n: number; list: { rs: string; static: number }[] }>("rs-a", "peers")
        for (const message of peers) assert.equal(problemWith(peersShape, message), "")
        assert.deepEqual(
            peers.at(-1)!.list.map(peer => [peer.rs, peer.static]),
            [
                ["rs-b", 1],
                ["rs-c", 0],
            ],
        )
        world.do({ do: "deleteServer", id: "rs-b" })
        const [after] = world.take<{ list: { rs: string }[] }>("rs-a", "peers")
        assert.deepEqual(
            after.list.map(peer => peer.rs),
            ["rs-c"],
        )
        assert.deepEqual(world.state.durable.neighbours, [])
    })
})

/** a, b and c attached to rs-a, rs-b and rs-c in a chain: rs-b is in the middle. */
function chain(): World {
    const world = new World()
    world.rooms("a", "b", "c")
    world.servers("rs-a", "rs-b", "rs-c")
    world.do({ do: "createGroup", id: "all", name: "All", members: ["a", "b", "c"] })
    links(world, "rs-a", { "rs-b": 1000 })
    links(world, "rs-b", { "rs-a": 1000, "rs-c": 1200 })
    links(world, "rs-c", { "rs-b": 1200 })
    for (const room of ["a", "b", "c"]) world.attach(room, `rs-${room}`)
    world.sent = []
    return world
}

function links(world: World, server: string, delays: Record<string, number>, dspFree = 10, boot = 1): void {
    const list = Object.entries(delays).map(([rs, delay]) => ({ rs, up: 1, delay }))
    world.tell("rs", server, { boot, on: 1, dspFree, dspUnits: 10, load: 0, links: list })
}

function lastSession(world: World, server: string): ServerSession | undefined {
    const sessions = world.take<ServerSession>(server, "session")
    for (const session of sessions) assert.equal(problemWith(serverSessionShape, session), "")
    return sessions.at(-1)
}

describe("the source routing server", () => {
    test("is the member server with the smallest largest pair delay, and the reason can be read", () => {
        const world = chain()
        const sid = sidOf(world.book("a", "all"))
        const session = world.state.durable.sessions.get(sid)!
        assert.equal(session.source, "rs-b")
        assert.equal(
            session.sourceReason,
            "rs-b: worst pair 22.00 ms (rs-a to rs-c), 10 DSP units free; next rs-a: worst pair 32.00 ms (rs-b to rs-c), 10 DSP units free",
        )
        assert.equal(lastSession(world, "rs-c")?.source, "rs-b")
    })

    test("has free DSP units where any member server has", () => {
        const world = chain()
        links(world, "rs-b", { "rs-a": 1000, "rs-c": 1200 }, 0)
        const sid = sidOf(world.book("a", "all"))
        assert.equal(world.state.durable.sessions.get(sid)!.source, "rs-a")
    })

    test("is chosen again when it goes offline, stays while it is in use, and a link that only one end lists is none", () => {
        const world = chain()
        const sid = sidOf(world.book("a", "all"))
        const session = () => world.state.durable.sessions.get(sid)!
        world.ask("rs", "rs-a", "joined", { sid, ep: "a" })
        world.ask("rs", "rs-b", "joined", { sid, ep: "b" })
        links(world, "rs-b", { "rs-a": 9000, "rs-c": 9000 })
        world.ask("rs", "rs-c", "joined", { sid, ep: "c" })
        assert.equal(session().source, "rs-b")
        world.tell("rs", "rs-b", { boot: 1, on: 0 })
        assert.notEqual(session().source, "rs-b")
        assert.equal(session().invitations.find(one => one.endpoint === "b")!.status, "left")
        assert.equal(lastSession(world, "rs-c")!.source, session().source)
        assert.match(session().sourceReason, /1 without a path/)
    })

    test("survives a restart of the group server: silence of the retained states is no sign of death", () => {
        const world = chain()
        const sid = sidOf(world.book("a", "all"))
        for (const room of ["a", "b", "c"]) world.ask("rs", `rs-${room}`, "joined", { sid, ep: room })
        world.restart()
        world.tell("rs", "rs-a", { boot: 1, on: 1, dspFree: 10 }, true)
        assert.equal(world.state.durable.sessions.get(sid)!.source, "rs-b")
        assert.equal(lastSession(world, "rs-a")!.source, "rs-b")
    })
})

describe("the servers of a session's members", () => {
    test("hear of it from opening on, when a member attaches elsewhere, and when it ends", () => {
        const world = chain()
        const sid = sidOf(world.book("a", "b", monday + hour))
        assert.equal(lastSession(world, "rs-a"), undefined, "not before it opens")
        world.pass(hour - 300)
        const first = lastSession(world, "rs-a")!
        assert.equal(first.state, "opening")
        assert.deepEqual(
            first.members.map(({ ep, rs }) => [ep, rs]),
            [
                ["a", "rs-a"],
                ["b", "rs-b"],
            ],
        )
        assert.equal(lastSession(world, "rs-c"), undefined, "no member there")
        world.attach("b", "rs-c")
        const moved = lastSession(world, "rs-c")!
        assert.ok(moved.n > first.n)
        assert.equal(moved.members.find(member => member.ep === "b")!.rs, "rs-c")
        assert.equal(
            lastSession(world, "rs-b")!.members.find(member => member.ep === "b")!.rs,
            "rs-c",
            "told it is gone",
        )
        world.ask("ep", "a", "cancel", { sid })
        for (const server of ["rs-a", "rs-c"]) assert.deepEqual(world.take(server, "end"), [{ sid, reason: "ended" }])
    })

    test("that want a session they do not know get it at once, or the reason why not", () => {
        const world = chain()
        world.rooms("d")
        const later = sidOf(world.book("a", "b", monday + hour))
        const want = (server: string, sid: string, ep: string) => world.ask("rs", server, "want", { sid, ep })
        assert.deepEqual(want("rs-b", later, "b"), {
            ok: false,
            reason: "not-open",
            what: "it opens 5 min before its start",
            who: "you",
            next: monday + hour - 300,
        })
        world.pass(hour)
        world.sent = []
        assert.equal(outcome(want("rs-c", later, "d")), "not-a-member")
        assert.equal(outcome(want("rs-c", "no-such", "b")), "unknown-session")
        // b has just come to rs-c, whose word arrives before b's own state.
        assert.equal(outcome(want("rs-c", later, "b")), "done")
        assert.equal(lastSession(world, "rs-c")!.members.find(member => member.ep === "b")!.rs, "rs-c")
        // It asks again: it has lost what it was told.
        want("rs-c", later, "b")
        assert.ok(lastSession(world, "rs-c"))
        world.ask("ep", "a", "cancel", { sid: later })
        assert.equal(outcome(want("rs-c", later, "b")), "ended")
    })

    test("that come back after a crash are told everything, and nobody is in a session there any more", () => {
        const world = chain()
        const sid = sidOf(world.book("a", "all"))
        for (const room of ["a", "b"]) world.ask("rs", `rs-${room}`, "joined", { sid, ep: room })
        const status = (room: string) =>
            world.state.durable.sessions.get(sid)!.invitations.find(one => one.endpoint === room)!.status
        world.sent = []
        world.serverHello("rs-b", 2, "127.0.9.2")
        assert.deepEqual([status("a"), status("b")], ["joined", "left"])
        assert.ok(lastSession(world, "rs-b"))
        assert.equal(world.take("rs-b", "peers").length, 1)
        // The Will of its former life comes late and means nothing.
        world.tell("rs", "rs-b", { boot: 1, on: 0 })
        assert.equal(world.state.live.servers.get("rs-b")!.on, 1)
    })

    test("that missed the end while they were away hear of it when they are back", () => {
        const world = chain()
        const sid = sidOf(world.book("a", "all"))
        world.ask("rs", "rs-b", "joined", { sid, ep: "b" })
        world.ask("ep", "a", "cancel", { sid })
        world.sent = []
        world.serverHello("rs-b", 1, "127.0.9.2")
        assert.deepEqual(world.take("rs-b", "end"), [{ sid, reason: "ended" }])
    })
})

describe("enrolment", () => {
    test("keeps one namespace, refuses bad names, and removing a room cancels what it booked and frees the others", () => {
        const world = new World()
        world.rooms("a", "b", "c")
        const enrol = (id: string, name: string) =>
            outcome(world.do({ do: "enrolEndpoint", id, name, secretHash: "-" }))
        assert.deepEqual(
            [
                enrol("a", "Again"),
                enrol("group", "G"),
                enrol("Bad Id", "B"),
                enrol("x", "\u0007"),
                enrol("x", "\ud800"),
            ],
            ["not-allowed", "malformed", "malformed", "malformed", "malformed"],
        )
        assert.equal(outcome(world.do({ do: "createGroup", id: "b", name: "B", members: [] })), "not-allowed")
        assert.equal(outcome(world.do({ do: "createGroup", id: "g", name: "G", members: ["zz"] })), "unknown-endpoint")
        const booked = sidOf(world.book("a", "b", monday + hour))
        const invited = sidOf(world.book("c", "a", monday + 2 * hour))
        world.do({ do: "deleteEndpoint", id: "a" })
        assert.equal(world.state.durable.sessions.get(booked)!.state, "ended")
        assert.equal(world.state.durable.sessions.get(invited)!.state, "scheduled")
        assert.equal(outcome(world.book("c", "b", monday + hour)), "done")
    })

    test("writes every decision with its inputs into the audit log, and never a secret's hash", () => {
        const world = new World()
        world.do({ do: "enrolEndpoint", id: "a", name: "A", secretHash: "very-secret-hash" })
        world.hello("a")
        world.book("a", "nobody", 0, 30)
        const audit = world.writes.flatMap(write => (write.table === "audit" ? [write.put] : []))
        assert.deepEqual(
            audit.map(entry => [entry.action, entry.outcome]),
            [
                ["enrolEndpoint", "done"],
                ["hello", "done"],
                ["book", "unknown-group"],
            ],
        )
        assert.doesNotMatch(JSON.stringify(audit), /very-secret-hash/)
        assert.equal(audit[2].inputs.minutes, 30)
    })
})
