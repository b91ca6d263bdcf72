import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import type { BoardStatus } from "../../sim/board.ts"
import { good } from "../group/servers.ts"
import { eventually } from "../support/deadline.ts"
import { dspUnits, patienceMs, System } from "./system.ts"

describe("a session in which every part fails once", () => {
    let system: System
    let sid = ""
    before(async () => {
        system = await System.start("embedded")
    })
    after(() => system?.stop())

    const membersAre = (...expected: string[]) =>
        eventually(async () => (await system.members(sid)).join() === expected.join(), expected.join(), patienceMs)

    test("begins with both ends booking each other at once: one booking is made, the other is told of it", async () => {
        const [one, other] = await Promise.all([
            system.client.book({ by: "board-a", with: "board-b", minutes: 30 }),
            system.client.book({ by: "board-b", with: "board-a", minutes: 30 }),
        ])
        const won = one.ok ? one : other
        const lost = one.ok ? other : one
        assert.ok(won.ok)
        assert.ok(!lost.ok && lost.problem.code === "busy" && lost.problem.next === won.value.end)
        sid = won.value.id
        await system.join()
        await system.hear()
        await membersAre("joined rs-a", "joined rs-b")
    })

    test("goes on while the broker is killed and started again", async () => {
        await system.killBroker()
        await system.startBroker()
        await system.backAtBroker()
        await system.hear()
        assert.equal(system.legsLost, 0)
    })

    test("goes on while the group server is stopped and started again, which then knows who is in it", async () => {
        await system.stopGroup()
        await system.startGroup()
        await system.hear()
        await membersAre("joined rs-a", "joined rs-b")
        assert.equal(system.legsLost, 0)
    })

    test("takes a room back whose power was cut, by itself, and muted until a person lifts it", async () => {
        const { board, media } = system.rooms.get("board-b")!
        board.powerOff()
        await board.powerOn()
        await system.reached("board-b", status => status.phase === "InSession")
        await eventually(
            async () => good(await system.client.getEndpoint("board-b")).server === "rs-b",
            "it to be attached again",
            patienceMs,
        )
        assert.ok(media.statistics().muted)
        system.press("board-b", "mute")
        await system.hear()
        await membersAre("joined rs-a", "joined rs-b")
    })

    test("moves a room whose routing server is killed to the other one, and back after a restart of that", async () => {
        await system.servers.get("rs-b")!.kill()
        const isIn = (server: string) => (status: BoardStatus) =>
            status.phase === "InSession" && status.server === server
        await system.reached("board-b", isIn("rs-a"))
        await membersAre("joined rs-a", "joined rs-a")
        await system.hear()
        await system.startServer("rs-b")
        await system.servers.get("rs-a")!.kill()
        for (const id of system.rooms.keys()) await system.reached(id, isIn("rs-b"))
        await membersAre("joined rs-b", "joined rs-b")
        await system.hear()
        await system.startServer("rs-a")
    })

    test("ends for everybody, and nothing is held for it any more", async () => {
        good(await system.client.cancelSession(sid))
        for (const id of system.rooms.keys()) await system.reached(id, status => status.phase === "Idle")
        await eventually(
            async () => {
                const { items } = good(await system.client.listRoutingServers())
                return items.every(server => server.online && server.dspFree === dspUnits)
            },
            "all DSP units to be free",
            patienceMs,
        )
        sid = await system.bookAndJoin()
        await system.hear()
    })
})
