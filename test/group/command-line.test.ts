import assert from "node:assert/strict"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { parley, temporaryFolder } from "../cli/parley.ts"
import { good, type Running, startGroup } from "./servers.ts"

let group: Running
const folder = temporaryFolder()

before(async () => {
    group = await startGroup()
    for (const id of ["rs-a", "rs-b", "rs-c"]) good(await group.client.enrolRoutingServer(id))
    good(await group.client.enrolEndpoint("room-1", "Room 1"))
})

after(async () => {
    await group.stop()
    folder.remove()
})

async function run(...words: string[]) {
    const token = join(group.folder, "group/admin.token")
    const all = [...words, "--json", "--group", group.server.url, "--token", token]
    const { code, out, err } = await parley(all, folder.path, { PARLEY_SETUP: "skip" })
    return { code, value: out ? JSON.parse(out) : undefined, error: err ? JSON.parse(err).error : undefined }
}

test("an operator says on the command line where a routing server and an endpoint stand, and takes it back", async () => {
    const words = ["--tag", "east", "--tag", "lab", "--risk", "duct-7", "--lat", "-33.87", "--lon", "151.21"]
    const set = await run("server", "set", "rs-a", ...words)
    assert.equal(set.code, 0, JSON.stringify(set.error))
    const { tags, risk, lat, lon } = set.value
    assert.deepEqual([tags, risk, lat, lon], [["east", "lab"], ["duct-7"], -33.87, 151.21])
    const [forgotten, endpoint, unknown] = await Promise.all([
        run("server", "set", "rs-a", "--forget", "risk", "position"),
        run("endpoint", "set", "room-1", "--lat", "52.52", "--lon", "13.405"),
        run("server", "set", "rs-x", "--area", "north"),
    ])
    assert.deepEqual(forgotten.value.stored, { tags: ["east", "lab"] })
    assert.deepEqual([endpoint.value.lat, endpoint.value.name], [52.52, "Room 1"])
    assert.deepEqual([unknown.code, unknown.error.code], [1, "unknown-server"])
})

test("policy and static neighbours are changed pair by pair, also by several operators at the same time", async () => {
    const answers = await Promise.all([
        run("policy", "deny", "tenant-b", "tenant-a"),
        run("policy", "set", "--degree", "8", "--max-loss", "1.5"),
        run("neighbours", "static", "set", "rs-b", "rs-a"),
    ])
    for (const { code, error } of answers) assert.equal(code, 0, JSON.stringify(error))
    const [shown, pairs, wrong] = await Promise.all([
        run("policy", "show"),
        run("neighbours", "static", "list"),
        run("policy", "set", "--max-loss", "many"),
    ])
    const { deny, version, limits } = shown.value
    assert.deepEqual(deny, [["tenant-a", "tenant-b"]])
    assert.deepEqual([version, limits.degree, limits.maxLossPermille], [2, 8, 15])
    assert.deepEqual(pairs.value, [{ a: "rs-a", b: "rs-b" }])
    assert.deepEqual([wrong.code, wrong.error.code], [2, "usage"])
    const [allowed, cleared] = await Promise.all([
        run("policy", "allow", "tenant-b", "tenant-a"),
        run("neighbours", "static", "clear", "rs-a", "rs-b"),
    ])
    assert.deepEqual(allowed.value.deny, [])
    assert.deepEqual([cleared.code, good(await group.client.getStaticNeighbours()).pairs], [0, []])
})
