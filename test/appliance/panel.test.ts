import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { limits } from "../../protocol/limits.ts"
import { reasons } from "../../protocol/reasons.ts"
import { Page } from "../../src/panel/panel.ts"
import { viewOf } from "../../src/panel/view.ts"
import { cut, pair, reasonWords } from "../../src/panel/words.ts"
import { Button, Phase, World } from "./world.ts"

describe("booking on the panel", () => {
    test("takes three presses after the list is open: who, when, how long", () => {
        const world = new World().ready()
        world.turn(1)
        assert.match(world.screen(), /Whom\?.*\n>Team \(all\)\n Room B/)
        world.turn(1)
        world.press(Button.Call)
        assert.match(world.screen(), /When\?.*\n>Now\n \d\d:(00|15|30|45)/)
        world.press(Button.Call)
        assert.match(world.screen(), /How long\?.*\n 15 minutes\n>30 minutes/)
        world.press(Button.Call)
        const [body] = world.published("book")
        assert.deepEqual(body, { id: body.id, boot: 7, with: "board-b", start: 0, minutes: 30 })
        assert.match(world.screen(), /Booked\nfor \d\d:\d\d/)
    })

    test("offers quarter hours that are at least five minutes away, for a week", () => {
        const world = new World().ready()
        world.press(Button.Call)
        world.press(Button.Call)
        world.turn(1)
        assert.equal(world.panel.startOf(1) % 900, 0)
        assert.ok(world.panel.startOf(1) >= world.seconds() + 300)
        world.turn(5000)
        assert.match(world.screen(), />in [78] days \d\d:\d\d/)
        world.press(Button.Call)
        world.press(Button.Call)
        assert.ok(world.published("book")[0].start > world.seconds() + 6 * 86400)
    })

    test("shows the refusal with the nearest time, and expiry when nobody answers", () => {
        const world = new World().ready()
        const book = () => {
            for (let i = 0; i < 4; i++) world.press(Button.Call)
        }
        world.answers.book = () => ({ reason: "busy", who: "you", next: 1760023800 })
        book()
        assert.match(world.screen(), /Somebody is busy\nFree at 15:30\nChoose otherwise/)
        world.answers.book = () => undefined
        book()
        assert.match(world.screen(), /Booking \.\.\./)
        world.pass(limits.requestTimeoutMs)
        assert.match(world.screen(), /No answer\nTry again/)
        assert.equal(
            new Set(
                world
                    .published("book")
                    .slice(1)
                    .map(body => body.id),
            ).size,
            1,
        )
    })

    test("pages through a long directory both ways", () => {
        const world = new World().ready()
        world.answers.directory = body => ({
            list: [...Array(Math.min(8, 20 - body.from)).keys()].map(i => ({
                id: `r${body.from + i}`,
                name: `Room ${body.from + i}`,
                kind: "room",
            })),
            ...(body.from + 8 < 20 ? { next: body.from + 8 } : {}),
        })
        world.press(Button.Call)
        for (let i = 0; i < 19; i++) world.turn(1)
        assert.match(world.screen(), />Room 19/)
        world.turn(5)
        assert.match(world.screen(), />Room 19/)
        for (let i = 0; i < 4; i++) world.turn(-1)
        assert.match(world.screen(), />Room 8/)
    })
})

describe("the panel", () => {
    test("mutes everywhere, sets the volume in a session, and keeps both", () => {
        const world = new World().ready()
        world.press(Button.Menu)
        world.press(Button.Mute)
        assert.equal(world.saved.muted, "1")
        assert.equal(world.panel.page, Page.Menu)
        world.press(Button.Menu)
        world.agenda({ sid: "s1" })
        world.press(Button.Call)
        world.turn(4)
        assert.equal(world.engine.volume, 70)
        assert.equal(world.saved.volume, undefined)
        world.pass(3500)
        assert.equal(world.saved.volume, "70")
        assert.match(world.screen(), /2 in session +MUTED\nCALL leaves +vol 70/)
    })

    test("shows in a session who speaks, that it is recorded, and what the network loses", () => {
        const world = new World().ready()
        world.agenda({ sid: "s1" })
        world.press(Button.Call)
        const roster = (more: object) => {
            world.push(`rs/${world.appliance.link.serverId()}`, "roster", { sid: "s1", people: 3, ...more })
            return world.screen()
        }
        assert.match(roster({}), /3 in session +\nCALL leaves/)
        assert.match(roster({ speaker: "Room Ärger" }), /3: Room Ärger +\nCALL leaves/)
        assert.match(roster({ speaker: "x".repeat(48), rec: 1 }), / +REC\n3: x{16} \n/)
        assert.match(roster({ loss: 8 }), /3 in session +\nNetwork loses 8 %$/)
        assert.match(roster({}), /3 in session +\nCALL leaves/)
        world.press(Button.Mute)
        assert.match(roster({ speaker: "Room B", rec: 1, loss: 100 }), /REC\n3: Room B +MUTED\nNetwork loses 100 %$/)
    })

    test("cancels an own session and declines another's from the agenda", () => {
        const world = new World().ready()
        world.agenda({ sid: "s1", state: "scheduled", mine: 1 }, { sid: "s2", state: "scheduled" })
        const choose = (line: number) => {
            for (const button of [Button.Menu, Button.Call]) world.press(button)
            world.turn(line)
            world.press(Button.Call)
            world.turn(1)
            world.press(Button.Call)
        }
        choose(0)
        assert.equal(world.published("cancel")[0].sid, "s1")
        assert.match(world.screen(), /Cancelled/)
        choose(1)
        assert.equal(world.published("decline")[0].sid, "s2")
    })

    test("goes home when it is left alone, and chimes for a reminder a limited number of times", () => {
        const world = new World().ready()
        world.press(Button.Menu)
        world.pass(31000)
        assert.equal(world.panel.page, Page.Home)
        world.agenda({ sid: "s1" })
        const sounds = new Set<string>()
        for (let i = 0; i < 1200; i++) {
            world.pass(250)
            sounds.add(viewOf(world.panel).sound)
        }
        sounds.delete("")
        assert.equal(sounds.size, 8)
    })

    test("fits four lines of 20 columns and one packet for any name, in every phase and on every page", () => {
        const hostile = ["", "\n\n\n", "\u202egnirts", "😀".repeat(12), "字".repeat(16), 'a"b\\c\u0000', "é".repeat(24)]
        for (const name of hostile) {
            const world = new World().ready()
            world.appliance.link.name = name
            world.answers.directory = () => ({ list: [{ id: "x", name, kind: "group" }] })
            world.agenda({ sid: "s1", title: name, from: name }, { sid: "s2", title: name, from: name, mine: 1 })
            const check = () => {
                const lines = world.lines()
                assert.ok(lines.length <= 4)
                for (const line of lines)
                    assert.ok([...line].length <= 20 && !line.includes("\n"), JSON.stringify(line))
                assert.ok(Buffer.byteLength(lines.join("\n")) <= 232)
            }
            check()
            for (const button of [Button.Call, Button.Menu, Button.Call, Button.Call, Button.Menu]) {
                world.press(button)
                check()
            }
            for (let page = Page.Home; page <= Page.Status; page++) {
                world.panel.page = page
                world.panel.cursor = 0
                world.panel.item = world.appliance.agenda[0]
                check()
            }
        }
    })

    test("has words of at most 20 columns for every reason", () => {
        for (const reason of reasons) assert.ok(reasonWords(reason).length <= 20, reason)
        assert.equal(cut("Grüße aus 東京 und weiter", 20), "Grüße aus 東京 und wei")
        assert.equal(pair("A very long room name", "14:05"), "A very long ro 14:05")
    })

    test("shows a wrong answer of a server as a refusal, and survives any bytes", () => {
        const world = new World().ready()
        world.agenda({ sid: "s1" })
        world.answers.join = () => ({ sid: "s1" })
        world.press(Button.Call)
        assert.match(world.screen(), /Update is needed\nCall the maker/)
        const before = world.appliance.malformed
        for (const text of ["", "{", "null", "[1]", '{"re":1}', "[".repeat(900), '{"re":"x"}', "\u0000\u00ff"])
            for (const verb of ["done", "refused", "agenda", "bye", "roster", "nothing"])
                world.event(a => a.message(`parley/v1/ep/board-a/in/group/${verb}`, Buffer.from(text)))
        world.event(a => a.message("parley/v1/ep/other/in/group/agenda", Buffer.from("{}")))
        assert.ok(world.appliance.malformed > before + 40)
        assert.equal(world.phase(), Phase.Reminding)
    })
})
