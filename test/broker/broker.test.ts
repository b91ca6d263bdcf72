/** The embedded broker: credentials that change, readers that are slow or away, metrics, and its command line. */

import assert from "node:assert/strict"
import { writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { Writable } from "node:stream"
import { after, before, describe, test } from "node:test"
import { pino } from "pino"
import type { RunningBroker } from "../../servers/broker/broker.ts"
import { brokerLimits } from "../../servers/broker/limits.ts"
import { type Enrolled, enrolParties, startBrokerChild, startEmbeddedBroker } from "../support/broker.ts"
import { runScript } from "../support/child.ts"
import { eventually, within } from "../support/deadline.ts"
import { connackCode, connectParty, type TestParty } from "../support/mqtt.ts"

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
        const room = await login("room-a", { manualConnect: false })
        await room.subscribe("parley/v1/ep/room-a/in/#")
        let held: (() => void)[] = []
        let holding = true
        let most = 0
        // Holds acknowledgements back as a device does whose handler is busy.
        room.client.handleMessage = (_, done) => {
            if (!holding) return done()
            held.push(() => done())
            most = Math.max(most, held.length)
        }
        const group = await login("group")
        const sent = 40
        for (let n = 0; n < sent; n++) await group.publish("parley/v1/ep/room-a/in/group/agenda", { n })
        const got: number[] = []
        holding = false
        const release = held
        held = []
        for (const done of release) done()
        for (let n = 0; n < sent; n++) got.push((await room.nextJson()).n)
        assert.deepEqual(
            got,
            Array.from({ length: sent }, (_, n) => n),
        )
        assert.ok(most <= 8, `${most} at once`)
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
        const room = await login("room-a")
        await room.subscribe("parley/v1/ep/room-a/in/#")
        room.client.handleMessage = () => {}
        const group = await login("group")
        for (let n = 0; n < 8 + 64 + 8; n++) await group.publish("parley/v1/ep/room-a/in/group/agenda", { n })
        await room.closed
        await eventually(() => /disconnected: too slow/.test(log), "the reason in the log")
    })

    test("keeps a bounded number of messages for a persistent session, and gives them in order", async () => {
        const first = await login("room-a", { clean: false })
        await first.subscribe("parley/v1/ep/room-a/in/#")
        await first.end()
        await first.closed
        const group = await login("group")
        for (let n = 0; n < brokerLimits.offlineMessages + 20; n++)
            await group.publish("parley/v1/ep/room-a/in/group/agenda", { n })
        const again = await login("room-a", { clean: false })
        for (let n = 0; n < brokerLimits.offlineMessages; n++) assert.deepEqual(await again.nextJson(), { n })
        // Its queue is free again.
        await group.publish("parley/v1/ep/room-a/in/group/agenda", { n: -1 })
        assert.deepEqual(await again.nextJson(), { n: -1 })
        assert.deepEqual(again.inbox, [])
        await again.end()
        await (await login("room-a")).end()
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
            assert.match(run.err, /Usage: broker/)
            return run.err.split("\n")[0]
        }
        assert.equal(await told("--port", "1"), "broker: --host is missing")
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
