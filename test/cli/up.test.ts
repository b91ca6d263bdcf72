import assert from "node:assert/strict"
import { existsSync, readdirSync, statSync } from "node:fs"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { isAlive } from "../../cli/system/run-file.ts"
import type { Child } from "../support/child.ts"
import { eventually, within } from "../support/deadline.ts"
import { ownNetwork, parley, temporaryFolder, up } from "./parley.ts"

/** Long enough for three processes to start on a busy machine. */
const attachWithinMs = 60_000

describe("a system that `parley up` runs", () => {
    const folder = temporaryFolder()
    const network = ownNetwork()
    let system: Child
    let pids: number[] = []

    const run = (...words: string[]) => parley(words, folder.path)
    const json = async (...words: string[]) => {
        const ended = await run(...words, "--json")
        assert.equal(ended.code, 0, `${words.join(" ")}: ${ended.err}`)
        return JSON.parse(ended.out)
    }

    before(async () => {
        system = await up(["--network", network, "--boards", "2", "--servers", "2"], folder.path)
        pids = system.ready.parts.map((part: { pid: number }) => part.pid)
    })
    after(async () => {
        await system?.stop()
        folder.remove()
    })

    test("says where each part is, on an address of its own [claim 2]", () => {
        const { parts } = system.ready
        assert.deepEqual(
            parts.map((part: { name: string }) => part.name),
            ["group-server", "broker", "rs-a", "rs-b", "simulator"],
        )
        const hosts = parts.map((part: { address: string }) => part.address.split(":")[0])
        assert.equal(new Set(hosts).size, parts.length)
        for (const host of hosts) assert.ok(host.startsWith(`${network}.`))
    })

    test("has boards that register, attach to different servers, and show it on their screens", async () => {
        const boards = await eventually(
            async () => {
                const list = await json("board", "list")
                return list.every((board: { phase: string }) => board.phase === "Idle") ? list : undefined
            },
            "all boards idle",
            attachWithinMs,
        )
        assert.deepEqual(
            boards.map((board: { server: string }) => board.server),
            ["rs-a", "rs-b"],
        )
        const { lines } = await json("board", "screen", "board-a")
        assert.match(lines[0], /^Board room/)
        assert.match(lines[1], /^Ready/)
        assert.match((await run("board", "screen", "board-a")).out, /^\+-{22}\+\n\| Board room/)
    })

    test("is well to the doctor", async () => {
        const report = await eventually(
            async () => {
                const ended = await run("doctor", "--json")
                return ended.code === 0 ? JSON.parse(ended.out) : undefined
            },
            "the doctor content",
            attachWithinMs,
        )
        assert.equal(report.verdict, "ok")
        for (const subject of ["broker", "rs-a", "rs-b at the group server", "board-b"])
            assert.ok(
                report.findings.some((finding: { subject: string }) => finding.subject === subject),
                subject,
            )
    })

    test("books, shows and cancels sessions, and passes on the reason of a refusal", async () => {
        const start = new Date(Date.now() + 24 * 3_600_000).toISOString()
        const booked = await json("session", "book", "--by", "board-a", "--with", "all-rooms", "--start", start)
        assert.equal(booked.start, Math.floor(Date.parse(start) / 1000))
        assert.equal((await json("session", "show", booked.id)).with, "all-rooms")
        assert.ok((await json("session", "list")).some((session: { id: string }) => session.id === booked.id))
        const refused = await run("session", "book", "--by", "board-a", "--with", "nobody", "--json")
        assert.equal(refused.code, 1)
        assert.equal(JSON.parse(refused.err).error.code, "unknown-group")
        await json("session", "cancel", booked.id)
        assert.equal((await json("session", "show", booked.id)).state, "ended")
    })

    test("enrols an endpoint once, with a secret, and removes it only when told twice", async () => {
        const enrolled = await json("endpoint", "enrol", "room-7", "--name", "Room 7")
        assert.match(enrolled.secret, /^.{16,64}$/)
        const again = await run("endpoint", "enrol", "room-7", "--json")
        assert.equal(again.code, 1)
        assert.deepEqual((await json("endpoint", "show", "room-7")).crashes, [])
        assert.match(
            (await run("endpoint", "show", "board-a")).out,
            /^board-a .*online.*\nboard room-panel, .*\nno crash is known/,
        )
        const asked = await run("endpoint", "remove", "room-7", "--json")
        assert.equal(JSON.parse(asked.err).error.code, "not-confirmed")
        await json("endpoint", "remove", "room-7", "--yes")
        assert.ok(!(await json("endpoint", "list")).some((endpoint: { id: string }) => endpoint.id === "room-7"))
    })

    test("names the boards there are when asked for another", async () => {
        const { code, err } = await run("board", "screen", "board-z")
        assert.equal(code, 1)
        assert.match(err, /no board "board-z"; there are board-a, board-b/)
    })

    test("refuses a second `up` in the same folder, and in the same block from another", async () => {
        const same = await run("up", "--json", "--network", network)
        assert.equal(same.code, 1)
        assert.equal(JSON.parse(same.err.trim().split("\n").at(-1) ?? "").error.code, "already-running")
        const other = await run("up", "--json", "--network", network, "--state", "other")
        assert.equal(other.code, 1)
        const { error } = JSON.parse(other.err.trim().split("\n").at(-1) ?? "")
        assert.equal(error.code, "address-in-use")
        assert.match(error.what, new RegExp(`broker: ${network}.1.1:1883`))
        assert.equal(existsSync(join(folder.path, "other", "run.json")), false)
    })

    test("keeps secrets and logs for its user only", () => {
        const state = join(folder.path, ".parley")
        for (const name of readdirSync(join(state, "secrets")))
            assert.equal(statSync(join(state, "secrets", name)).mode & 0o077, 0, name)
        for (const name of ["sim.json", "sim.token", "group/admin.token"])
            assert.equal(statSync(join(state, name)).mode & 0o077, 0, name)
    })

    test("reports a part that dies with its last words, does not restart it, and the doctor names it", async () => {
        const victim = system.ready.parts.find((part: { name: string }) => part.name === "rs-b")
        process.kill(victim.pid, "SIGKILL")
        await eventually(() => system.stderr().includes("part-died"), "the report of the death")
        const line =
            system
                .stderr()
                .split("\n")
                .find(text => text.includes("part-died")) ?? ""
        const { error } = JSON.parse(line)
        assert.equal(error.details.part, "rs-b")
        assert.match(error.what, /SIGKILL/)
        const { code, err } = await run("doctor", "--json")
        assert.equal(code, 1)
        assert.match(JSON.parse(err).error.what, /need attention: rs-b/)
    })

    test("stops all parts within 3 s, leaves no run file, and tells by its exit code that a part had died", async () => {
        const stopping = run("stop", "--json")
        const fromMs = performance.now()
        const exit = await within(system.exited, "parley up to end")
        const tookMs = performance.now() - fromMs
        assert.equal((await stopping).code, 0)
        assert.equal(exit.code, 1)
        // The command itself needs a second or more to start on a busy machine.
        assert.ok(tookMs < 3000 + 3000, `${tookMs} ms`)
        assert.deepEqual(pids.filter(isAlive), [])
        assert.equal(existsSync(join(folder.path, ".parley", "run.json")), false)
        assert.equal((await run("board", "list")).code, 3)
    })
})
