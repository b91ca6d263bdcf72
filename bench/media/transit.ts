/**
 * How many packets a second a transit server forwards [claim 4], beside a C program that does the same to them.
 *
 * The server is the links and the data plane of a routing server in a process of its own, held to one processor core, with two
 * real links: TLS, pinned certificates, hellos. Both neighbours are played by one program on another core, which sends
 * from one and counts at the other. `transitPps` is the most at which at most 0.1 % is lost; the C forwarder is driven by the same
 * program in the same run. Delays are from the sender's clock to the receiver's and hold both of their own shares as well.
 */

import { execFileSync, spawnSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { availableParallelism, tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import type { DirectionKey } from "../../servers/routing/link/datagram.ts"
import { createIdentity } from "../../servers/routing/link/identity.ts"
import { dial, type LinkPeer, type Meeting } from "../../servers/routing/link/meeting.ts"
import { freeUdpPort, loopbackAddress } from "../../test/support/addresses.ts"
import { type Child, startChild } from "../../test/support/child.ts"
import { eventually } from "../../test/support/deadline.ts"
import type { Setting } from "./mixing.ts"
import type { Udp } from "./mixing-server.ts"

const lossMost = 0.001
const runMs = 1000
const rounds = 3
const delayPps = 20_000
const delayMs = 5000
/** Before it: what runs often is compiled. */
const warmUpMs = 2000
const firstPps = 20_000
const labelIn = 101
const labelOut = 33
const serverScript = fileURLToPath(new URL("transit-server.ts", import.meta.url))
const source = fileURLToPath(new URL("../reference/transit.c", import.meta.url))

interface Place {
    ip: string
    port: number
}

interface Run {
    loss: number
    p50Ms: number
    p99Ms: number
}

/** A forwarder with the program that drives it. */
interface Bed {
    name: string
    run(pps: number, ms: number): Promise<Run>
    stop(): Promise<void>
}

export async function measureTransit({ progress, udp }: Setting): Promise<Record<string, number>> {
    if (availableParallelism() < 2) throw new Error("two processor cores are needed: one forwards, the other drives")
    for (const tool of ["gcc", "taskset"])
        if (spawnSync(tool, ["--version"]).status !== 0)
            throw new Error(`${tool} is needed (Debian: apt-get install gcc util-linux)`)
    const folder = mkdtempSync(join(tmpdir(), "parley-transit-"))
    try {
        const program = join(folder, "transit")
        execFileSync("gcc", ["-O3", "-march=native", "-o", program, source])

        const [nodePps, cPps, ratios, p99s, p50s]: number[][] = [[], [], [], [], []]
        for (let round = 1; round <= rounds; round++) {
            // New ones each round: a link that an overload has cut stays down in its round only.
            const { p50Ms, p99Ms, ours } = await withBed(nodeBed(program, udp), async node => {
                await node.run(delayPps, warmUpMs)
                return { ...(await node.run(delayPps, delayMs)), ours: await mostPps(node, progress) }
            })
            const theirs = await withBed(cBed(program), c => mostPps(c, progress))
            progress(
                `round ${round}: ${ours} packets/s, C ${theirs}; at ${delayPps} packets/s p50 ${p50Ms} ms, p99 ${p99Ms} ms`,
            )
            nodePps.push(ours)
            cPps.push(theirs)
            ratios.push(ours / theirs)
            p99s.push(p99Ms)
            p50s.push(p50Ms)
        }
        return {
            transitPps: median(nodePps),
            transitCPps: median(cPps),
            transitRatioToC: Math.round(median(ratios) * 1000) / 1000,
            transitP50Ms: median(p50s),
            transitP99Ms: median(p99s),
        }
    } finally {
        rmSync(folder, { recursive: true, force: true })
    }
}

async function withBed<Result>(made: Promise<Bed>, use: (bed: Bed) => Promise<Result>): Promise<Result> {
    const bed = await made
    try {
        return await use(bed)
    } finally {
        await bed.stop()
    }
}

/** The most at which no more than `lossMost` is lost, to 3 %. On a busy machine a run may fail by chance: it has two tries. */
async function mostPps(bed: Bed, progress: (text: string) => void): Promise<number> {
    const passes = async (pps: number) => {
        for (let attempt = 0; attempt < 2; attempt++) {
            const { loss } = await bed.run(pps, runMs)
            if (loss <= lossMost) return true
            progress(`${bed.name}: ${pps} packets/s, ${(loss * 100).toFixed(2)} % lost`)
        }
        return false
    }
    let good = 0
    let bad = firstPps
    while (await passes(bad)) {
        good = bad
        bad = Math.round(bad * 1.4)
        if (bad > 5_000_000) throw new Error(`${bed.name}: nothing is lost at any rate; the measurement is broken`)
    }
    if (good === 0) throw new Error(`${bed.name}: ${firstPps} packets/s cannot be forwarded`)
    while (bad / good > 1.03) {
        const middle = Math.round((good + bad) / 2)
        if (await passes(middle)) good = middle
        else bad = middle
    }
    return good
}

/** Our transit server between two played neighbours. */
async function nodeBed(program: string, udp: Udp): Promise<Bed> {
    const serverIp = loopbackAddress()
    const ends = await Promise.all(
        ["rs-a", "rs-c"].map(async rs => {
            const ip = loopbackAddress()
            const identity = createIdentity(rs, Date.now())
            return { rs, ip, port: await freeUdpPort(ip), identity }
        }),
    )
    const peers = ends.map(({ rs, ip, port, identity }): LinkPeer => {
        return { rs, ip, linkPort: port, fingerprint: identity.fingerprint }
    })
    const branches = [
        { peer: "rs-a", labelIn, labelOut: 11 },
        { peer: "rs-c", labelIn: 103, labelOut },
    ]
    const plan = JSON.stringify({ ip: serverIp, peers, branches, udp: udp === "dgram" ? udp : undefined })
    const server = await startChild(...onCore(0, process.execPath, "--import", "tsx", serverScript, plan), {
        ...{ readyMs: 60_000, stdin: "pipe" },
    })
    const { port, fingerprint } = server.ready
    const meetings = await Promise.all(
        ends.map(
            ({ rs: id, ip, identity }) =>
                new Promise<Meeting & { ok: true }>((resolve, reject) => {
                    const peer = { rs: "rs-z", ip: serverIp, linkPort: port, fingerprint }
                    dial({ id, bootId: 1, ip, identity }, peer, meeting =>
                        meeting.ok ? resolve(meeting) : reject(new Error(`${id}: ${meeting.what}`)),
                    )
                }),
        ),
    )
    for (const { channel } of meetings) channel.onMessage = () => {}
    const [a, c] = meetings.map(({ keys }) => keys.send)
    const driver = await startDriver(program, { ip: serverIp, port }, { ...ends[0], key: a }, { ...ends[1], key: c })
    for (const { channel } of meetings) channel.send({ k: "neighbour", on: 1 })
    await eventually(
        () => server.lines.filter(line => line.startsWith("up ")).length === 2,
        "both links to be up",
        20_000,
    )
    return bedOf("Parley", driver, async () => {
        for (const { channel } of meetings) channel.close("shutdown")
        await server.stop()
    })
}

/** The C forwarder between the same two. */
async function cBed(program: string): Promise<Bed> {
    const place = async (): Promise<Place> => {
        const ip = loopbackAddress()
        return { ip, port: await freeUdpPort(ip) }
    }
    const key = (linkId: number): DirectionKey => ({ linkId, key: randomBytes(32) })
    const [own, a, c] = [await place(), { ...(await place()), key: key(7) }, { ...(await place()), key: key(8) }]
    const out = key(9)
    const from = [a.ip, String(a.port), String(a.key.linkId), hex(a.key.key), String(labelIn)]
    const to = [c.ip, String(c.port), String(out.linkId), hex(out.key), String(labelOut)]
    const forwarder = await startChild(...onCore(0, program, "forward", own.ip, String(own.port), ...from, ...to))
    const driver = await startDriver(program, own, a, c)
    return bedOf("C", driver, async () => {
        await forwarder.kill()
    })
}

function startDriver(
    program: string,
    target: Place,
    a: Place & { key: DirectionKey },
    c: Place & { key: DirectionKey },
) {
    const end = ({ ip, port, key }: Place & { key: DirectionKey }) => [
        ip,
        String(port),
        String(key.linkId),
        hex(key.key),
    ]
    const words = ["drive", target.ip, String(target.port), ...end(a), String(labelIn), ...end(c)]
    return startChild(...onCore(1, program, ...words), { stdin: "pipe" })
}

function bedOf(name: string, driver: Child, stopForwarder: () => Promise<void>): Bed {
    return {
        name,
        async run(pps, ms) {
            const before = driver.lines.length
            driver.process.stdin?.write(`${pps} ${ms}\n`)
            await eventually(() => driver.lines.length > before, `${name}: the end of a run`, ms + 20_000)
            const [sent, received, p50Us, p99Us] = driver.lines[before].split(" ").map(Number)
            return { loss: 1 - received / sent, p50Ms: p50Us / 1000, p99Ms: p99Us / 1000 }
        },
        async stop() {
            await driver.kill()
            await stopForwarder()
        },
    }
}

function onCore(core: number, ...command: string[]): [string, string[]] {
    return ["taskset", ["-c", String(core), ...command]]
}

function hex(bytes: Uint8Array): string {
    return Buffer.from(bytes).toString("hex")
}

function median(values: readonly number[]): number {
    return [...values].sort((a, b) => a - b)[values.length >> 1]
}
