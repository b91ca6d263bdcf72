import assert from "node:assert/strict"
import { after, describe, test } from "node:test"
import { neighbourLimitDefaults } from "../../protocol/servers.ts"
import { eventually } from "../support/deadline.ts"
import { Network } from "./network.ts"

const networks: Network[] = []
after(() => Promise.all(networks.map(network => network.stop())))

async function network(...ids: string[]): Promise<Network> {
    const started = await Network.start(["rs-a", "rs-b", "rs-c", "rs-d", "rs-e"])
    networks.push(started)
    await Promise.all(ids.map(id => started.add(id)))
    return started
}

describe("routing servers that know nothing but the group server's list", () => {
    test("[claim 7] [claim 10] [claim 13] find each other over IP, and a new one is found by all", async () => {
        const net = await network("rs-a", "rs-b", "rs-c")
        await net.settled()
        // Whoever was asked by the others first is a neighbour before it has measured anything itself.
        const trace = await eventually(
            () =>
                net
                    .at("rs-a")
                    .neighbourTrace()
                    .find(({ outcome, path }) => outcome === "neighbour" && path !== undefined),
            "a neighbour that was measured",
        )
        assert.equal(trace.path?.probesAnswered, 10)
        assert.equal(trace.path?.hops, 1, "one hop within one machine")
        assert.ok(trace.path!.rttMs > 0 && trace.path!.bandwidthKbps > 1000, JSON.stringify(trace.path))
        for (const server of net.servers.values()) assert.match(server.ip, /^127\.\d+\.\d+\.\d+$/)

        await net.add("rs-d")
        await net.settled()
        assert.ok(net.neighboursOf("rs-d").length > 0)
        for (const id of ["rs-a", "rs-b", "rs-c"])
            assert.ok(net.at(id).route("rs-d"), `${id} has a route to the new one`)
    })

    test("[claim 9] [claim 8] [claim 3] do not link what the policy keeps apart, and route around it", async () => {
        const net = await network()
        net.places.set("rs-a", { tags: ["north"] })
        net.places.set("rs-c", { tags: ["south"] })
        net.deny = [["north", "south"]]
        await Promise.all(["rs-a", "rs-b", "rs-c"].map(id => net.add(id)))
        await net.settled()
        assert.deepEqual(net.neighboursOf("rs-a"), ["rs-b"])
        const route = net.at("rs-a").route("rs-c")
        assert.equal(route?.nextHop, "rs-b")
        assert.equal(route?.hops, 2)
        const refused = net
            .at("rs-a")
            .neighbourTrace()
            .find(({ rs }) => rs === "rs-c")
        assert.equal(refused?.test, "policy")
        assert.equal(refused?.text, "the administration policy keeps them apart (north - south)")

        const echo = await net.at("rs-a").ping("rs-c")
        assert.ok(echo.ok && echo.hops === 2, JSON.stringify(echo))
        assert.equal(net.at("rs-b").forwarder.counters.forwarded, 2, "there and back")
        const explained = net.at("rs-a").explainRoute("rs-c")
        assert.deepEqual(
            explained.hops.map(({ from, to }) => [from, to]),
            [
                ["rs-a", "rs-b"],
                ["rs-b", "rs-c"],
            ],
        )

        // The policy changes: what it has come to allow is found, what it has come to forbid goes at once.
        net.deny = [["north", "north"]]
        await net.tell()
        await eventually(() => net.neighboursOf("rs-a").includes("rs-c"), "rs-c to become a neighbour")
        net.deny = [["north", "south"]]
        await net.tell()
        await eventually(() => !net.neighboursOf("rs-a").includes("rs-c"), "rs-c to be let go")
    })

    test("[claim 7] keep the static neighbours whatever the rule says, and lose them with the setting", async () => {
        const net = await network()
        net.statics.add("rs-a rs-b")
        net.limits = { ...neighbourLimitDefaults, minBandwidthKbps: 4_000_000_000 }
        await Promise.all(["rs-a", "rs-b"].map(id => net.add(id)))
        await net.settled()
        assert.deepEqual(net.neighboursOf("rs-a"), ["rs-b"])
        assert.equal(net.at("rs-a").neighbourTrace()[0].kind, "static")
    })
})
