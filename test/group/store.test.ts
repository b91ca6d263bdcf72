import assert from "node:assert/strict"
import { mkdtempSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, describe, test } from "node:test"
import { Migrator, sql } from "kysely"
import { pino } from "pino"
import { neighbourLimitDefaults } from "../../protocol/servers.ts"
import type { Answer, Command, Durable, EndpointRow, Send, SessionRow, Write } from "../../servers/group/core/model.ts"
import { Engine } from "../../servers/group/engine.ts"
import { migrations } from "../../servers/group/store/migrations.ts"
import { getSession, listAudit, listSessions } from "../../servers/group/store/queries.ts"
import { openSqlite } from "../../servers/group/store/sqlite.ts"
import { Store } from "../../servers/group/store/store.ts"
import { monday } from "./world.ts"

const folder = mkdtempSync(join(tmpdir(), "parley-store-"))
after(() => rmSync(folder, { recursive: true, force: true }))
let files = 0

async function open(path: string, auditEntries = 1000): Promise<Store> {
    const opened = openSqlite(path)
    if (!opened.ok) throw new Error(opened.what)
    return Store.open(opened.db, { auditEntries, auditTrimEvery: 10 })
}

function freshPath(): string {
    files++
    return join(folder, `${files}.db`)
}

function endpoint(id: string): EndpointRow {
    return {
        id,
        name: `Room ${id} ü`,
        secretHash: "$7$",
        createdMs: 1_800_000_000_123,
        board: "",
        firmware: "",
        boot: 0,
        history: ["rs-b", "rs-a"],
        position: { lat: 52_520, lon: -13_405 },
        crashes: [
            {
                kind: "stuck",
                text: "ü",
                boot: 3,
                seconds: 60,
                log: "59 phase 6, ",
                atMs: 1_800_000_000_456,
                firmware: "f0",
            },
        ],
    }
}

function session(id: string, start: number, more: Partial<SessionRow> = {}): SessionRow {
    return {
        id,
        title: "Planning",
        target: "b",
        booker: "a",
        start,
        end: start + 1800,
        state: "scheduled",
        adhoc: false,
        source: "",
        sourceReason: "",
        createdMs: 1_800_000_000_123,
        endedMs: 0,
        endReason: "",
        recording: "ogg",
        invitations: [
            { endpoint: "a", name: "A", status: "invited", server: "" },
            { endpoint: "b", name: "B", status: "joined", server: "rs-b" },
        ],
        ...more,
    }
}

function audit(action: string): Write {
    return {
        table: "audit",
        put: { atMs: 5, actor: "group", action, subject: "s", outcome: "done", inputs: { a: [1] } },
    }
}

describe("the store", () => {
    test("gives back after a reopening everything that was committed", async () => {
        const path = freshPath()
        const store = await open(path)
        const address = { ip: "127.0.0.1", linkPort: 1, mediaPort: 2, fingerprint: "f", dspUnits: 4294967295, boot: 3 }
        const place = { stored: { tags: ["east"], lat: 1, lon: -2 }, announced: { risk: ["duct-7"], area: "x" } }
        const server = { id: "rs-a", secretHash: "h", createdMs: 7, ...address, ...place }
        const neighbourPolicy: Durable["neighbourPolicy"] = {
            version: 3,
            deny: [["a", "b"]],
            limits: { ...neighbourLimitDefaults, degree: 4 },
        }
        const answered = {
            sender: "ep:a",
            key: "1.2",
            atMs: 9,
            request: "{}",
            answer: { ok: true as const, fields: { sid: "s1" } },
        }
        await store.commit([
            { table: "endpoints", put: endpoint("a") },
            { table: "endpoints", put: endpoint("b") },
            { table: "servers", put: server },
            { table: "groups", put: { id: "g", name: "G", createdMs: 1, members: ["b", "a"] } },
            { table: "sessions", put: session("s1", monday) },
            { table: "answered", put: answered },
            { table: "neighbours", replace: [{ a: "rs-a", b: "rs-b" }] },
            { table: "neighbourPolicy", put: neighbourPolicy },
            { table: "versions", reserve: 4097 },
        ])
        await store.close()
        const again = await open(path)
        const durable = await again.load(0)
        const expected: Durable = {
            endpoints: new Map(["a", "b"].map(id => [id, endpoint(id)])),
            servers: new Map([["rs-a", server]]),
            groups: new Map([["g", { id: "g", name: "G", createdMs: 1, members: ["b", "a"] }]]),
            sessions: new Map([["s1", session("s1", monday)]]),
            answered: new Map([["ep:a", new Map([["1.2", answered]])]]),
            neighbours: [{ a: "rs-a", b: "rs-b" }],
            neighbourPolicy,
            reservedVersions: 4097,
        }
        assert.deepEqual(durable, expected)
        await again.close()
    })

    test("of before places were known keeps what it had, and finds its audit entries by session", async () => {
        const path = freshPath()
        const opened = openSqlite(path)
        assert.ok(opened.ok)
        const { error } = await new Migrator({ db: opened.db, provider: migrations }).migrateTo("0001-first")
        assert.equal(error, undefined)
        const { db } = opened
        await sql`insert into endpoints values ('a', 'A', 'h', 1, '', '', 2, 'rs-a')`.execute(db)
        await sql`insert into routing_servers values ('rs-a', 'h', 1, '127.0.0.1', 1, 2, 'f', 3, 4)`.execute(db)
        await sql`insert into audit values (1, 5, 'group', 'end', 's1', 'done', '{}')`.execute(db)
        await db.destroy()
        const store = await open(path)
        const durable = await store.load(0)
        const { history, position } = durable.endpoints.get("a")!
        assert.deepEqual([history, position], [["rs-a"], undefined])
        const { stored, announced } = durable.servers.get("rs-a")!
        assert.deepEqual([stored, announced, durable.neighbourPolicy.version], [{}, {}, 0])
        assert.equal((await listAudit(store.db, { session: "s1" }, undefined, 10)).length, 1)
        await store.close()
    })

    test("counts its starts, also across reopenings", async () => {
        const path = freshPath()
        const boots: number[] = []
        for (let index = 0; index < 3; index++) {
            const store = await open(path)
            boots.push(await store.nextBoot())
            await store.close()
        }
        assert.deepEqual(boots, [1, 2, 3])
    })

    test("commits all of a batch or nothing of it", async () => {
        const store = await open(freshPath())
        const answered = { sender: "ep:a", key: "1", atMs: 9, request: "", answer: { ok: true as const, fields: {} } }
        await store.commit([{ table: "answered", put: answered }])
        const batch: Write[] = [
            { table: "endpoints", put: endpoint("a") },
            audit("x"),
            { table: "answered", put: answered },
        ]
        await assert.rejects(store.commit(batch))
        assert.equal((await store.load(0)).endpoints.size, 0)
        await store.commit([audit("y")])
        assert.deepEqual(
            (await listAudit(store.db, {}, undefined, 10)).map(entry => [entry.seq, entry.action]),
            [[1, "y"]],
        )
        await store.close()
    })

    test("updates and removes rows, and keeps only the newest audit entries", async () => {
        const store = await open(freshPath(), 20)
        await store.commit([
            { table: "endpoints", put: endpoint("a") },
            { table: "sessions", put: session("s1", monday) },
        ])
        const changed = session("s1", monday, { state: "open", source: "rs-b", sourceReason: "why" })
        changed.invitations[0].status = "declined"
        const renamed = { ...endpoint("a"), name: "Aula" }
        await store.commit([
            { table: "endpoints", put: renamed },
            { table: "sessions", put: changed },
        ])
        assert.deepEqual((await store.load(0)).endpoints.get("a"), renamed)
        assert.deepEqual(await getSession(store.db, "s1"), changed)
        await store.commit([
            { table: "endpoints", remove: "a" },
            { table: "neighbours", replace: [] },
        ])
        assert.equal((await store.load(0)).endpoints.size, 0)
        for (let index = 0; index < 45; index++) await store.commit([audit(String(index))])
        const kept = await listAudit(store.db, {}, undefined, 100)
        assert.ok(kept.length <= 30 && kept.length >= 20, `${kept.length} entries`)
        assert.equal(kept[0].action, "44")
        await store.close()
    })

    test("keeps ended sessions for lists and leaves the old ones out of the memory", async () => {
        const store = await open(freshPath())
        const old = session("old", monday, { state: "ended", endedMs: 1000 })
        const recent = session("recent", monday, { state: "ended", endedMs: 9000 })
        await store.commit([old, recent, session("next", monday + 60)].map(put => ({ table: "sessions", put })))
        assert.deepEqual([...(await store.load(5000)).sessions.keys()].sort(), ["next", "recent"])
        const all = await listSessions(store.db, {}, undefined, 10)
        assert.deepEqual(
            all.map(one => one.id),
            ["old", "recent", "next"],
        )
        const page = await listSessions(store.db, {}, { start: monday, id: "old" }, 1)
        assert.deepEqual(page, [recent])
        assert.equal((await listSessions(store.db, { endpoint: "c" }, undefined, 10)).length, 0)
        const filter = { states: ["scheduled" as const], endpoint: "b", from: monday + 1800, to: monday + 61 }
        assert.deepEqual(
            (await listSessions(store.db, filter, undefined, 10)).map(one => one.id),
            ["next"],
        )
        await store.close()
    })

    test("belongs to one process at a time and is readable by its user only", async () => {
        const path = freshPath()
        const store = await open(path)
        assert.deepEqual(openSqlite(path), { ok: false, what: `${path} is in use by another group server` })
        for (const suffix of ["", "-wal"]) assert.equal(statSync(path + suffix).mode & 0o077, 0)
        await store.close()
        const again = openSqlite(path)
        assert.ok(again.ok)
        await again.db.destroy()
    })
})

describe("the engine", () => {
    test("refuses all of a batch whose commit fails, as if nothing had happened, and then goes on", async () => {
        const store = await open(freshPath())
        const log = pino({ level: "silent" })
        const now = () => monday * 1000
        const engine = await Engine.start({
            store,
            log,
            now,
            send: () => undefined,
            credentialsChanged: () => undefined,
        })
        const enrol = (id: string) => {
            const command = { do: "enrolEndpoint" as const, id, name: id, secretHash: "-" }
            return engine.submit({ type: "command", actor: "http:test", command })
        }
        const { commit } = store
        store.commit = async () => {
            throw new Error("disk full")
        }
        const refused = await Promise.all([enrol("a"), enrol("b")])
        assert.deepEqual(
            refused.map(answer => answer && !answer.ok && answer.reason),
            ["unavailable", "unavailable"],
        )
        assert.equal(engine.state.durable.endpoints.size, 0)
        store.commit = commit
        assert.equal((await enrol("a"))?.ok, true)
        await engine.stop()
        assert.equal((await store.load(0)).endpoints.size, 1)
        await store.close()
    })

    test("answers nothing from a memory that is not what is stored: while the store cannot be read it refuses", async () => {
        const store = await open(freshPath())
        const log = pino({ level: "silent" })
        const engine = await Engine.start({ store, log, send: () => undefined, credentialsChanged: () => undefined })
        const enrol = (id: string) => {
            const command = { do: "enrolEndpoint" as const, id, name: id, secretHash: "-" }
            return engine.submit({ type: "command", actor: "http:test", command })
        }
        const { commit, load } = store
        const broken = async () => {
            throw new Error("no disk")
        }
        Object.assign(store, { commit: broken, load: broken })
        assert.equal((await enrol("a"))?.ok, false)
        store.commit = commit
        assert.equal((await enrol("b"))?.ok, false, "it still cannot know what is true")
        store.load = load
        assert.equal((await enrol("c"))?.ok, true)
        assert.deepEqual([...engine.state.durable.endpoints.keys()], ["c"])
        await engine.stop()
        assert.deepEqual([...(await store.load(0)).endpoints.keys()], ["c"])
        await store.close()
    })

    test("sends what a failed batch would have sent once the store takes it again", async () => {
        const store = await open(freshPath())
        const log = pino({ level: "silent" })
        const sent: Send[] = []
        const engine = await Engine.start({
            store,
            log,
            send: messages => void sent.push(...messages),
            credentialsChanged: () => undefined,
        })
        const command = (wanted: Command) =>
            engine.submit({ type: "command", actor: "http:test", command: wanted }) as Promise<Answer>
        const rs = (verb: string, message: object) =>
            engine.submit({ type: "request", kind: "rs", from: "rs-a", verb, message: { id: 1, ...message } })
        for (const id of ["a", "b"])
            assert.ok((await command({ do: "enrolEndpoint", id, name: id, secretHash: "-" })).ok)
        await command({ do: "enrolServer", id: "rs-a", secretHash: "-" })
        const place = { ip: "127.0.9.1", linkPort: 7400, mediaPort: 7500, fingerprint: "ab".repeat(32), dspUnits: 8 }
        await rs("hello", { v: 1, boot: 1, ...place })
        const booking = { booker: "a", with: "b", start: 0, minutes: 30, title: "" }
        const booked = await command({ do: "book", booking })
        assert.ok(booked.ok)
        const { sid } = booked.fields
        await rs("want", { sid, ep: "a" })
        const sessions = async () => {
            // Pushes leave after the answers.
            await new Promise(resolve => setImmediate(resolve))
            return sent.splice(0).filter(one => one.to === "rs-a" && one.verb === "session")
        }
        assert.equal((await sessions()).length, 1)

        const { commit } = store
        store.commit = async () => {
            throw new Error("disk full")
        }
        assert.equal((await rs("joined", { sid, ep: "a" }))?.ok, false)
        assert.equal((await rs("want", { sid, ep: "a" }))?.ok, false)
        assert.deepEqual(await sessions(), [])
        store.commit = commit
        await engine.submit({ type: "tick" })
        assert.equal((await sessions()).length, 1, "it was asked for, and never sent")
        await engine.stop()
        await store.close()
    })

    test("commits requests that come together in one transaction", async () => {
        const store = await open(freshPath())
        const log = pino({ level: "silent" })
        const engine = await Engine.start({ store, log, send: () => undefined, credentialsChanged: () => undefined })
        const before = engine.counters.batches
        const ids = Array.from({ length: 100 }, (_, index) => `room-${index}`)
        const answers = await Promise.all(
            ids.map(id => {
                const command = { do: "enrolEndpoint" as const, id, name: id, secretHash: "-" }
                return engine.submit({ type: "command", actor: "http:test", command })
            }),
        )
        assert.ok(answers.every(answer => answer?.ok))
        assert.equal(engine.counters.batches - before, 1)
        await engine.stop()
        await store.close()
    })
})
