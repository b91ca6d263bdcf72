/**
 * Real routing servers with an embedded broker and a played group server that greets them and tells each of its static
 * neighbours: the smallest system in which routes and sessions exist.
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { ControlClient } from "../../servers/routing/control/client.ts"
import type { PathConditions } from "../../servers/routing/underlay/conditions.ts"
import { loopbackAddress } from "../support/addresses.ts"
import { enrolParties, startEmbeddedBroker } from "../support/broker.ts"
import { type Child, startScript } from "../support/child.ts"
import { PlayedEndpoint } from "./played-endpoint.ts"
import { PlayedGroup } from "./played-group.ts"

const main = resolve(import.meta.dirname, "../../servers/routing/main.ts")

/** Several processes start at once, perhaps on a busy machine. */
const readyMs = 120_000

export interface NetworkServer {
    id: string
    ip: string
    child: Child
    control: ControlClient
    tokenFile: string
}

export interface RoutingNetwork {
    servers: Record<string, NetworkServer>
    group: PlayedGroup
    /** An endpoint of the plan, connected to the broker. */
    endpoint(id: string): Promise<PlayedEndpoint>
    /** Starts a server again that was killed, at the same address. */
    restart(id: string): Promise<NetworkServer>
    stop(): Promise<void>
}

export interface NetworkPlan {
    ids: string[]
    /** Static neighbours. */
    pairs: [string, string][]
    /** One-way delays in ms, both ways, from the start; or more of the conditions of that path. */
    delays?: [string, string, number | Partial<PathConditions>][]
    /** Further options of each server, and of single ones. */
    words?: string[]
    wordsOf?: Record<string, string[]>
    /** Endpoints that may connect. */
    endpoints?: string[]
}

export async function startRoutingNetwork(plan: NetworkPlan): Promise<RoutingNetwork> {
    const root = mkdtempSync(join(tmpdir(), "parley-network-"))
    const kinds = Object.fromEntries(plan.ids.map(id => [id, "rs" as const]))
    const endpoints = Object.fromEntries((plan.endpoints ?? []).map(id => [id, "ep" as const]))
    const parties = enrolParties({ group: "group", ...kinds, ...endpoints })
    const broker = await startEmbeddedBroker(parties.dir)
    const group = await PlayedGroup.start(broker, parties.secrets.group, plan.pairs)

    const servers: Record<string, NetworkServer> = {}
    const ips = Object.fromEntries(plan.ids.map(id => [id, loopbackAddress()]))
    const start = async (id: string): Promise<NetworkServer> => {
        const secretFile = join(root, `${id}.secret`)
        const underlayFile = join(root, `${id}.underlay.json`)
        const state = join(root, id)
        writeFileSync(secretFile, `${parties.secrets[id]}\n`, { mode: 0o600 })
        const paths: Record<string, object> = {}
        for (const [a, b, given] of plan.delays ?? []) {
            const conditions = typeof given === "number" ? { delayMs: given } : given
            if (a === id) paths[b] = conditions
            if (b === id) paths[a] = conditions
        }
        writeFileSync(underlayFile, JSON.stringify({ seed: 1, paths }))
        const options = [
            ...["--id", id, "--secret-file", secretFile, "--ip", ips[id], "--link-port", "0", "--media-port", "0"],
            ...["--broker", `mqtt://${broker.host}:${broker.port}`, "--dsp-units", "8", "--state", state],
            ...["--control-port", "0", "--underlay", underlayFile, ...(plan.words ?? [])],
            ...(plan.wordsOf?.[id] ?? []),
        ]
        const child = await startScript(main, options, { readyMs })
        const tokenFile = join(state, "control.token")
        const control = ControlClient.fromTokenFile(child.ready.controlUrl, tokenFile)
        servers[id] = { id, ip: ips[id], child, control, tokenFile }
        return servers[id]
    }
    const connected: PlayedEndpoint[] = []
    const endpoint = async (id: string) => {
        const one = await PlayedEndpoint.connect(broker, id, parties.secrets[id])
        connected.push(one)
        return one
    }
    const stop = async () => {
        await Promise.all(connected.map(one => one.end()))
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
    return { servers, group, endpoint, restart: start, stop }
}
