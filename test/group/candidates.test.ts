import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { limits } from "../../protocol/limits.ts"
import { outcome, World } from "./world.ts"

function candidates(world: World, room: string): string[] {
    const answer = world.ask("ep", room, "candidates")
    return answer.ok ? (answer.fields.list as { rs: string }[]).map(candidate => candidate.rs) : []
}

/** Twelve servers on the equator, one every 10 degrees east, of which the two in the far east are the least loaded. */
function equator(): World {
    const world = new World()
    world.rooms("a")
    for (let index = 0; index < 12; index++) {
        const id = `rs-${String.fromCharCode(97 + index)}`
        world.servers(id)
        world.do({ do: "placeServer", id, change: { position: { lat: 0, lon: index * 10_000 } } })
        world.tell("rs", id, { boot: 1, on: 1, load: index >= 10 ? 1 : 50 })
    }
    return world
}

describe("candidates for an endpoint", () => {
    test("are at most 8: the nearest by its coordinates first, and always the two least loaded", () => {
        const world = equator()
        world.do({ do: "changeEndpoint", id: "a", position: { lat: 0, lon: 31_000 } })
        const list = candidates(world, "a")
        assert.equal(list.length, limits.candidates)
        assert.deepEqual(list, ["rs-d", "rs-e", "rs-c", "rs-f", "rs-b", "rs-g", "rs-k", "rs-l"])
        // Taken back: by load alone.
        world.do({ do: "changeEndpoint", id: "a", position: null })
        assert.deepEqual(candidates(world, "a").slice(0, 3), ["rs-k", "rs-l", "rs-a"])
    })

    test("begin with those that it chose before, the latest first, whatever coordinates say", () => {
        const world = equator()
        world.do({ do: "changeEndpoint", id: "a", position: { lat: 0, lon: 0 } })
        for (const server of ["rs-i", "rs-h", "rs-i", "rs-j"]) world.attach("a", server)
        assert.deepEqual(candidates(world, "a"), ["rs-j", "rs-i", "rs-h", "rs-a", "rs-b", "rs-c", "rs-k", "rs-l"])
    })

    test("lie around the server that it chose last when nobody has said where it stands, also after a restart", () => {
        const world = equator()
        world.attach("a", "rs-h")
        const around = ["rs-h", "rs-g", "rs-i", "rs-f", "rs-j", "rs-k", "rs-e", "rs-l"]
        assert.deepEqual(candidates(world, "a").sort(), [...around].sort())
        world.restart()
        for (let index = 0; index < 12; index++)
            world.tell("rs", `rs-${String.fromCharCode(97 + index)}`, { boot: 1, on: 1 }, true)
        assert.equal(candidates(world, "a")[0], "rs-h")
    })

    test("leave out who is offline or draining, even the one in use, and there may be none", () => {
        const world = new World()
        world.rooms("a")
        world.servers("rs-a", "rs-b", "rs-c")
        world.attach("a", "rs-a")
        world.tell("rs", "rs-a", { boot: 1, on: 1, draining: 1 })
        world.tell("rs", "rs-b", { boot: 1, on: 0 })
        assert.deepEqual(candidates(world, "a"), ["rs-c"])
        world.tell("rs", "rs-c", { boot: 1, on: 1, draining: 1 })
        assert.equal(outcome(world.ask("ep", "a", "candidates")), "no-servers")
        world.tell("rs", "rs-a", { boot: 1, on: 1 })
        assert.deepEqual(candidates(world, "a"), ["rs-a"])
    })
})
