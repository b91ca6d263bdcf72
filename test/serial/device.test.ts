import assert from "node:assert/strict"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { applyConfig, changeNetwork } from "../../cli/device/apply.ts"
import { BoardLink } from "../../cli/device/board-link.ts"
import { diagnose } from "../../cli/device/doctor.ts"
import { gatherEvidence } from "../../cli/device/evidence.ts"
import { radioOf, scan } from "../../cli/device/radio.ts"
import { factoryReset } from "../../cli/device/restart.ts"
import { SettingsStore } from "../../cli/device/settings-store.ts"
import { openPty, type Pty } from "../../sim/serial/pty.ts"
import { Room } from "../appliance/room.ts"
import { parley } from "../cli/parley.ts"
import { needPackage } from "../support/system-package.ts"

const socat = needPackage("socat", "socat")

function value<T>(outcome: { ok: true; value: T } | { ok: false; code: string; what: string }): T {
    if (!outcome.ok) assert.fail(`${outcome.code}: ${outcome.what}`)
    return outcome.value
}

describe("an appliance on a serial port", { skip: socat.ok ? false : socat.why }, () => {
    let folder: string
    let room: Room
    let pty: Pty
    let link: BoardLink
    const wayBack = { withoutWayBack: false, progress: () => {} }
    before(async () => {
        folder = mkdtempSync(join(tmpdir(), "parley-device-"))
        room = await Room.create()
        pty = value(await openPty(join(folder, "board")))
        room.board.serial.plug(pty.stream)
        await room.board.powerOn()
        await room.board.reached("Idle")
        link = value(await BoardLink.open(pty.path))
    })
    after(async () => {
        await link?.close()
        await room?.close()
        await pty?.unplug()
        rmSync(folder, { recursive: true, force: true })
    })

    const config = async () => value(await value(await SettingsStore.of(link)).config())

    test("is well, says the doctor", async () => {
        const { first } = diagnose(await gatherEvidence(link))
        assert.equal(first, undefined, first?.what)
    })

    test("takes another broker only after it has registered there", async () => {
        const { broker } = await config()
        const elsewhere = { host: "localhost", port: broker!.port }
        const applied = value(await applyConfig(link, { broker: elsewhere, zoneMinutes: 60 }, wayBack))
        assert.deepEqual(
            [applied.trial, applied.changed.map(({ key }) => key)],
            ["accepted", ["broker", "zoneMinutes"]],
        )
        const now = await config()
        assert.deepEqual([now.broker, now.zoneMinutes], [elsewhere, 60])
        const again = value(await applyConfig(link, { broker: elsewhere, zoneMinutes: 60 }, wayBack))
        assert.deepEqual(again, { changed: [], trial: "none" })
    })

    test("is asked for the way back before it leaves a network that works, and comes back from one that does not let it in", async () => {
        const air = [
            { name: "parley-sim", password: "", rssiDb: -50 },
            { name: "Office", password: "the right one", rssiDb: -60 },
        ]
        room.board.wifi.setAir(air)
        const heard = await scan(link, value(await radioOf(link)))
        assert.deepEqual(
            heard?.map(({ name, secured }) => [name, secured]),
            [
                ["parley-sim", false],
                ["Office", true],
            ],
        )
        const wrong = { name: "Office", password: "the wrong one" }
        const blind = await changeNetwork(link, wrong, wayBack)
        assert.equal(!blind.ok && blind.code, "no-way-back")
        const present = { name: "parley-sim", password: "" }
        const tried = await changeNetwork(link, wrong, { ...wayBack, wifiBefore: present })
        assert.equal(!tried.ok && tried.code, "not-let-in")
        assert.equal(room.board.wifi.joined?.name, "parley-sim")
        value(
            await changeNetwork(
                link,
                { name: "Office", password: "the right one" },
                { ...wayBack, wifiBefore: present },
            ),
        )
        assert.equal(room.board.wifi.joined?.name, "Office")
    })

    test("is told to a person by the command, which keeps the port to itself", async () => {
        const busy = await parley(["device", "config", "get", "--port", pty.path, "--json"], folder)
        assert.equal(busy.code, 1)
        assert.equal(JSON.parse(busy.err).error.code, "port-busy")
        await link.close()
        const got = await parley(["device", "config", "get", "--port", pty.path, "--json"], folder)
        assert.deepEqual([got.code, JSON.parse(got.out).secret], [0, "set"])
        const file = join(folder, "wrong.json")
        writeFileSync(file, JSON.stringify({ brokr: "mqtt://x" }))
        const refused = await parley(["device", "config", "apply", file, "--port", pty.path], folder)
        assert.equal(refused.code, 2)
        assert.match(refused.err, /brokr: is not known here/)
        link = value(await BoardLink.open(pty.path))
    })

    test("keeps nothing after a factory reset", async () => {
        assert.equal(value(await factoryReset(link)).phase, "unprovisioned")
        const { id, secret, broker } = await config()
        assert.deepEqual([id, secret, broker], [undefined, undefined, undefined])
        assert.equal(room.board.wifi.stored, undefined)
    })
})
