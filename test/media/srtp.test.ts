import assert from "node:assert/strict"
import { createHmac } from "node:crypto"
import { describe, test } from "node:test"
import { HmacSha1 } from "../../media/hmac-sha1.ts"
import { RtpHeader, readRtp, rtpHeaderBytes, writeRtp } from "../../media/rtp.ts"
import {
    deriveSrtp,
    masterBytes,
    SrtpReceiver,
    SrtpSender,
    srtcpTrailerBytes,
    srtpCarriedTagBytes,
    srtpTagBytes,
} from "../../media/srtp.ts"
import { drawSeed, seededRandom } from "../support/random.ts"

const random = seededRandom(drawSeed("srtp"))
/** RFC 3711, B.3; libsrtp's own vectors use the same master. */
const master = Buffer.from("e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6", "hex")
const ssrc = 0x1234567

function hex(bytes: Uint8Array): string {
    return Buffer.from(bytes).toString("hex")
}

function rtp(sequence: number, payload: Buffer = Buffer.from(`sound ${sequence}`)): Buffer {
    const packet = Buffer.alloc(rtpHeaderBytes + payload.length)
    writeRtp(packet, false, 0, sequence, sequence * 160, ssrc)
    payload.copy(packet, rtpHeaderBytes)
    return packet
}

function protect(sender: SrtpSender, plain: Buffer, tagBytes = srtpTagBytes): Buffer {
    const packet = Buffer.concat([plain, Buffer.alloc(tagBytes)])
    assert.equal(sender.protect(packet, plain.length), packet.length)
    return packet
}

/** What the receiver makes of a copy: the plain packet in hex, or why not. */
function take(receiver: SrtpReceiver, packet: Buffer): string {
    const copy = Buffer.from(packet)
    const taken = receiver.unprotect(copy)
    if (typeof taken === "number") return hex(copy.subarray(0, taken))
    assert.equal(hex(copy), hex(packet), "what is dropped is left as it was")
    return taken
}

describe("HMAC-SHA-1", () => {
    test("is that of node:crypto, for keys and messages of any length, with and without a suffix", () => {
        for (let i = 0; i < 3000; i++) {
            const key = random.bytes(random.int(0, 64))
            const message = random.bytes(random.int(0, 300))
            const suffix = random.chance(0.5) ? random.int(0, 0xffffffff) : undefined
            const tail = Buffer.alloc(suffix === undefined ? 0 : 4)
            if (suffix !== undefined) tail.writeUInt32BE(suffix)
            const expected = createHmac("sha1", key).update(message).update(tail).digest("hex")
            assert.equal(hex(new HmacSha1(key).of(message, message.length, suffix)), expected)
        }
    })
})

describe("SRTP", () => {
    test("RFC 3711 B.2: the key stream of AES in counter mode", () => {
        const key = Buffer.from("2b7e151628aed2a6abf7158809cf4f3cf0f1f2f3f4f5f6f7f8f9fafbfcfd", "hex")
        assert.equal(
            hex(deriveSrtp(key, 0, 48)),
            "e03ead0935c95e80e166b16dd92b4eb4d23513162b02d0f72a43a2fe4a5f97ab41e95b3bb0a2e8dd477901e4fca894c0",
        )
    })

    test("RFC 3711 B.3: session key, salt and authentication key", () => {
        assert.equal(hex(deriveSrtp(master, 0, 16)), "c61e7a93744f39ee10734afe3ff7a087")
        assert.equal(hex(deriveSrtp(master, 2, 14)), "30cbbc08863d8c85d49db34a9ae1")
        assert.equal(
            hex(deriveSrtp(master, 1, 94)),
            "cebe321f6ff7716b6fd4ab49af256a156d38baa48f0a0acf3c34e2359e6cdbcee049646c43d9327ad175578ef7227098" +
                "6371c10c9a369ac2f94a8c5fbcdddc256d6e919a48b610ef17c2041e474035766b68642c59bbfc2f34db60dbdfb2",
        )
    })

    test("a packet and a compound are those of libsrtp", () => {
        const plain = Buffer.from(`800f1234decafbadcafebabe${"ab".repeat(16)}`, "hex")
        const packet = protect(new SrtpSender(master), plain)
        assert.equal(hex(packet), "800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb")
        assert.equal(take(new SrtpReceiver(master), packet), hex(plain))

        const report = Buffer.from(`81c8000bcafebabe${"ab".repeat(16)}`, "hex")
        const compound = Buffer.concat([report, Buffer.alloc(srtcpTrailerBytes)])
        assert.equal(new SrtpSender(master).protectRtcp(compound, report.length), compound.length)
        assert.equal(hex(compound), "81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798")
        const receiver = new SrtpReceiver(master)
        const copy = Buffer.from(compound)
        assert.equal(receiver.unprotectRtcp(copy), report.length)
        assert.equal(hex(copy.subarray(0, report.length)), hex(report))
        assert.equal(receiver.unprotectRtcp(compound), "replayed")
    })

    test("every packet comes through once, in any order within the window, across two wraps of the sequence number", () => {
        const sender = new SrtpSender(master)
        const receiver = new SrtpReceiver(master)
        const first = 30_000
        let batch: { packet: Buffer; plain: string }[] = []
        for (let number = first; number < first + 2 * 65536; number++) {
            const sequence = number & 0xffff
            const isNear = sequence < 200 || sequence > 65336
            // Far from a wrap a sample will do: the counter is what is tried.
            const plain = rtp(sequence)
            const packet = protect(sender, plain)
            if (!isNear && number % 97 !== 0) continue
            batch.push({ packet, plain: hex(plain) })
            if (batch.length < (isNear ? 50 : 1)) continue
            batch.sort(() => random.next() - 0.5)
            for (const one of batch) assert.equal(take(receiver, one.packet), one.plain)
            for (const one of batch) assert.equal(take(receiver, one.packet), "replayed")
            batch = []
        }
    })

    test("packets of any length come through, lost ones and old ones in between", () => {
        const [sender, receiver] = [new SrtpSender(master), new SrtpReceiver(master)]
        const held: { packet: Buffer; plain: Buffer }[] = []
        for (let sequence = 1; sequence < 400; sequence++) {
            const plain = rtp(sequence, Buffer.alloc(random.int(0, 300), sequence))
            const packet = protect(sender, plain)
            const chance = random.int(0, 9)
            if (chance === 0) continue
            if (chance === 1) held.push({ packet, plain })
            else assert.equal(take(receiver, packet), hex(plain), `${sequence}`)
            if (chance === 2) for (const old of held.splice(0)) assert.equal(take(receiver, old.packet), hex(old.plain))
        }
    })

    test("what is older than the window, from before the stream's begin, or sent twice under a number is refused", () => {
        const sender = new SrtpSender(master)
        const receiver = new SrtpReceiver(master)
        const packets = Array.from({ length: 300 }, (_, i) => protect(sender, rtp(i)))
        assert.equal(take(receiver, packets[299]!), hex(rtp(299)))
        assert.equal(take(receiver, packets[299 - 127]!), hex(rtp(299 - 127)))
        assert.equal(take(receiver, packets[299 - 128]!), "replayed")
        const late = new SrtpReceiver(master)
        take(late, packets[5]!)
        assert.equal(take(late, protect(new SrtpSender(master), rtp(65_530))), "replayed")
        assert.equal(sender.protect(Buffer.alloc(100), rtp(299).length), 0)
    })

    test("what is longer than any packet is not protected, and the next one is as it should be", () => {
        const sender = new SrtpSender(master)
        const long = rtp(1, random.bytes(1600))
        assert.equal(sender.protect(Buffer.concat([long, Buffer.alloc(srtpTagBytes)]), long.length), 0)
        assert.equal(sender.protectRtcp(Buffer.alloc(1700), 1600), 0)
        assert.equal(take(new SrtpReceiver(master), protect(sender, rtp(2))), hex(rtp(2)))
    })

    test("long and short packets in turn are read as they were sent", () => {
        const sender = new SrtpSender(master)
        const receiver = new SrtpReceiver(master)
        for (let i = 0; i < 300; i++) {
            const plain = rtp(i, random.bytes(random.chance(0.1) ? random.int(200, 1400) : random.int(1, 40)))
            assert.equal(take(receiver, protect(sender, plain)), hex(plain))
        }
    })

    test("every bit of a packet counts, and another key opens nothing", () => {
        const packet = protect(new SrtpSender(master), rtp(7))
        for (let bit = 0; bit < packet.length * 8; bit++) {
            const bent = Buffer.from(packet)
            bent[bit >> 3]! ^= 1 << (bit & 7)
            const taken = take(new SrtpReceiver(master), bent)
            assert.ok(taken === "forged" || taken === "malformed", `bit ${bit}: ${taken}`)
        }
        assert.equal(take(new SrtpReceiver(random.bytes(masterBytes)), packet), "forged")
    })

    test("a stream that carries its roll-over counter can be entered in the middle", () => {
        const sender = new SrtpSender(master, true)
        let packet: Buffer = Buffer.alloc(0)
        for (let i = 0; i < 3 * 65536 + 10; i++) packet = protect(sender, rtp(i & 0xffff), srtpCarriedTagBytes)
        const receiver = new SrtpReceiver(master, true)
        assert.equal(take(receiver, packet), hex(rtp(9)))
        assert.equal(take(receiver, packet), "replayed")
        const old = protect(new SrtpSender(master, true), rtp(9), srtpCarriedTagBytes)
        assert.equal(take(receiver, old), "replayed")
    })

    test("headers with CSRCs and an extension stay readable; the rest does not", () => {
        const plain = Buffer.concat([rtp(1, Buffer.alloc(0)), Buffer.alloc(4 + 8), Buffer.from("the payload itself")])
        plain[0] = 0x91
        plain.writeUInt16BE(1, rtpHeaderBytes + 4 + 2)
        const packet = protect(new SrtpSender(master), plain)
        assert.equal(hex(packet.subarray(0, 24)), hex(plain.subarray(0, 24)))
        assert.equal(packet.includes("payload"), false)
        assert.equal(take(new SrtpReceiver(master), packet), hex(plain))
    })

    test("one receiver keeps a bounded number of streams apart", () => {
        const receiver = new SrtpReceiver(master)
        for (let i = 0; i < 20; i++) {
            const plain = rtp(1)
            plain.writeUInt32BE(i + 1, 8)
            const taken = take(receiver, protect(new SrtpSender(master), plain))
            assert.equal(taken, i < 8 ? hex(plain) : "too-many-streams")
        }
    })

    test("noise, cut and bent packets are refused and harm nothing", () => {
        const receiver = new SrtpReceiver(master)
        const sender = new SrtpSender(master)
        const header = new RtpHeader()
        for (let i = 0; i < 20_000; i++) {
            const good = protect(sender, rtp(i, random.bytes(random.int(0, 200))))
            const bad: Buffer = random.chance(0.5) ? random.bytes(random.int(0, 1600)) : Buffer.from(good)
            if (random.chance(0.7) && bad.length > 0) bad[random.int(0, bad.length - 1)]! ^= 1 << random.int(0, 7)
            else if (bad.length > 0) bad.fill(0xff, 0, random.int(0, bad.length))
            if (!bad.equals(good)) {
                assert.equal(typeof receiver.unprotect(bad), "string")
                assert.equal(typeof receiver.unprotectRtcp(bad), "string")
            }
            const taken = receiver.unprotect(good)
            assert.equal(typeof taken, "number")
            assert.ok(readRtp(good.subarray(0, taken as number), header))
        }
    })
})
