import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { after, test } from "node:test"
import { isAlive } from "../../cli/system/run-file.ts"
import { eventually } from "../support/deadline.ts"
import { ownNetwork, parley, temporaryFolder, up } from "./parley.ts"

const folder = temporaryFolder()
after(() => folder.remove())

test("a killed `up` takes its parts with it, is told from a running one, and starts again with the same identities", async () => {
    const words = ["--network", ownNetwork(), "--boards", "1", "--servers", "1"]
    const secret = () => readFileSync(join(folder.path, ".parley/secrets/board-a.secret"), "utf8")

    const first = await up(words, folder.path)
    const pids: number[] = first.ready.parts.map((part: { pid: number }) => part.pid)
    const firstSecret = secret()
    await first.kill()
    await eventually(() => !pids.some(isAlive), "all parts to end")

    const stale = await parley(["board", "list", "--json"], folder.path)
    assert.equal(stale.code, 3)
    assert.equal(JSON.parse(stale.err).error.code, "stale-run")

    const second = await up(words, folder.path)
    assert.equal(secret(), firstSecret)
    const exit = await second.stop()
    assert.equal(exit.code, 0)
})
