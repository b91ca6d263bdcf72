/**
 * The same rights, checked at both brokers: the embedded one and a real mosquitto with the files that Parley writes.
 * Where the two differ (see servers/broker/mosquitto.ts) a test says so.
 */

import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { limits } from "../../protocol/limits.ts"
import { groupStateTopic } from "../../protocol/topics.ts"
import { type Enrolled, enrolParties, startEmbeddedBroker, startMosquitto } from "../support/broker.ts"
import { type BrokerAddress, connackCode, connectParty, type TestParty } from "../support/mqtt.ts"
import { RawClient } from "../support/raw-mqtt.ts"
import { needPackage } from "../support/system-package.ts"

const mosquitto = needPackage("mosquitto", "mosquitto")

interface Kind {
    name: string
    skip: string | false
    /** Whether a refused publish closes the connection, rather than being acknowledged and dropped. */
    closes: boolean
    start(dir: string): Promise<{ address: BrokerAddress; stop(): Promise<unknown> }>
}

const kinds: Kind[] = [
    {
        name: "aedes",
        skip: false,
        closes: true,
        start: async dir => {
            const broker = await startEmbeddedBroker(dir)
            return { address: broker, stop: () => broker.stop() }
        },
    },
    {
        name: "mosquitto",
        skip: mosquitto.ok ? false : mosquitto.why,
        closes: false,
        start: async dir => {
            const child = await startMosquitto(dir)
            return { address: { host: child.ready.host, port: child.ready.port }, stop: () => child.stop() }
        },
    },
]

for (const kind of kinds) {
    describe(`rights at ${kind.name}`, { skip: kind.skip }, () => {
        let enrolled: Enrolled
        let broker: Awaited<ReturnType<Kind["start"]>>
        const open: TestParty[] = []

        before(async () => {
            enrolled = enrolParties({
                "room-a": "ep",
                "room-b": "ep",
                "room-c": "ep",
                "rs-a": "rs",
                "rs-b": "rs",
                group: "group",
            })
            broker = await kind.start(enrolled.dir)
        })
        after(async () => {
            for (const party of open) await party.end()
            await broker.stop()
            enrolled.remove()
        })

        const login = async (id: string, options = {}) => {
            const party = await connectParty(broker.address, id, enrolled.secrets[id], options)
            open.push(party)
            return party
        }

        /** A group server and routing server that hear everything they may, to witness that something did not arrive. */
        const witnesses = async () => {
            const group = await login("group")
            const server = await login("rs-a")
            await group.subscribe("parley/v1/+/+/out/group/#")
            await group.subscribe("parley/v1/+/+/state")
            await server.subscribe("parley/v1/rs/rs-a/in/#")
            await server.subscribe("parley/v1/ep/+/out/rs/rs-a/#")
            await server.subscribe("parley/v1/rs/+/state")
            await server.subscribe(groupStateTopic)
            return { group, server }
        }

        /** What came live; states that earlier tests left are retained. */
        const live = (...parties: TestParty[]) =>
            parties.flatMap(party => party.inbox.filter(message => !message.retain)).map(message => message.topic)

        /** Publishes what must be refused, as each broker refuses: closing, or silence. */
        const publishRefused = async (party: TestParty, topic: string, options = {}) => {
            if (kind.closes) await assert.rejects(party.publish(topic, { forged: 1 }, options), /closed before/)
            else await party.publish(topic, { forged: 1 }, options)
        }

        test("an endpoint speaks to the group server and to a routing server, and hears both", async () => {
            const { group, server } = await witnesses()
            const room = await login("room-a")
            assert.equal(await room.subscribe("parley/v1/ep/room-a/in/#"), 1)
            await room.publish("parley/v1/ep/room-a/out/group/hello", { id: 1 })
            assert.deepEqual(await group.nextJson("parley/v1/ep/room-a/out/group/hello"), { id: 1 })
            await room.publish("parley/v1/ep/room-a/out/rs/rs-a/attach", { id: 2 })
            assert.deepEqual(await server.nextJson("parley/v1/ep/room-a/out/rs/rs-a/attach"), { id: 2 })
            await group.publish("parley/v1/ep/room-a/in/group/done", { re: 1 })
            await server.publish("parley/v1/ep/room-a/in/rs/rs-a/done", { re: 2 })
            assert.deepEqual(await room.nextJson("parley/v1/ep/room-a/in/group/done"), { re: 1 })
            assert.deepEqual(await room.nextJson("parley/v1/ep/room-a/in/rs/rs-a/done"), { re: 2 })
        })

        test("a routing server speaks with the group server and reads the states of all", async () => {
            const { group, server } = await witnesses()
            const other = await login("rs-b")
            await other.publish("parley/v1/rs/rs-b/out/group/hello", { id: 1 })
            assert.deepEqual(await group.nextJson("parley/v1/rs/rs-b/out/group/hello"), { id: 1 })
            await group.publish("parley/v1/rs/rs-a/in/group/peers", { n: 1 })
            assert.deepEqual(await server.nextJson("parley/v1/rs/rs-a/in/group/peers"), { n: 1 })
            await other.publish("parley/v1/rs/rs-b/state", { on: 1 }, { retain: true })
            await group.publish(groupStateTopic, { on: 1 }, { retain: true })
            assert.deepEqual(await server.nextJson("parley/v1/rs/rs-b/state"), { on: 1 })
            assert.equal(await other.subscribe("parley/v1/rs/+/state"), 1)
            assert.equal(await other.subscribe(groupStateTopic), 1)
            const state = await other.next("parley/v1/rs/rs-b/state")
            assert.equal(state.retain, true, "a late subscriber is told the retained state")
            assert.deepEqual(await other.nextJson(groupStateTopic), { on: 1 })
        })

        test("an endpoint cannot publish on the topics of another", async () => {
            const { group } = await witnesses()
            await publishRefused(await login("room-a"), "parley/v1/ep/room-b/out/group/book")
            await publishRefused(await login("room-a"), "parley/v1/ep/room-b/state", { retain: true })
            const other = await login("room-b")
            await other.publish("parley/v1/ep/room-b/out/group/hello", { own: 1 })
            assert.deepEqual(await group.nextJson("parley/v1/ep/room-b/out/group/hello"), { own: 1 })
            assert.deepEqual(live(group), [], "only what room-b itself said arrives")
        })

        test("an endpoint cannot read the inbox of another", async () => {
            const { group, server } = await witnesses()
            const spy = await login("room-a")
            const filters = [
                "parley/v1/ep/room-b/in/#",
                "parley/v1/ep/+/in/#",
                "parley/#",
                "#",
                "parley/v1/ep/room-b/state",
            ]
            for (const filter of filters) {
                const granted = await spy.subscribe(filter)
                if (kind.closes) assert.equal(granted, 128, `${filter} is refused`)
            }
            await spy.subscribe("parley/v1/ep/room-a/in/#")
            await group.publish("parley/v1/ep/room-b/in/group/agenda", { secret: 1 })
            await server.publish("parley/v1/ep/room-b/in/rs/rs-a/joined", { secret: 2 })
            await group.publish("parley/v1/ep/room-a/in/group/agenda", { own: 1 })
            assert.deepEqual(await spy.nextJson(), { own: 1 })
            assert.deepEqual(spy.inbox, [])
        })

        test("an endpoint cannot pose as a routing server or as the group server", async () => {
            const { group, server } = await witnesses()
            const victim = await login("room-b")
            await victim.subscribe("parley/v1/ep/room-b/in/#")
            await publishRefused(await login("room-a"), "parley/v1/ep/room-b/in/group/agenda")
            await publishRefused(await login("room-a"), "parley/v1/ep/room-b/in/rs/rs-a/media")
            await publishRefused(await login("room-a"), "parley/v1/ep/room-a/in/group/agenda")
            await publishRefused(await login("room-a"), "parley/v1/rs/room-a/out/group/hello")
            await publishRefused(await login("room-a"), "parley/v1/rs/rs-a/out/group/hello")
            await publishRefused(await login("room-a"), "parley/v1/rs/room-a/state", { retain: true })
            await publishRefused(await login("room-a"), groupStateTopic, { retain: true })
            await publishRefused(await login("room-a"), "parley/v1/rs/rs-a/in/group/peers")
            await group.publish("parley/v1/ep/room-b/in/group/agenda", { true: 1 })
            assert.deepEqual(await victim.nextJson(), { true: 1 })
            await group.publish("parley/v1/rs/rs-a/in/group/peers", { true: 1 })
            assert.deepEqual(await server.nextJson("parley/v1/rs/rs-a/in/group/peers"), { true: 1 })
            assert.deepEqual(live(victim, group, server), [])
        })

        test("a routing server cannot speak for another, for the group server, or for an endpoint", async () => {
            const { group } = await witnesses()
            const room = await login("room-b")
            await room.subscribe("parley/v1/ep/room-b/in/#")
            await publishRefused(await login("rs-b"), "parley/v1/ep/room-b/in/rs/rs-a/media")
            await publishRefused(await login("rs-b"), "parley/v1/ep/room-b/in/group/agenda")
            await publishRefused(await login("rs-b"), "parley/v1/ep/room-b/out/group/book")
            await publishRefused(await login("rs-b"), "parley/v1/rs/rs-a/out/group/left")
            const server = await login("rs-b")
            await server.publish("parley/v1/ep/room-b/in/rs/rs-b/media", { own: 1 })
            assert.deepEqual(await room.nextJson(), { own: 1 })
            await server.publish("parley/v1/rs/rs-b/out/group/hello", { own: 2 })
            assert.deepEqual(await group.nextJson("parley/v1/rs/rs-b/out/group/hello"), { own: 2 })
            assert.deepEqual(live(room, group), [])
        })

        test("a wrong secret, an unknown id and a foreign user name are refused by CONNACK 4 or 5", async () => {
            const wrong = { clientId: "room-a", username: "room-a", password: "0".repeat(32) }
            const unknown = { clientId: "room-z", username: "room-z", password: "0".repeat(32) }
            const codes = [await connackCode(broker.address, wrong), await connackCode(broker.address, unknown)]
            assert.deepEqual(codes, kind.closes ? [4, 4] : [5, 5])
            assert.equal(await connackCode(broker.address, { clientId: "room-a" }), 5, "no user name at all")
            const none = await connackCode(broker.address, { clientId: "room-a", username: "room-a" })
            assert.ok(none === 4 || none === 5, `no secret at all: ${none}`)
            assert.equal(
                await connackCode(broker.address, {
                    clientId: "room-a",
                    username: "room-a",
                    password: enrolled.secrets["room-a"],
                }),
                0,
            )
        })

        test("another's client id does not take over its connection", async () => {
            const room = await login("room-b")
            await room.subscribe("parley/v1/ep/room-b/in/#")
            const options = { clientId: "room-b", username: "room-a", password: enrolled.secrets["room-a"] }
            // mosquitto takes the user name for the client id, so that the intruder is no more than room-a.
            assert.equal(await connackCode(broker.address, options), kind.closes ? 5 : 0)
            const group = await login("group")
            await group.publish("parley/v1/ep/room-b/in/group/agenda", { still: 1 })
            assert.deepEqual(await room.nextJson(), { still: 1 })
        })

        test("a second connection of the same id takes over from the first", async () => {
            const first = await login("room-a")
            const second = await login("room-a")
            await first.closed
            await second.subscribe("parley/v1/ep/room-a/in/#")
            const group = await login("group")
            await group.publish("parley/v1/ep/room-a/in/group/agenda", { n: 1 })
            assert.deepEqual(await second.nextJson(), { n: 1 })
        })

        test("the Will of a party that is cut off is told to those who read its state", async () => {
            const { group } = await witnesses()
            const topic = "parley/v1/ep/room-a/state"
            const payload = Buffer.from(JSON.stringify({ boot: 3, on: 0 }))
            const room = await login("room-a", { will: { topic, payload, qos: 1, retain: true } })
            await room.publish(topic, { boot: 3, on: 1 }, { retain: true })
            assert.deepEqual(await group.nextJson(topic), { boot: 3, on: 1 })
            room.drop()
            assert.deepEqual(await group.nextJson(topic), { boot: 3, on: 0 })
            const late = await login("rs-b")
            await late.subscribe("parley/v1/ep/+/state")
            assert.deepEqual(await late.nextJson(topic), { boot: 3, on: 0 }, "and to who asks later")
        })

        test("the Will of a connection that is taken over comes before the birth of the next, and the birth is what stays", async () => {
            const { group } = await witnesses()
            const topic = "parley/v1/ep/room-c/state"
            const will = {
                topic,
                payload: Buffer.from(JSON.stringify({ boot: 5, on: 0 })),
                qos: 1 as const,
                retain: true,
            }
            const first = await login("room-c", { will })
            await first.publish(topic, { boot: 5, on: 1 }, { retain: true })
            assert.deepEqual(await group.nextJson(topic), { boot: 5, on: 1 })
            const second = await login("room-c", { will })
            await second.publish(topic, { boot: 5, on: 1, muted: 1 }, { retain: true })
            assert.deepEqual(await group.nextJson(topic), { boot: 5, on: 0 })
            assert.deepEqual(await group.nextJson(topic), { boot: 5, on: 1, muted: 1 })
            const late = await login("rs-b")
            await late.subscribe("parley/v1/ep/+/state")
            assert.deepEqual(await late.nextJson(topic), { boot: 5, on: 1, muted: 1 })
        })

        test("a server that is behind with a burst of many endpoints misses none of it", async () => {
            const burst = 1000
            const filter = "parley/v1/+/+/out/group/#"
            const server = await RawClient.start(broker.address, "group", enrolled.secrets.group, filter)
            const room = await login("room-a")
            const publishing = Array.from({ length: burst }, (_, n) =>
                room.publish("parley/v1/ep/room-a/out/group/time", { id: n + 1 }),
            )
            await Promise.all(publishing)
            for (let n = 0; n < burst; n++) {
                await server.count(n + 1)
                assert.equal(server.messages[n].payload, JSON.stringify({ id: n + 1 }))
                server.acknowledge(server.messages[n])
            }
            server.socket.destroy()
        })

        test("a Will on another's topic is refused, at login or when it is due", async () => {
            const { group } = await witnesses()
            const will = {
                topic: "parley/v1/ep/room-b/state",
                payload: Buffer.from("{}"),
                qos: 1 as const,
                retain: false,
            }
            if (kind.closes) {
                const password = enrolled.secrets["room-a"]
                const code = await connackCode(broker.address, {
                    clientId: "room-a",
                    username: "room-a",
                    password,
                    will,
                })
                assert.equal(code, 5)
            } else {
                const room = await login("room-a", { will })
                room.drop()
                await room.closed
            }
            const other = await login("room-b")
            await other.publish("parley/v1/ep/room-b/out/group/hello", { own: 1 })
            await group.next("parley/v1/ep/room-b/out/group/hello")
            assert.deepEqual(live(group), [])
        })

        test("a message over the limit is refused, and nobody gets it", async () => {
            const { group } = await witnesses()
            const room = await login("room-b")
            await room.subscribe("parley/v1/ep/room-b/in/#")
            const large = Buffer.alloc(limits.brokerMessageBytes + 1024, 120)
            const sender = await login("rs-b")
            await assert.rejects(sender.publish("parley/v1/ep/room-b/in/rs/rs-b/media", large), /closed before/)
            await group.publish("parley/v1/ep/room-b/in/group/agenda", { n: 1 })
            assert.deepEqual(await room.nextJson(), { n: 1 })
            assert.deepEqual(room.inbox, [])
        })
    })
}
