import assert from "node:assert/strict"
import { readFileSync, statSync } from "node:fs"
import { connect } from "node:net"
import { after, before, describe, test } from "node:test"
import { ControlClient } from "../../servers/routing/control/client.ts"
import { eventually } from "../support/deadline.ts"
import { type RoutingNetwork, startRoutingNetwork } from "./network.ts"

let network: RoutingNetwork
let a: ControlClient
let b: ControlClient

before(async () => {
    network = await startRoutingNetwork({
        ids: ["rs-a", "rs-b", "rs-c"],
        pairs: [
            ["rs-a", "rs-b"],
            ["rs-a", "rs-c"],
            ["rs-b", "rs-c"],
        ],
        delays: [["rs-a", "rs-b", 4]],
    })
    a = network.servers["rs-a"].control
    b = network.servers["rs-b"].control
})
after(() => network.stop())

async function linkTo(client: ControlClient, peer: string) {
    const links = await client.links()
    assert.ok(links.ok, JSON.stringify(links))
    return links.value.links.find(link => link.peer === peer)
}

describe("the control API of a routing server", () => {
    test("tells its state, and that it is ready", async () => {
        await eventually(async () => (await a.ready()).ok, "ready")
        await eventually(async () => {
            const state = await a.state()
            return state.ok && state.value.linksUp === 2
        }, "two links up")
        const state = await a.state()
        assert.ok(state.ok)
        const { id, ip, registered, brokerConnected, dspUnits } = state.value
        assert.deepEqual(
            { id, ip, registered, brokerConnected, dspUnits },
            { id: "rs-a", ip: network.servers["rs-a"].ip, registered: true, brokerConnected: true, dspUnits: 8 },
        )
    })

    test("shows links with their delay, and what its underlay file emulates", async () => {
        const link = await eventually(async () => {
            const found = await linkTo(a, "rs-b")
            return found?.delayMs !== undefined && found.delayMs > 3 && found.delayMs < 20 ? found : undefined
        }, "a delay")
        assert.equal(link.up, true)
        assert.equal(link.underlay.delayMs, 4)
        assert.ok(link.datagrams.sent > 0 && link.datagrams.forged === 0)
    })

    test("cuts a link without a word to anybody, and heals it", async () => {
        assert.ok((await a.putUnderlay("rs-c", { cut: true })).ok)
        await eventually(async () => (await linkTo(a, "rs-c"))?.up === false, "the link to be down")
        const links = await a.links()
        assert.ok(links.ok)
        const emulated = links.value.underlay.find(each => each.far === "rs-c")
        assert.ok(emulated?.conditions.cut && emulated.datagrams!.cut > 0)
        assert.ok((await a.deleteUnderlay("rs-c")).ok)
        await eventually(async () => (await linkTo(a, "rs-c"))?.up === true, "the link to be up again")
    })

    test("tells what sound passes through it, by link and label, also in metrics", async () => {
        const media = await a.media()
        assert.ok(media.ok, JSON.stringify(media))
        const { sessions, legs, links, transit, linkDatagrams, ticks } = media.value
        assert.deepEqual({ sessions, legs, links, transit }, { sessions: 0, legs: [], links: [], transit: [] })
        assert.deepEqual(linkDatagrams.map(({ peer }) => peer).sort(), ["rs-b", "rs-c"])
        assert.equal(ticks.skipped, 0)
        const metrics = await a.metrics()
        assert.ok(metrics.ok)
        assert.match(metrics.value, /parley_routing_link_datagrams_refused_total\{peer="rs-b",reason="late"\} \d/)
        assert.match(metrics.value, /parley_routing_data_plane_heap_bytes [1-9]/)
    })

    test("explains neighbours and routes in words, and sends echoes along them", async () => {
        const neighbours = await a.neighbours()
        assert.ok(neighbours.ok)
        assert.deepEqual(
            neighbours.value.map(({ server, outcome, kind, text }) => [server, outcome, kind, text]),
            [
                ["rs-b", "neighbour", "static", "neighbour, set by an administrator"],
                ["rs-c", "neighbour", "static", "neighbour, set by an administrator"],
            ],
        )
        const toB = await eventually(async () => {
            const routes = await a.routes()
            return routes.ok && routes.value.length === 2 && routes.value.find(route => route.to === "rs-b")
        }, "two routes")
        assert.ok(toB !== false && toB.delayMs > 0)
        const explained = await a.explainRoute("rs-b")
        assert.ok(explained.ok)
        const { from, to, reached, hops, notChosen, text } = explained.value
        assert.deepEqual({ from, to, reached }, { from: "rs-a", to: "rs-b", reached: true })
        assert.ok(hops.length >= 1 && notChosen.length === 1 && notChosen[0].text.length > 10 && text.length > 10)

        const pinged = await a.ping("rs-b", { count: 10, intervalMs: 10 })
        assert.ok(pinged.ok)
        assert.equal(pinged.value.answered, 10)
        for (const { rttMs, hops: links } of pinged.value.echoes) assert.ok(rttMs! > 0 && links! >= 1)
        const unknown = await a.explainRoute("rs-z")
        assert.ok(!unknown.ok && unknown.code === "unknown-server")
        const nobody = await a.ping("rs-z")
        assert.ok(nobody.ok && nobody.value.answered === 0 && nobody.value.echoes[0].reason === "no-route")
        for (const series of [{ count: 0 }, { count: 5000 }, { intervalMs: 1 }, { count: 2000, intervalMs: 100 }]) {
            const refused = await a.ping("rs-b", series)
            assert.ok(!refused.ok && refused.code === "malformed", JSON.stringify(series))
        }
    })

    test("refuses what it cannot do, with a code, and goes on", async () => {
        for (const [conditions, what] of [
            [{ delayMs: -1 }, /delayMs/],
            [{ loss: 1.5 }, /loss/],
            [{ cut: "yes" as never }, /cut/],
            [{ speed: 1 } as never, /body/],
        ] as const) {
            const put = await a.putUnderlay("rs-b", conditions)
            assert.ok(!put.ok && put.status === 400 && put.code === "malformed", JSON.stringify(conditions))
            assert.match(put.what, what)
        }
        for (const peer of ["rs-a", "Not An Id", network.servers["rs-a"].ip]) {
            const put = await a.putUnderlay(peer, { cut: true })
            assert.ok(!put.ok && put.code === "malformed", peer)
        }
        const url = a.url
        const tooLong = await a.putUnderlay("x".repeat(30), {})
        assert.ok(!tooLong.ok && tooLong.code === "malformed")
        const authorization = `Bearer ${readFileSync(network.servers["rs-a"].tokenFile, "utf8").trim()}`
        const headers = { authorization, "content-type": "application/json" }
        const status = async (path: string, init: RequestInit) => (await fetch(url + path, init)).status
        assert.equal(await status("/v1/nothing", { headers }), 404)
        const large = JSON.stringify({ delayMs: 1, padding: "x".repeat(8000) })
        assert.equal(await status("/v1/links/rs-b/underlay", { method: "PUT", headers, body: large }), 413)
        assert.equal(await status("/v1/links/rs-b/underlay", { method: "PUT", headers, body: "{" }), 400)
        // Not HTTP at all.
        const { hostname, port } = new URL(url)
        await new Promise<void>(resolve => {
            const socket = connect(Number(port), hostname, () => socket.write(Buffer.alloc(64, 0xff)))
            socket.on("error", () => {})
            socket.on("close", () => resolve())
            socket.resume()
        })
        assert.ok((await a.state()).ok)
    })

    test("asks everybody for the token, which only its owner can read; health answers without", async () => {
        const { tokenFile } = network.servers["rs-a"]
        assert.equal(statSync(tokenFile).mode & 0o777, 0o600)
        const stranger = new ControlClient(a.url, "guess")
        for (const result of [await stranger.state(), await stranger.metrics(), await stranger.putUnderlay("rs-b", {})])
            assert.ok(!result.ok && result.status === 401 && result.code === "unauthenticated")
        assert.equal((await fetch(`${a.url}/livez`)).status, 200)
        assert.equal((await fetch(`${a.url}/readyz`)).status, 200)
        const other = new ControlClient(b.url, readFileSync(tokenFile, "utf8").trim())
        assert.equal((await other.state()).ok, false, "each server has its own")
        const answers = await Promise.all(Array.from({ length: 120 }, () => fetch(`${a.url}/livez`)))
        assert.ok(answers.some(answer => answer.status === 429))
        assert.ok((await a.state()).ok, "not those with the token")
    })

    test("describes itself, and counts in base units", async () => {
        const authorization = `Bearer ${readFileSync(network.servers["rs-a"].tokenFile, "utf8").trim()}`
        // biome-ignore lint/suspicious/noExplicitAny: the description of an API
        const api = (await (await fetch(`${a.url}/openapi.json`, { headers: { authorization } })).json()) as any
        assert.equal(api.openapi, "3.1.0")
        const paths = ["state", "links", "links/{peer}/underlay", "neighbours", "routes", "routes/{to}", "ping/{to}"]
        for (const path of [...paths.map(each => `/v1/${each}`), "/metrics", "/livez", "/readyz"])
            assert.ok(api.paths[path], path)
        const metrics = await a.metrics()
        assert.ok(metrics.ok)
        const value = (name: string) =>
            Number(
                metrics.value
                    .split("\n")
                    .find(l => l.startsWith(`${name} `))
                    ?.split(" ")[1],
            )
        assert.equal(value('parley_routing_link_up{peer="rs-b"}'), 1)
        const delay = value('parley_routing_link_delay_seconds{peer="rs-b"}')
        assert.ok(delay > 0.003 && delay < 1, `${delay} s, and not ms`)
        assert.equal(value('parley_routing_dsp_units{state="free"}'), 8)
        assert.equal(value('parley_routing_link_datagrams_refused_total{peer="rs-b",reason="forged"}'), 0)
        assert.ok(value('parley_routing_link_datagrams_total{peer="rs-b",direction="sent"}') > 0)
        assert.equal(value("parley_routing_registered"), 1)
        assert.equal(value('parley_routing_neighbours{kind="static"}'), 2)
        assert.equal(value("parley_routing_routes"), 2)
        assert.ok(value("parley_routing_route_changes_total") >= 2)
        assert.ok(value("parley_routing_advertisements_total") >= 2)
        assert.ok(value("process_resident_memory_bytes") > 0)
    })
})
