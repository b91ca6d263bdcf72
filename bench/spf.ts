/**
 * How long shortest paths take: full runs at 1 000, 10 000 and 50 000 routing servers, beside a C program of the same
 * algorithm on the same graphs when a compiler is there, and incremental updates at 1 000.
 *
 * The two take turns, round by round, so that a machine that is slow for a while is slow for both: the ratio is the
 * median over the rounds, and each round is held against the C program's runs right before and right after it.
 */
import { execFileSync, spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Graph, unreachable } from "../servers/routing/route/graph.ts"
import { ShortestPaths } from "../servers/routing/route/shortest-paths.ts"
import { Random } from "../sim/world/random.ts"
import type { Bench, BenchResult } from "./run.ts"

const degree = 8
const rounds = 15
const changes = 20_000
const batch = 1000
/** Of the networks. */
const seed = 1

/** A geographic network: delays grow with distance, both directions differ a little. */
function network(vertices: number, random: Random): Graph {
    const graph = new Graph(vertices)
    const x = Float64Array.from({ length: vertices }, () => random.fraction())
    const y = Float64Array.from({ length: vertices }, () => random.fraction())
    const join = (a: number, b: number) => {
        if (a === b || graph.edge(a, b) >= 0) return
        const delay = 10 + Math.round(Math.hypot(x[a] - x[b], y[a] - y[b]) * 5000)
        graph.addLink(a, b, delay + random.below(20), delay + random.below(20))
    }
    for (let v = 1; v < vertices; v++) join(v, random.below(v))
    while (graph.edges < vertices * degree) join(random.below(vertices), random.below(vertices))
    // As the routing table does.
    graph.compact()
    return graph
}

/** The graph in the file format of reference/spf.c. */
function packed(graph: Graph): Buffer {
    const rows = new Int32Array(graph.vertices + 1)
    const heads = new Int32Array(graph.edges)
    const costs = new Int32Array(graph.edges)
    let count = 0
    for (let v = 0; v < graph.vertices; v++) {
        rows[v] = count
        for (let i = 0; i < graph.rowLength[v]; i++) {
            const e = graph.rowStart[v] + i
            heads[count] = graph.head[e]
            costs[count++] = graph.cost[e]
        }
    }
    rows[graph.vertices] = count
    const parts = [new Int32Array([graph.vertices, count]), rows, heads, costs]
    return Buffer.concat(parts.map(part => Buffer.from(part.buffer, part.byteOffset, part.byteLength)))
}

const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]

function timeMs(action: () => void): number {
    const start = performance.now()
    action()
    return performance.now() - start
}

export const spfBench: Bench = {
    summary: "shortest paths: full runs beside the same algorithm in C, and incremental updates",
    options: {},
    run: async (_options, progress) => measure(seed, progress),
}

async function measure(seed: number, progress: (line: string) => void): Promise<BenchResult> {
    const figures: Record<string, number> = {}
    const folder = mkdtempSync(join(tmpdir(), "parley-spf-"))
    try {
        const compiler = ["cc", "gcc", "clang"].find(name => spawnSync(name, ["--version"]).status === 0)
        const program = join(folder, "spf")
        if (compiler) {
            const source = fileURLToPath(new URL("reference/spf.c", import.meta.url))
            execFileSync(compiler, ["-O2", "-o", program, source])
        } else progress("no C compiler here (Debian: apt-get install gcc): no ratios")

        for (const vertices of [1000, 10_000, 50_000]) {
            const graph = network(vertices, new Random(seed).split(vertices))
            const runs = vertices > 20_000 ? 7 : vertices > 5000 ? 31 : 201
            const file = join(folder, `graph-${vertices}`)
            writeFileSync(file, packed(graph))
            // Roots in the order of the C program: the same one again and again would teach the processor every branch.
            const all = Array.from({ length: runs }, (_, i) => new ShortestPaths(graph, (i * 7919) % vertices))
            const theirs = () => {
                const out = join(folder, "distances")
                const time = Number(execFileSync(program, [file, String(runs), out], { encoding: "utf8" }))
                const bytes = readFileSync(out)
                for (let v = 0; v < vertices; v++)
                    if (bytes.readInt32LE(v * 4) !== all[runs - 1].distance[v])
                        throw new Error(`distance of ${v} of ${vertices} differs from the C program's`)
                return time
            }
            const ours: number[] = []
            const ratios: number[] = []
            let before = compiler ? theirs() : 0
            for (let round = 0; round < rounds; round++) {
                // Once to bring them into the caches, as the C program does, and once that counts.
                for (const paths of all) paths.run()
                const mine = median(all.map(paths => timeMs(() => paths.run())))
                ours.push(mine)
                if (!compiler) continue
                const after = theirs()
                ratios.push((mine * 2) / (before + after))
                before = after
            }
            figures[`full${vertices}Ms`] = median(ours)
            if (ratios.length > 0) figures[`ratioToC${vertices}`] = median(ratios)
            const beside =
                ratios.length > 0 ? `, ${median(ratios).toFixed(2)} times the C program, equal distances` : ""
            progress(`full, ${vertices} servers: ${median(ours).toFixed(3)} ms${beside}`)
        }

        const random = new Random(seed).split(7)
        const graph = network(1000, new Random(seed).split(1000))
        const base = graph.cost.slice()
        const from = new Int32Array(graph.head.length)
        const edges: number[] = []
        for (let v = 0; v < graph.vertices; v++)
            for (let i = 0; i < graph.rowLength[v]; i++) {
                from[graph.rowStart[v] + i] = v
                edges.push(graph.rowStart[v] + i)
            }
        const paths = new ShortestPaths(graph, 0)
        const times: number[] = []
        for (let i = 0; i < changes * 2; i++) {
            const e = random.pick(edges)
            const old = graph.cost[e]
            // What a network does: delays wander by 15 %, now and then a link is cut or comes back.
            graph.cost[e] = random.chance(0.02)
                ? unreachable
                : Math.max(1, Math.round(base[e] * random.between(0.85, 1.15)))
            const took = timeMs(() => paths.costChanged(from[e], e, old)) * 1000
            if (i >= changes) times.push(took)
        }
        const oracle = new ShortestPaths(graph, 0)
        for (let v = 0; v < graph.vertices; v++)
            if (oracle.distance[v] !== paths.distance[v]) throw new Error(`incremental distance of ${v} is wrong`)
        // The mean of the median batch: one interruption takes longer than thousands of changes.
        const means: number[] = []
        for (let i = 0; i < changes; i += batch)
            means.push(times.slice(i, i + batch).reduce((sum, time) => sum + time, 0) / batch)
        figures.incrementalMeanUs = median(means)
        times.sort((a, b) => a - b)
        figures.incrementalP99Us = times[Math.floor(times.length * 0.99)]
        progress(
            `incremental, 1000 servers, ${changes} changes: mean ${figures.incrementalMeanUs.toFixed(2)} us, ` +
                `p99 ${figures.incrementalP99Us.toFixed(2)} us, equal to a full run`,
        )
    } finally {
        rmSync(folder, { recursive: true, force: true })
    }
    return { figures, seed }
}
