import assert from "node:assert/strict"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, test } from "node:test"
import { Batch, readUnit, settingsOf } from "../../cli/factory/batch.ts"
import { enrolUnits } from "../../cli/factory/enrol.ts"
import { codeText, pngCode, svgLabel } from "../../cli/factory/label.ts"
import { readUnits } from "../../cli/factory/units.ts"
import { verifySecret } from "../../servers/broker/credentials.ts"
import { GroupClient } from "../../servers/group/client.ts"
import { startGroupServer } from "../../servers/group/main.ts"
import { hashesIn, makeBatch } from "./batch.ts"

const boards = ["room-panel", "desk-unit"]
const broker = { host: "broker.example", port: 1883 }
const list = "name,board,id\nOne,room-panel,\nTwo,desk-unit,two\n"

describe("a list of units", () => {
    test("gives each line with its defaults", () => {
        const outcome = readUnits("\ufeffname,board,zone\n Ünit ,room-panel,60\n\nB,desk-unit,\n", boards)
        assert.ok(outcome.ok)
        assert.deepEqual(
            outcome.value.map(unit => [unit.name, unit.zoneMinutes, unit.id, unit.wifi]),
            [
                ["Ünit", 60, "", ""],
                ["B", 0, "", ""],
            ],
        )
    })

    test("is refused as a whole with each line that is wrong, and no password in the words", () => {
        for (const [text, pattern] of [
            ["", /"name" is missing/],
            ["name,board\n", /no units/],
            ["name,board,colour\na,room-panel,red\n", /unknown column "colour"/],
            ["name,name,board\na,b,room-panel\n", /"name" is there twice/],
            ["name,board\na,toaster\nb,room-panel\n,desk-unit\n", /line 2: board "toaster".*line 4: name/],
            ["name,board,id\na,room-panel,x\nb,room-panel,x\n", /line 3: id x is on line 2 already/],
            ["name,board,id\na,room-panel,Über\n", /line 2: id "Über"/],
            ["name,board,wifi,password\na,room-panel,net,short\n", /password: 8 to 63 bytes/],
            ["name,board,password\na,room-panel,long-enough\n", /password without wifi/],
            ["name,board,zone\na,room-panel,soon\n", /zone: minutes/],
            [`name,board\n${"界".repeat(17)},room-panel\n`, /name: 1 to 48 bytes/],
            ['name,board\n"a,room-panel\n', /no CSV/],
        ] as const) {
            const outcome = readUnits(text, boards)
            assert.ok(!outcome.ok, text)
            assert.match(outcome.what, pattern)
            assert.doesNotMatch(outcome.what, /short|long-enough/)
        }
    })
})

describe("a batch of units", () => {
    let folder: string
    const stops: (() => Promise<void>)[] = []
    beforeEach(() => {
        folder = mkdtempSync(join(tmpdir(), "parley-batch-"))
    })
    afterEach(async () => {
        for (const stop of stops.splice(0)) await stop()
        rmSync(folder, { recursive: true })
    })

    async function openGroup() {
        const started = await startGroupServer({
            state: join(folder, "group"),
            httpHost: "127.0.0.1",
            httpPort: 0,
            broker: "mqtt://127.0.0.1:1",
            credentials: join(folder, "broker"),
        })
        assert.ok(started.ok)
        const { server } = started
        let isStopped = false
        const stop = async () => {
            if (isStopped) return
            isStopped = true
            await server.stop()
        }
        stops.push(stop)
        return { stop, client: new GroupClient(server.url, server.adminToken) }
    }

    function openBatch(): Batch {
        const units = readUnits(list, boards)
        assert.ok(units.ok)
        const batch = Batch.open(join(folder, "batch"), list, units.value)
        assert.ok(batch.ok, JSON.stringify(batch))
        return batch.value
    }

    test("killed again and again has no identity twice, none lost, and every secret is the one the group server knows", async () => {
        const { milliseconds, ...figures } = await makeBatch({ units: 40, kills: 1, seed: 1, progress: () => {} })
        assert.deepEqual(figures, { units: 40, kills: 1, doubled: 0, lost: 0, wrongSecrets: 0, exposed: 0 })
        assert.ok(milliseconds > 0)
    })

    test("gives a unit another secret when the first one was lost with the process that asked, also after the server's restart", async () => {
        const first = await openGroup()
        const batch = openBatch()
        const dying = Object.create(first.client) as GroupClient
        dying.enrolEndpoint = async (...words) => {
            await first.client.enrolEndpoint(...words)
            throw new Error("killed")
        }
        const labels = "svg" as const
        const progress = () => {}
        await assert.rejects(enrolUnits({ batch, group: dying, broker, labels, progress }), /killed/)
        await first.stop()

        const later = await openGroup()
        const result = await enrolUnits({ batch: openBatch(), group: later.client, broker, labels, progress })
        assert.deepEqual([result.enrolled, result.now, result.refused], [2, 2, []])
        const unit = readUnit(join(folder, "batch/units/two.json"))
        assert.ok(unit.ok)
        const hashes = await hashesIn(join(folder, "broker"), 2)
        assert.ok(verifySecret(unit.value.secret, hashes.get("two")!))
        assert.deepEqual(settingsOf({ ...unit.value, secret: "s", wifi: "net", password: "12345678" }), {
            "p.id": "two",
            "p.secret": "s",
            "p.host": "broker.example",
            "p.port": 1883,
            wifi_ssid: Buffer.from("net"),
            wifi_psk: Buffer.from("12345678"),
        })
    })

    test("never takes an identity that somebody else has, however often it is run", async () => {
        const { client } = await openGroup()
        const before = await client.enrolEndpoint("two", "Two")
        assert.ok(before.ok)
        for (let round = 0; round < 2; round++) {
            const result = await enrolUnits({
                batch: openBatch(),
                group: client,
                broker,
                labels: "png",
                progress: () => {},
            })
            assert.deepEqual([result.enrolled, result.refused.map(({ id }) => id)], [1, ["two"]])
            assert.match(readFileSync(result.result, "utf8"), /two,Two,,desk-unit,refused: /)
        }
        const hashes = await hashesIn(join(folder, "broker"), 2)
        assert.ok(verifySecret(before.value.secret, hashes.get("two")!))
    })

    test("stops when the group server cannot be reached, and says how far it came", async () => {
        const client = new GroupClient("http://127.0.0.1:1", "none")
        const result = await enrolUnits({
            batch: openBatch(),
            group: client,
            broker,
            labels: "svg",
            progress: () => {},
        })
        assert.equal(result.stopped?.code, "unreachable")
        assert.equal(result.enrolled, 0)
    })

    test("is not continued with another list", () => {
        openBatch()
        const other = Batch.open(join(folder, "batch"), `${list}Three,room-panel,\n`, [])
        assert.ok(!other.ok)
        assert.equal(other.code, "other-list")
    })
})

describe("a label", () => {
    const unit = {
        id: "room-panel-1",
        name: 'R&D <"1">',
        room: "",
        board: "room-panel",
        wifi: "net",
        password: "secret-word",
        zoneMinutes: 0,
    }

    test("shows name and identity, and a code of the identity, without anything secret", async () => {
        const svg = await svgLabel(unit)
        assert.match(svg, />R&amp;D &lt;&quot;1&quot;&gt;<\/text>/)
        assert.match(svg, />room-panel-1<\/text>/)
        assert.equal(codeText(unit), "parley:room-panel-1?board=room-panel")
        assert.doesNotMatch(svg, /secret-word|net</)
        const png = await pngCode(unit)
        assert.equal(png.toString("latin1", 1, 4), "PNG")
    })
})
