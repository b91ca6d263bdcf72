/**
 * What routing servers hold beside what the sessions that live need: the difference has leaked.
 *
 * Owns the sums. The need follows from the trees that the sources tell, by the rules of routing-spec 4: each link is held in both
 * directions; a server with members needs their units and one for each of its links of the tree, as does one where the tree
 * branches; one in transit needs none.
 */

import type { ReservationReport } from "../protocol/servers.ts"
import type { Ledger } from "../servers/routing/control/schemas.ts"
import type { NetworkServer } from "../test/control/network.ts"

export interface LivingSession {
    source: string
    /** Servers with members; one unit each. */
    members: readonly string[]
    kbps: number
    tree: ReservationReport["tree"]
}

export interface Leak {
    kbps: number
    dspUnits: number
}

/** The longest lease, and some time for the release to come to everybody. */
export const leasesMs = 4000

/** The ledgers of servers, by identifier; an error when one does not answer. */
export async function ledgersOf(servers: readonly NetworkServer[]): Promise<Map<string, Ledger>> {
    const answers = await Promise.all(
        // No session has this name: what is held is wanted, not the list of all attempts.
        servers.map(async ({ id, control }) => ({ id, answer: await control.reservations("none") })),
    )
    return new Map(
        answers.map(({ id, answer }) => {
            if (!answer.ok) throw new Error(`what ${id} holds is not known: ${answer.what}`)
            return [id, answer.value.ledger]
        }),
    )
}

/** Summed over all servers and links: what is held more, or less, than it should be. */
export function leakOf(ledgers: ReadonlyMap<string, Ledger>, sessions: readonly LivingSession[]): Leak {
    const kbps = new Map<string, number>()
    const units = new Map<string, number>()
    const add = (sums: Map<string, number>, key: string, value: number) => sums.set(key, (sums.get(key) ?? 0) + value)
    for (const session of sessions) {
        for (const rs of session.members) add(units, rs, 1)
        const mixes = new Set([session.source, ...session.members, ...branching(session.tree)])
        for (const { rs, parent } of session.tree)
            for (const [from, to] of [
                [rs, parent],
                [parent, rs],
            ]) {
                add(kbps, `${from} ${to}`, session.kbps)
                if (mixes.has(from)) add(units, from, 1)
            }
    }
    const leak: Leak = { kbps: 0, dspUnits: 0 }
    for (const [id, { links, dspHeld }] of ledgers) {
        leak.dspUnits += Math.abs(dspHeld - (units.get(id) ?? 0))
        const held = new Map(links.map(({ peer, heldKbps }) => [`${id} ${peer}`, heldKbps]))
        for (const [link, needed] of kbps)
            if (link.startsWith(`${id} `) && !held.has(link)) leak.kbps += Math.abs(needed)
        for (const [link, heldKbps] of held) leak.kbps += Math.abs(heldKbps - (kbps.get(link) ?? 0))
    }
    return leak
}

/** Servers with more than one child: several streams meet there. */
function branching(tree: LivingSession["tree"]): string[] {
    const children = new Map<string, number>()
    for (const { parent } of tree) children.set(parent, (children.get(parent) ?? 0) + 1)
    return [...children].filter(([, count]) => count > 1).map(([rs]) => rs)
}

/** What is left of it when it has become nothing, or when all leases are over. */
export async function remainingLeak(look: () => Promise<Leak>): Promise<Leak> {
    const endMs = performance.now() + leasesMs
    for (;;) {
        const leak = await look()
        if ((leak.kbps === 0 && leak.dspUnits === 0) || performance.now() > endMs) return leak
        await new Promise(resolve => setTimeout(resolve, 50))
    }
}
