import assert from "node:assert/strict"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import Fastify, { type FastifyInstance } from "fastify"
import { bornAt, type RunningPart, writeRun } from "../../cli/system/run-file.ts"
import { type Broker, connected, good, Party, type Running, startBroker, startGroup } from "../group/servers.ts"
import { parley, temporaryFolder } from "./parley.ts"

/**
 * A real group server; control APIs of routing servers as far as these commands use them, until a test changes what they
 * say. The system in the state folder is this very process.
 */
const folder = temporaryFolder()
const token = "control-token"
const apis: FastifyInstance[] = []
const parties = new Map<string, Party>()
const asked: { server: string; url: string; body: unknown }[] = []
let broker: Broker
let group: Running
let sid = ""
let source = ""
let far = ""
let canAnswer: unknown
let reservations: Record<string, unknown> = {}

function holding(server: string): unknown {
    const mine = { sid, epoch: 65537, source, kbps: 96, usageCount: 1, state: "active" }
    const role =
        server === source
            ? { role: "source", children: [far] }
            : { role: "destination", upstream: source, children: [] }
    const ledger = {
        links: [{ peer: server === source ? far : source, capacityKbps: 1000, heldKbps: 96 }],
        ...{ dspUnits: 8, dspHeld: 2 },
    }
    return { reservations: [{ ...mine, ...role }], ledger }
}

async function control(server: string): Promise<RunningPart> {
    const app = Fastify()
    apis.push(app)
    app.addHook("onRequest", async (request, reply) => {
        if (request.headers.authorization !== `Bearer ${token}`) return reply.code(401).send({})
    })
    app.get("/v1/reservations", async request => {
        asked.push({ server, url: request.url, body: undefined })
        return reservations[server] ?? holding(server)
    })
    app.post("/v1/reservations/can", async request => {
        asked.push({ server, url: request.url, body: request.body })
        return canAnswer
    })
    const controlUrl = await app.listen({ host: "127.0.0.1", port: 0 })
    const controlTokenFile = join(folder.path, `${server}.token`)
    writeFileSync(controlTokenFile, `${token}\n`)
    return { name: server, kind: "routing", pid: process.pid, address: "127.0.0.1", controlUrl, controlTokenFile }
}

before(async () => {
    broker = await startBroker()
    group = await startGroup(broker.url)
    for (const id of ["a", "b"]) good(await group.client.enrolEndpoint(id, `Room ${id}`))
    for (const id of ["rs-a", "rs-b"]) good(await group.client.enrolRoutingServer(id))
    for (const id of ["a", "b", "rs-a", "rs-b"])
        parties.set(id, await Party.connect(broker.url, id.startsWith("rs-") ? "rs" : "ep", id))
    await connected(parties.get("a")!, group.server.boot)
    for (const party of parties.values()) await party.hello()
    for (const id of ["rs-a", "rs-b"]) {
        const links = [{ rs: id === "rs-a" ? "rs-b" : "rs-a", up: 1, delay: 500 }]
        await parties.get(id)!.state({ boot: 1, on: 1, dspFree: 8, dspUnits: 8, links })
    }
    for (const id of ["a", "b"]) await parties.get(id)!.state({ boot: 1, on: 1, rs: `rs-${id}` })
    const booked = await parties.get("a")!.ask("book", { boot: 1, with: "b", start: 0, minutes: 30 })
    sid = String(booked.message.sid)
    const told = await parties.get("rs-b")!.next(one => one.verb === "session" && one.message.sid === sid)
    source = String(told.message.source)
    far = source === "rs-a" ? "rs-b" : "rs-a"
    const tree = [{ rs: far, parent: source }]
    const report = { sid, ep: 65537, state: "active", kbps: 96, tree, short: [] }
    assert.equal((await parties.get(source)!.ask("reservation", report)).verb, "done")

    const state = join(folder.path, ".parley")
    mkdirSync(state, { recursive: true })
    const adminTokenFile = join(folder.path, "admin.token")
    writeFileSync(adminTokenFile, group.server.adminToken)
    const parts = [await control("rs-a"), await control("rs-b")]
    writeRun(state, {
        ...{ version: 1, pid: process.pid, bornAt: bornAt(process.pid), phase: "up", network: "127.0" },
        ...{ broker: broker.url, groupUrl: group.server.url, adminTokenFile, simUrl: "", simTokenFile: "", parts },
    })
})

after(async () => {
    for (const app of apis) await app.close()
    for (const party of parties.values()) await party.close()
    await group?.stop()
    await broker?.stop()
    folder.remove()
})

const run = (...words: string[]) => parley(words, folder.path)

describe("parley session show", () => {
    test("draws the tree with its delays and says what is held where, epoch and history", async () => {
        const { code, out, err } = await run("session", "show", sid)
        assert.equal(code, 0, err)
        assert.match(out, /reservation {2}active, epoch 65537, 96 kbit\/s each way/)
        assert.match(out, new RegExp(`\\n${source}  source, 1 member\\n  ${far}  1 member, 5 ms\\n`))
        assert.match(out, new RegExp(`\\n${far} +destination +active +65537 +${source} +${source} +- +96 +1`))
        assert.match(out, /WHEN +SOURCE +EPOCH +STATE/)
        const shown = JSON.parse((await run("session", "show", sid, "--json")).out)
        assert.equal(shown.reservation.state, "active")
        assert.deepEqual(
            shown.held.map((one: { server: string; role: string }) => [one.server, one.role]).sort(),
            [
                [far, "destination"],
                [source, "source"],
            ].sort(),
        )
        assert.ok(asked.some(one => one.url === `/v1/reservations?sid=${sid}`))
    })

    test("still shows what the group server knows when routing servers do not answer as they should, and names them", async () => {
        reservations = { "rs-b": { surprise: true } }
        const { code, out } = await run("session", "show", sid)
        reservations = {}
        assert.equal(code, 0)
        assert.match(out, /reservation {2}active/)
        assert.match(out, /no answer: rs-b: \S+ answers otherwise than expected/)
    })
})

describe("parley reservation list", () => {
    test("lists what each server holds and how much of what there is", async () => {
        const { code, out } = await run("reservation", "list")
        assert.equal(code, 0)
        assert.match(out, new RegExp(`${source} +${sid} +source +active`))
        assert.match(out, /DSP units +2 +8 +25 %/)
        assert.match(out, new RegExp(`kbit/s to ${far} +96 +1000 +10 %`))
        const one = JSON.parse((await run("reservation", "list", "--server", "rs-b", "--json")).out)
        assert.deepEqual(
            one.servers.map((each: { server: string }) => each.server),
            ["rs-b"],
        )
        assert.equal(one.servers[0].ledger.dspUnits, 8)
        const unknown = await run("reservation", "list", "--server", "rs-z")
        assert.equal(unknown.code, 2)
        assert.match(unknown.err, /no routing server "rs-z" here; there are rs-a, rs-b/)
    })
})

describe("parley session can", () => {
    /** Both rooms are busy now, so it asks for tomorrow. */
    const tomorrow = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10)
    const can = (...more: string[]) =>
        run("session", "can", "--members", "a,b", "--start", `${tomorrow}T12:00Z`, ...more)

    test("ends with 0 and the tree when it fits, having asked the source for the bandwidth to the others", async () => {
        canAnswer = { fits: true, tree: [{ server: far, parent: source }], short: [] }
        const { code, out, err } = await can("--bandwidth", "500")
        assert.equal(code, 0, err)
        assert.match(out, /^fits: 2 rooms, 500 kbit\/s, .*T12:00Z for 30 min\n/)
        assert.match(out, new RegExp(`\\n${source}  source, 1 member\\n  ${far}  1 member, 5 ms\\n`))
        const request = asked.findLast(one => one.url === "/v1/reservations/can")!
        assert.equal(request.server, source)
        assert.deepEqual(request.body, { destinations: [far], kbps: 500 })
    })

    test("ends with 5 and what is short, where and until when, on standard output also with --json", async () => {
        const short = [{ server: far, reason: "no-bandwidth", what: "500 needed, 4 free", at: source, to: far }]
        canAnswer = { fits: false, tree: [], short }
        const now = await run("session", "can", "--members", "a,b", "--json")
        assert.equal(now.code, 5, now.err)
        const result = JSON.parse(now.out)
        assert.equal(result.fits, false)
        assert.equal(result.busy.length, 2)
        const { end } = good(await group.client.getSession(sid))
        assert.deepEqual([result.short[0].reason, result.short[0].next, result.next], ["no-bandwidth", end, end])
        // Tomorrow the session that has the link is over.
        assert.equal((await can()).code, 0)
        canAnswer = { fits: false, tree: [], short: [{ ...short[0], at: far, to: "rs-x" }] }
        const text = await can()
        assert.equal(text.code, 5)
        assert.match(text.out, new RegExp(`short {4}${far}, on the link ${far} - rs-x: no-bandwidth, 500 needed`))
        assert.match(text.out, /no time is known/)
    })

    test("says which server cannot be reached when only the source could tell", async () => {
        canAnswer = { wrong: 1 }
        const odd = await can("--json")
        assert.equal(odd.code, 1)
        assert.match(JSON.parse(odd.err).error.what, new RegExp(`^${source}: \\S+ answers otherwise`))
        await apis[source === "rs-a" ? 0 : 1].close()
        const silent = await can("--json")
        assert.equal(silent.code, 3)
        const { error } = JSON.parse(silent.err)
        assert.equal(error.code, "unreachable")
        assert.match(error.what, new RegExp(`^${source} cannot be reached`))
        // The others are shown still.
        const list = await run("reservation", "list")
        assert.equal(list.code, 0)
        assert.match(list.out, new RegExp(`no answer: ${source} cannot be reached`))
    })

    test("refuses what it cannot ask", async () => {
        const wrong: [string[], RegExp][] = [
            [["session", "can"], /--members is needed/],
            [["session", "can", "--members", "a,b", "--bandwidth", "much"], /--bandwidth: a whole number/],
            [["session", "can", "--members", "a,b", "--minutes", "2"], /from 5 to 1440/],
            [["session", "can", "--members", "a,b", "--start", "soon"], /is no time/],
        ]
        for (const [words, what] of wrong) {
            const { code, err } = await run(...words)
            assert.equal(code, 2, words.join(" "))
            assert.match(err, what)
        }
        const unknown = await run("session", "can", "--members", "a,zz", "--json")
        assert.equal(unknown.code, 1)
        assert.equal(JSON.parse(unknown.err).error.code, "unknown-group")
    })
})
