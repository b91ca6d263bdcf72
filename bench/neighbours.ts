/**
 * What the neighbour rule makes of a real network: 120 servers drawn from the PlanetLab matrix, each running the real
 * choice of neighbours, link state and routing table in virtual time. Compares the overlay's delays with the direct ones.
 */
import { dataFolder } from "./data/folder.ts"
import { overlayServers, planetLabFile, planetLabOverlay, readMatrix } from "./data/planetlab.ts"
import type { Bench, BenchResult } from "./run.ts"

const seeds = [1, 2, 3, 4, 5]

export const neighboursBench: Bench = {
    summary: "the neighbour rule on the PlanetLab matrix: delays of the overlay beside the direct ones",
    options: { data: `folder that holds ${planetLabFile}` },
    run: async (options, progress) => measure(dataFolder(options.data, planetLabFile), progress),
}

async function measure(data: string, progress: (line: string) => void): Promise<BenchResult> {
    const matrix = readMatrix(data)
    const mean = { stretch: 0, degree: 0, faster: 0 }
    let disconnected = 0
    for (const seed of seeds) {
        const { overlay, directMs: direct } = planetLabOverlay(matrix, seed)
        let sum = 0
        let pairs = 0
        let faster = 0
        let unreached = 0
        for (const a of overlay.nodes)
            for (const b of overlay.nodes) {
                const directMs = direct(a.index, b.index)
                if (a === b || directMs <= 0) continue
                const overlayMs = a.table.delayFrom(a.id, b.id) / 50
                if (!Number.isFinite(overlayMs)) {
                    unreached++
                    continue
                }
                sum += overlayMs / directMs
                pairs++
                if (overlayMs < directMs) faster++
            }
        const links = overlay.nodes.reduce((count, node) => count + node.links.size, 0) / overlayServers
        if (unreached > 0) disconnected++
        mean.stretch += sum / pairs / seeds.length
        mean.degree += links / seeds.length
        mean.faster += faster / pairs / seeds.length
        progress(
            `seed ${seed}: overlay/direct ${(sum / pairs).toFixed(3)}, degree ${links.toFixed(2)}, ` +
                `${((100 * faster) / pairs).toFixed(1)} % faster than direct, ${unreached} pairs unreached`,
        )
    }
    return {
        figures: {
            stretchMean: mean.stretch,
            degreeMean: mean.degree,
            fasterThanDirect: mean.faster,
            disconnected,
        },
        seed: seeds[0],
    }
}
