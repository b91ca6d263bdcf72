/**
 * Sessions over real routing servers whose trees are reserved: in transit, mixed, extended, repaired, refused.
 *
 *     rs-a --- rs-b --- rs-c --- rs-d     2 ms each; rs-c has one DSP unit, every link room for one session
 *       \_______________________/         30 ms: too long a detour while the line is whole
 */

import assert from "node:assert/strict"
import { createSocket } from "node:dgram"
import { after, before, test } from "node:test"
import { loadLibc } from "../../media/batch-udp/libc.ts"
import { writeRtp } from "../../media/rtp.ts"
import { datagramHeaderBytes, datagramKinds, datagramTagBytes } from "../../protocol/link.ts"
import { type ReservationReport, type ServerSession, sessionKbps } from "../../protocol/servers.ts"
import type { Reservation } from "../../servers/routing/control/schemas.ts"
import { type RoutingNetwork, startRoutingNetwork } from "../control/network.ts"
import type { PlayedEndpoint } from "../control/played-endpoint.ts"
import { keyOf } from "../control/played-group.ts"
import { Capture, type CapturedDatagram } from "../support/capture.ts"
import { eventually, within } from "../support/deadline.ts"
import { processHolds } from "../support/process-memory.ts"
import { needPackage } from "../support/system-package.ts"

const tcpdump = needPackage("tcpdump", "tcpdump")

const ids = ["rs-a", "rs-b", "rs-c", "rs-d"]
const line = ["rs-a > rs-b", "rs-b > rs-c", "rs-c > rs-d"]
const dspUnits = 8
const patienceMs = 60_000
let network: RoutingNetwork
let a: PlayedEndpoint
let b: PlayedEndpoint
let d: PlayedEndpoint
let version = 0

before(async () => {
    network = await startRoutingNetwork({
        ids,
        pairs: [
            ["rs-a", "rs-b"],
            ["rs-b", "rs-c"],
            ["rs-c", "rs-d"],
            ["rs-a", "rs-d"],
        ],
        delays: [
            ["rs-a", "rs-b", 2],
            ["rs-b", "rs-c", 2],
            ["rs-c", "rs-d", 2],
            ["rs-a", "rs-d", 30],
        ],
        words: ["--dsp-units", String(dspUnits), "--capacity-kbps", "150"],
        wordsOf: { "rs-c": ["--dsp-units", "1"] },
        endpoints: ["ep-a", "ep-b", "ep-d"],
    })
    ;[a, b, d] = await Promise.all(["ep-a", "ep-b", "ep-d"].map(id => network.endpoint(id)))
    await Promise.all([a.attach("rs-a"), b.attach("rs-b"), d.attach("rs-d")])
    await lineIsBest()
})
after(() => network.stop())

async function lineIsBest(): Promise<void> {
    await eventually(
        async () => {
            const can = await network.servers["rs-a"].control.canReserve(["rs-d"], sessionKbps)
            if (!can.ok) return false
            return (
                can.value.tree
                    .map(({ server, parent }) => `${parent} > ${server}`)
                    .sort()
                    .join() === line.join()
            )
        },
        "the line to be the way from rs-a to rs-d",
        patienceMs,
    )
}

/** Tells the servers with members a session that starts from rs-a; its next report of which `holds` says true. */
async function tell(
    sid: string,
    servers: string[],
    holds: (report: ReservationReport) => boolean,
    more: Partial<ServerSession> = {},
): Promise<ReservationReport> {
    const next = network.group.nextReport(sid, holds)
    const members = servers.map(rs => ({ ep: rs.replace("rs", "ep"), name: rs, rs }))
    const end = Math.ceil(Date.now() / 1000) + 3600
    await network.group.tell(servers, {
        ...{ sid, n: ++version, state: "open", source: "rs-a", end, members },
        ...more,
    })
    return (await within(next, `a report of ${sid}`, patienceMs)).report
}

const isActive = ({ state }: ReservationReport) => state === "active"
const isRefused = ({ state }: ReservationReport) => state === "refused"

function waysOf({ tree }: ReservationReport): string[] {
    return tree.map(({ rs, parent }) => `${parent} > ${rs}`).sort()
}

async function partOf(id: string, sid: string, ep: number): Promise<Reservation | undefined> {
    const answer = await network.servers[id].control.reservations(sid)
    assert.ok(answer.ok)
    return answer.value.reservations.find(({ epoch }) => epoch === ep)
}

async function dspHeld(id: string): Promise<number> {
    const answer = await network.servers[id].control.reservations("none")
    assert.ok(answer.ok)
    return answer.value.ledger.dspHeld
}

/** What is held anywhere, as "rs-a > rs-b 96" and "rs-a 2". */
async function held(): Promise<string[]> {
    const lines: string[] = []
    for (const id of ids) {
        const answer = await network.servers[id].control.reservations("none")
        assert.ok(answer.ok)
        const { links, dspHeld: units } = answer.value.ledger
        for (const { peer, heldKbps } of links) if (heldKbps > 0) lines.push(`${id} > ${peer} ${heldKbps}`)
        if (units > 0) lines.push(`${id} ${units}`)
    }
    return lines
}

async function metric(id: string, name: string): Promise<number> {
    const text = await network.servers[id].control.metrics()
    assert.ok(text.ok)
    const line = text.value.split("\n").find(each => each.startsWith(`${name} `))
    assert.ok(line, name)
    return Number(line.split(" ")[1])
}

async function hears(listener: PlayedEndpoint, speaker: PlayedEndpoint): Promise<void> {
    // What somebody else has said is over.
    await within(listener.nextHeard("silence"), `silence at ${listener.id}`, patienceMs)
    speaker.isLoud = true
    await within(listener.nextHeard(), `sound of ${speaker.id} at ${listener.id}`, patienceMs)
    speaker.isLoud = false
}

/** The endpoint was told that there are so many, or is so now. */
async function sees(endpoint: PlayedEndpoint, rs: string, people: number): Promise<void> {
    const topic = `parley/v1/ep/${endpoint.id}/in/rs/${rs}/roster`
    while ((await endpoint.party.nextJson(topic)).people !== people);
}

let first: ReservationReport

test("[claim 4] a session passes through servers without members unread, without DSP units, and is heard end to end", async () => {
    first = await tell("s1", ["rs-a", "rs-d"], isActive)
    assert.deepEqual(waysOf(first), line)
    for (const id of ["rs-b", "rs-c"]) {
        const part = await partOf(id, "s1", first.ep)
        assert.deepEqual([part?.role, part?.usageCount], ["transit", 0], "the usage count stays as it is")
        assert.equal(await dspHeld(id), 0)
    }
    assert.deepEqual([await dspHeld("rs-a"), await dspHeld("rs-d")], [2, 2], "one for the member, one for the link")

    await a.join("rs-a", "s1")
    const { people } = await d.join("rs-d", "s1")
    if (people !== 2) await sees(d, "rs-d", 2)
    await sees(a, "rs-a", 2)
    await hears(d, a)
    await hears(a, d)
    for (const id of ["rs-b", "rs-c"]) {
        assert.ok((await metric(id, 'parley_routing_transit_packets_total{outcome="copies"}')) > 0)
        assert.equal(await metric(id, 'parley_routing_media_channels{kind="link"}'), 0, "nothing is mixed there")
    }
})

test("[claim 4] on the links of a transit server payloads leave as they came, are no sound, and it has no key for them", {
    skip: tcpdump.ok ? false : tcpdump.why,
}, async () => {
    assert.ok(tcpdump.ok)
    const { ip } = network.servers["rs-b"]
    const [left, right] = [network.servers["rs-a"].ip, network.servers["rs-c"].ip]
    const capture = await Capture.start(tcpdump.path, `udp and host ${ip}`)
    a.isLoud = d.isLoud = true
    const isMedia = ({ payload }: CapturedDatagram) => payload[0] === (0x60 | datagramKinds.media)
    await eventually(() => capture.datagrams().filter(isMedia).length >= 200, "a second of sound both ways")
    a.isLoud = d.isLoud = false
    const media = (await capture.stop()).filter(isMedia)
    const marks = new Set(media.map(({ dscp }) => dscp))
    assert.deepEqual([...marks], [loadLibc() ? 46 : 0], "routers on the way are told that it is sound (EF)")
    // Behind the label, before the tag.
    const contents = (from: string, to: string) =>
        media
            .filter(one => one.from === from && one.to === to)
            .map(({ payload }) => payload.subarray(datagramHeaderBytes + 4, -datagramTagBytes).toString("hex"))
    for (const [from, to] of [
        [left, right],
        [right, left],
    ]) {
        const came = contents(from, ip)
        const went = new Set(contents(ip, to))
        assert.ok(came.length >= 10, `${came.length} packets came`)
        // What came last may have left after the end.
        for (const content of came.slice(0, -5)) assert.ok(went.has(content), "it left as it came")
    }
    // The tone of the played endpoints repeats after eight samples; what is encrypted repeats nothing.
    const isTone = (packet: string) => packet.slice(64, 80) === packet.slice(80, 96)
    assert.ok(!media.some(({ payload }) => isTone(payload.toString("hex"))))
    assert.equal(await dspHeld("rs-b"), 0)

    const key = Buffer.from(keyOf("s1"), "base64")
    const holdsKey = (id: string) => {
        const pid = network.servers[id].child.process.pid ?? 0
        return processHolds(pid, Buffer.from(keyOf("s1"))) || processHolds(pid, key)
    }
    assert.ok(holdsKey("rs-a"), "who processes the session has it, and it is found")
    assert.equal(holdsKey("rs-b"), false)
})

test("a standard RTP sender that an operator lets in is heard at the far end, hears it, and is gone when taken out", async () => {
    const { control, ip } = network.servers["rs-a"]
    const socket = createSocket("udp4")
    await new Promise<void>(resolve => socket.bind(0, "127.0.0.1", resolve))
    const added = await control.putPlainLeg("s1", "phone", { from: { ip: "127.0.0.1", port: socket.address().port } })
    assert.ok(added.ok, JSON.stringify(added))
    assert.equal(added.value.ip, ip)
    await sees(d, "rs-d", 3)
    await within(d.nextHeard("silence"), "silence at ep-d", patienceMs)
    const answered = new Promise<Buffer>(resolve => socket.once("message", resolve))
    let sequence = 0
    const sending = setInterval(() => {
        const packet = Buffer.alloc(172, sequence % 2 === 0 ? 0x20 : 0xa0)
        writeRtp(packet, false, 0, sequence, sequence * 160, 77)
        sequence++
        socket.send(packet, added.value.port, added.value.ip)
    }, 20)
    await within(d.nextHeard(), "the sender at ep-d", patienceMs)
    assert.equal((await within(answered, "sound for the sender", patienceMs)).length, 172)
    assert.equal((await control.putPlainLeg("s1", "phone", { from: { ip: "127.0.0.1" } })).ok, false)
    clearInterval(sending)
    assert.ok((await control.deletePlainLeg("s1", "phone")).ok)
    await sees(d, "rs-d", 2)
    socket.close()
})

test("[claim 14] a second session for which the links have no room is refused, and the link is named", async () => {
    const { short } = await tell("s2", ["rs-a", "rs-d"], isRefused)
    assert.equal(short.length, 1)
    const { rs, reason, what, at, to } = short[0]
    assert.deepEqual([rs, reason, at, to], ["rs-d", "no-bandwidth", "rs-a", "rs-b"])
    assert.equal(what, `${sessionKbps} kbit/s from rs-a to rs-b`)
    await network.group.endSession(["rs-a", "rs-d"], "s2")
})

test("a member who comes later at a server in transit makes it a mixing one, and the others stay connected", async () => {
    const report = await tell("s1", ["rs-a", "rs-b", "rs-d"], ({ state, ep }) => state === "active" && ep > first.ep)
    assert.deepEqual(waysOf(report), line)
    assert.equal((await partOf("rs-b", "s1", report.ep))?.role, "destination")
    await b.join("rs-b", "s1")
    await Promise.all([sees(a, "rs-a", 3), sees(d, "rs-d", 3)])
    await hears(b, a)
    await hears(d, b)
    await hears(a, d)
    await eventually(async () => (await dspHeld("rs-b")) === 3, "a member and two links to be held at rs-b")
    const rejoined = a.party.inbox.filter(({ topic }) => topic.endsWith("/bye"))
    assert.deepEqual(rejoined, [], "nobody was sent away")
    first = report
})

test("[claim 16] a server with too few DSP units refuses, and is named", async () => {
    const { short } = await tell("s3", ["rs-a", "rs-c"], isRefused, { kbps: 10 })
    assert.deepEqual(
        short.map(({ rs, reason, at }) => [rs, reason, at]),
        [["rs-c", "no-dsp", "rs-c"]],
    )
    await network.group.endSession(["rs-a", "rs-c"], "s3")
})

test("a link that is cut is repaired around, while the people stay in the session", async () => {
    const repaired = network.group.nextReport("s1", ({ state, ep }) => state === "active" && ep > first.ep)
    for (const [at, to] of [
        ["rs-b", "rs-c"],
        ["rs-c", "rs-b"],
    ])
        assert.ok((await network.servers[at].control.putUnderlay(to, { cut: true })).ok)
    const { report } = await within(repaired, "the session to be repaired", patienceMs)
    assert.deepEqual(waysOf(report), ["rs-a > rs-b", "rs-a > rs-d"])
    await hears(d, b)
    await hears(b, d)
    await hears(a, d)
    await eventually(async () => (await held()).join() === whole.join(), "the old tree to be released")
})

const whole = [
    ...[`rs-a > rs-b ${sessionKbps}`, `rs-a > rs-d ${sessionKbps}`, "rs-a 3"],
    ...[`rs-b > rs-a ${sessionKbps}`, "rs-b 2"],
    ...[`rs-d > rs-a ${sessionKbps}`, "rs-d 2"],
]

test("[claim 22] when the session is over nothing is held anywhere", async () => {
    await network.group.endSession(["rs-a", "rs-b", "rs-d"], "s1")
    await eventually(async () => (await held()).length === 0, "all to be released")
})
