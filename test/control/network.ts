/**
 * Real routing servers with an embedded broker and a played group server that greets them and tells each of its static
 * neighbours: the smallest system in which routes exist.
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import type { Peer } from "../../protocol/servers.ts"
import { ControlClient } from "../../servers/routing/control/client.ts"
import { loopbackAddress } from "../support/addresses.ts"
import { enrolParties, startEmbeddedBroker } from "../support/broker.ts"
import { type Child, startScript } from "../support/child.ts"
import { connectParty } from "../support/mqtt.ts"

const main = resolve(import.meta.dirname, "../../servers/routing/main.ts")

/** Several processes start at once, perhaps on a busy machine. */
const readyMs = 40_000

export interface NetworkServer {
    id: string
    ip: string
    child: Child
    control: ControlClient
    tokenFile: string
}

export interface RoutingNetwork {
    servers: Record<string, NetworkServer>
    /** Starts a server again that was killed, at the same address. */
    restart(id: string): Promise<NetworkServer>
    stop(): Promise<void>
}

export interface NetworkPlan {
    ids: string[]
    /** Static neighbours. */
    pairs: [string, string][]
    /** One-way delays in ms, both ways, from the start. */
    delays?: [string, string, number][]
    /** Further options of each server. */
    words?: string[]
}

export async function startRoutingNetwork(plan: NetworkPlan): Promise<RoutingNetwork> {
    const root = mkdtempSync(join(tmpdir(), "parley-network-"))
    const kinds = Object.fromEntries(plan.ids.map(id => [id, "rs" as const]))
    const parties = enrolParties({ group: "group", ...kinds })
    const broker = await startEmbeddedBroker(parties.dir)
    const group = await connectParty(broker, "group", parties.secrets.group)
    const known = new Map<string, Omit<Peer, "static">>()
    const isPair = (a: string, b: string) => plan.pairs.some(pair => pair.includes(a) && pair.includes(b))
    let n = 0
    const tellAll = async () => {
        n++
        for (const id of known.keys()) {
            const others = [...known.values()].filter(peer => peer.rs !== id)
            const list = others.map(peer => ({ ...peer, static: isPair(id, peer.rs) ? 1 : 0 }))
            await group.publish(`parley/v1/rs/${id}/in/group/peers`, { n, list })
        }
    }
    group.client.on("message", (topic, payload) => {
        const [, , kind, id, , , verb] = topic.split("/")
        if (kind !== "rs" || payload.length === 0) return
        const message = JSON.parse(payload.toString())
        if (typeof message.id !== "number") return
        const answered = group.publish(`parley/v1/rs/${id}/in/group/done`, { re: message.id, nowMs: Date.now() })
        answered.catch(() => {})
        if (verb !== "hello") return
        const { ip, linkPort, mediaPort, fingerprint } = message
        known.set(id, { rs: id, ip, linkPort, mediaPort, fingerprint })
        answered.then(tellAll).catch(() => {})
    })
    await group.subscribe("parley/v1/rs/+/out/group/#")
    await group.publish("parley/v1/group/state", { boot: 1, on: 1 }, { retain: true })

    const servers: Record<string, NetworkServer> = {}
    const ips = Object.fromEntries(plan.ids.map(id => [id, loopbackAddress()]))
    const start = async (id: string): Promise<NetworkServer> => {
        const secretFile = join(root, `${id}.secret`)
        const underlayFile = join(root, `${id}.underlay.json`)
        const state = join(root, id)
        writeFileSync(secretFile, `${parties.secrets[id]}\n`, { mode: 0o600 })
        const paths: Record<string, object> = {}
        for (const [a, b, delayMs] of plan.delays ?? []) {
            if (a === id) paths[b] = { delayMs }
            if (b === id) paths[a] = { delayMs }
        }
        writeFileSync(underlayFile, JSON.stringify({ seed: 1, paths }))
        const options = [
            ...["--id", id, "--secret-file", secretFile, "--ip", ips[id], "--link-port", "0", "--media-port", "0"],
            ...["--broker", `mqtt://${broker.host}:${broker.port}`, "--dsp-units", "8", "--state", state],
            ...["--control-port", "0", "--underlay", underlayFile, ...(plan.words ?? [])],
        ]
        const child = await startScript(main, options, { readyMs })
        const tokenFile = join(state, "control.token")
        const control = ControlClient.fromTokenFile(child.ready.controlUrl, tokenFile)
        servers[id] = { id, ip: ips[id], child, control, tokenFile }
        return servers[id]
    }
    const stop = async () => {
        await Promise.all(Object.values(servers).map(({ child }) => child.stop()))
        await group.end()
        await broker.stop()
        parties.remove()
        rmSync(root, { recursive: true, force: true })
    }
    try {
        await Promise.all(plan.ids.map(start))
    } catch (error) {
        await stop()
        throw error
    }
    return { servers, restart: start, stop }
}
