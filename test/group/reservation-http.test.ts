import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { type Broker, connected, good, Party, type Running, startBroker, startGroup } from "./servers.ts"

let broker: Broker
let group: Running
const parties = new Map<string, Party>()

before(async () => {
    broker = await startBroker()
    group = await startGroup(broker.url)
    for (const id of ["a", "b", "c"]) good(await group.client.enrolEndpoint(id, `Room ${id}`))
    for (const id of ["rs-a", "rs-b"]) good(await group.client.enrolRoutingServer(id))
    good(await group.client.createGroup("all", "All", ["a", "b"]))
    for (const id of ["a", "b", "rs-a", "rs-b"])
        parties.set(id, await Party.connect(broker.url, id.startsWith("rs-") ? "rs" : "ep", id))
    await connected(party("a"), group.server.boot)
    for (const one of parties.values()) await one.hello()
    for (const id of ["rs-a", "rs-b"]) {
        const links = [{ rs: id === "rs-a" ? "rs-b" : "rs-a", up: 1, delay: 500 }]
        await party(id).state({ boot: 1, on: 1, dspFree: 8, dspUnits: 8, links })
    }
    for (const id of ["a", "b"]) await party(id).state({ boot: 1, on: 1, rs: `rs-${id}` })
})

after(async () => {
    for (const one of parties.values()) await one.close()
    await group.stop()
    await broker.stop()
})

function party(id: string): Party {
    return parties.get(id)!
}

async function metric(name: string): Promise<string[]> {
    const headers = { authorization: `Bearer ${group.server.adminToken}` }
    const text = await (await fetch(`${group.server.url}/metrics`, { headers })).text()
    return text.split("\n").filter(line => line.startsWith(name))
}

describe("a session over HTTP", () => {
    test("shows its reservation: state, epoch, tree, what is short, who is left out, and the history", async () => {
        const booked = await party("a").ask("book", { boot: 1, with: "all", start: 0, minutes: 30 })
        const sid = String(booked.message.sid)
        const told = await party("rs-b").next(one => one.verb === "session" && one.message.sid === sid)
        const source = String(told.message.source)
        const far = source === "rs-a" ? "rs-b" : "rs-a"
        assert.equal(good(await group.client.getSession(sid)).reservation!.state, "none")

        const tree = [{ rs: far, parent: source }]
        const report = { sid, ep: 65537, kbps: 96, tree, short: [] }
        assert.equal((await party(source).ask("reservation", { ...report, state: "active" })).verb, "done")
        assert.deepEqual(good(await group.client.nextRelease(far, source)), { next: booked.message.end })
        assert.deepEqual(good(await group.client.nextRelease(far)), { next: booked.message.end })
        assert.deepEqual(good(await group.client.nextRelease("rs-none")), {})
        assert.ok((await metric("parley_group_reservations")).includes('parley_group_reservations{state="active"} 1'))

        const short = [{ rs: far, reason: "no-dsp", what: "2 DSP units short", at: far }]
        const worse = { ...report, ep: 65538, state: "degraded", tree: [], short }
        assert.equal((await party(source).ask("reservation", worse)).verb, "done")
        const pushed = await party(far).next(one => one.verb === "session" && one.message.unreached !== undefined)
        assert.deepEqual(pushed.message.unreached, [
            { rs: far, reason: "no-dsp", what: "2 DSP units short", who: "operator" },
        ])

        const { reservation, source: shown } = good(await group.client.getSession(sid))
        assert.equal(shown, source)
        assert.deepEqual([reservation!.state, reservation!.epoch, reservation!.kbps], ["degraded", 65538, 96])
        assert.deepEqual(reservation!.short, [{ server: far, reason: "no-dsp", what: "2 DSP units short", at: far }])
        const [left] = reservation!.unreached
        assert.deepEqual([left.server, left.reason, left.who], [far, "no-dsp", "operator"])
        assert.equal(left.retryMs - left.sinceMs, 30_000)
        assert.deepEqual(
            reservation!.history.map(one => [one.state, one.epoch, one.source, one.servers]),
            [
                ["active", 65537, source, 1],
                ["degraded", 65538, source, 0],
            ],
        )
        assert.ok(
            (await metric("parley_group_unreached_servers")).includes(
                'parley_group_unreached_servers{reason="no-dsp"} 1',
            ),
        )
        const audit = good(await group.client.listAudit({ session: sid })).items.map(entry => entry.action)
        assert.deepEqual(audit.slice(0, 3), ["unreached", "reservation", "reservation"])

        good(await group.client.cancelSession(sid))
        assert.equal(good(await group.client.getSession(sid)).reservation, undefined)
    })

    test("can be asked for before it is booked: who, where, from which source, and what is short", async () => {
        const can = good(await group.client.canSession({ members: ["all", "c"], kbps: 500 }))
        assert.deepEqual([can.fits, can.kbps, can.end - can.start], [true, 500, 1800])
        assert.deepEqual(
            can.servers.map(one => [one.server, one.dspNeeded, one.dspFree]),
            [
                ["rs-a", 2, 8],
                ["rs-b", 2, 8],
            ],
        )
        assert.equal(can.invited.find(one => one.endpoint === "c")!.server, undefined)
        const booked = good(await group.client.book({ by: "a", with: "c", start: can.start + 7200, minutes: 60 }))
        const busy = good(await group.client.canSession({ members: ["a", "b"], start: can.start + 7500 }))
        assert.deepEqual([busy.fits, busy.busy[0].endpoint, busy.next], [false, "a", booked.end])
        const refused = async (body: Parameters<typeof group.client.canSession>[0]) => {
            const result = await group.client.canSession(body)
            return result.ok ? "forecast" : result.problem.code
        }
        assert.equal(await refused({ members: ["a", "nobody"] }), "unknown-group")
        assert.equal(await refused({ members: [] }), "malformed")
        assert.equal(await refused({ members: ["a", "B!"] }), "malformed")
        assert.equal(await refused({ members: ["a", "b"], kbps: 0 }), "malformed")
        assert.equal(await refused({ members: ["a", "b"], minutes: 2000 }), "too-long")
        const described = (await (await fetch(`${group.server.url}/openapi.json`)).json()) as { paths: object }
        for (const path of ["/v1/sessions/can", "/v1/releases"]) assert.ok(path in described.paths, path)
    })
})
