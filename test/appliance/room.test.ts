import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { eventually } from "../support/deadline.ts"
import { Room } from "./room.ts"

describe("the firmware on a simulated board", () => {
    let room: Room
    before(async () => {
        room = await Room.create()
        await room.board.powerOn()
    })
    after(() => room?.close())

    test("comes up by itself and attaches to the nearer routing server", async () => {
        await room.board.reached("Idle")
        await room.shows(/^Raum Ä +\d\d:\d\d\nReady\nNothing booked\nCALL calls MENU menu$/)
        assert.equal((await room.status()).server, "rs-near")
        const { bootMs } = await room.status()
        assert.ok(bootMs.Idle! < 5000, JSON.stringify(bootMs))
        const [hello] = room.requests("hello")
        assert.match(hello.fw, /^[0-9a-f]{16}$/)
        assert.deepEqual([hello.v, hello.boot, hello.board, hello.caps], [1, 1, "room-panel", ["pcmu"]])
    })

    test("books by presses: whom, when, how long", async () => {
        await room.press("call", />Team \(all\)/)
        room.board.turn(1)
        await room.shows(/>Room B/)
        await room.press("call", />Now/)
        await room.press("call", />30 minutes/)
        await room.press("call", /Booked\nfor \d\d:\d\d/)
        const [book] = room.requests("book")
        assert.deepEqual(book, { id: book.id, boot: 1, with: "board-b", start: 0, minutes: 30 })
    })

    test("reminds, joins by one press, mutes, sets the volume and leaves", async () => {
        await room.agenda({})
        await room.shows(/Wöchentlich\nfrom Room B\nCALL joins MENU skip/)
        await room.press("call", /Wöchentlich\n2 in session\nCALL leaves +vol 50/)
        await eventually(() => room.media.statistics().open, "an open leg")
        assert.equal(room.media.statistics().muted, false)
        assert.equal((await room.status()).session, "s1")
        const [join] = room.requests("join")
        assert.equal(join.sid, "s1")
        await room.press("mute", /2 in session +MUTED/)
        await eventually(() => room.media.statistics().muted, "a muted engine")
        room.board.turn(-4)
        await room.shows(/vol 30/)
        await eventually(() => room.media.statistics().volume === 30, "a quieter engine")
    })

    test("changes to the spare when its routing server dies, and stays muted", async () => {
        room.kill("rs-near")
        await eventually(async () => (await room.status()).server === "rs-far", "the other server")
        await room.board.reached("InSession")
        await eventually(() => room.media.statistics().open, "an open leg")
        assert.equal(room.media.statistics().muted, true)
    })

    test("rejoins by itself after a power cut in a session, muted until a person lifts it", async () => {
        room.board.powerOff()
        await room.board.powerOn()
        await room.shows(/Wöchentlich\nRejoining ... +MUTED\nMENU stops/)
        await room.shows(/2 in session +MUTED/)
        assert.equal(room.requests("attach").at(-1).boot, 2)
        await eventually(() => room.media.statistics().open, "an open leg")
        assert.equal(room.media.statistics().muted, true)
        await room.press("mute", /2 in session\n/)
        await eventually(() => !room.media.statistics().muted, "an open microphone")
        await room.press("call", /Ready/)
        await eventually(() => !room.media.statistics().open, "a closed leg")
        await eventually(() => room.requests("leave").length === 1, "a leave")
    })

    test("survives messages that are none", async () => {
        for (const text of [
            "",
            "{",
            "[".repeat(900),
            '{"re":1e400}',
            "\u0000",
            '{"re":1,"x":"' + "é".repeat(400) + '"}',
        ])
            for (const verb of ["done", "refused", "bye", "roster", "x"]) await room.push("rs-far", verb, text)
        await room.press("menu", />Agenda\n Status/)
        await room.press("menu", /Ready/)
        const { counters, crashes } = await room.status()
        assert.ok(counters!.refused >= 25, JSON.stringify(counters))
        assert.equal(crashes, 0)
    })

    test("says that a secret is wrong and whom to call", async () => {
        room.board.powerOff()
        room.changeSecret()
        await room.board.powerOn()
        await room.board.reached("Refused")
        await room.shows(/Not accepted:\n(wrong secret|not enrolled)\nCall your operator/)
    })
})

describe("a board that nobody has set up", () => {
    test("says what to do", async () => {
        const room = await Room.create({ "p.secret": undefined })
        try {
            await room.board.powerOn()
            await room.shows(/Not set up yet\nAsk your operator\nto enrol this panel/)
            assert.equal(room.board.phase, "Unprovisioned")
        } finally {
            await room.close()
        }
    })
})
