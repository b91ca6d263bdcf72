/**
 * The PlanetLab matrix of round trips (planetlab490.rtt.json), and the overlay that the real neighbour rule makes of servers
 * drawn from it: choice of neighbours, link state and routing tables run in virtual time.
 */

import { choiceDefaults } from "../../servers/routing/neighbours/model.ts"
import { Overlay } from "../../sim/world/overlay.ts"
import { Random } from "../../sim/world/random.ts"
import { readData } from "./folder.ts"

export const planetLabFile = "planetlab490.rtt.json"
/** Servers drawn for one overlay. */
export const overlayServers = 120
/** Wanted degree. */
const degree = 8
/** PlanetLab spans the globe: the default of 75 ms one way would leave out every link between continents. */
const maxDelayMs = 150
const virtualMs = 120_000
const linkKbps = 1_000_000

export interface Matrix {
    n: number
    /** Upper triangle, row by row, round trips in 0.1 ms. */
    med: number[]
}

export function readMatrix(folder: string): Matrix {
    const matrix = readData(folder, planetLabFile) as Matrix
    if (!Number.isInteger(matrix?.n) || matrix.med?.length !== (matrix.n * (matrix.n - 1)) / 2)
        throw new Error(`${planetLabFile}: n and the upper triangle \`med\` are needed`)
    return matrix
}

function rttMs({ n, med }: Matrix, a: number, b: number): number {
    if (a === b) return 0
    const [i, j] = a < b ? [a, b] : [b, a]
    return med[i * n - (i * (i + 1)) / 2 + (j - i - 1)] / 10
}

export interface PlanetLabOverlay {
    /** After two minutes: neighbours chosen, everything told. */
    overlay: Overlay
    /** Round trip between two of its servers as in the matrix, ms. */
    directMs: (a: number, b: number) => number
}

/** 120 servers drawn by the seed, as neighbours of each other by the real rule. */
export function planetLabOverlay(matrix: Matrix, seed: number): PlanetLabOverlay {
    const random = new Random(seed)
    const sites = random.shuffle(Array.from({ length: matrix.n }, (_, i) => i)).slice(0, overlayServers)
    const directMs = (a: number, b: number) => rttMs(matrix, sites[a], sites[b])
    const overlay = new Overlay({
        members: sites.map((_, i) => ({ id: `rs${i}`, ip: "127.0.0.1", tags: [], riskGroups: [], static: false })),
        random: random.split(1),
        choice: { ...choiceDefaults, degree, maxDelayMs },
        underlay: {
            // The matrix has 0 for the nearest pairs; nothing is nearer than 0.1 ms there and back.
            delayMs: (a, b) => Math.max(0.05, directMs(a, b) / 2),
            loss: () => 0,
            jitterMs: () => 0,
            bandwidthKbps: () => linkKbps,
        },
    })
    overlay.agenda.runUntil(virtualMs)
    return { overlay, directMs }
}
