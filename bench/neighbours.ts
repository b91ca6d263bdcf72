/**
 * What the neighbour rule makes of a real network: 120 servers drawn from the PlanetLab matrix, each running the real
 * choice of neighbours, link state and routing table in virtual time. Compares the overlay's delays with the direct ones.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { choiceDefaults } from "../servers/routing/neighbours/choice.ts"
import { Overlay } from "../sim/world/overlay.ts"
import { Random } from "../sim/world/random.ts"
import type { Bench, BenchResult } from "./run.ts"

const servers = 120
const seeds = [1, 2, 3, 4, 5]
/** Wanted degree. */
const degree = 8
/** PlanetLab spans the globe: the default of 75 ms one way would leave out every link between continents. */
const maxDelayMs = 150
const virtualMs = 120_000

interface Matrix {
    n: number
    /** Upper triangle, row by row, round trips in 0.1 ms. */
    med: number[]
}

function readMatrix(folder: string): Matrix {
    const file = join(folder, "planetlab490.rtt.json")
    let matrix: Matrix
    try {
        matrix = JSON.parse(readFileSync(file, "utf8"))
    } catch (error) {
        throw new Error(`${file} cannot be read: ${(error as Error).message}`)
    }
    if (!Number.isInteger(matrix.n) || matrix.med?.length !== (matrix.n * (matrix.n - 1)) / 2)
        throw new Error("planetlab490.rtt.json: n and the upper triangle `med` are needed")
    return matrix
}

function rttMs({ n, med }: Matrix, a: number, b: number): number {
    if (a === b) return 0
    const [i, j] = a < b ? [a, b] : [b, a]
    return med[i * n - (i * (i + 1)) / 2 + (j - i - 1)] / 10
}

export const neighboursBench: Bench = {
    summary: "the neighbour rule on the PlanetLab matrix: delays of the overlay beside the direct ones",
    options: { data: "folder that holds planetlab490.rtt.json" },
    run: async (options, progress) => {
        if (!options.data) throw new Error("--data DIR is needed: the folder that holds planetlab490.rtt.json")
        return measure(options.data, progress)
    },
}

async function measure(data: string, progress: (line: string) => void): Promise<BenchResult> {
    const matrix = readMatrix(data)
    const mean = { stretch: 0, degree: 0, faster: 0 }
    let disconnected = 0
    for (const seed of seeds) {
        const random = new Random(seed)
        const sites = random.shuffle(Array.from({ length: matrix.n }, (_, i) => i)).slice(0, servers)
        const direct = (a: number, b: number) => rttMs(matrix, sites[a], sites[b])
        const overlay = new Overlay({
            members: sites.map((_, i) => ({ id: `rs${i}`, ip: "127.0.0.1", tags: [], riskGroups: [], static: false })),
            random: random.split(1),
            choice: { ...choiceDefaults, degree, maxDelayMs },
            underlay: {
                // The matrix has 0 for the nearest pairs; nothing is nearer than 0.1 ms there and back.
                delayMs: (a, b) => Math.max(0.05, direct(a, b) / 2),
                loss: () => 0,
                jitterMs: () => 0,
                bandwidthKbps: () => 1_000_000,
            },
        })
        overlay.agenda.runUntil(virtualMs)
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
        const links = overlay.nodes.reduce((count, node) => count + node.links.size, 0) / servers
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
