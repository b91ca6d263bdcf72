/** The embedded broker: credentials that change, readers that are slow or away, metrics, and its command line. */

import assert from "node:assert/strict"
import { writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { Writable } from "node:stream"
import { after, before, describe, test } from "node:test"
import { pino } from "pino"
import { limits } from "../../protocol/limits.ts"
import type { RunningBroker } from "../../servers/broker/broker.ts"
import { keptMessages } from "../../servers/broker/limits.ts"
import { type Enrolled, enrolParties, startBrokerChild, startEmbeddedBroker } from "../support/broker.ts"
import { runScript } from "../support/child.ts"
import { eventually, within } from "../support/deadline.ts"
import { connackCode, connectParty, type TestParty } from "../support/mqtt.ts"
import { RawClient, socketClosed } from "../support/raw-mqtt.ts"

const main = resolve(import.meta.dirname, "../../servers/broker/main.ts")

describe("the embedded broker", () => {
    let enrolled: Enrolled
    let broker: RunningBroker
    let log = ""
    const open: TestParty[] = []

    before(async () => {
        enrolled = enrolParties({ "room-a": "ep", "room-b": "ep", "rs-a": "rs", group: "group" })
        const sink = new Writable({
            write: (chunk, _, done) => {
                log += chunk
                done()
            },
        })
        broker = await startEmbeddedBroker(enrolled.dir, { metricsPort: 0, log: pino(sink) })
    })
    after(async () => {
        for (const party of open) await party.end()
        await broker.stop()
        enrolled.remove()
    })

    const login = async (id: string, options = {}) => {
        const party = await connectParty(broker, id, enrolled.secrets[id], options)
        open.push(party)
        return party
    }
    /** An endpoint that acknowledges only when it is told to. */
    const raw = (id: string, clean = true) =>
        RawClient.start(broker, id, enrolled.secrets[id], `parley/v1/ep/${id}/in/#`, clean)
    const payloads = (client: RawClient) => client.messages.map(message => message.payload)
    const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => String(from + n))
    const code = (id: string, password: string) => connackCode(broker, { clientId: id, username: id, password })

    test("knows a party that was enrolled a moment ago", async () => {
        assert.equal(await code("room-new", "0".repeat(32)), 4)
        const secret = enrolled.enrol("room-new", "ep")
        assert.equal(await code("room-new", secret), 0)
    })

    test("disconnects a party whose credential is deleted, tells its Will, and keeps nothing of it", async () => {
        enrolled.enrol("room-old", "ep")
        const topic = "parley/v1/ep/room-old/state"
        const will = { topic, payload: Buffer.from('{"on":0}'), qos: 1 as const, retain: true }
        const room = await login("room-old", { will, clean: false })
        await room.subscribe("parley/v1/ep/room-old/in/#")
        await room.publish(topic, { on: 1 }, { retain: true })
        const secret = enrolled.secrets["room-old"]
        const server = await login("rs-a")
        await server.subscribe("parley/v1/ep/+/state")
        assert.deepEqual(await server.nextJson(topic), { on: 1 })
        enrolled.revoke("room-old")
        await room.closed
        assert.deepEqual(await server.nextJson(topic), { on: 0 })
        assert.equal(await code("room-old", secret), 4)
        const later = await login("rs-a")
        await later.subscribe("parley/v1/ep/+/state")
        await later.publish("parley/v1/rs/rs-a/state", { on: 1 })
        assert.deepEqual(
            later.inbox.filter(message => message.topic === topic),
            [],
        )
    })

    test("disconnects a party whose secret has changed", async () => {
        enrolled.enrol("room-turn", "ep")
        const room = await login("room-turn")
        const old = enrolled.secrets["room-turn"]
        const secret = enrolled.enrol("room-turn", "ep")
        await room.closed
        assert.equal(await code("room-turn", old), 4)
        assert.equal(await code("room-turn", secret), 0)
    })

    test("keeps its parties when the credentials file is broken", async () => {
        const room = await login("room-a")
        await room.subscribe("parley/v1/ep/room-a/in/#")
        writeFileSync(join(enrolled.dir, "credentials.json"), '{"version": 1, "entries": [')
        broker.reloadCredentials()
        assert.equal(await code("room-b", enrolled.secrets["room-b"]), 0)
        const group = await login("group")
        await group.publish("parley/v1/ep/room-a/in/group/agenda", { n: 1 })
        assert.deepEqual(await room.nextJson(), { n: 1 })
        assert.match(log, /credentials not taken over/)
        enrolled.enrol("room-mended", "ep")
    })

    test("gives an endpoint at most 8 messages ahead of its acknowledgements, in order", async () => {
        const room = await raw("room-a")
        const group = await login("group")
        const sent = 40
        for (let n = 0; n < sent; n++) await group.publish("parley/v1/ep/room-a/in/group/agenda", String(n))
        await room.count(limits.unacknowledged)
        await room.ping()
        for (let acknowledged = 0; acknowledged < sent; acknowledged++) {
            await room.count(Math.min(sent, acknowledged + limits.unacknowledged))
            assert.ok(room.messages.length <= acknowledged + limits.unacknowledged)
            room.acknowledge(room.messages[acknowledged])
        }
        assert.deepEqual(payloads(room), numbers(0, sent))
        room.socket.destroy()
    })

    test("loses nothing between messages of different QoS and retained ones", async () => {
        const server = await login("rs-a")
        await server.subscribe("parley/v1/ep/+/state")
        await server.subscribe("parley/v1/ep/+/out/rs/rs-a/#")
        const room = await login("room-b")
        const sent: Promise<void>[] = []
        for (let n = 0; n < 60; n++) {
            const state = n % 3 === 0
            const topic = state ? "parley/v1/ep/room-b/state" : "parley/v1/ep/room-b/out/rs/rs-a/say"
            sent.push(room.publish(topic, { n }, { qos: n % 2 === 0 ? 1 : 0, retain: state }))
        }
        await Promise.all(sent)
        const got = new Set<number>()
        while (got.size < 60) got.add((await server.nextJson()).n)
    })

    test("disconnects an endpoint that never acknowledges, and its publisher does not wait", async () => {
        const room = await raw("room-a")
        const group = await login("group")
        for (let n = 0; n < keptMessages("ep") + 1; n++)
            await group.publish("parley/v1/ep/room-a/in/group/agenda", String(n))
        await socketClosed(room.socket)
        await eventually(() => /disconnected: too slow/.test(log), "the reason in the log")
    })

    test("keeps a bounded number of messages for a persistent session, and gives them in order, 8 at a time", async () => {
        const first = await raw("room-a", false)
        first.socket.destroy()
        const group = await login("group")
        const kept = keptMessages("ep")
        for (let n = 0; n < kept + 20; n++) await group.publish("parley/v1/ep/room-a/in/group/agenda", String(n))
        const again = await raw("room-a", false)
        assert.ok(again.sessionPresent)
        await again.count(limits.unacknowledged)
        await again.ping()
        assert.equal(again.messages.length, limits.unacknowledged)
        for (let n = 0; n < kept; n++) {
            await again.count(n + 1)
            again.acknowledge(again.messages[n])
        }
        await group.publish("parley/v1/ep/room-a/in/group/agenda", "last")
        await again.count(kept + 1)
        assert.deepEqual(payloads(again), [...numbers(0, kept), "last"], "its queue is free again")
        again.acknowledge(again.messages[kept])
        await again.ping()
        again.socket.destroy()
    })

    test("delivers again, in order, what was not acknowledged before the connection was lost", async () => {
        const first = await raw("room-a", false)
        const group = await login("group")
        for (let n = 0; n < 20; n++) await group.publish("parley/v1/ep/room-a/in/group/agenda", String(n))
        await first.count(8)
        for (const message of first.messages.slice(0, 3)) first.acknowledge(message)
        await first.ping()
        first.socket.destroy()
        for (let n = 20; n < 30; n++) await group.publish("parley/v1/ep/room-a/in/group/agenda", String(n))
        const again = await raw("room-a", false)
        for (let n = 0; n < 27; n++) {
            await again.count(n + 1)
            again.acknowledge(again.messages[n])
        }
        await again.ping()
        assert.deepEqual(payloads(again), numbers(3, 30))
        for (let n = 0; n < 4; n++) await group.publish("parley/v1/ep/room-a/in/group/agenda", "unseen")
        again.socket.destroy()
        const clean = await raw("room-a")
        assert.ok(!clean.sessionPresent)
        await group.publish("parley/v1/ep/room-a/in/group/agenda", "fresh")
        await clean.count(1)
        assert.deepEqual(payloads(clean), ["fresh"], "a clean session knows nothing of it")
        clean.socket.destroy()
    })

    test("closes the connection of a party that falls silent", async () => {
        const room = await login("room-a", { keepalive: 1, reschedulePings: false, timerVariant: "native" })
        // biome-ignore lint/suspicious/noExplicitAny: the client has no way of being silent.
        ;(room.client as any).keepaliveManager?.destroy()
        await room.closed
        await eventually(() => /"reason":"keepalive"/.test(log), "the reason in the log")
    })

    test("counts refusals by reason, and shows it is alive", async () => {
        const room = await login("room-a")
        await assert.rejects(room.publish("parley/v1/ep/room-b/state", {}), /closed/)
        const base = `http://${broker.host}:${broker.metricsPort}`
        const text = await (await fetch(`${base}/metrics`)).text()
        assert.match(text, /parley_broker_refusals_total\{what="publish",reason="notAllowed"\} [1-9]/)
        assert.match(text, /parley_broker_logins_total\{outcome="secret"\} [1-9]/)
        assert.equal((await fetch(`${base}/livez`)).status, 200)
        assert.equal((await fetch(`${base}/nothing`)).status, 404)
        for (const secret of Object.values(enrolled.secrets)) assert.ok(!log.includes(secret) && !text.includes(secret))
    })
})

describe("the broker's command line", () => {
    test("says what is wrong with its flags, and ends with 2", async () => {
        const told = async (...words: string[]) => {
            const run = await runScript(main, words)
            assert.equal(run.code, 2, run.err)
            assert.match(run.err, /parley serve broker \[options\]/)
            return run.err.split("\n")[0]
        }
        assert.match(await told("--port", "99999"), /--port must be 0\.\.65535, not 99999/)
        assert.match(
            await told("--host", "127.0.0.1", "--port", "x", "--credentials", "."),
            /--port must be 0\.\.65535, not x/,
        )
        assert.match(await told("--wrong"), /--wrong/)
    })

    test("starts, serves, stops at SIGTERM; a second one says who holds the port", async () => {
        const enrolled = enrolParties({ group: "group" })
        const child = await startBrokerChild(enrolled.dir)
        try {
            assert.equal(child.ready.host, "127.0.0.1")
            const group = await connectParty(child.ready as never, "group", enrolled.secrets.group)
            const words = ["--host", "127.0.0.1", "--port", String(child.ready.port), "--credentials", enrolled.dir]
            const second = await runScript(main, words)
            assert.equal(second.code, 1)
            assert.match(second.err, new RegExp(`in use by process ${child.process.pid} .*stop it, or choose another`))
            const exit = await child.stop()
            assert.deepEqual(exit, { code: 0, signal: null })
            await within(group.closed, "the connection to end with the broker")
        } finally {
            await child.kill()
            enrolled.remove()
        }
    })

    test("does not start with credentials that are broken", async () => {
        const enrolled = enrolParties({ group: "group" })
        writeFileSync(join(enrolled.dir, "credentials.json"), "{}")
        const run = await runScript(main, ["--host", "127.0.0.1", "--port", "0", "--credentials", enrolled.dir])
        assert.equal(run.code, 1)
        assert.match(run.err, /credentials\.json: version must be 1/)
        enrolled.remove()
    })
})
