import assert from "node:assert/strict"
import { describe, test } from "node:test"
import {
    Compound,
    descriptionOf,
    isRtcp,
    middleOf,
    ntpFractionOf,
    ntpSecondsOf,
    Report,
    ReportBlock,
    readRtcp,
    reportBytesMax,
    roundTripMs,
    rtcpLimits,
    writeRtcp,
} from "../../media/rtcp.ts"
import { RtpHeader } from "../../media/rtp.ts"
import { RtpReports } from "../../media/rtp-reports.ts"
import { drawSeed, seededRandom } from "../support/random.ts"

const random = seededRandom(drawSeed("rtcp"))
const nowMs = 1_700_000_000_123

function word(...bytes: number[]): Buffer {
    return Buffer.from(bytes)
}

describe("RTCP", () => {
    test("what is written is read again", () => {
        for (let i = 0; i < 500; i++) {
            const report = new Report()
            const ssrc = random.int(1, 0xffffffff)
            Object.assign(report, {
                ssrc,
                isSender: random.chance(0.5),
                ntpSeconds: random.int(0, 0xffffffff),
                ntpFraction: random.int(0, 0xffffffff),
                timestamp: random.int(0, 0xffffffff),
                packets: random.int(0, 0xffffffff),
                octets: random.int(0, 0xffffffff),
                description: descriptionOf(ssrc, "x".repeat(random.int(0, rtcpLimits.cnameBytes))),
                isBye: random.chance(0.3),
            })
            if (random.chance(0.7))
                report.block = Object.assign(new ReportBlock(), {
                    ssrc: random.int(1, 0xffffffff),
                    fractionLost: random.int(0, 255),
                    lost: random.int(-0x800000, 0x7fffff),
                    highestSequence: random.int(0, 0xffffffff),
                    jitter: random.int(0, 0xffffffff),
                    lastReport: random.int(0, 0xffffffff),
                    sinceLastReport: random.int(0, 0xffffffff),
                })
            const packet = Buffer.alloc(reportBytesMax)
            const bytes = writeRtcp(packet, report)
            assert.ok(bytes + 14 <= reportBytesMax)
            assert.ok(isRtcp(packet))
            const compound = new Compound()
            assert.equal(readRtcp(packet, bytes, compound), "")
            assert.equal(compound.ssrc, ssrc)
            assert.equal(compound.hasSenderReport, report.isSender)
            assert.equal(compound.isBye, report.isBye)
            assert.equal(compound.cname.length, report.description[9])
            assert.equal(compound.blockCount, report.block ? 1 : 0)
            if (report.block) assert.deepEqual(compound.blockOn(report.block.ssrc), report.block)
            if (report.isSender)
                for (const field of ["ntpSeconds", "ntpFraction", "timestamp", "packets", "octets"] as const)
                    assert.equal(compound[field], report[field])
        }
    })

    test("a compound that breaks a rule of RFC 3550 is refused, with the rule", () => {
        const receiverReport = word(0x80, 201, 0, 1, 0, 0, 0, 7)
        const cases: [Buffer, string][] = [
            [receiverReport, ""],
            [Buffer.concat([receiverReport, word(0x80, 204, 0, 2, 0, 0, 0, 7), Buffer.from("abcd")]), ""],
            [Buffer.alloc(0), "length"],
            [receiverReport.subarray(0, 4), "length"],
            [Buffer.concat([receiverReport, word(0)]), "length"],
            [word(0x81, 203, 0, 1, 0, 0, 0, 7), "no report first"],
            [word(0x80, 201, 0, 2, 0, 0, 0, 7), "length"],
            [Buffer.concat([receiverReport, word(0x40, 201, 0, 1, 0, 0, 0, 7)]), "version"],
            [word(0xa0, 201, 0, 2, 0, 0, 0, 7, 0, 0, 0, 4), "padding"],
            [Buffer.concat([receiverReport, word(0xa0, 204, 0, 2, 0, 0, 0, 7, 0, 0, 0, 4)]), ""],
            [Buffer.concat([receiverReport, word(0xa0, 204, 0, 2, 0, 0, 0, 7, 0, 0, 0, 12)]), "padding"],
            [Buffer.concat([receiverReport, word(0xa0, 204, 0, 2, 0, 0, 0, 7, 0, 0, 0, 3)]), "padding"],
            [word(0x81, 201, 0, 1, 0, 0, 0, 7), "receiver report"],
            [word(0x80, 200, 0, 1, 0, 0, 0, 7), "sender report"],
            [Buffer.concat([receiverReport, word(0x81, 202, 0, 2, 0, 0, 0, 7, 1, 9, 65, 65)]), "description"],
            [Buffer.concat([receiverReport, word(0x81, 202, 0, 2, 0, 0, 0, 7, 1, 2, 65, 65)]), "description"],
            [Buffer.concat([receiverReport, word(0x82, 203, 0, 1, 0, 0, 0, 7)]), "bye"],
            [Buffer.concat(Array.from({ length: rtcpLimits.packets + 1 }, () => receiverReport)), "too many packets"],
            [Buffer.alloc(rtcpLimits.compoundBytes + 4, receiverReport), "length"],
        ]
        for (const [packet, wrong] of cases)
            assert.equal(readRtcp(packet, packet.length, new Compound()), wrong, packet.toString("hex"))
    })

    test("a CNAME of others is printable, and blocks beyond the limit are passed over", () => {
        const report = Buffer.alloc(8 + 31 * 24)
        word(0x9f, 201, 0, 187, 0, 0, 0, 7).copy(report)
        const description = word(0x81, 202, 0, 3, 0, 0, 0, 7, 1, 4, 65, 10, 27, 66, 0, 0)
        const compound = new Compound()
        const packet = Buffer.concat([report, description])
        assert.equal(readRtcp(packet, packet.length, compound), "")
        assert.equal(compound.cname, "A??B")
        assert.equal(compound.blockCount, rtcpLimits.blocks)
    })

    test("noise and bent compounds never throw", () => {
        const compound = new Compound()
        const report = Object.assign(new Report(), { ssrc: 9, block: new ReportBlock(), isBye: true })
        report.description = descriptionOf(9, "somebody@somewhere")
        const good = Buffer.alloc(reportBytesMax)
        const bytes = writeRtcp(good, report)
        for (let i = 0; i < 50_000; i++) {
            const bad = random.chance(0.3) ? random.bytes(random.int(0, 300)) : Buffer.from(good)
            for (let k = 0; k < 3 && bad.length > 0; k++) bad[random.int(0, bad.length - 1)] = random.int(0, 255)
            readRtcp(bad, Math.min(bad.length, random.int(0, bytes + 8)), compound)
            assert.ok(compound.cname.length <= rtcpLimits.cnameBytes && compound.blockCount <= rtcpLimits.blocks)
        }
    })

    test("RFC 3550, 6.4.1: the example's round trip is 6.125 s", () => {
        const block = Object.assign(new ReportBlock(), { lastReport: 0xb7052000, sinceLastReport: 0x00054000 })
        // A = 0xb710:8000; the seconds' upper half does not count.
        const unixMs = (0x1_0000_b710 - 2208988800) * 1000 + 500
        assert.equal(middleOf(ntpSecondsOf(unixMs), ntpFractionOf(unixMs)), 0xb7108000)
        assert.equal(roundTripMs(block, unixMs), 6125)
        assert.equal(roundTripMs(new ReportBlock(), unixMs), undefined)
    })
})

describe("Reports of a leg", () => {
    /** Two ends, `delayMs` apart, that send 50 packets a second; `isLost` says what of a's packets does not arrive. */
    function talk(seconds: number, delayMs: number, isLost: (number: number) => boolean) {
        const a = new RtpReports("pcmu", 8000, "a")
        const b = new RtpReports("pcmu", 8000, "b")
        const header = new RtpHeader()
        const packet = Buffer.alloc(reportBytesMax)
        const ways: { atMs: number; to: RtpReports; bytes: Buffer }[] = []
        let number = 65_000
        for (let ms = 0; ms < seconds * 1000; ms += 20, number++) {
            for (const way of ways.splice(0, ways.findIndex(one => one.atMs > ms) + 1 || ways.length))
                if (way.atMs <= ms) assert.equal(way.to.take(way.bytes, way.bytes.length, nowMs + way.atMs), "")
                else ways.unshift(way)
            header.sequence = number & 0xffff
            for (const [from, to, ssrc] of [
                [a, b, 1],
                [b, a, 2],
            ] as const) {
                from.sent(ssrc, number * 160, 160, nowMs + ms)
                header.ssrc = ssrc
                if (from === b || !isLost(number)) to.hear(header)
                if (ms % 1000 === (from === a ? 0 : 500)) {
                    const bytes = from.write(packet, ssrc, 5, nowMs + ms)
                    ways.push({ atMs: ms + delayMs, to, bytes: Buffer.from(packet.subarray(0, bytes)) })
                }
            }
        }
        const end = nowMs + seconds * 1000
        return { a: a.quality(20, 20, end), b: b.quality(20, 20, end) }
    }

    test("both ends know the loss of each direction and the round trip, also across a wrap", () => {
        const { a, b } = talk(20, 40, number => number % 10 === 0)
        assert.ok(Math.abs(a.lossOutPercent - 10) < 1 && Math.abs(b.lossInPercent - 10) < 1, JSON.stringify({ a, b }))
        assert.equal(a.lossInPercent, 0)
        assert.equal(b.lossOutPercent, 0)
        for (const { roundTripMs, jitterOutMs } of [a, b]) {
            assert.ok(Math.abs(roundTripMs - 80) < 1, `${roundTripMs}`)
            assert.equal(jitterOutMs, 5)
        }
    })

    test("loss and delay cost opinion", () => {
        const clean = talk(20, 10, () => false)
        const lossy = talk(20, 10, number => number % 10 === 0)
        const far = talk(20, 400, () => false)
        assert.ok(
            clean.a.opinion > 4.3 && lossy.a.opinion < 3.5 && far.a.opinion < 3.6,
            JSON.stringify([clean, lossy, far]),
        )
    })

    test("what has not been said for a while counts no more", () => {
        const reports = new RtpReports("opus", 48000, "x")
        assert.equal(reports.quality(20, 20, nowMs).roundTripMs, -1)
        assert.equal(reports.take(Buffer.from("not a report"), 12, nowMs) === "", false)
        assert.equal(reports.malformed, 1)
    })
})
