import assert from "node:assert/strict"
import { after, describe, test } from "node:test"
import { createIdentity } from "../../servers/routing/link/identity.ts"
import { LinkSet } from "../../servers/routing/link/link-set.ts"
import { noConditions } from "../../servers/routing/underlay/conditions.ts"
import { Underlay } from "../../servers/routing/underlay/underlay.ts"
import { next, until } from "../routing/events.ts"
import { loopbackAddress } from "../support/addresses.ts"

const open: LinkSet[] = []
after(() => Promise.all(open.map(each => each.close())))

async function start(id: string) {
    const ip = loopbackAddress()
    const identity = createIdentity(id, Date.UTC(2026, 0, 1))
    const underlay = new Underlay()
    const links = new LinkSet({ id, ip, port: 0, bootId: 1, identity, underlay })
    open.push(links)
    const { port } = await links.start()
    const peer = { rs: id, ip, linkPort: port, fingerprint: identity.fingerprint }
    return { id, ip, underlay, links, peer }
}

type Node = Awaited<ReturnType<typeof start>>

async function pair(prepare?: (a: Node, b: Node) => void) {
    const [a, b] = [await start("rs-a"), await start("rs-b")]
    prepare?.(a, b)
    const up = Promise.all([next(a.links, "linkUp"), next(b.links, "linkUp")])
    a.links.setPeers([b.peer])
    b.links.setPeers([a.peer])
    await up
    return { a, b }
}

const withDelay = (delayMs: number) => ({ ...noConditions, delayMs })
const cut = { ...noConditions, cut: true }
/** Three hellos of 100 ms and the grace, and room for a busy machine. */
const silentWithinMs = 1500

describe("two routing servers over an emulated network", () => {
    for (const both of [true, false])
        test(`find the link silent when it is cut at ${both ? "both ends" : "one end"}, and have it back when it is healed`, async () => {
            const { a, b } = await pair()
            const downs = Promise.all([next(a.links, "linkDown"), next(b.links, "linkDown")])
            a.underlay.set("rs-b", cut)
            if (both) b.underlay.set(a.ip, cut)
            for (const [, reason, silentMs] of (await downs) as unknown as [string, string, number][]) {
                assert.equal(reason, "silent", "nobody has seen a connection close")
                assert.ok(silentMs > 320 && silentMs < silentWithinMs, `${silentMs} ms`)
            }
            assert.equal(a.links.isUp("rs-b") || b.links.isUp("rs-a"), false)
            const ups = Promise.all([next(a.links, "linkUp"), next(b.links, "linkUp")])
            a.underlay.set("rs-b", undefined)
            if (both) b.underlay.set(a.ip, undefined)
            await ups
            assert.ok(a.underlay.isPlain && b.underlay.isPlain)
        })

    test("measure the delay that was set, and the new one when it changes while the link is up", async () => {
        const { a, b } = await pair((a, b) => {
            a.underlay.set(b.ip, withDelay(30))
            b.underlay.set(a.ip, withDelay(30))
        })
        const near = (ms: number) => Math.abs((a.links.delay("rs-b") ?? 0) / 100 - ms) < 4
        await until("30 ms", () => near(30))
        a.underlay.set("rs-b", withDelay(5))
        b.underlay.set("rs-a", withDelay(5))
        await until("5 ms", () => near(5))
        assert.ok(a.links.isUp("rs-b"))
        assert.deepEqual(a.underlay.conditions(b.ip), withDelay(5), "name and address are the same path")
    })

    test("deliver control messages later and in order, and hold them while the path is cut", async () => {
        const { a, b } = await pair((a, b) => {
            a.underlay.set(b.ip, { ...withDelay(20), jitterMs: 15, loss: 0.01 })
        })
        const heard: unknown[] = []
        b.links.on("control", (_, message) => heard.push(message.label))
        const sentMs = performance.now()
        for (let label = 1; label <= 50; label++) a.links.sendControl("rs-b", { k: "bind", sid: "s", label })
        await until("all arrived", () => heard.length === 50)
        assert.ok(performance.now() - sentMs >= 4)
        assert.deepEqual(
            heard,
            Array.from({ length: 50 }, (_, i) => i + 1),
        )
        // Shorter than the silence that ends the link.
        a.underlay.set("rs-b", cut)
        assert.ok(a.links.sendControl("rs-b", { k: "bind", sid: "s", label: 51 }))
        a.underlay.set("rs-b", undefined)
        await until("what was held arrived", () => heard.length === 51)
        assert.ok(a.links.isUp("rs-b") && b.links.isUp("rs-a"))
    })

    test("see each other's loss, and a bottleneck between two packets", async () => {
        const { a, b } = await pair()
        b.underlay.set(a.ip, { ...noConditions, loss: 0.3 })
        await until("loss is seen", () => a.links.snapshot()[0].lossPermille > 100)

        b.underlay.set(a.ip, undefined)
        a.underlay.set(b.ip, { ...noConditions, rateKbps: 4000, queueBytes: 100_000 })
        const times: number[] = []
        b.links.on("media", () => times.push(performance.now()))
        for (let i = 0; i < 20; i++) a.links.sendMedia("rs-b", 1, Buffer.alloc(1190))
        await until("all arrived", () => times.length === 20)
        // 1250 bytes with all headers at 500 bytes a millisecond: 2.5 ms apart, and more on a machine that is busy.
        const apart = (times[19] - times[0]) / 19
        assert.ok(apart > 2.2, `${apart} ms apart`)
    })

    test("cost nothing and close at once while a path is cut", async () => {
        const { a, b } = await pair()
        a.underlay.set("rs-b", cut)
        const startMs = performance.now()
        await a.links.close()
        await b.links.close()
        assert.ok(performance.now() - startMs < 2000)
    })
})
