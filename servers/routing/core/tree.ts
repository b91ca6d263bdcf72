/**
 * The session trees at this server: which links carry a session, under which labels, and whether it is mixed here or passes
 * through [claim 4].
 *
 * Owns the links of the media plane that follow from the reserved tree, and sums up how many people are on the other side of
 * each link, which is right on any tree, with transit or without. Never chooses the tree: the reservation does.
 */

import { limits } from "../../../protocol/limits.ts"
import type { Count } from "../../../protocol/link.ts"
import type { Branch } from "../reservation/model.ts"
import type { Effect, Session, State } from "./model.ts"

interface Limb extends Branch {
    /** People on the far side, as the neighbour says. */
    people: number
    /** Who speaks there, as the neighbour says. */
    speaker: string | undefined
    /** People on this side and who speaks, as the neighbour was told. */
    toldPeople: number
    toldSpeaker: string | undefined
}

/** Who speaks, as this server's mixer hears it: somebody here, or behind a link; neither: nobody, or nothing is mixed here. */
export interface Speaking {
    endpoint: string | undefined
    peer: string | undefined
}

const nobody: Speaking = { endpoint: undefined, peer: undefined }

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
        const told = isSame
            ? { toldPeople: known.toldPeople, toldSpeaker: known.toldSpeaker }
            : { toldPeople: 0, toldSpeaker: undefined }
        limbs.set(branch.peer, { ...branch, people: known?.people ?? 0, speaker: known?.speaker, ...told })
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
export function onCount(tree: Tree, peer: string, { sid, people, speaker }: Count): void {
    const limb = tree.get(sid)?.limbs.get(peer)
    if (!limb) return
    limb.people = people
    limb.speaker = speaker
}

/** The endpoint that speaks in the session, wherever it is. */
export function speakerIn(tree: Tree, sid: string, { endpoint, peer }: Speaking = nobody): string | undefined {
    return endpoint ?? (peer === undefined ? undefined : tree.get(sid)?.limbs.get(peer)?.speaker)
}

/** Whether the session can be joined here: its tree reaches this server, or starts from it and is active. */
export function hasTree(state: State, { known, outcome }: Session): boolean {
    if (known.source !== state.self.id) return state.tree.has(known.sid)
    return outcome?.type === "active" || outcome?.type === "degraded" || state.tree.has(known.sid)
}

/** People on the far sides of all links. */
export function peopleBeyond(tree: Tree, sid: string): number {
    let people = 0
    for (const limb of tree.get(sid)?.limbs.values() ?? []) people += limb.people
    return people
}

/** Tells each neighbour on the tree how many people are on this side and who of them speaks, where that has changed. */
export function tellCounts(
    tree: Tree,
    sid: string,
    peopleHere: number,
    speaking: Speaking | undefined,
    out: Effect[],
): void {
    const planted = tree.get(sid)
    if (!planted) return
    const all = peopleHere + peopleBeyond(tree, sid)
    for (const [peer, limb] of planted.limbs) {
        const people = Math.min(all - limb.people, limits.sessionMembers)
        const speaker = speakerTowards(planted, peer, speaking)
        if (people === limb.toldPeople && speaker === limb.toldSpeaker) continue
        limb.toldPeople = people
        limb.toldSpeaker = speaker
        const message = { k: "count" as const, sid, people }
        out.push({ type: "control", peer, message: speaker === undefined ? message : { ...message, speaker } })
    }
}

/** Who speaks on this side of the link to `peer`. In transit nobody listens here: what the other side says is passed on. */
function speakerTowards(
    planted: Planted,
    peer: string,
    { endpoint, peer: via }: Speaking = nobody,
): string | undefined {
    if (!planted.transit)
        return endpoint ?? (via === undefined || via === peer ? undefined : planted.limbs.get(via)?.speaker)
    for (const [other, limb] of planted.limbs) if (other !== peer && limb.speaker !== undefined) return limb.speaker
    return undefined
}
