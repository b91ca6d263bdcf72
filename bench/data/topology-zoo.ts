/** Networks of the Internet Topology Zoo (topozoo.json): a routing server in each place, the operator's links between them. */

import { bandwidthGraph } from "../../servers/routing/reservation/bandwidth-graph.ts"
import type { Advertisement } from "../../servers/routing/route/advertisement.ts"
import { readData } from "./folder.ts"
import type { Network } from "./network.ts"

export const zooFile = "topozoo.json"
/**
 * Of 25 to 180 places, in America, Europe and Asia, on more than a line or a star; and none in which many links have no
 * length because their ends lie in one town.
 */
export const zooNames = ["AttMpls", "BtNorthAmerica", "Geant2012", "Tinet", "Surfnet", "Deltacom", "GtsCe", "Cogentco"]
/** Where the data set does not tell. */
const unknownMbps = 10_000

interface Zoo {
    nets: {
        name: string
        nodes: [name: string, lat: number, lon: number][]
        /** One-way delays in ms; Mbit/s, 0 when not known. */
        links: [a: number, b: number, delayMs: number, mbps: number][]
    }[]
}

export function readZoo(folder: string): Network[] {
    const zoo = readData(folder, zooFile) as Zoo
    return zooNames.map(name => {
        const net = zoo?.nets?.find(one => one.name === name)
        if (!Array.isArray(net?.nodes) || !Array.isArray(net.links)) throw new Error(`${zooFile}: ${name} is missing`)
        const advertisements: Advertisement[] = net.nodes.map((_, i) => ({
            origin: `rs${i}`,
            bootId: 1,
            seq: 1,
            area: 0,
            links: [],
        }))
        for (const [a, b, delayMs, mbps] of net.links)
            for (const [from, to] of [
                [a, b],
                [b, a],
            ])
                advertisements[from].links.push({
                    to: `rs${to}`,
                    delay: Math.max(1, Math.round(delayMs * 100)),
                    jitter: 0,
                    loss: 0,
                    capacity: (mbps || unknownMbps) * 1000,
                    free: 16,
                    hops: 1,
                })
        return { name, graph: bandwidthGraph(advertisements) }
    })
}
