import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { GroupClient } from "../../servers/group/client.ts"
import { startGroupServer } from "../../servers/group/main.ts"
import { startRoutingServer } from "../../servers/routing/main.ts"
import { createMediaEngine } from "../../sim/media-engine/index.ts"
import { readServices } from "../../sim/simulation.ts"
import { good } from "../group/servers.ts"
import { loopbackAddress } from "../support/addresses.ts"
import { startEmbeddedBroker } from "../support/broker.ts"
import { eventually, within } from "../support/deadline.ts"

/** What keeps this process alive beside its standard streams. */
function resources(): string[] {
    return process.getActiveResourcesInfo().filter(one => !/^(Pipe|TTY|File|FSReq|CloseReq)/.test(one))
}

test("servers and media engines that are stopped leave nothing behind that keeps a process alive", async () => {
    const folder = mkdtempSync(join(tmpdir(), "parley-stop-"))
    const before = resources()
    // Once with everything connected, once with the broker gone before the others.
    for (const brokerStopsFirst of [false, true]) {
        const credentials = join(folder, "broker")
        const broker = await startEmbeddedBroker(credentials)
        const url = `mqtt://${broker.host}:${broker.port}`
        const place = { httpHost: "127.0.0.1", httpPort: 0, broker: url, credentials }
        const group = await startGroupServer({ ...place, state: join(folder, "group") })
        assert.ok(group.ok)
        const client = new GroupClient(group.server.url, group.server.adminToken)
        const servers = []
        for (const name of ["rs-a", "rs-b"]) {
            const id = `${name}${brokerStopsFirst ? "-late" : ""}`
            const { secret } = good(await client.enrolRoutingServer(id))
            broker.reloadCredentials()
            const started = await startRoutingServer({
                ...{ id, secret, ip: loopbackAddress(), linkPort: 0, mediaPort: 0, dspUnits: 4 },
                ...{ broker: { host: broker.host, port: broker.port }, state: join(folder, id) },
            })
            assert.ok(started.ok)
            servers.push(started.server)
        }
        good(await client.putStaticNeighbours([{ a: servers[0].id, b: servers[1].id }]))
        const media = createMediaEngine({ ipAddress: loopbackAddress(), port: 0, services: readServices() })
        assert.ok((await media.start()).ok)
        for (const server of servers)
            await eventually(() => server.snapshot().links?.[0]?.up === 1, `${server.id} linked`)

        if (brokerStopsFirst) await within(broker.stop(), "the broker to stop")
        await within(Promise.all(servers.map(server => server.stop())), "the routing servers to stop")
        await within(group.server.stop(), "the group server to stop")
        await within(media.stop(), "the media engine to stop")
        if (!brokerStopsFirst) await within(broker.stop(), "the broker to stop")
        // Sockets are closed a turn of the event loop later.
        await eventually(() => resources().length <= before.length, `nothing to be left but ${before}`).catch(error => {
            throw new Error(`${(error as Error).message}: ${resources()}`)
        })
    }
    rmSync(folder, { recursive: true, force: true })
})
