/**
 * The session trees at this server: which links carry a session, under which labels, and whether it is mixed here or passes
 * through [claim 4].
 *
 * Owns the links of the media plane that follow from the reserved tree, and sums up how many people are on the other side of
 * each link, which is right on any tree, with transit or without. Never chooses the tree: the reservation does.
 */

import { limits } from "../../../protocol/limits.ts"
import type { Branch } from "../reservation/model.ts"
import type { Effect } from "./model.ts"

interface Limb extends Branch {
    /** People on the far side, as the neighbour says. */
    people: number
    /** People on this side, as the neighbour was told. */
    toldPeople: number
}

interface Planted {
    transit: boolean
    /** By neighbour. */
    limbs: Map<string, Limb>
}

/** By session. */
export type Tree = Map<string, Planted>

/** Exactly these links are the session's tree at this server from now on. */
export function setTree(tree: Tree, sid: string, branches: readonly Branch[], transit: boolean, out: Effect[]): void {
    const before = tree.get(sid)
    const limbs = new Map<string, Limb>()
    for (const branch of branches) {
        const known = before?.limbs.get(branch.peer)
        // Whoever wants another label has begun anew and has forgotten what it was told.
        const isSame = known?.labelIn === branch.labelIn && known.labelOut === branch.labelOut
        limbs.set(branch.peer, { ...branch, people: known?.people ?? 0, toldPeople: isSame ? known.toldPeople : 0 })
    }
    if (limbs.size > 0) tree.set(sid, { transit, limbs })
    else tree.delete(sid)
    const mixed = (planted: Planted | undefined) =>
        planted && !planted.transit ? planted.limbs : new Map<string, Limb>()
    const [mixedBefore, mixedNow] = [mixed(before), mixed(tree.get(sid))]
    // The new links first: sound that has somewhere to go is not interrupted.
    for (const [peer, { labelIn, labelOut }] of mixedNow) {
        const known = mixedBefore.get(peer)
        if (known?.labelIn !== labelIn || known.labelOut !== labelOut)
            out.push({ type: "addLink", sid, peer, labelIn, labelOut })
    }
    for (const peer of mixedBefore.keys()) if (!mixedNow.has(peer)) out.push({ type: "removeLink", sid, peer })
    // From one link alone there is nowhere to pass on to.
    if (transit) out.push({ type: "transit", sid, branches: limbs.size > 1 ? [...branches] : [] })
    else if (before?.transit) out.push({ type: "transit", sid, branches: [] })
}

/** Counts from a neighbour that is not on the tree are void. */
export function onCount(tree: Tree, peer: string, sid: string, people: number): void {
    const limb = tree.get(sid)?.limbs.get(peer)
    if (limb) limb.people = people
}

/** People on the far sides of all links. */
export function peopleBeyond(tree: Tree, sid: string): number {
    let people = 0
    for (const limb of tree.get(sid)?.limbs.values() ?? []) people += limb.people
    return people
}

/** Tells each neighbour on the tree how many people are on this side, where that has changed. */
export function tellCounts(tree: Tree, sid: string, peopleHere: number, out: Effect[]): void {
    const all = peopleHere + peopleBeyond(tree, sid)
    for (const [peer, limb] of tree.get(sid)?.limbs ?? []) {
        const people = Math.min(all - limb.people, limits.sessionMembers)
        if (people === limb.toldPeople) continue
        limb.toldPeople = people
        out.push({ type: "control", peer, message: { k: "count", sid, people } })
    }
}
