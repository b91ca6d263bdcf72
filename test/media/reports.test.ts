import assert from "node:assert/strict"
import { createSocket } from "node:dgram"
import { once } from "node:events"
import { describe, test } from "node:test"
import { Compound, isRtcp, readRtcp } from "../../media/rtcp.ts"
import { RtpReports } from "../../media/rtp-reports.ts"
import { eventually } from "../support/deadline.ts"
import { endpointReceiver, legKeys, Protector } from "./keys.ts"
import { join, startEngine, startPlanes } from "./support.ts"

describe("reports between a media engine and a routing server", () => {
    test("go both ways each second, protected, and tell the round trip and the loss of each direction", async context => {
        const [plane] = await startPlanes(context, ["127.9.41.11"])
        const near = await startEngine(context, "127.9.42.1")
        const lossy = await startEngine(context, "127.9.42.2", { "127.9.41.11": 30 }, 0, 20)
        join("s", near, plane!, 1)
        join("s", lossy, plane!, 2)
        // Of the two packets a second that a muted one sends, none may be lost in a while.
        lossy.engine.muted = false
        const legs = () => plane!.plane.reports()
        await eventually(
            () =>
                legs().every(leg => leg.roundTripMs >= 0) &&
                plane!.plane.statistics().legs.every(leg => leg.reports > 4),
            "five reports of each leg",
            30_000,
        )
        const [good, bad] = legs()
        assert.equal(good!.lossInPercent, 0)
        assert.equal(good!.lossOutPercent, 0)
        assert.ok(good!.opinion > 4, `${good!.opinion}`)
        assert.ok(bad!.lossInPercent > 5 && bad!.lossInPercent < 40, `${bad!.lossInPercent} % of what it sends`)
        assert.ok(bad!.lossOutPercent > 5 && bad!.lossOutPercent < 40, `${bad!.lossOutPercent} % of what it misses`)
        assert.ok(bad!.roundTripMs >= 55, `${bad!.roundTripMs} ms`)
        assert.ok(bad!.opinion < good!.opinion - 0.5)
        const { datagrams } = plane!.plane.statistics()
        assert.ok(datagrams.reports >= 10)
        assert.equal(datagrams.forged + datagrams.malformed + datagrams.replayed, 0)
    })

    test("nothing of a leg is readable on its way, and what is not from it counts as forged", async context => {
        const [plane] = await startPlanes(context, ["127.9.43.11"])
        const socket = createSocket("udp4")
        socket.bind(0, "127.9.43.1")
        await once(socket, "listening")
        context.after(() => void socket.close())
        const remotePort = socket.address().port
        const keys = legKeys(9)
        const leg = { session: "s", endpoint: "a", ssrc: 7, remoteIp: "127.9.43.1", remotePort, keys }
        assert.ok(plane!.plane.addLeg(leg).ok)
        const came: Buffer[] = []
        socket.on("message", packet => came.push(packet))
        const protector = Protector.ofEndpoint(keys)
        const plain = Buffer.alloc(172, 0x55)
        plain.writeUInt16BE(0x8000, 0)
        plain.writeUInt32BE(7, 8)
        const send = (packet: Buffer) => socket.send(packet, plane!.port, plane!.ip)
        const first = protector.of(plain)
        send(first)
        await eventually(() => came.some(packet => isRtcp(packet)), "a report")
        // All of it is under the leg's key, and is good RTP and RTCP under it.
        const receiver = endpointReceiver(keys)
        const compound = new Compound()
        for (const packet of came) {
            const taken = isRtcp(packet) ? receiver.unprotectRtcp(packet) : receiver.unprotect(packet)
            assert.equal(typeof taken, "number")
            if (!isRtcp(packet)) continue
            assert.equal(readRtcp(packet, taken as number, compound), "")
            assert.match(compound.cname, /^parley@/)
            assert.equal(compound.hasSenderReport, true)
        }
        const reports = new RtpReports("pcmu", 8000, "a")
        const report = Buffer.alloc(200)
        const bytes = reports.write(report, 7, 0, Date.now())
        send(protector.report(report.subarray(0, bytes)))
        send(first)
        send(plain)
        send(Buffer.from(report.subarray(0, bytes)))
        send(Protector.ofEndpoint(legKeys(10)).of(plain))
        await eventually(() => {
            const { reports: taken, replayed, forged, malformed } = plane!.plane.statistics().datagrams
            return taken === 1 && replayed >= 1 && forged + malformed + replayed === 4
        }, "each to be counted")
        assert.equal(plane!.plane.statistics().legs[0]!.received, 1)
    })

    test("a plain leg is known by its address alone, with any SSRC, is sent to at once, and hears no report before it sends one", async context => {
        const [plane] = await startPlanes(context, ["127.9.44.11"])
        const socket = createSocket("udp4")
        socket.bind(0, "127.9.44.1")
        await once(socket, "listening")
        context.after(() => void socket.close())
        const remotePort = socket.address().port
        const leg = { session: "s", endpoint: "phone", ssrc: 5, remoteIp: "127.9.44.1", remotePort }
        assert.equal(plane!.plane.addLeg(leg).ok, false, "a leg without keys must be plain by somebody's word")
        const plainFrom = { ip: "127.9.44.1", port: remotePort }
        assert.equal(plane!.plane.addLeg({ ...leg, plain: plainFrom, keys: legKeys() }).ok, false)
        const came: Buffer[] = []
        socket.on("message", packet => came.push(packet))
        assert.ok(plane!.plane.addLeg({ ...leg, plain: plainFrom }).ok)
        await eventually(() => came.length >= 60, "a second of packets")
        assert.ok(came.every(packet => !isRtcp(packet) && packet.length === 172))
        const plain = Buffer.alloc(172, 0x55)
        plain.writeUInt16BE(0x8000, 0)
        for (const ssrc of [0xdead, 0xbeef]) {
            plain.writeUInt32BE(ssrc, 8)
            socket.send(plain, plane!.port, plane!.ip)
        }
        const report = Buffer.alloc(200)
        const bytes = new RtpReports("pcmu", 8000, "a").write(report, 0xbeef, 0, Date.now())
        socket.send(report.subarray(0, bytes), plane!.port, plane!.ip)
        await eventually(() => came.some(packet => isRtcp(packet)), "a report")
        const found = came.find(packet => isRtcp(packet))!
        assert.equal(readRtcp(found, found.length, new Compound()), "")
        assert.deepEqual(plane!.plane.silentLegs(0), [], "who only listens holds its place")
        assert.equal(plane!.plane.removeLeg(5), true)
    })

    test("a plain leg without a port takes the first stranger of its address with its payload type, and answers there", async context => {
        const [plane] = await startPlanes(context, ["127.9.45.11"])
        const bind = async (ip: string) => {
            const socket = createSocket("udp4")
            socket.bind(0, ip)
            await once(socket, "listening")
            context.after(() => void socket.close())
            return socket
        }
        const [sender, other, elsewhere] = [
            await bind("127.9.45.1"),
            await bind("127.9.45.1"),
            await bind("127.9.45.2"),
        ]
        const leg = { session: "s", endpoint: "phone", ssrc: 5, remoteIp: "127.9.45.1", remotePort: 0 }
        assert.ok(plane!.plane.addLeg({ ...leg, plain: { ip: "127.9.45.1", port: 0, payloadType: 96 } }).ok)
        const packet = Buffer.alloc(172, 0x55)
        const send = (socket: typeof sender, payloadType: number) => {
            packet.writeUInt16BE(0x8000 | payloadType, 0)
            packet.writeUInt32BE(0xabcd, 8)
            socket.send(Buffer.from(packet), plane!.port, plane!.ip)
        }
        send(elsewhere, 96)
        send(other, 0)
        await eventually(() => plane!.plane.statistics().datagrams.unknownLeg === 2, "strangers to be counted")
        const answered = once(sender, "message")
        send(sender, 96)
        const [answer] = (await answered) as [Buffer]
        assert.equal(answer[1]! & 0x7f, 96)
        send(other, 96)
        await eventually(() => plane!.plane.statistics().datagrams.unknownLeg === 3, "the place to be taken")
    })
})
