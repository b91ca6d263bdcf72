import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import type { RightsKind } from "../../protocol/rights.ts"
import { startRoutingServer } from "../../servers/routing/main.ts"
import { freePort, loopbackAddress } from "../support/addresses.ts"
import { enrolParties, startEmbeddedBroker } from "../support/broker.ts"
import { eventually, within } from "../support/deadline.ts"
import { connectParty, type TestParty } from "../support/mqtt.ts"

const endpoints = 60
const root = mkdtempSync(join(tmpdir(), "parley-many-"))
const stops: (() => unknown)[] = [() => rmSync(root, { recursive: true, force: true })]
after(async () => {
    for (const stop of stops.reverse()) await stop()
})

test("a routing server follows more endpoints than fit one subscription, also after the broker was restarted", async () => {
    const ids = Array.from({ length: endpoints }, (_, index) => `long-name-of-a-room-${1000 + index}`)
    const kinds: Record<string, RightsKind> = { group: "group", "rs-a": "rs" }
    for (const id of ids) kinds[id] = "ep"
    const parties = enrolParties(kinds)
    stops.push(() => parties.remove())
    const port = await freePort()
    let broker = await startEmbeddedBroker(parties.dir, { port })
    stops.push(() => broker.stop())
    const started = await startRoutingServer({
        ...{ id: "rs-a", secret: parties.secrets["rs-a"], ip: loopbackAddress(), linkPort: 0, mediaPort: 0 },
        ...{ broker: { host: "127.0.0.1", port }, dspUnits: 4, state: join(root, "rs-a") },
    })
    assert.ok(started.ok)
    const { server } = started
    stops.push(() => server.stop())
    const attached = () => server.snapshot().endpoints
    await within(server.ready, "the routing server's first connection")

    const attach = async (id: string, boot: number): Promise<TestParty> => {
        const party = await connectParty(broker, id, parties.secrets[id])
        stops.push(() => party.end())
        await party.subscribe(`parley/v1/ep/${id}/in/#`)
        await party.publish(`parley/v1/ep/${id}/out/rs/rs-a/attach`, { id: 1, boot })
        assert.equal((await party.nextJson(`parley/v1/ep/${id}/in/rs/rs-a/done`)).re, 1)
        await party.publish(`parley/v1/ep/${id}/state`, { boot, on: 1, rs: "rs-a" }, { retain: true })
        return party
    }
    for (const id of ids) await (await attach(id, 1)).end()
    assert.equal(attached(), endpoints)

    await broker.stop()
    broker = await startEmbeddedBroker(parties.dir, { port })
    // Whoever says that it is off, or elsewhere, is let go: the last ones as well as the first.
    for (const id of [ids[0], ids[endpoints - 1]]) {
        const before = attached()!
        const party = await connectParty(broker, id, parties.secrets[id])
        await party.publish(`parley/v1/ep/${id}/state`, { boot: 1, on: 0 }, { retain: true })
        await eventually(() => attached() === before - 1, `the routing server to miss ${id}`)
        await party.end()
    }
})
