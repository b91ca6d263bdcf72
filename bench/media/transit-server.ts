/**
 * A transit server and nothing else: the links and the data plane of a routing server, with one session that passes through.
 *
 *     transit-server.ts {"ip", "peers": LinkPeer[], "branches": TransitBranch[], "udp"?: "dgram"}
 */

import { raisePriority } from "../../media/priority.ts"
import { linkLimits } from "../../protocol/link.ts"
import { ThreadData } from "../../servers/routing/data/thread.ts"
import { createIdentity } from "../../servers/routing/link/identity.ts"
import { type LinkPeer, LinkSet } from "../../servers/routing/link/link-set.ts"
import type { TransitBranch } from "../../servers/routing/transit/transit.ts"

interface Plan {
    ip: string
    peers: LinkPeer[]
    branches: TransitBranch[]
    udp?: "dgram"
}

raisePriority()
const { ip, peers, branches, udp } = JSON.parse(process.argv[2]) as Plan
// The larger identifier waits to be dialled.
const id = "rs-z"
const identity = createIdentity(id, Date.now())
const data = new ThreadData({ ip, mediaPort: 0, bootId: 1, helloMs: linkLimits.helloIntervalMs, udp })
void data.failed.then(what => {
    process.stderr.write(`${what}\n`)
    process.exit(1)
})
const links = new LinkSet({
    ...{ id, ip, port: 0, bootId: 1, identity, data },
    log: (_level, what, details) => process.stderr.write(`${what} ${JSON.stringify(details)}\n`),
})
const { port } = await links.start()
links.setPeers(peers)
data.post({ type: "transit", sid: "s1", branches })
process.stdout.write(`${JSON.stringify({ ready: true, port, fingerprint: identity.fingerprint })}\n`)
links.on("linkUp", rs => process.stdout.write(`up ${rs}\n`))
// Whoever measures holds this open: nothing is left behind when it is gone.
process.stdin.on("end", () => process.exit(0)).resume()
