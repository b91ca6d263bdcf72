/**
 * A routing server as a process for the proof of hostile datagrams: no broker; the neighbour, the legs and the sessions are
 * those that its command line names. Each line of standard input is answered by one with what it counts and what memory it takes.
 *
 *     datagram-server.ts {"ip", "neighbour": Peer, "legs": (Leg and "key")[], "links": TreeLink[], "transit": TransitBranch[]}
 */

import { createInterface } from "node:readline"
import { pino } from "pino"
import { raisePriority } from "../../media/priority.ts"
import type { Peer } from "../../protocol/servers.ts"
import type { DataStatistics } from "../../servers/routing/data/statistics.ts"
import { createIdentity } from "../../servers/routing/link/identity.ts"
import type { Leg, TreeLink } from "../../servers/routing/media/interface.ts"
import { RoutingServer } from "../../servers/routing/server.ts"
import type { TransitBranch } from "../../servers/routing/transit/transit.ts"
import { legKeys, sessionKeys } from "../media/keys.ts"

export interface DatagramPlan {
    ip: string
    neighbour: Peer
    /** `key`: number of its test keys. */
    legs: (Leg & { key: number })[]
    links: TreeLink[]
    transit: TransitBranch[]
}

export interface DatagramReport {
    statistics: DataStatistics
    rssBytes: number
    /** Of it, what is not the heaps'. */
    nativeBytes: number
    /** Of the control side's heap; the data plane's is in the statistics. */
    heapBytes: number
    adjacent: boolean
    routed: Record<string, number>
}

raisePriority()
const { ip, neighbour, legs, links, transit } = JSON.parse(process.argv[2]) as DatagramPlan
const log = pino({ level: "warn" }, pino.destination({ fd: 2, sync: true }))
// The larger identifier waits to be dialled.
const identity = createIdentity("rs-z", Date.now())
const server = new RoutingServer({
    ...{ id: "rs-z", ip, linkPort: 0, mediaPort: 0, dspUnits: 64, boot: 1, randomSeed: 1, secret: "none", log },
    ...{ identity, dataPlane: "thread" },
    broker: { host: ip, port: 9 },
})
const wrong = await server.start()
if (wrong) throw new Error(wrong)
void server.failed.then(() => process.exit(1))
server.topology.setPeers([neighbour])
server.data.post({ type: "listed", addresses: [neighbour.ip] })
for (const { key, ...leg } of legs) server.data.post({ type: "addLeg", leg: { ...leg, keys: legKeys(key) } })
for (const { session } of links)
    server.data.post({ type: "sessionKeys", session, keys: sessionKeys("rs-z", [neighbour.rs]) })
for (const treeLink of links) server.data.post({ type: "addLink", treeLink })
server.data.post({ type: "transit", sid: "hostile-transit", branches: transit })

const input = createInterface({ input: process.stdin })
input.on("close", () => process.exit(0)) // whoever asked is gone
input.on("line", async () => {
    const statistics = await server.statistics()
    const { rss, heapUsed, heapTotal } = process.memoryUsage()
    const report: DatagramReport = {
        ...{ statistics, rssBytes: rss, heapBytes: heapUsed, adjacent: server.links.isUp(neighbour.rs) },
        nativeBytes: rss - heapTotal - statistics.heapHeldBytes,
        routed: server.forwarder.counters,
    }
    process.stdout.write(`${JSON.stringify(report)}\n`)
})
const { linkPort, mediaPort } = server
const { fingerprint } = identity
process.stdout.write(`${JSON.stringify({ ready: true, linkPort, mediaPort, fingerprint })}\n`)
