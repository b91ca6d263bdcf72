import assert from "node:assert/strict"
import { after, describe, test } from "node:test"
import { loadLibc } from "../../media/batch-udp/libc.ts"
import { openUdp } from "../../media/udp.ts"
import { DataPlane } from "../../servers/routing/data/data-plane.ts"
import type { DataReport } from "../../servers/routing/data/messages.ts"
import { ThreadData } from "../../servers/routing/data/thread.ts"
import { createIdentity } from "../../servers/routing/link/identity.ts"
import { LinkSet } from "../../servers/routing/link/link-set.ts"
import { freeUdpPort, loopbackAddress } from "../support/addresses.ts"
import { within } from "../support/deadline.ts"
import { next, until } from "./events.ts"

const closing: (() => Promise<unknown>)[] = []
after(async () => {
    for (const close of closing.reverse()) await close()
})

/** Links whose datagrams are a thread's, or this thread's. */
async function start(id: string, inThread: boolean, udp?: "dgram") {
    const ip = loopbackAddress()
    const identity = createIdentity(id, Date.UTC(2026, 0, 1))
    const data = inThread ? new ThreadData({ ip, mediaPort: 0, bootId: 1, helloMs: 100, udp }) : undefined
    const links = new LinkSet({ id, ip, port: 0, bootId: 1, identity, data })
    closing.push(async () => {
        await links.close()
        await data?.close()
    })
    const { port: linkPort } = await links.start()
    return { id, links, data: data!, peer: { rs: id, ip, linkPort, fingerprint: identity.fingerprint } }
}

type Node = Awaited<ReturnType<typeof start>>

async function joined(...pairs: [Node, Node][]): Promise<void> {
    const of = new Map<Node, Node[]>()
    for (const [a, b] of pairs)
        for (const [x, y] of [
            [a, b],
            [b, a],
        ])
            of.set(x, [...(of.get(x) ?? []), y])
    for (const [node, others] of of) node.links.setPeers(others.map(({ peer }) => peer))
    await until("all links to be up", () => [...of].every(([{ links }, { length }]) => links.up().length === length))
}

describe("a data plane", () => {
    test("lets its neighbours down when control has said nothing for 5 s, and greets them again when it does", async context => {
        let nowMs = 0
        context.mock.method(performance, "now", () => nowMs)
        context.mock.timers.enable({ apis: ["setTimeout"] })
        const ip = loopbackAddress()
        let bound: (report: DataReport) => void = () => {}
        const isBound = new Promise<DataReport>(resolve => {
            bound = resolve
        })
        const plane = new DataPlane({ ip, mediaPort: 0, bootId: 1, helloMs: 100 }, { report: report => bound(report) })
        plane.take({ type: "bindLinks", port: 0 })
        assert.equal((await isBound).type, "bound")
        const closed = new Promise<DataReport>(resolve => {
            bound = resolve
        })
        const key = (linkId: number) => ({ linkId, key: new Uint8Array(32) })
        const keys = { send: key(1), receive: key(2) }
        plane.take({ type: "openLink", link: 1, peer: "rs-b", ip: loopbackAddress(), port: 9, keys })
        /** Hellos that are sent in this time. */
        const sentIn = (ms: number) => {
            const before = plane.linksStatistics().counters["rs-b"].sent
            for (let passed = 0; passed < ms; passed += 100) {
                nowMs += 100
                context.mock.timers.tick(100)
            }
            return plane.linksStatistics().counters["rs-b"].sent - before
        }
        assert.equal(sentIn(10_000), 100, "it has not spoken yet: it is still starting")
        plane.take({ type: "alive" })
        assert.equal(sentIn(4900), 49)
        assert.equal(sentIn(2000), 0)
        plane.take({ type: "alive" })
        assert.equal(sentIn(1000), 10)
        plane.take({ type: "close" })
        assert.equal((await closed).type, "closed")
    })

    test("that is closed while its ports are being opened leaves none open", async () => {
        const ip = loopbackAddress()
        const mediaPort = await freeUdpPort(ip)
        const reports: DataReport[] = []
        const plane = new DataPlane({ ip, mediaPort, bootId: 1, helloMs: 100 }, { report: each => reports.push(each) })
        plane.take({ type: "bindLinks", port: 0 })
        plane.take({ type: "bindMedia" })
        plane.take({ type: "close" })
        await until("it to be closed", () => reports.at(-1)?.type === "closed")
        const ports = reports.flatMap(report => (report.type === "bound" ? [report.port] : []))
        assert.equal(ports.length, 2)
        for (const port of ports) {
            const again = await openUdp(ip, port, () => {})
            assert.ok(again.ok, "the port is free again")
            await again.value.close()
        }
    })
})

describe("a data plane in a thread of its own", () => {
    test("keeps links alive and measured while control is busy for a second", async () => {
        const [a, b] = [await start("rs-a", true), await start("rs-b", true)]
        await joined([a, b])
        await until("delays", () => a.links.delay("rs-b") !== undefined && b.links.delay("rs-a") !== undefined)
        const downs: unknown[] = []
        for (const { links } of [a, b]) links.on("linkDown", (...what) => downs.push(what))
        const before = (await a.data.statistics()).counters["rs-b"].received
        const endMs = performance.now() + 1000
        while (performance.now() < endMs);
        const during = (await a.data.statistics()).counters["rs-b"].received - before
        assert.ok(during >= 8, `${during} hellos were heard meanwhile`)
        // Verdicts of the second are spoken by now: this answer came after all that was waiting.
        await b.data.statistics()
        assert.deepEqual(downs, [])
        assert.ok(
            a.links.delay("rs-b")! < 10_000,
            `${a.links.delay("rs-b")} x 0.01 ms: the hop to control is not measured`,
        )
    })

    for (const udp of [undefined, "dgram"] as const)
        test(`[claim 4] forwards by label without control, ${udp ?? "with many datagrams in a call where the system can"}`, async () => {
            const [a, c] = [await start("rs-a", false), await start("rs-c", false)]
            const b = await start("rs-b", true, udp)
            await joined([a, b], [b, c])
            b.data.post({
                ...{ type: "transit", sid: "s" },
                branches: [
                    { peer: "rs-a", labelIn: 1, labelOut: 11 },
                    { peer: "rs-c", labelIn: 3, labelOut: 33 },
                ],
            })
            await b.data.statistics()
            const arrived = next<[string, number, Buffer]>(c.links, "media")
            assert.ok(a.links.sendMedia("rs-b", 1, Buffer.from("unread")))
            const [from, label, packet] = await arrived
            assert.deepEqual([from, label, packet.toString()], ["rs-b", 33, "unread"])
            const { transit, transitEntries, media, udp: used } = await b.data.statistics()
            assert.equal(used, udp ?? (loadLibc() ? "batch" : "dgram"))
            assert.deepEqual(transit, { packets: 1, copies: 1, notSent: 0 })
            assert.deepEqual(
                transitEntries.map(({ from, labelIn, packets }) => [from, labelIn, packets]),
                [
                    ["rs-a", 1, 1],
                    ["rs-c", 3, 0],
                ],
            )
            assert.equal(media.dspUnitsUsed, 0)
        })

    test("answers control at once, though it rests for longer", async () => {
        const b = await start("rs-b", true)
        const fromMs = performance.now()
        for (let i = 0; i < 30; i++) await b.data.statistics()
        // Had each waited for the end of a rest of 20 ms, it would have been 600 ms.
        assert.ok(performance.now() - fromMs < 300, `${performance.now() - fromMs} ms`)
    })

    test("says so when it fails, and why", async () => {
        const data = new ThreadData({ ip: loopbackAddress(), mediaPort: 0, bootId: 1, helloMs: 100 })
        data.post({ type: "openLink" } as never)
        assert.match(await within(data.failed, "the thread's end"), /TypeError/)
        await data.statistics()
        await data.close()
    })
})
