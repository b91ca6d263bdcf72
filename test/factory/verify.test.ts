import assert from "node:assert/strict"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { parley } from "../cli/parley.ts"
import { type Broker, good, Party, type Running, startBroker, startGroup } from "../group/servers.ts"

describe("parley factory verify", () => {
    let folder: string
    let broker: Broker
    let group: Running
    before(async () => {
        folder = mkdtempSync(join(tmpdir(), "parley-verify-"))
        broker = await startBroker()
        group = await startGroup(broker.url)
        writeFileSync(join(folder, "admin.token"), group.server.adminToken)
        for (const board of ["test", "room-panel"]) {
            const { id, secret } = good(await group.client.enrolEndpoint(`unit-${board}`, "Unit"))
            const unit = { id, secret, name: "Unit", room: "", board, wifi: "", password: "", zoneMinutes: 0 }
            writeFileSync(join(folder, `${board}.json`), JSON.stringify({ ...unit, host: "127.0.0.1", port: 1883 }))
        }
    })
    after(async () => {
        await group.stop()
        await broker.stop()
        rmSync(folder, { recursive: true })
    })

    const verify = (unit: string) =>
        parley(["factory", "verify", unit, "--group", group.server.url, "--wait", "1", "--json"], folder)

    test("says that a unit has never been here, and finds it when it has registered", async () => {
        const absent = await verify("test.json")
        assert.equal(absent.code, 4)
        assert.equal(JSON.parse(absent.err).error.code, "not-registered")
        const unit = await Party.connect(broker.url, "ep", "unit-test")
        await unit.state({ v: 1, on: 1, boot: 1 })
        await unit.hello()
        const there = await verify("test.json")
        assert.equal(there.code, 0, there.err)
        assert.deepEqual(JSON.parse(there.out), { id: "unit-test", board: "test", firmware: "0", boot: 1 })
        await unit.client.endAsync()
    })

    test("tells a unit that carries the image of another board, and a file that is no unit", async () => {
        const unit = await Party.connect(broker.url, "ep", "unit-room-panel")
        await unit.state({ v: 1, on: 1, boot: 1 })
        await unit.hello()
        const wrong = await verify("room-panel.json")
        assert.equal(JSON.parse(wrong.err).error.code, "wrong-board")
        const none = await verify("admin.token")
        assert.equal(JSON.parse(none.err).error.code, "unit")
        await unit.client.endAsync()
    })
})
