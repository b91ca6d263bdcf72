import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { limits } from "../../protocol/limits.ts"
import { type Broker, connected, good, Party, type Running, startBroker, startGroup } from "./servers.ts"

let broker: Broker
let group: Running
let a: Party
let b: Party
let rs: Party

before(async () => {
    broker = await startBroker()
    group = await startGroup(broker.url)
    for (const id of ["a", "b"]) good(await group.client.enrolEndpoint(id, `Room ${id}`))
    good(await group.client.enrolRoutingServer("rs-a"))
    a = await Party.connect(broker.url, "ep", "a")
    b = await Party.connect(broker.url, "ep", "b")
    rs = await Party.connect(broker.url, "rs", "rs-a")
    await connected(a, group.server.boot)
})

after(async () => {
    for (const party of [a, b, rs]) await party.close()
    await group.stop()
    await broker.stop()
})

describe("over MQTT", () => {
    test("an endpoint says hello and gets its name, then its agenda", async () => {
        const done = await a.hello()
        assert.deepEqual([done.verb, done.message.name], ["done", "Room a"])
        assert.equal(done.topic, "parley/v1/ep/a/in/group/done")
        const agenda = await a.next(one => one.verb === "agenda")
        assert.deepEqual(agenda.message.list, [])
        const time = await a.ask("time")
        assert.ok(Math.abs((time.message.nowMs as number) - Date.now()) < 5000)
    })

    test("the whole way of a session: candidates, booking, the routing server is told, joined, left, cancelled", async () => {
        await b.hello()
        await rs.hello()
        const links = [{ rs: "rs-x", up: 1, delay: 100 }]
        await rs.state({ boot: 1, on: 1, dspFree: 8, dspUnits: 8, load: 3, endpoints: 0, links })
        for (const party of [a, b]) await party.state({ boot: 1, on: 1, rs: "rs-a" })
        const candidates = await a.ask("candidates")
        assert.deepEqual(candidates.message.list, [{ rs: "rs-a", ip: "127.0.0.1", port: 7500, load: 3 }])

        const booked = await a.ask("book", { boot: 1, with: "b", start: 0, minutes: 5 })
        assert.equal(booked.verb, "done", JSON.stringify(booked.message))
        const { sid } = booked.message
        const agenda = await b.next(one => one.verb === "agenda" && (one.message.list as unknown[]).length === 1)
        assert.equal((agenda.message.list as { sid: string }[])[0].sid, sid)
        const session = await rs.next(one => one.verb === "session" && one.message.sid === sid)
        assert.equal(session.message.source, "rs-a")

        await rs.ask("joined", { sid, ep: "a" })
        const shown = good(await group.client.getSession(String(sid)))
        assert.deepEqual(
            shown.members.map(member => [member.endpoint, member.status, member.server]),
            [
                ["a", "joined", "rs-a"],
                ["b", "invited", "rs-a"],
            ],
        )
        await rs.ask("left", { sid, ep: "a" })
        const busy = await b.ask("book", { boot: 1, with: "a", start: 0, minutes: 5 })
        assert.deepEqual([busy.verb, busy.message.reason, busy.message.next], ["refused", "busy", booked.message.end])
        assert.equal((await a.ask("cancel", { sid })).verb, "done")
        await rs.next(one => one.verb === "end" && one.message.sid === sid)
    })

    test("malformed messages are refused by path where they have an id, and nothing stops the server", async () => {
        const refused = await a.ask("book", { boot: 1, with: "b", start: 0, minutes: "long" })
        assert.deepEqual(
            [refused.verb, refused.message.reason, refused.message.what],
            ["refused", "malformed", "message.minutes: an integer is needed"],
        )
        for (const payload of [
            "",
            "{",
            "null",
            "[]",
            '{"id":"x"}',
            '{"id":1e99}',
            "\u0000",
            `{"id":5,"x":"${"y".repeat(5000)}"}`,
        ])
            await a.publish("book", payload)
        await a.client.publishAsync("parley/v1/ep/a/state", "nonsense", { qos: 1 })
        await a.client.publishAsync("parley/v1/ep/a/state", '{"boot":-1,"on":7}', { qos: 1 })
        await a.client.publishAsync("parley/v1/ep/%%/state", '{"boot":1,"on":1}', { qos: 1 })
        assert.equal((await a.ask("time", { id: 9000 })).verb, "done")
    })

    test("a flood from one sender is limited with a reason, and others are served meanwhile", async () => {
        for (let index = 0; index < 200; index++) void a.publish("time", JSON.stringify({ id: 20_000 + index }))
        const limited = await a.next(one => one.verb === "refused" && (one.message.re as number) >= 20_000)
        assert.equal(limited.message.reason, "too-many")
        assert.equal((await b.ask("time")).verb, "done")
    })

    test("after the broker lost the connection everybody is told anew", async () => {
        const old = broker.aedes
        const agendas = () => b.received.filter(one => one.verb === "agenda").length
        const seen = agendas()
        b.received.splice(0)
        // The group server's connection only; the endpoints keep theirs and would miss pushes.
        const clients = (old as unknown as { clients: Record<string, { close(done: () => void): void }> }).clients
        clients.group.close(() => undefined)
        await b.next(one => one.verb === "agenda")
        assert.ok(seen >= 0)
        for (const message of b.received)
            assert.ok(JSON.stringify(message.message).length <= limits.messageToApplianceBytes)
    })
})

describe("birth and Will", () => {
    test("carry the boot counter: on while it runs, off after a stop, one more after the next start", async () => {
        const other = await startBroker()
        const first = await startGroup(other.url)
        const watcher = await Party.connect(other.url, "ep", "watcher")
        await connected(watcher, 1)
        await first.server.stop()
        await watcher.next(
            one => one.topic === "parley/v1/group/state" && one.message.on === 0 && one.message.boot === 1,
        )
        await watcher.close()
        await first.stop()
        await other.stop()
    })
})
