import assert from "node:assert/strict"
import { X509Certificate } from "node:crypto"
import { createSocket } from "node:dgram"
import { mkdtempSync, statSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, describe, test } from "node:test"
import { connect as connectTls } from "node:tls"
import { linkVersion } from "../../protocol/link.ts"
import { createIdentity, type Identity, loadIdentity } from "../../servers/routing/link/identity.ts"
import { LinkSet } from "../../servers/routing/link/link-set.ts"
import { secureOptions } from "../../servers/routing/link/meeting.ts"
import { next, until } from "./events.ts"
import { Wire } from "./wire.ts"

const nowMs = Date.UTC(2026, 0, 1)
const identities: Record<string, Identity> = {}
const open: { close(): unknown }[] = []
after(() => Promise.all(open.map(each => each.close())))

interface Node {
    id: string
    ip: string
    port: number
    bootId: number
    identity: Identity
    links: LinkSet
    refusals: string[]
}

async function start(id: string, ip: string, bootId = 1, port = 0): Promise<Node> {
    identities[id] ??= createIdentity(id, nowMs)
    const identity = identities[id]
    const refusals: string[] = []
    const log = (_: string, what: string, details: object) => void refusals.push(`${what} ${JSON.stringify(details)}`)
    const links = new LinkSet({ id, ip, port, bootId, identity, log })
    open.push(links)
    return { id, ip, bootId, identity, links, refusals, port: (await links.start()).port }
}

const asPeer = (node: Node, at: { ip: string; port: number } = node) => ({
    rs: node.id,
    ip: at.ip,
    linkPort: at.port,
    fingerprint: node.identity.fingerprint,
})

async function bothUp(a: Node, b: Node): Promise<void> {
    const up = Promise.all([next(a.links, "linkUp"), next(b.links, "linkUp")])
    a.links.setPeers([asPeer(b)])
    b.links.setPeers([asPeer(a)])
    await up
}

/** Two nodes with a wire between them. `base` keeps the addresses of tests apart. */
async function wired(base: string) {
    const a = await start("rs-a", `${base}.1`)
    const b = await start("rs-b", `${base}.2`)
    const wire = new Wire({ ip: `${base}.3`, port: b.port }, { ip: `${base}.4`, port: a.port })
    await wire.start(a, b)
    open.push(wire)
    const up = Promise.all([next(a.links, "linkUp"), next(b.links, "linkUp")])
    a.links.setPeers([asPeer(b, wire.forA)])
    b.links.setPeers([asPeer(a, wire.forB)])
    await up
    return { a, b, wire }
}

describe("a routing server's identity", () => {
    test("is made once, readable by its owner only, and is a certificate that others can read", () => {
        const folder = mkdtempSync(join(tmpdir(), "parley-identity-"))
        const first = loadIdentity(folder, "rs-a", nowMs)
        const second = loadIdentity(folder, "rs-a", nowMs + 1000)
        assert.ok(first.ok && second.ok)
        assert.ok(first.created && !second.created)
        assert.deepEqual(second.identity, first.identity)
        assert.equal(statSync(join(folder, "link-identity.pem")).mode & 0o777, 0o600)

        const certificate = new X509Certificate(first.identity.certificatePem)
        assert.equal(certificate.subject, "O=Parley\nCN=rs-a")
        assert.ok(certificate.verify(certificate.publicKey), "signed by its own key")
        assert.equal(certificate.ca, false)
        assert.equal(new Date(certificate.validFrom).getTime(), nowMs - 86_400_000)
        assert.equal(certificate.fingerprint256.replaceAll(":", "").toLowerCase(), first.identity.fingerprint)
    })

    test("is not replaced when its file is damaged", () => {
        const folder = mkdtempSync(join(tmpdir(), "parley-identity-"))
        writeFileSync(join(folder, "link-identity.pem"), "damaged")
        const loaded = loadIdentity(folder, "rs-a", nowMs)
        assert.ok(!loaded.ok)
        assert.match(loaded.what, /link-identity\.pem is not a key/)
    })
})

describe("a link between two routing servers", () => {
    test("[claim 2] comes up between two separate IP addresses, measures delay, carries control and media", async () => {
        const a = await start("rs-a", "127.10.1.1")
        const b = await start("rs-b", "127.10.1.2")
        await bothUp(a, b)

        const control = Promise.all([next(a.links, "control"), next(b.links, "control")])
        assert.ok(a.links.sendControl("rs-b", { k: "bind", sid: "s1", label: 4294967295 }))
        assert.ok(b.links.sendControl("rs-a", { k: "unbind", sid: "s2" }))
        assert.deepEqual(await control, [
            ["rs-b", { k: "unbind", sid: "s2" }],
            ["rs-a", { k: "bind", sid: "s1", label: 4294967295 }],
        ])

        const media = next<[string, number, Buffer]>(b.links, "media")
        assert.ok(a.links.sendMedia("rs-b", 77, Buffer.from("packet")))
        const [from, label, packet] = await media
        assert.deepEqual([from, label, packet.toString()], ["rs-a", 77, "packet"])

        await until("a delay at both ends", () => !!a.links.delay("rs-b") && !!b.links.delay("rs-a"))
        assert.ok(a.links.delay("rs-b")! < 5000, "less than 50 ms on loopback")
        assert.equal(a.links.snapshot()[0].counters.forged, 0)
        assert.equal(a.links.sendMedia("rs-x", 1, packet), false, "no such neighbour")
        assert.equal(a.links.sendMedia("rs-b", 1, Buffer.alloc(1401)), false, "over the limit")
    })

    test("is refused to a server whose certificate is not the listed one, and to its caller", async () => {
        const a = await start("rs-a", "127.10.2.1")
        const b = await start("rs-b", "127.10.2.2")
        const wrong = createIdentity("rs-b", nowMs).fingerprint
        a.links.setPeers([{ ...asPeer(b), fingerprint: wrong }])
        b.links.setPeers([asPeer(a)])
        await until("A has refused B", () => a.refusals.some(line => /is not listed/.test(line)))
        assert.equal(b.links.isUp("rs-a"), false)

        a.links.setPeers([asPeer(b)])
        b.links.setPeers([{ ...asPeer(a), fingerprint: wrong }])
        await until("B has refused A", () => b.refusals.some(line => /is not listed/.test(line)))
        assert.equal(a.links.isUp("rs-b"), false)

        const up = next(a.links, "linkUp")
        b.links.setPeers([asPeer(a)])
        await up
    })

    test("goes down and up when the peer comes back in a new life, with a new boot id", async () => {
        const a = await start("rs-a", "127.10.3.1")
        const b = await start("rs-b", "127.10.3.2", 1)
        await bothUp(a, b)
        const down = next(a.links, "linkDown")
        await b.links.close()
        await down
        const up = next(a.links, "linkUp")
        const reborn = await start("rs-b", "127.10.3.2", 2, b.port)
        reborn.links.setPeers([asPeer(a)])
        assert.deepEqual(await up, ["rs-b", 2])
    })

    test("is found silent within half a second when the wire is cut without a word, and returns with the wire", async () => {
        const { a, b, wire } = await wired("127.10.4")
        const downs = Promise.all([next(a.links, "linkDown"), next(b.links, "linkDown")])
        wire.isCut = true
        for (const [, reason, silentMs] of (await downs) as unknown as [string, string, number][]) {
            assert.equal(reason, "silent")
            assert.ok(silentMs > 320, `not before three hellos were missed: ${silentMs} ms`)
            assert.ok(silentMs < 1500, `${silentMs} ms`)
        }
        assert.equal(a.links.sendControl("rs-b", { k: "unbind", sid: "s" }), false)
        const up = Promise.all([next(a.links, "linkUp"), next(b.links, "linkUp")])
        wire.isCut = false
        await up
    })

    test("takes each datagram once, and none that was changed or came from elsewhere", async () => {
        const { a, b, wire } = await wired("127.10.5")
        let heard = 0
        b.links.on("media", () => heard++)
        const first = next(b.links, "media")
        a.links.sendMedia("rs-b", 1, Buffer.from("once"))
        await first
        const datagram = wire.seen.findLast(each => each.from === "a" && each.bytes.includes("once"))!
        const counters = () => b.links.snapshot()[0].counters

        wire.inject(datagram)
        await until("the replay was dropped", () => counters().replayed === 1)

        const forged = Buffer.from(datagram.bytes)
        forged.writeUIntBE(forged.readUIntBE(6, 6) + 500, 6, 6)
        wire.inject({ from: "a", bytes: forged })
        await until("the forged sequence was dropped", () => counters().forged === 1)
        for (let at = 0; at < datagram.bytes.length; at++) {
            const changed = Buffer.from(forged)
            changed[at] ^= 1 << (at % 8)
            wire.inject({ from: "a", bytes: changed })
        }
        const elsewhere = createSocket("udp4")
        const before = b.links.stray
        elsewhere.send(datagram.bytes, b.port, b.ip)
        await until("that from elsewhere was dropped", () => b.links.stray > before)
        elsewhere.close()

        const last = next(b.links, "media")
        a.links.sendMedia("rs-b", 1, Buffer.from("again"))
        await last
        assert.equal(heard, 2)
        assert.equal(b.links.isUp("rs-a"), true)
    })

    test("costs strangers their connection and changes nothing for the neighbours", async () => {
        const a = await start("rs-a", "127.10.6.1")
        const b = await start("rs-b", "127.10.6.2")
        await bothUp(a, b)
        let downs = 0
        for (const node of [a, b]) node.links.on("linkDown", () => downs++)
        const ended = (localAddress: string, bytes?: Buffer) =>
            new Promise<void>(resolve => {
                const socket = connect({ host: b.ip, port: b.port, localAddress }, () => bytes && socket.write(bytes))
                socket.on("error", () => {})
                socket.on("close", () => resolve())
                socket.resume()
            })

        await Promise.all(Array.from({ length: 100 }, () => ended("127.10.6.9")))
        assert.ok(b.refusals.filter(line => line.includes("no neighbour has this address")).length >= 100)

        // From the neighbour's own address: garbage instead of TLS, then more silent connections than are allowed.
        await Promise.all(Array.from({ length: 3 }, () => ended("127.10.6.1", Buffer.alloc(300, 0x41))))
        const silent = Array.from({ length: 12 }, () => ended("127.10.6.1"))
        await until("those over the limit are refused", () =>
            b.refusals.some(line => line.includes("too many half-open")),
        )
        await Promise.all(silent)

        // A right TLS client with a certificate of its own making, and one with none.
        for (const options of [secureOptions(createIdentity("rs-a", nowMs)), { rejectUnauthorized: false }])
            await new Promise<void>(resolve => {
                const whole = { ...options, host: b.ip, port: b.port, localAddress: "127.10.6.1" }
                const socket = connectTls(whole)
                socket.on("error", () => {})
                socket.on("close", () => resolve())
                socket.resume()
            })
        assert.equal(downs, 0)
        assert.ok(a.links.isUp("rs-b") && b.links.isUp("rs-a"))
    })

    test("stops at once, whoever hangs in the middle of a handshake", async () => {
        const a = await start("rs-a", "127.10.8.1")
        const b = await start("rs-b", "127.10.8.2")
        b.links.setPeers([asPeer(a)])
        const socket = connect({ host: b.ip, port: b.port, localAddress: a.ip })
        socket.on("error", () => {})
        const closed = new Promise(resolve => socket.on("close", resolve))
        await next(socket, "connect")
        // The server has it once the connection counts against the limit of its address.
        const more = Array.from({ length: 4 }, () => connect({ host: b.ip, port: b.port, localAddress: a.ip }))
        for (const each of more) each.on("error", () => {})
        await until("the connections are there", () => b.refusals.some(line => line.includes("too many half-open")))
        const startMs = performance.now()
        await b.links.close()
        await closed
        assert.ok(performance.now() - startMs < 2000, "not after the time limit of the handshake")
    })

    test("closes on frames that are malformed, oversized or a flood, and comes back", async () => {
        const b = await start("rs-b", "127.10.7.2")
        const a = await start("rs-a", "127.10.7.1")
        await a.links.close()
        b.links.setPeers([asPeer(a)])
        const greet = { k: "greet", v: linkVersion, rs: "rs-a", boot: 1 }
        const { frame } = await import("../../servers/routing/link/frames.ts")
        const flood = Buffer.concat(Array.from({ length: 2500 }, () => frame({ k: "unbind", sid: "s" })!))
        const bad: [string, Buffer][] = [
            ["oversized", Buffer.from([0xff, 0xff, 0xff, 0xff])],
            ["empty", Buffer.from([0, 0, 0, 0])],
            ["not CBOR", Buffer.from([0, 0, 0, 3, 0xff, 0xff, 0xff])],
            ["a huge list", Buffer.from([0, 0, 0, 8, 0xa1, 0x61, 0x6b, 0x9a, 0x05, 0xff, 0xff, 0xff])],
            ["wrong greeting", frame({ ...greet, rs: "rs-c" })!],
            ["wrong version", frame({ ...greet, v: linkVersion + 1 })!],
            ["no greeting", frame({ k: "bind", sid: "s", label: 1 })!],
            ["flood", Buffer.concat([frame(greet)!, flood])],
        ]
        for (const [name, bytes] of bad)
            await new Promise<void>((resolve, reject) => {
                const whole = { ...secureOptions(a.identity), host: b.ip, port: b.port, localAddress: a.ip }
                const socket = connectTls(whole, () => socket.write(bytes))
                const timer = setTimeout(() => reject(new Error(`${name}: not closed`)), 30_000)
                socket.on("error", () => {})
                socket.on("close", () => {
                    clearTimeout(timer)
                    resolve()
                })
                socket.resume()
            })
        const reborn = await start("rs-a", "127.10.7.1", 2, a.port)
        const up = next(b.links, "linkUp")
        reborn.links.setPeers([asPeer(b)])
        await up
    })
})
