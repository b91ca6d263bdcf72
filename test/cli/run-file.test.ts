import assert from "node:assert/strict"
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, test } from "node:test"
import { bornAt, claimRun, findRun, type Run, removeRun, runFilePath, writeRun } from "../../cli/system/run-file.ts"

let folder = ""
beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "parley-run-"))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function run(pid = process.pid): Run {
    return {
        version: 1,
        pid,
        bornAt: bornAt(pid),
        phase: "starting",
        network: "127.0",
        broker: "127.0.1.1:1883",
        groupUrl: "http://127.0.1.2:8080",
        adminTokenFile: "",
        simUrl: "http://127.0.1.3:8090",
        simTokenFile: "",
        parts: [],
    }
}

/** Above the largest process number of any Linux. */
const deadPid = 5_000_000

describe("the run file", () => {
    test("gives a state folder to one system at a time, and names the other", () => {
        assert.equal(claimRun(folder, run()).ok, true)
        const second = claimRun(folder, run())
        assert.ok(!second.ok)
        assert.equal(second.code, "already-running")
        assert.match(second.what, new RegExp(`process ${process.pid}`))
        removeRun(folder)
        assert.equal(claimRun(folder, run()).ok, true)
    })

    test("that a killed system left behind does not hinder the next one", () => {
        writeRun(folder, run(deadPid))
        const claimed = claimRun(folder, run())
        assert.ok(claimed.ok)
        assert.equal(claimed.value.stalePid, deadPid)
    })

    test("of a dead system is told from a system that never ran", () => {
        const never = findRun(folder)
        assert.ok(!never.ok)
        assert.equal(never.code, "not-running")
        writeRun(folder, run(deadPid))
        const stale = findRun(folder)
        assert.ok(!stale.ok)
        assert.equal(stale.code, "stale-run")
        assert.equal(stale.exit, "notRunning")
    })

    test("with the number of another, later process counts as dead", { skip: bornAt(process.pid) === "" }, () => {
        writeRun(folder, { ...run(), bornAt: "1" })
        const found = findRun(folder)
        assert.ok(!found.ok)
        assert.equal(found.code, "stale-run")
    })

    test("that is no run file counts as none", () => {
        for (const text of ["", "{}", "null", "[]", '{"version": 2}', "\u0000"]) {
            writeFileSync(runFilePath(folder), text)
            const found = findRun(folder)
            assert.ok(!found.ok, text)
            assert.equal(found.code, "not-running")
        }
    })

    test("is for its user only, since it says where the tokens lie", () => {
        writeRun(folder, run())
        assert.equal(statSync(runFilePath(folder)).mode & 0o077, 0)
    })
})
