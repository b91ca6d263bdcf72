import assert from "node:assert/strict"
import { after, describe, test } from "node:test"
import { noConditions } from "../../servers/routing/underlay/conditions.ts"
import { eventually, within } from "../support/deadline.ts"
import { Network } from "./network.ts"

const networks: Network[] = []
after(() => Promise.all(networks.map(network => network.stop())))

/** Three servers, all neighbours of each other; the way from A to C is shortest directly. */
async function triangle(helloMs: number): Promise<Network> {
    const net = await Network.start(["rs-a", "rs-b", "rs-c"])
    networks.push(net)
    for (const pair of ["rs-a rs-b", "rs-b rs-c", "rs-a rs-c"]) net.statics.add(pair)
    const delays: Record<string, Record<string, number>> = {
        "rs-a": { "rs-b": 6, "rs-c": 9 },
        "rs-b": { "rs-a": 6, "rs-c": 6 },
        "rs-c": { "rs-a": 9, "rs-b": 6 },
    }
    const start = ([id, to]: [string, Record<string, number>]) => {
        const paths = new Map(Object.entries(to).map(([far, delayMs]) => [far, { ...noConditions, delayMs }]))
        return net.add(id, { helloMs, underlay: { seed: 1, paths } })
    }
    await Promise.all(Object.entries(delays).map(start))
    await net.settled()
    await eventually(() => net.at("rs-a").route("rs-c")?.alternate === "rs-b", "an alternate")
    await eventually(() => net.at("rs-c").route("rs-a")?.alternate === "rs-b", "an alternate back")
    await eventually(() => net.at("rs-a").route("rs-c")?.nextHop === "rs-c", "the direct way")
    return net
}

describe("routing servers whose link is cut without a word", () => {
    test("[claim 3] [claim 8] go on by the alternate as soon as three hellos are missed, and return when it is whole", async () => {
        const net = await triangle(50)
        const [a, c] = [net.at("rs-a"), net.at("rs-c")]
        const moved = new Promise<void>(resolve =>
            a.topology.on("routes", changes => {
                if (changes.some(({ destination, after }) => destination === "rs-c" && after?.nextHop === "rs-b"))
                    resolve()
            }),
        )
        net.cut("rs-a", "rs-c")
        // How fast is measured by `npm run bench -- failover`.
        await within(moved, "the route to move")
        const echo = await eventually(async () => {
            const outcome = await a.ping("rs-c", 50)
            return outcome.ok ? outcome : undefined
        }, "an echo by the alternate")
        assert.equal(echo.hops, 2)
        assert.equal(c.route("rs-a")?.nextHop, "rs-b")
        const direct = a.explainRoute("rs-c").notChosen.find(({ neighbour }) => neighbour === "rs-c")
        assert.deepEqual([direct?.reason, direct?.text], ["down", "the link to it is down"])

        net.between("rs-a", "rs-c", { delayMs: 9 })
        await eventually(() => a.links.isUp("rs-c"), "the link to return")
        // As alternate, since 3 ms are not worth a move; as next hop when a busy machine has made the way around longer.
        await eventually(() => {
            const route = a.route("rs-c")
            return route?.alternate === "rs-c" || route?.nextHop === "rs-c"
        }, "the direct way in the table")
    })

    test("[claim 7] forget a dynamic neighbour that is gone, go around it, and find it again when it is back", async () => {
        const net = await Network.start(["rs-a", "rs-b", "rs-c"])
        networks.push(net)
        await Promise.all(["rs-a", "rs-b", "rs-c"].map(id => net.add(id)))
        await net.settled()
        await eventually(() => net.neighboursOf("rs-a").length === 2, "a full mesh")
        net.cut("rs-a", "rs-c")
        await eventually(() => net.at("rs-a").route("rs-c")?.nextHop === "rs-b", "the way around")
        const gone = () =>
            net
                .at("rs-a")
                .neighbourTrace()
                .find(({ rs }) => rs === "rs-c")
        assert.equal(gone()?.outcome, "refused")
        assert.match(gone()?.text ?? "", /^there is no path/)
        net.between("rs-a", "rs-c", {})
        await eventually(() => net.neighboursOf("rs-a").includes("rs-c"), "it to be a neighbour again")

        // A server that dies and comes back with a new life and a new identity.
        await net.at("rs-b").stop()
        await eventually(() => net.at("rs-a").route("rs-b") === undefined, "no route to what is gone")
        await net.add("rs-b")
        await net.settled()
    })
})
