/** The networks that the reservation is measured on, as a link-state database would show them. */

import { bandwidthGraph } from "../../servers/routing/reservation/bandwidth-graph.ts"
import type { BandwidthGraph } from "../../servers/routing/reservation/model.ts"
import { planetLabOverlay, readMatrix } from "./planetlab.ts"
import { readZoo } from "./topology-zoo.ts"

export interface Network {
    name: string
    graph: BandwidthGraph
}

/** Networks of the Topology Zoo and one overlay over PlanetLab. */
export function networks(folder: string, seed: number): Network[] {
    const { overlay } = planetLabOverlay(readMatrix(folder), seed)
    const told = overlay.nodes.map(node => node.state.database.get(node.id)!.advertisement)
    return [...readZoo(folder), { name: "PlanetLab", graph: bandwidthGraph(told) }]
}
