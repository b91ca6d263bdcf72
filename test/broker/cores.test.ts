/** The pure parts of the broker: rights, login steps, framing, failed logins, credentials. */

import assert from "node:assert/strict"
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, test } from "node:test"
import { limits } from "../../protocol/limits.ts"
import { covers, mayPublish, mayRetain, maySubscribe, rightsOf } from "../../protocol/rights.ts"
import {
    type CredentialEntry,
    hashSecret,
    newSecret,
    readCredentials,
    verifySecret,
    writeCredentials,
} from "../../servers/broker/credentials.ts"
import { FailedLogins } from "../../servers/broker/failures.ts"
import { Framing } from "../../servers/broker/framing.ts"
import { decideLogin, type LoginAttempt } from "../../servers/broker/login.ts"
import { publishProblem, subscribeProblem } from "../../servers/broker/publishing.ts"
import { drawSeed, seededRandom } from "../support/random.ts"

describe("the table of rights", () => {
    test("a filter covers exactly the topics and filters below it", () => {
        const yes = [
            ["a/#", "a"],
            ["a/#", "a/b/c"],
            ["a/#", "a/+/#"],
            ["a/+/c", "a/b/c"],
            ["a/+/c", "a/+/c"],
            ["a/b", "a/b"],
        ]
        const no = [
            ["a/+/c", "a/b"],
            ["a/+/c", "a/#"],
            ["a/+", "a/b/c"],
            ["a/+", "a/#"],
            ["a/b", "a/+"],
            ["a/b", "a/b/c"],
            ["a/b", "#"],
            ["a/+/in/#", "a/b/#"],
        ]
        for (const [allowed, wanted] of yes) assert.ok(covers(allowed, wanted), `${allowed} covers ${wanted}`)
        for (const [allowed, wanted] of no) assert.ok(!covers(allowed, wanted), `${allowed} does not cover ${wanted}`)
    })

    test("of an endpoint named like a routing server give none of its rights", () => {
        const rights = rightsOf("ep", "rs-a")
        assert.ok(mayPublish(rights, "parley/v1/ep/rs-a/out/group/hello"))
        assert.ok(!mayPublish(rights, "parley/v1/rs/rs-a/out/group/hello"))
        assert.ok(!mayPublish(rights, "parley/v1/rs/rs-a/state"))
        assert.ok(!mayPublish(rights, "parley/v1/ep/rs-a/out/#"), "a wildcard is not a topic")
        assert.ok(maySubscribe(rights, "parley/v1/ep/rs-a/in/group/+"))
        assert.ok(!maySubscribe(rights, "parley/v1/+/rs-a/in/#"))
    })

    test("let only states be retained", () => {
        for (const topic of ["parley/v1/ep/a/state", "parley/v1/rs/a/state", "parley/v1/group/state"])
            assert.ok(mayRetain(topic), topic)
        for (const topic of ["parley/v1/ep/a/out/group/state", "parley/v1/ep/a/in/group/agenda", "state"])
            assert.ok(!mayRetain(topic), topic)
    })
})

describe("a message", () => {
    const room = rightsOf("ep", "a")
    const request = { topic: "parley/v1/ep/a/out/group/hello", payloadBytes: 10, qos: 1, retain: false }

    test("is refused with its reason", () => {
        assert.equal(publishProblem(room, request), undefined)
        const reason = (change: object) => publishProblem(room, { ...request, ...change })?.reason
        assert.equal(reason({ topic: "parley/v1/ep/b/out/group/hello" }), "notAllowed")
        assert.equal(reason({ retain: true }), "retainNotAllowed")
        assert.equal(reason({ qos: 2 }), "qos2")
        assert.equal(reason({ payloadBytes: limits.brokerApplianceBytes }), undefined)
        assert.equal(reason({ payloadBytes: limits.brokerApplianceBytes + 1 }), "tooLarge")
        assert.equal(reason({ topic: `parley/v1/ep/a/out/${"x".repeat(limits.topicBytes)}` }), "topicTooLong")
        assert.equal(reason({ topic: "parley/v1/ep/a/out/1/2/3/4/5" }), "topicTooDeep")
        assert.equal(reason({ topic: "parley/v1/ep/a/out/\u0000" }), "topicMalformed")
        assert.equal(reason({ topic: "parley/v1/ep/a/out/gr\u043eup" }), "topicMalformed")
    })

    test("of a routing server to the group server may be larger than an appliance's", () => {
        const server = rightsOf("rs", "s")
        const topic = "parley/v1/rs/s/out/group/hello"
        assert.equal(publishProblem(server, { ...request, topic, payloadBytes: limits.brokerMessageBytes }), undefined)
    })

    test("is subscribed only where it may be read, a bounded number of times", () => {
        assert.equal(subscribeProblem(room, "parley/v1/ep/a/in/#", 1, 0), undefined)
        assert.equal(subscribeProblem(room, "parley/v1/ep/a/in/#", 2, 0)?.reason, "qos2")
        assert.equal(subscribeProblem(room, "#", 1, 0)?.reason, "notAllowed")
        assert.equal(subscribeProblem(room, "parley/v1/ep/a/in/#", 1, 16)?.reason, "tooManySubscriptions")
    })
})

describe("a login", () => {
    const secret = newSecret()
    const entry: CredentialEntry = { id: "room", kind: "ep", hash: hashSecret(secret) }
    const context = { find: (id: string) => (id === "room" ? entry : undefined), heldOff: false }
    const good: LoginAttempt = {
        clientId: "room",
        userName: "room",
        secret: Buffer.from(secret),
        keepaliveSeconds: 10,
        will: { topic: "parley/v1/ep/room/state", payloadBytes: 20, qos: 1, retain: true },
    }
    const decide = (change: Partial<LoginAttempt>, heldOff = false) => {
        const outcome = decideLogin({ ...good, ...change }, { ...context, heldOff })
        return outcome.ok ? "ok" : `${outcome.step} ${outcome.code}`
    }

    test("passes all steps or names the one that refuses, with its CONNACK code", () => {
        assert.equal(decide({}), "ok")
        assert.equal(decide({ will: undefined }), "ok")
        assert.equal(decide({ clientId: "" }), "identifier 2")
        assert.equal(decide({ clientId: "Room/#" }), "identifier 2")
        assert.equal(decide({}, true), "heldOff 3")
        assert.equal(decide({ userName: undefined }), "userName 5")
        assert.equal(decide({ userName: "other" }), "userName 5")
        assert.equal(decide({ secret: undefined }), "secret 4")
        assert.equal(decide({ secret: Buffer.from(`${secret}x`) }), "secret 4")
        assert.equal(decide({ secret: Buffer.alloc(100_000) }), "secret 4")
        assert.equal(decide({ clientId: "nobody", userName: "nobody" }), "secret 4")
        assert.equal(decide({ keepaliveSeconds: 0 }), "keepalive 5")
        assert.equal(decide({ keepaliveSeconds: 61 }), "keepalive 5")
        assert.equal(decide({ will: { ...good.will!, topic: "parley/v1/ep/other/state" } }), "will 5")
        assert.equal(decide({ will: { ...good.will!, payloadBytes: 4000 } }), "will 5")
    })
})

describe("framing", () => {
    const connect = Buffer.from([0x10, 12, ...Array(12).fill(0)])

    test("takes a stream in pieces of any size", () => {
        const random = seededRandom(drawSeed("framing in pieces"))
        const parts = [connect]
        for (let i = 0; i < 200; i++) {
            const body = random.int(3, 3000)
            const length = body < 128 ? [body] : [128 | (body & 127), body >> 7]
            parts.push(Buffer.from([0x30, ...length]), Buffer.alloc(body))
            if (i % 3 === 0) parts.push(Buffer.from([0xc0, 0, 0x40, 2, 0, 1]))
        }
        const stream = Buffer.concat(parts)
        const framing = new Framing()
        for (let at = 0; at < stream.length; ) {
            const size = random.int(1, 700)
            assert.equal(framing.push(stream.subarray(at, at + size)), undefined, `at ${at}`)
            at += size
        }
        assert.equal(framing.push(Buffer.from([0x20])), "unexpectedPacket", "it is still in step at the end")
    })

    test("refuses a packet by its first bytes", () => {
        const first = (...bytes: number[]) => new Framing().push(Buffer.from(bytes))
        assert.equal(first(0x30, 5), "notConnectFirst")
        assert.equal(first(0x10, 0xff, 0xff, 0xff, 0x7f), "tooLarge")
        assert.equal(first(0x10, 3), "badLength")
        const then = (...bytes: number[]) => new Framing().push(Buffer.concat([connect, Buffer.from(bytes)]))
        assert.equal(then(0x10), "secondConnect")
        assert.equal(then(0x34), "qos2")
        assert.equal(then(0x36), "qos2")
        assert.equal(then(0x00), "unexpectedPacket")
        assert.equal(then(0x62), "unexpectedPacket")
        assert.equal(then(0x30, 0xff, 0xff, 0x7f), "tooLarge")
        assert.equal(then(0x30, 0xff, 0xff, 0xff, 0xff), "badLength")
        assert.equal(then(0x40, 0), "badLength")
        assert.equal(then(0xc0, 1), "badLength")
        assert.equal(then(0x82, 0xff, 0x7f), "tooLarge")
    })
})

describe("failed logins", () => {
    test("hold an address off after a burst, and let it in again as time goes by", () => {
        const failures = new FailedLogins({ failedLoginBurst: 3, failedLoginsPerSecond: 1, failedLoginAddresses: 10 })
        const told = [1, 2, 3, 4, 5].map(() => failures.failed("a", 1000))
        assert.deepEqual(told, [true, true, true, true, false], "the first that is held off is told, the rest counted")
        assert.ok(failures.isHeldOff("a", 1000))
        assert.ok(!failures.isHeldOff("b", 1000))
        assert.ok(failures.isHeldOff("a", 1999))
        assert.ok(!failures.isHeldOff("a", 2001))
        assert.ok(failures.failed("a", 2001))
        assert.ok(failures.isHeldOff("a", 2001))
    })

    test("of more addresses than are remembered forget the oldest", () => {
        const failures = new FailedLogins({ failedLoginBurst: 1, failedLoginsPerSecond: 1, failedLoginAddresses: 2 })
        for (const address of ["a", "b", "c"]) failures.failed(address, 0)
        assert.deepEqual(
            ["a", "b", "c"].map(address => failures.isHeldOff(address, 0)),
            [false, true, true],
        )
    })
})

describe("credentials", () => {
    test("verify the secret they were made of and no other", () => {
        const secret = newSecret()
        const hash = hashSecret(secret)
        assert.match(secret, /^[0-9a-f]{32}$/)
        assert.ok(verifySecret(secret, hash))
        assert.ok(!verifySecret(`${secret} `, hash))
        assert.ok(!verifySecret("", hash))
        for (const broken of [
            "",
            "$7$",
            "$7$0$AAAAAAAAAAAA$",
            "$6$101$x$y",
            hash.slice(0, -4),
            `$7$9999999${hash.slice(6)}`,
        ])
            assert.ok(!verifySecret(secret, broken), broken)
    })

    test("are written for the broker and for mosquitto, readable by their owner alone", () => {
        const dir = mkdtempSync(join(tmpdir(), "parley-credentials-"))
        try {
            const entry = (id: string, kind: "ep" | "rs" | "group") => ({ id, kind, hash: hashSecret(newSecret()) })
            const entries = [entry("room-a", "ep"), entry("group", "group"), entry("rs-a", "rs")]
            writeCredentials(dir, entries)
            assert.deepEqual(readdirSync(dir).sort(), ["credentials.json", "mosquitto.acl", "mosquitto.passwd"])
            for (const file of readdirSync(dir)) assert.equal(statSync(join(dir, file)).mode & 0o777, 0o600, file)
            const outcome = readCredentials(dir)
            assert.ok(outcome.ok)
            assert.deepEqual(
                outcome.entries.map(({ id }) => id),
                ["group", "room-a", "rs-a"],
            )
            const acl = readFileSync(join(dir, "mosquitto.acl"), "utf8")
            assert.match(acl, /^user rs-a\n(topic .*\n)*topic write parley\/v1\/ep\/\+\/in\/rs\/rs-a\/#$/m)
            assert.match(acl, /^pattern read parley\/v1\/ep\/%u\/in\/#$/m)
            assert.doesNotMatch(acl, /pattern .*\/rs\//, "a pattern for servers would let endpoints pose as one")
        } finally {
            rmSync(dir, { recursive: true })
        }
    })

    test("that are broken are refused with the place and what is wrong", () => {
        const dir = mkdtempSync(join(tmpdir(), "parley-credentials-"))
        const hash = hashSecret("x")
        const problem = (content: unknown) => {
            writeFileSync(
                join(dir, "credentials.json"),
                typeof content === "string" ? content : JSON.stringify(content),
            )
            const outcome = readCredentials(dir)
            return outcome.ok ? "ok" : `${outcome.code} ${outcome.what.replace(/.*credentials.json:? ?/, "")}`
        }
        const one = (...entries: unknown[]) => problem({ version: 1, entries })
        try {
            const missing = readCredentials(join(dir, "none"))
            assert.ok(!missing.ok && missing.code === "missing")
            assert.match(problem("{"), /^malformed is not JSON/)
            assert.match(problem("null"), /^malformed version must be 1/)
            assert.match(problem({ version: 2, entries: [] }), /version must be 1, not 2/)
            assert.match(problem({ version: 1 }), /entries must be a list/)
            assert.match(one(null), /entries\[0\] must be an object/)
            assert.match(one({ id: "A", kind: "ep", hash }), /entries\[0\]\.id must be/)
            assert.match(one({ id: "a", kind: "x", hash }), /entries\[0\]\.kind must be/)
            assert.match(one({ id: "a", kind: "ep", hash: "secret" }), /entries\[0\]\.hash is not a \$7\$ hash \(a\)$/)
            assert.match(one({ id: "group", kind: "ep", hash }), /for the group server and nobody else/)
            assert.match(one({ id: "a", kind: "ep", hash }, { id: "a", kind: "rs", hash }), /"a" is there twice/)
            assert.equal(one({ id: "a", kind: "ep", hash }), "ok")
        } finally {
            rmSync(dir, { recursive: true })
        }
    })
})
