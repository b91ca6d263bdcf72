import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { createSocket, type Socket } from "node:dgram"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { after, before, describe, test } from "node:test"
import { readLegKeys } from "../../media/leg-keys.ts"
import { pcmuPayloadType } from "../../media/pcmu.ts"
import { isRtcp } from "../../media/rtcp.ts"
import type { JoinDone } from "../../protocol/messages.ts"
import { readProbe, writeProbe } from "../../protocol/probe.ts"
import type { Peer } from "../../protocol/servers.ts"
import type { RunningBroker } from "../../servers/broker/broker.ts"
import { startRoutingServer } from "../../servers/routing/main.ts"
import { endpointReceiver, Protector } from "../media/keys.ts"
import { freePort, loopbackAddress } from "../support/addresses.ts"
import { type Enrolled, enrolParties, startEmbeddedBroker } from "../support/broker.ts"
import { type Child, startChild, startScript } from "../support/child.ts"
import { eventually, within } from "../support/deadline.ts"
import { connectParty, type TestParty } from "../support/mqtt.ts"

const main = resolve(import.meta.dirname, "../../servers/routing/main.ts")
const root = mkdtempSync(join(tmpdir(), "parley-routing-"))
const stops: (() => unknown)[] = []
let broker: RunningBroker
let parties: Enrolled
let group: TestParty

before(async () => {
    const kinds = { group: "group", "rs-a": "rs", "rs-b": "rs", "rs-c": "rs", "ep-a": "ep", "ep-b": "ep" } as const
    parties = enrolParties(kinds)
    broker = await startEmbeddedBroker(parties.dir)
    group = await party("group")
    await group.subscribe("parley/v1/+/+/out/group/#")
    await group.subscribe("parley/v1/+/+/state")
    await group.publish("parley/v1/group/state", { boot: 1, on: 1 }, { retain: true })
})
after(async () => {
    for (const stop of stops.reverse()) await stop()
    await broker.stop()
    parties.remove()
    rmSync(root, { recursive: true, force: true })
})

async function party(id: string): Promise<TestParty> {
    const connected = await connectParty(broker, id, parties.secrets[id])
    stops.push(() => connected.end())
    return connected
}

function words(id: string, ip: string, secret = parties.secrets[id]): string[] {
    const file = join(root, `${id}.secret`)
    writeFileSync(file, `${secret}\n`, { mode: 0o600 })
    const url = `mqtt://${broker.host}:${broker.port}`
    return [
        ...["--id", id, "--secret-file", file, "--ip", ip, "--link-port", "0", "--media-port", "0"],
        ...["--broker", url, "--dsp-units", "8", "--state", join(root, id)],
    ]
}

async function start(id: string, ip: string): Promise<Child> {
    const child = await startScript(main, words(id, ip))
    stops.push(() => child.stop())
    return child
}

/** Answers the hello of `id` and returns it. */
// biome-ignore lint/suspicious/noExplicitAny: tests know what they expect
async function greeted(id: string): Promise<any> {
    const hello = await group.nextJson(`parley/v1/rs/${id}/out/group/hello`)
    await group.publish(`parley/v1/rs/${id}/in/group/done`, { re: hello.id, nowMs: Date.now() })
    return hello
}

/** The retained state of `id` once `holds` of it. */
// biome-ignore lint/suspicious/noExplicitAny: tests know what they expect
async function state(id: string, holds: (state: any) => boolean): Promise<any> {
    for (;;) {
        const now = await group.nextJson(`parley/v1/rs/${id}/state`)
        if (holds(now)) return now
    }
}

async function udp(ip: string): Promise<{ socket: Socket; port: number }> {
    const socket = createSocket("udp4")
    await new Promise<void>(done => socket.bind(0, ip, done))
    stops.push(() => socket.close())
    return { socket, port: socket.address().port }
}

describe("the routing servers of a system", () => {
    test("[claim 1] [claim 2] on separate IP addresses join the endpoints of a session, carry their sound, and drain politely", async () => {
        const ips: Record<string, string> = { "rs-a": loopbackAddress(), "rs-b": loopbackAddress() }
        const children = await Promise.all(Object.entries(ips).map(([id, ip]) => start(id, ip)))
        for (const child of children) assert.equal(child.ready.ip, ips[child.ready.id])
        const hellos = { "rs-a": await greeted("rs-a"), "rs-b": await greeted("rs-b") }
        assert.equal(hellos["rs-a"].ip, ips["rs-a"])
        assert.equal(hellos["rs-a"].linkPort, children[0].ready.linkPort)
        assert.equal(hellos["rs-a"].boot, 1)

        for (const [id, other] of [
            ["rs-a", "rs-b"],
            ["rs-b", "rs-a"],
        ] as const) {
            const { ip, linkPort, fingerprint } = hellos[other]
            const list: Peer[] = [{ rs: other, ip, linkPort, fingerprint, static: 1 }]
            await group.publish(`parley/v1/rs/${id}/in/group/peers`, { n: 1, list })
        }
        const linked = await state("rs-a", now => now.links?.[0]?.up === 1 && now.links[0].delay > 0)
        assert.equal(linked.links[0].rs, "rs-b")
        await state("rs-b", now => now.links?.[0]?.up === 1)

        const members = [
            { ep: "ep-a", name: "A", rs: "rs-a" },
            { ep: "ep-b", name: "B", rs: "rs-b" },
        ]
        const protection = { mixers: ["rs-a", "rs-b"], key: Buffer.alloc(32, 7).toString("base64") }
        const end = Math.ceil(Date.now() / 1000) + 3600
        const session = { sid: "s1", n: 1, state: "open", source: "rs-b", end, ...protection }
        for (const id of ["rs-a", "rs-b"])
            await group.publish(`parley/v1/rs/${id}/in/group/session`, { ...session, members })

        // Each endpoint attaches, joins, and is told where to send.
        const legs: { endpoint: TestParty; socket: Socket; place: JoinDone; ep: string; rs: string }[] = []
        for (const [ep, rs] of [
            ["ep-a", "rs-a"],
            ["ep-b", "rs-b"],
        ]) {
            const endpoint = await party(ep)
            await endpoint.subscribe(`parley/v1/ep/${ep}/in/#`)
            const ip = loopbackAddress()
            const { socket, port } = await udp(ip)
            await endpoint.publish(`parley/v1/ep/${ep}/out/rs/${rs}/attach`, { id: 1, boot: 1 })
            assert.equal((await endpoint.nextJson(`parley/v1/ep/${ep}/in/rs/${rs}/done`)).re, 1)
            await endpoint.publish(`parley/v1/ep/${ep}/out/rs/${rs}/join`, { id: 2, sid: "s1", ip, port })
            const place = await endpoint.nextJson(`parley/v1/ep/${ep}/in/rs/${rs}/done`)
            assert.equal(place.ip, ips[rs])
            const joined = await group.nextJson(`parley/v1/rs/${rs}/out/group/joined`)
            assert.deepEqual([joined.sid, joined.ep], ["s1", ep])
            await group.publish(`parley/v1/rs/${rs}/in/group/done`, { re: joined.id })
            legs.push({ endpoint, socket, place, ep, rs })
        }
        const [a, b] = legs
        assert.deepEqual(await a.endpoint.nextJson("parley/v1/ep/ep-a/in/rs/rs-a/roster"), { sid: "s1", people: 2 })

        // What A says is heard at B: RTP with a loud tone in, RTP that is not silence out.
        const hears = endpointReceiver(readLegKeys(b.place.key))
        const heard = new Promise<void>(done =>
            b.socket.on("message", packet => {
                const bytes = isRtcp(packet) ? undefined : hears.unprotect(packet)
                if (typeof bytes !== "number") return
                if (packet.subarray(12, bytes).some(byte => (byte & 0x7f) < 0x60)) done()
            }),
        )
        let sequence = 0
        const protectors = new Map(
            [a, b].map(({ socket, place }) => [socket, Protector.ofEndpoint(readLegKeys(place.key))]),
        )
        const say = ({ socket, place }: { socket: Socket; place: JoinDone }, sound: Buffer) => {
            const packet = Buffer.alloc(172, sound)
            packet.writeUInt16BE(0x8000 | pcmuPayloadType, 0)
            packet.writeUInt16BE(sequence, 2)
            packet.writeUInt32BE(160 * sequence, 4)
            packet.writeUInt32BE(place.ssrc, 8)
            socket.send(protectors.get(socket)!.of(packet), place.port, place.ip)
        }
        const speaking = setInterval(() => {
            say(a, Buffer.from([0x00, 0x80]))
            say(b, Buffer.from([0xff]))
            sequence++
        }, 20)
        stops.push(() => clearInterval(speaking))
        await within(heard, "sound of A at B")

        // The server is stopped: its endpoint hears bye, the other one that somebody has gone.
        await children[0].stop()
        assert.deepEqual(await a.endpoint.nextJson("parley/v1/ep/ep-a/in/rs/rs-a/bye"), { reason: "draining" })
        assert.equal((await group.nextJson("parley/v1/rs/rs-a/out/group/left")).reason, "draining")
        assert.deepEqual(await state("rs-a", now => now.on === 0), { boot: 1, on: 0 })
        assert.equal((await children[0].exited).code, 0)
        clearInterval(speaking)
        for (let people = 2; people !== 1; )
            people = (await b.endpoint.nextJson("parley/v1/ep/ep-b/in/rs/rs-b/roster")).people
        await children[1].stop()
    })

    test("answers probes, refuses what is malformed or unknown, and counts its boots", async () => {
        const ip = loopbackAddress()
        const options = {
            ...{ id: "rs-c", secret: parties.secrets["rs-c"], ip, linkPort: 0, mediaPort: 0, dspUnits: 4 },
            ...{ broker: { host: broker.host, port: broker.port }, state: join(root, "rs-c") },
        }
        for (const boot of [1, 2]) {
            const started = await startRoutingServer(options)
            assert.ok(started.ok)
            const { server } = started
            await within(server.ready, "the broker to let it in")
            assert.equal((await greeted("rs-c")).boot, boot)
            await eventually(() => server.registered, "the hello to be taken")
            if (boot === 1) {
                const { socket } = await udp(loopbackAddress())
                const answer = new Promise<Buffer>(done => socket.once("message", done))
                const probe = Buffer.alloc(32)
                writeProbe(probe, { kind: 1, load: 0, sequence: 1, tag: 9 })
                socket.send(probe, server.mediaPort, ip)
                assert.equal(readProbe(await within(answer, "the answer to a probe"))?.tag, 9)

                const endpoint = await party("ep-b")
                await endpoint.subscribe("parley/v1/ep/ep-b/in/#")
                const ask = async (verb: string, message: string | object) => {
                    await endpoint.publish(`parley/v1/ep/ep-b/out/rs/rs-c/${verb}`, message)
                    return endpoint.nextJson("parley/v1/ep/ep-b/in/rs/rs-c/refused")
                }
                assert.equal((await ask("join", { id: 5, sid: "s1", ip: "127.0.0.1", port: 0 })).reason, "malformed")
                assert.equal((await ask("dance", { id: 6 })).reason, "unsupported")
                for (const hostile of ["", "{", "null", "[]", "7", '{"id":1e99}', '{"__proto__":{"id":1}}'])
                    await endpoint.publish("parley/v1/ep/ep-b/out/rs/rs-c/join", hostile)
                const sid = "s9"
                const refused = await ask("join", { id: 7, sid, ip: "127.0.0.1", port: 1 })
                assert.deepEqual([refused.re, refused.reason], [7, "not-attached"])
                await endpoint.end()
            }
            await server.stop()
        }
    })

    test("comes back after the broker was restarted, and greets again", async () => {
        const own = enrolParties({ group: "group", "rs-a": "rs" })
        const port = await freePort()
        let brief = await startEmbeddedBroker(own.dir, { port })
        const started = await startRoutingServer({
            ...{ id: "rs-a", secret: own.secrets["rs-a"], ip: loopbackAddress(), linkPort: 0, mediaPort: 0 },
            ...{ broker: { host: "127.0.0.1", port }, dspUnits: 4, state: join(root, "again") },
        })
        assert.ok(started.ok)
        await within(started.server.ready, "the first connection")
        await brief.stop()
        brief = await startEmbeddedBroker(own.dir, { port })
        const watcher = await connectParty(brief, "group", own.secrets.group)
        await watcher.subscribe("parley/v1/+/+/out/group/#")
        const hello = await watcher.nextJson("parley/v1/rs/rs-a/out/group/hello")
        assert.equal(hello.boot, 1)
        await started.server.stop()
        await watcher.end()
        await brief.stop()
        own.remove()
    })

    test("says that the broker refuses its secret, keeps trying, and stops when it is told to", async () => {
        const child = startScript(main, words("rs-c", loopbackAddress(), "wrong"), {
            isReady: () => undefined,
            probe: async () => ({ ready: true }),
        })
        const refused = await child
        await eventually(() => /not connected to the broker/.test(refused.stderr()), "a line that says so")
        assert.match(refused.stderr(), /"reason":"Connection refused: (Bad username or password|Not authorized)"/)
        assert.deepEqual(refused.lines, [], "it is not ready")
        assert.equal((await refused.stop()).code, 0)
    })

    test("ends with 1, saying why, when the thread of its data plane is gone", async () => {
        // Loaded beside the server: at this signal the thread ends as if it had run out of memory.
        const preload = join(root, "end-of-thread.mjs")
        const lines = [
            "const workers = []",
            'process.on("worker", worker => workers.push(worker))',
            'process.on("SIGUSR2", () => { for (const worker of workers) worker.terminate() })',
        ]
        writeFileSync(preload, lines.join("\n"))
        const command = ["--import", "tsx", "--import", preload, main, ...words("rs-c", loopbackAddress())]
        const child = await startChild(process.execPath, command)
        stops.push(() => child.kill("SIGKILL"))
        child.process.kill("SIGUSR2")
        const { code } = await within(child.exited, "the server's end")
        assert.equal(code, 1)
        assert.match(
            child.stderr(),
            /"reason":"the data plane's thread has ended with 1".*"msg":"the data plane has failed"/,
        )
    })

    test("exit with 2 and a clear word when a flag is wrong", () => {
        const run = (...words: string[]) =>
            spawnSync(process.execPath, ["--import", "tsx", main, ...words], { encoding: "utf8" })
        const good = words("rs-a", "127.0.0.1")
        const cases: [string[], RegExp][] = [
            [[], /--id is missing/],
            [[...good, "--ip", "nowhere"], /--ip nowhere: one IPv4 address/],
            [[...good, "--broker", "http://x"], /--broker http:\/\/x: mqtt:\/\/host:port/],
            [[...good, "--colour", "red"], /--colour/],
        ]
        for (const [flags, what] of cases) {
            const { status, stderr } = run(...flags)
            assert.equal(status, 2)
            assert.match(stderr, what)
        }
    })
})
