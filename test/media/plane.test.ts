import assert from "node:assert/strict"
import { createSocket, type Socket } from "node:dgram"
import { once } from "node:events"
import { describe, type TestContext, test } from "node:test"
import { codecs } from "../../media/codecs.ts"
import { createRandom } from "../../media/random.ts"
import { writeRtp } from "../../media/rtp.ts"
import { probeAnswers, probeAsks, probeBytes, readProbe, writeProbe } from "../../protocol/probe.ts"
import { dspUnitsOf } from "../../servers/routing/media/dsp-units.ts"
import { eventually } from "../support/deadline.ts"
import { legKeys, Protector, sessionKeys } from "./keys.ts"
import { connect, startPlanes, type TestPlane } from "./support.ts"

async function startSocket(context: TestContext, ip: string): Promise<Socket> {
    const socket = createSocket("udp4")
    socket.bind(0, ip)
    await once(socket, "listening")
    context.after(() => void socket.close())
    return socket
}

function probe(sequence: number): Buffer {
    const bytes = Buffer.alloc(probeBytes)
    writeProbe(bytes, { kind: probeAsks, load: 0, sequence, tag: 5 })
    bytes.write("my clock", 16, "latin1")
    return bytes
}

/** Everything that was sent before has been dealt with once the answer to this probe is there. */
async function settled(socket: Socket, { port, ip }: TestPlane): Promise<Buffer> {
    socket.send(probe(99), port, ip)
    for (;;) {
        const [answer] = (await once(socket, "message", { signal: AbortSignal.timeout(30_000) })) as [Buffer]
        if (readProbe(answer)?.sequence === 99) return answer
    }
}

/** Waits until so many ticks have passed. */
async function ticks({ plane }: TestPlane, count: number): Promise<void> {
    const from = plane.statistics().ticks.done
    await eventually(() => plane.statistics().ticks.done >= from + count, `${count} ticks`)
}

function rtp(ssrc: number, payloadType = 0, bytes = 160): Buffer {
    const packet = Buffer.alloc(12 + bytes)
    writeRtp(packet, false, payloadType, 1, 1, ssrc)
    return packet
}

describe("the media plane", () => {
    test("answers a probe with its load, as long as the question and with the asker's clock", async context => {
        const [plane] = await startPlanes(context, ["127.9.20.11"], () => 42)
        const socket = await startSocket(context, "127.9.20.1")
        const answer = await settled(socket, plane!)
        assert.deepEqual(readProbe(answer), { kind: probeAnswers, load: 42, sequence: 99, tag: 5 })
        assert.equal(answer.length, probeBytes)
        assert.equal(answer.toString("latin1", 16, 24), "my clock")
    })

    test("answers no more probes of one source than it may ask, and still those of others", async context => {
        const [plane] = await startPlanes(context, ["127.9.21.11"])
        const flooder = await startSocket(context, "127.9.21.1")
        const other = await startSocket(context, "127.9.21.2")
        for (let i = 0; i < 400; i++) flooder.send(probe(i), plane!.port, plane!.ip)
        await settled(other, plane!)
        const { probesAnswered, probesLimited } = plane!.plane.statistics().datagrams
        assert.ok(probesAnswered >= 200 && probesAnswered <= 260, `${probesAnswered} answered`)
        assert.ok(probesLimited >= 140, `${probesLimited} limited`)
    })

    test("hears a leg only from its own address, and counts why it drops the rest", async context => {
        const [plane] = await startPlanes(context, ["127.9.22.11"])
        const member = await startSocket(context, "127.9.22.1")
        const stranger = await startSocket(context, "127.9.22.2")
        const remotePort = member.address().port
        plane!.plane.addLeg({
            session: "s",
            endpoint: "a",
            ssrc: 7,
            remoteIp: "127.9.22.1",
            remotePort,
            keys: legKeys(),
        })
        const said = Protector.ofEndpoint()
        stranger.send(rtp(7), plane!.port, plane!.ip)
        stranger.send(rtp(8), plane!.port, plane!.ip)
        stranger.send(Buffer.from("hello"), plane!.port, plane!.ip)
        await settled(stranger, plane!)
        member.send(said.of(rtp(7)), plane!.port, plane!.ip)
        member.send(said.of(rtp(7, 8)), plane!.port, plane!.ip)
        member.send(said.of(rtp(7, 0, 0)), plane!.port, plane!.ip)
        await settled(member, plane!)
        const { datagrams, legs } = plane!.plane.statistics()
        assert.equal(datagrams.wrongAddress, 1)
        assert.equal(datagrams.unknownLeg, 1)
        assert.equal(datagrams.malformed, 1)
        assert.equal(datagrams.wrongPayload, 2)
        assert.equal(datagrams.accepted, 1)
        assert.equal(legs[0]!.received, 1)
    })

    test("sends nothing to an address from which the leg was not heard, nor to one that it moves to", async context => {
        const [plane] = await startPlanes(context, ["127.9.26.11"])
        const member = await startSocket(context, "127.9.26.1")
        const victim = await startSocket(context, "127.9.26.2")
        const came = { member: 0, victim: 0 }
        member.on("message", datagram => (came.member += readProbe(datagram) ? 0 : 1))
        victim.on("message", datagram => (came.victim += readProbe(datagram) ? 0 : 1))
        const leg = { session: "s", endpoint: "a", ssrc: 7, keys: legKeys() }
        const ofVictim = { ...leg, remoteIp: "127.9.26.2", remotePort: victim.address().port }
        const ofMember = { ...leg, remoteIp: "127.9.26.1", remotePort: member.address().port }
        const sent = () => plane!.plane.statistics().legs[0]!.sent

        const said = Protector.ofEndpoint()
        plane!.plane.addLeg(ofVictim)
        // The right SSRC from elsewhere, a wrong one and a wrong payload from there prove nothing.
        member.send(said.of(rtp(7)), plane!.port, plane!.ip)
        victim.send(said.of(rtp(8)), plane!.port, plane!.ip)
        victim.send(said.of(rtp(7, 8)), plane!.port, plane!.ip)
        await settled(victim, plane!)
        await ticks(plane!, 5)
        assert.equal(sent(), 0)

        plane!.plane.addLeg(ofMember)
        member.send(said.of(rtp(7)), plane!.port, plane!.ip)
        await once(member, "message", { signal: AbortSignal.timeout(30_000) })
        assert.ok(sent() > 0, "one packet from there opens it")
        plane!.plane.addLeg(ofVictim)
        const before = sent()
        await ticks(plane!, 5)
        assert.equal(sent(), before, "a leg that moves is proven anew")
        await settled(victim, plane!)
        assert.equal(came.victim, 0)
    })

    test("tells since when a leg is not heard, also when it never was", async context => {
        const [plane] = await startPlanes(context, ["127.9.27.11"])
        const member = await startSocket(context, "127.9.27.1")
        const remotePort = member.address().port
        plane!.plane.addLeg({
            session: "s",
            endpoint: "a",
            ssrc: 7,
            remoteIp: "127.9.27.1",
            remotePort,
            keys: legKeys(),
        })
        await ticks(plane!, 3)
        const [silent] = plane!.plane.silentLegs(40)
        assert.deepEqual([silent?.session, silent?.endpoint], ["s", "a"])
        member.send(Protector.ofEndpoint().of(rtp(7)), plane!.port, plane!.ip)
        await settled(member, plane!)
        assert.deepEqual(plane!.plane.silentLegs(40_000), [])
    })

    test("refuses what it cannot hold, with what is wrong, and is idempotent for what it holds", async context => {
        const [plane] = await startPlanes(context, ["127.9.23.11"])
        const leg = { session: "s", endpoint: "a", ssrc: 7, remoteIp: "127.9.23.1", remotePort: 5000, keys: legKeys() }
        assert.ok(plane!.plane.addLeg(leg).ok, "added")
        assert.ok(plane!.plane.addLeg({ ...leg, remotePort: 5001 }).ok, "moved")
        assert.equal(plane!.plane.dspUnitsUsed(), 1)
        const taken = plane!.plane.addLeg({ ...leg, endpoint: "b" })
        assert.equal(!taken.ok && taken.code, "taken")
        assert.ok(plane!.plane.addLeg({ ...leg, ssrc: 9 }).ok, "the endpoint joins again")
        assert.equal(plane!.plane.dspUnitsUsed(), 1, "and its old leg is gone")
        for (const wrong of [
            { ssrc: 0 },
            { ssrc: 1.5 },
            { remoteIp: "::1" },
            { remotePort: 0 },
            { session: "" },
            { keys: undefined },
        ]) {
            const refused = plane!.plane.addLeg({ ...leg, endpoint: "c", ssrc: 11, ...wrong })
            assert.equal(!refused.ok && refused.code, "malformed", JSON.stringify(wrong))
        }
        const link = { session: "s", peer: "rs-b", labelOut: 1, labelIn: 2 }
        assert.ok(plane!.plane.addLink(link).ok, "linked")
        assert.ok(plane!.plane.addLink({ ...link, labelIn: 3 }).ok, "label replaced")
        const sameLabel = plane!.plane.addLink({ ...link, session: "t", labelIn: 3 })
        assert.equal(!sameLabel.ok && sameLabel.code, "taken")
        plane!.plane.receiveFromLink("rs-b", 3, rtp(1))
        assert.equal(plane!.plane.statistics().datagrams.noKey, 1, "nothing is heard in the clear")
        plane!.plane.setSessionKeys("s", sessionKeys("rs-a", ["rs-b"]))
        const said = Protector.ofServer("rs-b")
        plane!.plane.receiveFromLink("rs-b", 2, said.of(rtp(1)))
        assert.equal(plane!.plane.statistics().datagrams.unknownLabel, 1, "the old label is void")
        plane!.plane.receiveFromLink("rs-b", 3, said.of(rtp(1)))
        assert.equal(plane!.plane.statistics().links[0]!.received, 1)
        assert.equal(plane!.plane.dspUnitsUsed(), 2)
        assert.equal(plane!.plane.removeLink("s", "rs-b"), true)
        assert.equal(plane!.plane.removeLink("s", "rs-b"), false)
        assert.equal(plane!.plane.removeLeg(9), true)
        assert.equal(plane!.plane.removeLeg(9), false)
        assert.deepEqual([plane!.plane.dspUnitsUsed(), plane!.plane.statistics().sessions], [0, 0])
    })

    test("takes each leg and link in its own codec, charges for it, and begins anew with another", async context => {
        const [plane] = await startPlanes(context, ["127.9.28.11"])
        const member = await startSocket(context, "127.9.28.1")
        const remotePort = member.address().port
        const leg = { session: "s", endpoint: "a", ssrc: 7, remoteIp: "127.9.28.1", remotePort, keys: legKeys() }
        const said = Protector.ofEndpoint()
        assert.ok(plane!.plane.addLeg({ ...leg, codec: "opus" }).ok, "added")
        const unknown = plane!.plane.addLeg({ ...leg, ssrc: 8, endpoint: "b", codec: "g729" as never })
        assert.equal(!unknown.ok && unknown.code, "malformed")
        member.send(said.of(rtp(7)), plane!.port, plane!.ip)
        member.send(said.of(rtp(7, 111, 0)), plane!.port, plane!.ip)
        const silence = rtp(7, 111, codecs.opus.silence.length)
        silence.set(codecs.opus.silence, 12)
        member.send(said.of(silence), plane!.port, plane!.ip)
        await settled(member, plane!)
        const { datagrams, legs } = plane!.plane.statistics()
        assert.deepEqual([datagrams.wrongPayload, datagrams.accepted], [2, 1])
        assert.deepEqual([legs[0]!.codec, legs[0]!.received], ["opus", 1])
        assert.equal(plane!.plane.dspUnitsUsed(), dspUnitsOf("leg", "opus"))
        assert.ok(dspUnitsOf("leg", "opus") > dspUnitsOf("leg"), "it costs more")
        assert.ok(plane!.plane.addLeg(leg).ok, "another codec")
        assert.deepEqual([plane!.plane.dspUnitsUsed(), plane!.plane.statistics().legs[0]!.received], [1, 0])
        const link = { session: "s", peer: "rs-b", labelOut: 1, labelIn: 2 }
        assert.ok(plane!.plane.addLink({ ...link, codec: "opus" }).ok, "linked")
        plane!.plane.setSessionKeys("s", sessionKeys("rs-a", ["rs-b"]))
        plane!.plane.receiveFromLink("rs-b", 2, Protector.ofServer("rs-b").of(silence))
        assert.equal(plane!.plane.statistics().links[0]!.received, 1)
        assert.ok(plane!.plane.addLink(link).ok, "another codec")
        assert.equal(plane!.plane.dspUnitsUsed(), 2)
    })

    test("tells who speaks, here or behind a link, and mutes a leg whatever it sends", async context => {
        const told: [session: string, endpoint: string | undefined, peer: string | undefined][] = []
        const [plane] = await startPlanes(
            context,
            ["127.9.29.11"],
            () => 0,
            (...speaker) => void told.push(speaker),
        )
        const member = await startSocket(context, "127.9.29.1")
        const remotePort = member.address().port
        plane!.plane.addLeg({
            session: "s",
            endpoint: "a",
            ssrc: 7,
            remoteIp: "127.9.29.1",
            remotePort,
            keys: legKeys(),
        })
        plane!.plane.addLink({ session: "s", peer: "rs-b", labelOut: 1, labelIn: 2 })
        let number = 0
        /** Speaks from one of them until `isDone`, in packets that follow each other. */
        const speak = async (send: (packet: Buffer) => void, isDone: () => boolean) => {
            const timer = setInterval(() => {
                const packet = rtp(7)
                number++
                writeRtp(packet, false, 0, number, number * 160, 7)
                for (let i = 12; i < packet.length; i++) packet[i] = i % 16 < 8 ? 0x10 : 0x90
                send(packet)
            }, 20)
            await eventually(isDone, "the speaker")
            clearInterval(timer)
        }
        const [said, toldBy] = [Protector.ofEndpoint(), Protector.ofServer("rs-b")]
        plane!.plane.setSessionKeys("s", sessionKeys("rs-a", ["rs-b"]))
        const fromLeg = (packet: Buffer) => member.send(said.of(packet), plane!.port, plane!.ip)
        await speak(fromLeg, () => told.length > 0)
        assert.deepEqual(told[0], ["s", "a", undefined])
        assert.equal(plane!.plane.setMuted(7, true), true)
        assert.equal(plane!.plane.setMuted(8, true), false)
        await speak(fromLeg, () => plane!.plane.statistics().legs[0]!.levelDb === -127)
        assert.equal(plane!.plane.statistics().legs[0]!.muted, true)
        await speak(
            packet => plane!.plane.receiveFromLink("rs-b", 2, toldBy.of(packet)),
            () => told.some(([, , peer]) => peer === "rs-b"),
        )
    })

    test("says so when its port is taken", async context => {
        const [plane] = await startPlanes(context, ["127.9.24.11"])
        const { MediaPlane } = await import("../../servers/routing/media/plane.ts")
        const second = new MediaPlane({ ip: plane!.ip, port: plane!.port, loadPercent: () => 0, sendOnLink: () => {} })
        const started = await second.start()
        assert.equal(!started.ok && started.code, "address-in-use")
    })

    test("survives hostile datagrams, and none of them changes a session", async context => {
        const seed = Number(process.env.PARLEY_SEED ?? 4711)
        context.diagnostic(`seed ${seed}`)
        const random = createRandom(seed)
        const [plane, other] = await startPlanes(context, ["127.9.25.11", "127.9.25.12"])
        const member = await startSocket(context, "127.9.25.1")
        const remotePort = member.address().port
        plane!.plane.addLeg({
            session: "s",
            endpoint: "a",
            ssrc: 7,
            remoteIp: "127.9.25.1",
            remotePort,
            keys: legKeys(),
        })
        connect("s", plane!, other!, 10)
        const shape = () => {
            const { sessions, legs, links, dspUnitsUsed } = plane!.plane.statistics()
            return { sessions, dspUnitsUsed, legs: legs.map(leg => leg.ssrc), links: links.map(link => link.peer) }
        }
        const before = shape()
        for (let round = 0; round < 40; round++) {
            for (let i = 0; i < 250; i++) {
                const bytes = Buffer.alloc(Math.floor(random() * 64) * (random() < 0.1 ? 40 : 4))
                for (let k = 0; k < Math.min(bytes.length, 40); k++) bytes[k] = Math.floor(random() * 256)
                if (bytes.length >= 12 && random() < 0.7) {
                    bytes[0] = 0x80 | Math.floor(random() * 64)
                    if (random() < 0.8) bytes[1] = random() < 0.8 ? 0 : 128
                    bytes.writeUInt32BE(random() < 0.8 ? 7 : Math.floor(random() * 10), 8)
                }
                if (bytes.length >= 8 && random() < 0.1) bytes.write("PLPB\u0001\u0001", 0, "latin1")
                if (random() < 0.3)
                    plane!.plane.receiveFromLink(random() < 0.8 ? other!.ip : "x", Math.floor(random() * 20), bytes)
                else member.send(bytes, plane!.port, plane!.ip)
            }
            await settled(member, plane!)
        }
        assert.deepEqual(shape(), before)
        const { datagrams } = plane!.plane.statistics()
        assert.ok(datagrams.received > 5000, `${datagrams.received} arrived`)
        for (const value of Object.values(plane!.plane.statistics().legs[0]!))
            if (typeof value === "number") assert.ok(Number.isFinite(value), `seed ${seed}`)
    })
})
