import assert from "node:assert/strict"
import { before, describe, test } from "node:test"
import { loadOpus } from "../../media/opus.ts"
import { pcmu } from "../../media/pcmu.ts"
import { masterBytes } from "../../media/srtp.ts"
import { Channel, frameSamples } from "../../servers/routing/media/channel.ts"
import { EncodedMix } from "../../servers/routing/media/encodes.ts"
import { LinkProtection } from "../../servers/routing/media/link-protection.ts"
import { MediaPlane } from "../../servers/routing/media/plane.ts"
import { deriveSessionKeys } from "../../servers/routing/media/session-keys.ts"
import { Transit } from "../../servers/routing/transit/transit.ts"
import { Protector, sessionKeys } from "./keys.ts"

before(loadOpus)

const key = Buffer.alloc(32, 5).toString("base64")
const mixers = ["rs-a", "rs-b", "rs-c"]

function rtp(ssrc: number, timestamp = 0): Buffer {
    const packet = Buffer.alloc(12 + 160, 0x11)
    packet.writeUInt16BE(0x8000, 0)
    packet.writeUInt32BE(timestamp, 4)
    packet.writeUInt32BE(ssrc, 8)
    return packet
}

describe("Keys of a session", () => {
    test("each server sends under one of its own, and all others know it", () => {
        const all = mixers.map(rs => ({ rs, keys: deriveSessionKeys(key, rs, mixers) }))
        for (const { rs, keys } of all) {
            assert.equal(keys.own.length, masterBytes)
            assert.deepEqual(
                keys.others.map(other => other.rs),
                mixers.filter(id => id !== rs),
            )
            for (const other of keys.others)
                assert.deepEqual(other.master, all.find(one => one.rs === other.rs)!.keys.own)
        }
        assert.equal(new Set(all.map(({ keys }) => keys.own.toString())).size, 3)
        const otherSession = deriveSessionKeys(Buffer.alloc(32, 6).toString("base64"), "rs-a", mixers)
        assert.notDeepEqual(otherSession.own, all[0]!.keys.own)
    })
})

describe("Protection of links", () => {
    test("who receives finds out whose stream it is, also in its middle, and takes nothing twice", () => {
        const b = new LinkProtection(sessionKeys("rs-b", mixers))
        const [fromA, fromC] = [Protector.ofServer("rs-a"), Protector.ofServer("rs-c")]
        for (let i = 0; i < 70_000; i++) fromA.of(rtp(1))
        let nowMs = 0
        for (let i = 0; i < 100; i++)
            for (const [from, ssrc] of [
                [fromA, 1],
                [fromC, 2],
            ] as const) {
                nowMs += 20
                const packet = from.of(rtp(ssrc, i * 160))
                const copy = Buffer.from(packet)
                const bytes = b.unprotect(packet, nowMs)
                assert.equal(bytes, 172)
                assert.deepEqual(packet.subarray(4, bytes), rtp(ssrc, i * 160).subarray(4))
                assert.equal(b.unprotect(copy, nowMs), "replayed")
            }
    })

    test("what it sent itself, and what one sends who is none of them, is nobody's", () => {
        const b = new LinkProtection(sessionKeys("rs-b", mixers))
        assert.equal(b.unprotect(Protector.ofServer("rs-b").of(rtp(1)), 0), "forged")
        assert.equal(b.unprotect(Protector.ofServer("rs-x").of(rtp(2)), 100), "forged")
        assert.equal(b.unprotect(Buffer.alloc(5), 200), "malformed")
    })

    test("strangers' packets are tried at a bounded rate, and known streams are not hindered by them", () => {
        const b = new LinkProtection(sessionKeys("rs-b", mixers))
        const fromA = Protector.ofServer("rs-a")
        assert.equal(b.unprotect(fromA.of(rtp(1)), 0), 172)
        const strangers = Protector.ofServer("rs-x")
        for (let i = 0; i < 1000; i++) {
            assert.equal(b.unprotect(strangers.of(rtp(100 + i)), 1), "forged")
            assert.equal(b.unprotect(fromA.of(rtp(1)), 1), 172)
        }
    })

    test("a server that processes the session no more is not heard any more; the others' streams go on", () => {
        const b = new LinkProtection(sessionKeys("rs-b", mixers))
        const [fromA, fromC] = [Protector.ofServer("rs-a"), Protector.ofServer("rs-c")]
        const old = fromA.of(rtp(1))
        const copy = Buffer.from(old)
        assert.equal(b.unprotect(old, 0), 172)
        assert.equal(b.unprotect(fromC.of(rtp(2)), 20), 172)
        assert.equal(b.update(sessionKeys("rs-b", ["rs-a", "rs-b"])), true, "its own key is the same")
        assert.equal(b.unprotect(fromC.of(rtp(2)), 40), "forged")
        assert.equal(b.unprotect(copy, 60), "replayed", "also after the change")
        assert.equal(b.unprotect(fromA.of(rtp(1)), 80), 172)
    })
})

describe("[claim 4] A session that passes through a server", () => {
    test("leaves as it came, unread: who has no key sees noise and can make nothing that is heard", async context => {
        // rs-a and rs-b process the session; rs-t between them forwards by label.
        const planes = new Map<string, MediaPlane>()
        const forwarded: { to: string; packet: Buffer }[] = []
        const transit = new Transit((peer, label, packet) => {
            forwarded.push({ to: peer, packet: Buffer.from(packet) })
            planes.get(peer)!.receiveFromLink("rs-t", label, Buffer.from(packet))
            return true
        })
        assert.ok(
            transit.set("s", [
                { peer: "rs-a", labelIn: 1, labelOut: 11 },
                { peer: "rs-b", labelIn: 2, labelOut: 22 },
            ]).ok,
        )
        for (const [rs, number] of [
            ["rs-a", 1],
            ["rs-b", 2],
        ] as const) {
            const plane = new MediaPlane({
                ip: `127.9.40.1${number}`,
                port: 0,
                loadPercent: () => 0,
                sendOnLink: (_peer, label, packet) => void transit.forward(rs, label, Buffer.from(packet)),
            })
            assert.ok((await plane.start()).ok)
            context.after(() => plane.close())
            planes.set(rs, plane)
            plane.setSessionKeys("s", deriveSessionKeys(key, rs, ["rs-a", "rs-b"]))
            assert.ok(plane.addLink({ session: "s", peer: "rs-t", labelOut: number, labelIn: number * 11 }).ok)
        }
        const b = planes.get("rs-b")!
        // What a member at rs-a says: the plane's own channel of the link, driven without a clock.
        const sent: Buffer[] = []
        const channel = new Channel("link", pcmu, 77, 0, packet => sent.push(Buffer.from(packet)), 14)
        const keysOfA = deriveSessionKeys(key, "rs-a", ["rs-a", "rs-b"])
        channel.sender = new LinkProtection(keysOfA).newSender()
        const mix = new EncodedMix(pcmu.createEncoder()!, pcmu.payloadBytesMax)
        const tone = Int16Array.from({ length: frameSamples }, (_, i) => 8000 * Math.sin(i / 3))
        for (let tick = 1; tick <= 50; tick++) {
            mix.encode(tone, tick, undefined)
            channel.send(mix, tick)
        }
        assert.equal(sent.length, 50)
        for (const packet of sent) assert.ok(transit.forward("rs-a", 1, Buffer.from(packet)))
        assert.deepEqual(
            forwarded.map(({ packet }) => packet),
            sent,
            "byte by byte",
        )
        assert.ok(forwarded.every(({ to }) => to === "rs-b"))
        const { links, datagrams } = b.statistics()
        assert.equal(links[0]!.received, 50)
        assert.equal(datagrams.noKey, 0)
        // The same frame in, never the same bytes out.
        assert.equal(new Set(sent.map(packet => packet.toString("hex", 12, 172))).size, 50)
        // Transit keeps labels and counts, and nothing else.
        assert.equal(JSON.stringify(transit.list()).includes(key), false)
        // It cannot make a packet that is heard, nor play one again.
        const bent = Buffer.from(sent[0]!)
        bent[20]! ^= 1
        b.receiveFromLink("rs-t", 22, bent)
        b.receiveFromLink("rs-t", 22, Buffer.from(sent[3]!))
        b.receiveFromLink("rs-t", 22, Protector.ofServer("rs-t").of(rtp(5)))
        assert.equal(b.statistics().links[0]!.received, 50)
    })
})
