import assert from "node:assert/strict"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, describe, test } from "node:test"
import { readSettings } from "../../cli/settings.ts"

const folder = mkdtempSync(join(tmpdir(), "parley-settings-"))
after(() => rmSync(folder, { recursive: true, force: true }))

const withFile = join(folder, "with-file")
const empty = mkdtempSync(join(folder, "empty-"))

function boardsOf(flags: Record<string, unknown>, environment: NodeJS.ProcessEnv, file?: string) {
    const place = mkdtempSync(`${withFile}-`)
    if (file !== undefined) writeFileSync(join(place, "parley.json"), file)
    const settings = readSettings(flags, environment, place)
    return settings.ok ? settings.value.boards : settings.what
}

describe("a setting", () => {
    test("comes from the flag before the environment before the file before the default", () => {
        assert.equal(boardsOf({ boards: "5" }, { PARLEY_BOARDS: "6" }, '{"boards": 7}'), 5)
        assert.equal(boardsOf({}, { PARLEY_BOARDS: "6" }, '{"boards": 7}'), 6)
        assert.equal(boardsOf({}, {}, '{"boards": 7}'), 7)
        assert.equal(boardsOf({}, {}), 3)
    })

    test("that is wrong is refused with the place it came from", () => {
        assert.match(String(boardsOf({ boards: "many" }, {})), /^--boards: a whole number from 1 to 24/)
        assert.match(String(boardsOf({}, { PARLEY_BOARDS: "0" })), /^PARLEY_BOARDS: /)
        assert.match(String(boardsOf({}, {}, '{"boards": 25}')), /^"boards" in the settings file: /)
        assert.match(String(boardsOf({}, {}, '{"bords": 2}')), /unknown setting "bords"/)
        assert.match(String(boardsOf({}, {}, "[1]")), /one JSON object is needed/)
        assert.match(String(boardsOf({}, {}, "{")), /parley\.json: /)
    })

    test("in a settings file that was named and does not exist is an error, and a missing default file is none", () => {
        assert.equal(readSettings({}, {}, empty).ok, true)
        const named = readSettings({ config: "nowhere.json" }, {}, empty)
        assert.equal(named.ok, false)
        if (!named.ok) assert.equal(named.exit, "usage")
    })

    test("of the network is a block of loopback addresses and nothing else", () => {
        for (const network of ["127.40", "127.0", "127.255"])
            assert.equal(readSettings({ network }, {}, empty).ok, true, network)
        for (const network of ["127.256", "10.0", "127", "127.0.1", "127.0/16", ""])
            assert.equal(readSettings({ network }, {}, empty).ok, false, network)
    })

    test("of the state folder becomes an absolute path", () => {
        const settings = readSettings({ state: "here" }, {}, empty)
        assert.ok(settings.ok)
        assert.equal(settings.value.stateFolder, join(empty, "here"))
    })
})
