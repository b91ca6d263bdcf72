/**
 * How much processor a setup takes: sessions set up and torn down again on the overlay, all messages of all servers through the
 * real `Reservation`, in one process on one core. Without encoding, encryption and sockets.
 */

import { Random } from "../../sim/world/random.ts"
import type { Network } from "../data/network.ts"
import { drawSession } from "./draw.ts"
import { ReserveNetwork } from "./network.ts"

const destinations = 8
const bandwidthKbps = 100
const perSecond = 100

/** Setups of eight destinations per second of one core; what the virtual network itself costs is in it. */
export function measureSpeed({ graph }: Network, seed: number, setups: number): number {
    const random = new Random(seed).split(200)
    const network = new ReserveNetwork({ graph, seed, advertiseMs: 1000 })
    let active = 0
    network.onOutcome = (rs, { type, sid }) => {
        if (type !== "active") throw new Error(`${sid} was ${type} on an idle network`)
        active++
        network.feed(network.servers[graph.indexOf.get(rs)!], { type: "drop", sid })
    }
    const run = (name: string, count: number) => {
        const fromMs = network.agenda.nowMs
        for (let i = 0; i < count; i++) {
            const { source, destinations: to } = drawSession(graph, destinations, random)
            const wish = {
                sid: `${name}${i}`,
                version: 1,
                destinations: to.map(v => ({ rs: graph.ids[v], dspUnits: 1 })),
                bandwidthKbps,
                dspUnits: 1,
            }
            network.agenda.at(fromMs + (i * 1000) / perSecond, () =>
                network.feed(network.servers[source], { type: "wish", wish }),
            )
        }
        network.agenda.runUntil(fromMs + (count * 1000) / perSecond + 10_000)
    }
    // So that the code is compiled.
    run("w", Math.ceil(setups / 4))
    active = 0
    const before = process.cpuUsage()
    run("s", setups)
    const { user, system } = process.cpuUsage(before)
    if (active !== setups || network.held() !== 0) throw new Error(`${active} of ${setups} sessions were active`)
    return (setups * 1e6) / (user + system)
}
