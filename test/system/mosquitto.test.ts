import assert from "node:assert/strict"
import { after, before, describe, test } from "node:test"
import { eventually } from "../support/deadline.ts"
import { needPackage } from "../support/system-package.ts"
import { patienceMs, System } from "./system.ts"

const mosquitto = needPackage("mosquitto", "mosquitto")

describe("the whole system at mosquitto, with the files that Parley writes", {
    skip: !mosquitto.ok && mosquitto.why,
}, () => {
    let system: System
    let sid = ""
    before(async () => {
        system = await System.start("mosquitto")
    })
    after(() => system?.stop())

    test("two rooms at different routing servers join by a press each and hear each other", async () => {
        sid = await system.bookAndJoin()
        await system.hear()
        assert.deepEqual(await system.members(sid), ["joined rs-a", "joined rs-b"])
    })

    test("a broker that is killed and started again does not cut the sound, and leaving works after it", async () => {
        await system.killBroker()
        await system.startBroker()
        await system.backAtBroker()
        // What is counted of a leg begins with it: the same legs go on.
        for (const [id, { media }] of system.rooms) {
            const { received, concealed } = media.statistics()
            await eventually(() => media.statistics().received > received + 50, `sound at ${id}`, patienceMs)
            assert.ok(received > 50 && concealed < 20, `${received} received, ${concealed} concealed`)
        }
        assert.equal(system.legsLost, 0)
        system.press("board-a", "call")
        await system.reached("board-a", status => status.phase === "Idle")
        await eventually(
            async () => (await system.members(sid))[0].startsWith("left"),
            "the group server to hear of it",
            patienceMs,
        )
    })
})
