import assert from "node:assert/strict"
import { existsSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { readCredentials, verifySecret } from "../../servers/broker/credentials.ts"
import { GroupClient, type Result } from "../../servers/group/client.ts"
import { Tokens } from "../../servers/group/http/tokens.ts"
import { startGroupServer } from "../../servers/group/main.ts"
import { parseOptions } from "../../servers/group/options.ts"
import { good, type Running, startGroup } from "./servers.ts"

let group: Running
let admin: GroupClient
const tomorrow = Math.floor(Date.now() / 1000) + 86_400

before(async () => {
    group = await startGroup()
    admin = group.client
    for (const id of ["a", "b", "c", "d"]) good(await admin.enrolEndpoint(id, `Room ${id}`))
})

after(async () => {
    await group.stop()
})

function code(result: Result<unknown>): string {
    return result.ok ? "done" : result.problem.code
}

async function raw(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { authorization: `Bearer ${group.server.adminToken}`, ...init.headers }
    return fetch(group.server.url + path, { ...init, headers })
}

describe("the HTTP API", () => {
    test("refuses without a valid token, with one of another key, and with one that has expired", async () => {
        const none = await fetch(`${group.server.url}/v1/endpoints`)
        assert.equal(none.status, 401)
        assert.equal(none.headers.get("www-authenticate"), "Bearer")
        assert.equal(none.headers.get("content-type"), "application/problem+json")
        const body = (await none.json()) as Record<string, unknown>
        assert.deepEqual([body.code, body.status, body.who], ["unauthenticated", 401, "operator"])

        const forged = await new Tokens(new Uint8Array(32)).issue({ subject: "x", role: "admin" }, 1, Date.now())
        assert.equal(code(await new GroupClient(group.server.url, forged.token).listEndpoints()), "unauthenticated")
        const key = Buffer.from(readFileSync(join(group.folder, "group/token.key"), "utf8").trim(), "hex")
        const old = await new Tokens(key).issue({ subject: "x", role: "admin" }, 1, Date.now() - 2 * 86_400_000)
        assert.equal(code(await new GroupClient(group.server.url, old.token).listEndpoints()), "unauthenticated")
    })

    test("gives each role its rights: a member books and cancels for its own endpoint only", async () => {
        const tokenFor = async (role: "member" | "operator", endpoint?: string) => {
            const issued = good(await admin.issueToken(`${role}-1`, role, endpoint === undefined ? {} : { endpoint }))
            return new GroupClient(group.server.url, issued.token)
        }
        const member = await tokenFor("member", "a")
        const operator = await tokenFor("operator")
        assert.equal(code(await member.enrolEndpoint("x", "X")), "not-allowed")
        assert.equal(code(await operator.enrolEndpoint("x", "X")), "not-allowed")
        assert.equal(code(await operator.issueToken("me", "admin")), "not-allowed")
        assert.equal(code(await member.listAudit()), "not-allowed")
        assert.equal(code(await operator.listAudit()), "done")

        const own = good(await member.book({ with: "b", start: tomorrow, minutes: 5 }))
        assert.equal(own.by, "a")
        assert.equal(code(await member.book({ by: "c", with: "d", start: tomorrow, minutes: 5 })), "not-allowed")
        const foreign = good(await admin.book({ by: "c", with: "d", start: tomorrow, minutes: 5 }))
        assert.equal(code(await member.cancelSession(foreign.id)), "not-allowed")
        assert.equal(code(await member.recordSession(foreign.id, "wav")), "not-allowed")
        assert.equal(code(await member.recordSession(own.id, "ogg")), "done")
        assert.equal(good(await admin.getSession(own.id)).recording, "ogg")
        assert.equal(code(await admin.recordSession(own.id, undefined)), "done")
        assert.equal(good(await admin.getSession(own.id)).recording, undefined)
        assert.equal(code(await admin.recordSession("nowhere", "wav")), "unknown-session")
        assert.equal(code(await member.cancelSession(own.id)), "done")
        assert.equal(code(await admin.cancelSession(foreign.id)), "done")
        const nobody = await tokenFor("member")
        assert.equal(code(await nobody.book({ by: "a", with: "b", start: tomorrow, minutes: 5 })), "not-allowed")
    })

    test("shows a secret once, gives the broker its hash before it answers, and takes it away on delete", async () => {
        const { secret } = good(await admin.enrolEndpoint("fresh", "Fresh"))
        assert.ok(secret.length >= 22, "128 bits at least")
        const entries = () => {
            const read = readCredentials(join(group.folder, "broker"))
            assert.ok(read.ok)
            return read.entries
        }
        const entry = entries().find(one => one.id === "fresh")!
        assert.equal(entry.kind, "ep")
        assert.ok(verifySecret(secret, entry.hash))
        assert.ok(entries().some(one => one.id === "group" && one.kind === "group"))
        assert.doesNotMatch(JSON.stringify(good(await admin.getEndpoint("fresh"))), /secret|\$7\$/)
        assert.doesNotMatch(JSON.stringify(good(await admin.listAudit())), new RegExp(`${secret}|\\$7\\$`))
        assert.equal(code(await admin.deleteEndpoint("fresh")), "done")
        assert.ok(!entries().some(one => one.id === "fresh"))
        assert.equal(code(await admin.deleteEndpoint("fresh")), "unknown-endpoint")
    })

    test("does a request with an Idempotency-Key once, secrets included, and refuses the key for another request", async () => {
        const first = good(await admin.enrolEndpoint("once", "Once", "key-1"))
        assert.deepEqual(good(await admin.enrolEndpoint("once", "Once", "key-1")), first)
        assert.equal(code(await admin.enrolEndpoint("once", "Once")), "not-allowed")
        const booking = { by: "once", with: "d", start: tomorrow + 7200, minutes: 10 }
        const both = await Promise.all([admin.book(booking, "key-2"), admin.book(booking, "key-2")])
        assert.equal(good(both[0]).id, good(both[1]).id)
        assert.equal(code(await admin.book({ ...booking, minutes: 20 }, "key-2")), "not-allowed")
        assert.equal(good(await admin.listSessions({ endpoint: "once" })).items.length, 1)
    })

    test("says in problem details what is wrong, who can fix it, and the next time that fits", async () => {
        good(await admin.book({ by: "a", with: "b", start: tomorrow + 3600, minutes: 30 }))
        const busy = await admin.book({ by: "c", with: "b", start: tomorrow + 3600, minutes: 30 })
        assert.deepEqual(busy, {
            ok: false,
            problem: { code: "busy", what: "Room b", who: "you", status: 409, next: tomorrow + 5400 },
        })
        const refusals: [Result<unknown>, string, number][] = [
            [await admin.book({ by: "a", with: "b", start: 1, minutes: 30 }), "in-the-past", 422],
            [await admin.book({ by: "a", with: "b", start: tomorrow, minutes: 2000 }), "too-long", 422],
            [await admin.book({ by: "a", with: "zz", start: tomorrow, minutes: 30 }), "unknown-group", 404],
            [await admin.book({ by: "zz", with: "a", start: tomorrow, minutes: 30 }), "unknown-endpoint", 404],
            [await admin.enrolEndpoint("group", "G"), "malformed", 400],
            [await admin.enrolEndpoint("n", "界".repeat(20)), "malformed", 400],
            [await admin.getSession("no-such"), "unknown-session", 404],
            [await admin.createGroup("g", "G", ["zz"]), "unknown-endpoint", 404],
            [await admin.putStaticNeighbours([{ a: "rs-a", b: "rs-b" }]), "unknown-server", 404],
        ]
        for (const [result, expected, status] of refusals) {
            assert.equal(code(result), expected)
            assert.equal(!result.ok && result.problem.status, status)
        }
    })

    test("survives what is no request: wrong JSON, types, sizes, paths, headers", async () => {
        const json = { "content-type": "application/json" }
        const post = (body: string, headers: Record<string, string> = json) =>
            raw("/v1/endpoints", { method: "POST", headers, body })
        const answers: [Response, number, string][] = [
            [await post("{"), 400, "malformed"],
            [await post("null"), 400, "malformed"],
            [await post('{"id":7,"name":"x"}'), 400, "malformed"],
            [await post('{"id":"x"}'), 400, "malformed"],
            [await post(`{"id":"x","name":"${"y".repeat(70_000)}"}`), 413, "too-large"],
            [await post("x", { "content-type": "text/html" }), 400, "malformed"],
            [await raw("/v1/nothing"), 404, "not-found"],
            [await raw(`/v1/sessions/${"x".repeat(100)}`), 400, "malformed"],
            [await raw("/v1/sessions/%zz"), 400, "malformed"],
            [await raw("/v1/sessions?limit=0"), 400, "malformed"],
            [await raw("/v1/sessions?limit=many"), 400, "malformed"],
            [await raw("/v1/sessions?cursor=%00%ff"), 400, "malformed"],
            [await raw("/v1/sessions?state=broken"), 400, "malformed"],
            [await raw("/v1/audit?cursor=e30"), 400, "malformed"],
            [await raw("/v1/endpoints/A%20B"), 400, "malformed"],
        ]
        for (const [index, [response, status, expected]] of answers.entries()) {
            const body = (await response.json()) as Record<string, unknown>
            assert.deepEqual([response.status, body.code], [status, expected], `${index}: ${JSON.stringify(body)}`)
            assert.equal(typeof body.what, "string")
        }
        assert.equal((await raw("/livez")).status, 200)
    })

    test("pages through lists by cursor, each item once", async () => {
        const ids = Array.from({ length: 7 }, (_, index) => `page-${index}`)
        for (const id of ids) good(await admin.enrolEndpoint(id, id))
        const starts = ids.slice(1).map((_, index) => tomorrow + 100_000 + index * 600)
        for (const start of starts) good(await admin.book({ by: "page-0", with: "page-1", start, minutes: 5 }))
        const rooms = good(await admin.all(cursor => admin.listEndpoints(cursor ? { limit: 3, cursor } : { limit: 3 })))
        assert.deepEqual(
            rooms.map(room => room.id),
            [...new Set(rooms.map(room => room.id))].sort(),
        )
        assert.ok(ids.every(id => rooms.some(room => room.id === id)))
        const query = { endpoint: "page-0", limit: 2 }
        const pages = await admin.all(cursor => admin.listSessions(cursor ? { ...query, cursor } : query))
        assert.deepEqual(
            good(pages).map(session => session.start),
            starts,
        )
        const audit = good(await admin.all(cursor => admin.listAudit(cursor ? { limit: 10, cursor } : { limit: 10 })))
        assert.deepEqual(
            audit.map(entry => entry.seq),
            audit.map((_, index) => audit.length - index),
        )
    })

    test("keeps routing servers, static neighbours and groups", async () => {
        for (const id of ["rs-a", "rs-b"]) assert.ok(good(await admin.enrolRoutingServer(id)).secret)
        assert.deepEqual(good(await admin.putStaticNeighbours([{ a: "rs-b", b: "rs-a" }])).pairs, [
            { a: "rs-a", b: "rs-b" },
        ])
        assert.deepEqual(
            good(await admin.listRoutingServers()).items.map(server => [server.id, server.online]),
            [
                ["rs-a", false],
                ["rs-b", false],
            ],
        )
        good(await admin.clearStaticNeighbours("rs-b", "rs-a"))
        assert.deepEqual(good(await admin.getStaticNeighbours()).pairs, [])
        for (let count = 0; count < 2; count++) good(await admin.setStaticNeighbours("rs-b", "rs-a"))
        assert.deepEqual(good(await admin.getStaticNeighbours()).pairs, [{ a: "rs-a", b: "rs-b" }])
        assert.equal(code(await admin.setStaticNeighbours("rs-a", "rs-a")), "malformed")
        assert.equal(code(await admin.setStaticNeighbours("rs-a", "rs-x")), "unknown-server")
        good(await admin.createGroup("team", "Team", ["a", "b"]))
        assert.deepEqual(good(await admin.putGroupMembers("team", ["b", "c", "b"])).members, ["b", "c"])
        good(await admin.deleteRoutingServer("rs-b"))
        assert.deepEqual(good(await admin.getStaticNeighbours()).pairs, [])
        good(await admin.deleteGroup("team"))
        assert.deepEqual(good(await admin.listGroups()).items, [])
    })

    test("keeps where routing servers and endpoints stand, and the neighbour policy with its versions", async () => {
        good(await admin.enrolRoutingServer("rs-far"))
        const placed = good(
            await admin.changeRoutingServer("rs-far", { tags: ["east"], risk: ["duct-7"], lat: 52.5204, lon: -13.405 }),
        )
        assert.deepEqual(
            [placed.tags, placed.risk, placed.area, placed.lat, placed.lon],
            [["east"], ["duct-7"], undefined, 52.52, -13.405],
        )
        const changed = good(
            await admin.changeRoutingServer("rs-far", { tags: null, area: "north", lat: null, lon: null }),
        )
        assert.deepEqual(changed.stored, { risk: ["duct-7"], area: "north" })
        assert.equal(code(await admin.changeRoutingServer("rs-none", { area: "x" })), "unknown-server")
        assert.equal(code(await admin.changeRoutingServer("rs-far", { lat: 1 })), "malformed")
        assert.equal(code(await admin.changeRoutingServer("rs-far", { lat: 91, lon: 0 })), "malformed")
        assert.equal(code(await admin.changeRoutingServer("rs-far", { tags: ["Bad Tag"] })), "malformed")

        const room = good(await admin.changeEndpoint("a", { lat: 1.5, lon: 2 }))
        assert.deepEqual([room.name, room.lat, room.lon], ["Room a", 1.5, 2])
        assert.equal(good(await admin.changeEndpoint("a", { lat: null, lon: null })).lat, undefined)

        const before = good(await admin.getNeighbourPolicy())
        const wanted = { ...before, deny: [["west", "east"]] }
        const after = good(await admin.putNeighbourPolicy(wanted))
        assert.deepEqual(after, { version: before.version + 1, deny: [["east", "west"]], limits: before.limits })
        const late = await admin.putNeighbourPolicy({ ...wanted, deny: [] })
        assert.equal(code(late), "unavailable")
        assert.match(!late.ok ? late.problem.what : "", /version 1/)
        assert.equal(code(await admin.putNeighbourPolicy({ deny: [["a"]], limits: before.limits })), "malformed")
        const audit = good(await admin.listAudit({ action: "putPolicy" })).items
        assert.deepEqual(
            audit.map(entry => entry.outcome),
            ["unavailable", "done"],
        )
        good(await admin.deleteRoutingServer("rs-far"))
    })

    test("filters the audit log by session: its booking and all that happened to it, and nothing else", async () => {
        const first = good(await admin.book({ by: "c", with: "d", start: tomorrow + 40_000, minutes: 5 }))
        const second = good(await admin.book({ by: "c", with: "d", start: tomorrow + 50_000, minutes: 5 }))
        good(await admin.cancelSession(first.id))
        const actions = async (session: string) =>
            good(await admin.listAudit({ session })).items.map(entry => entry.action)
        assert.deepEqual(await actions(first.id), ["end", "book"])
        assert.deepEqual(await actions(second.id), ["book"])
        assert.deepEqual(await actions("no-such"), [])
        good(await admin.cancelSession(second.id))
    })

    test("describes itself by OpenAPI 3.1: every operation named, described, with its refusals; every reference resolves", async () => {
        const description = (await (await fetch(`${group.server.url}/openapi.json`)).json()) as OpenApi
        assert.match(description.openapi, /^3\.1\./)
        const names = new Set<string>()
        for (const [path, methods] of Object.entries(description.paths)) {
            for (const [method, operation] of Object.entries(methods)) {
                const place = `${method} ${path}`
                assert.ok(operation.operationId && operation.summary, place)
                assert.ok(!names.has(operation.operationId), `${place}: operationId twice`)
                names.add(operation.operationId)
                const declared = (operation.parameters ?? []).filter(one => one.in === "path").map(one => one.name)
                const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(match => match[1])
                assert.deepEqual(declared, inPath, place)
                for (const [status, response] of Object.entries(operation.responses)) {
                    assert.match(status, /^([1-5]\d\d|[1-5]XX|default)$/, place)
                    assert.equal(typeof response.description, "string", place)
                }
                if (path.startsWith("/v1/"))
                    assert.ok(operation.responses["4XX"]?.content?.["application/problem+json"], place)
            }
        }
        assert.ok(names.has("bookSession") && names.size >= 20, `${names.size} operations`)
        const references = [...JSON.stringify(description).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(match => match[1])
        for (const reference of references) {
            let at: unknown = description
            for (const part of reference.split("/")) at = (at as Record<string, unknown>)?.[part]
            assert.ok(at, reference)
        }
    })

    test("has metrics in base units, and says that it is not ready while there is no broker", async () => {
        const metrics = await (await raw("/metrics")).text()
        assert.match(metrics, /^parley_group_endpoints\{online="no"\} \d+$/m)
        assert.match(metrics, /^parley_group_commit_seconds_total [\d.e-]+$/m)
        assert.equal((await fetch(`${group.server.url}/metrics`)).status, 401)
        assert.equal((await fetch(`${group.server.url}/readyz`)).status, 503)
        assert.deepEqual(good(await admin.readiness()), { ready: false, broker: false, credentials: true })
    })
})

interface OpenApi {
    openapi: string
    paths: Record<
        string,
        Record<
            string,
            {
                operationId: string
                summary: string
                parameters?: { in: string; name: string }[]
                responses: Record<string, { description: string; content?: Record<string, unknown> }>
            }
        >
    >
}

describe("the state folder", () => {
    test("holds its secrets readable by its user only, and belongs to one server at a time", async () => {
        const state = join(group.folder, "group")
        for (const file of ["admin.token", "token.key", "group.secret", "group.db"])
            assert.equal(statSync(join(state, file)).mode & 0o077, 0, file)
        assert.equal(readFileSync(join(state, "admin.token"), "utf8").trim(), group.server.adminToken)
        const options = { httpHost: "127.0.0.1", httpPort: 0, broker: "mqtt://127.0.0.1:1", credentials: state }
        const second = await startGroupServer({ ...options, state })
        assert.ok(!second.ok && second.what.endsWith("is in use by another group server"))
        const file = join(state, "token.key")
        const impossible = await startGroupServer({ ...options, state: join(file, "below") })
        assert.ok(!impossible.ok && impossible.what.startsWith("state folder"))
        assert.ok(existsSync(file))
    })
})

describe("the command line", () => {
    test("takes flags before the environment before defaults, and names the flag that is wrong", () => {
        const given = parseOptions(["--http-port", "0", "--state", "x"], { PARLEY_STATE: "/data" })
        assert.ok(given.ok)
        assert.deepEqual(
            [given.options.state, given.options.credentials, given.options.httpPort],
            ["x", "/data/credentials", 0],
        )
        const wrong: [string[], RegExp][] = [
            [["--http-port", "70000"], /^--http-port: /],
            [["--broker", "127.0.0.1:1883"], /^--broker: mqtt:\/\/host:port is needed/],
            [["--broker", "mqtt://me:secret@host"], /^--broker: the secret/],
            [["--state", ""], /^--state: /],
            [["--no-such"], /--no-such/],
            [["extra"], /extra/],
        ]
        for (const [args, expected] of wrong) {
            const parsed = parseOptions(args, {})
            assert.ok(!parsed.ok && expected.test(parsed.what), `${args} ${JSON.stringify(parsed)}`)
        }
    })
})
