/**
 * The session trees at this server: which links carry a session, and under which labels.
 *
 * Owns the exchange of labels with neighbours and the links of the media plane that follow from it: each side hands out the
 * label that it wants to receive on (as RESV will), and the link carries the session while both have. Never chooses the
 * tree: `setTree` says which neighbours belong to it, now from the list of members, later from the reservation.
 * Also sums up how many people are on the other side of each link, which is right on any tree, with transit or without.
 */

import { limits } from "../../../protocol/limits.ts"
import { linkLimits } from "../../../protocol/link.ts"
import type { Effect } from "./model.ts"

interface Branch {
    /** The label that we have handed out; none while the link is down. */
    labelIn?: number
    /** Whether the media plane has the link. */
    active: boolean
    /** People on the far side, as the neighbour says. */
    people: number
    /** People on this side, as the neighbour was told. */
    toldPeople: number
}

export interface Tree {
    linksUp: Set<string>
    /** By session, then by neighbour. */
    branches: Map<string, Map<string, Branch>>
    /** Labels that neighbours have handed out, by neighbour, then session: also for sessions we do not know of yet. */
    offered: Map<string, Map<string, number>>
    nextLabel: number
}

export function emptyTree(): Tree {
    return { linksUp: new Set(), branches: new Map(), offered: new Map(), nextLabel: 1 }
}

/** Exactly these neighbours are the session's tree at this server from now on. */
export function setTree(tree: Tree, sid: string, peers: string[], out: Effect[]): void {
    const branches = tree.branches.get(sid) ?? new Map<string, Branch>()
    for (const [peer, branch] of branches) {
        if (peers.includes(peer)) continue
        if (branch.labelIn !== undefined) out.push({ type: "control", peer, message: { k: "unbind", sid } })
        deactivate(branch, sid, peer, out)
        branches.delete(peer)
    }
    for (const peer of peers) {
        if (branches.has(peer)) continue
        const branch: Branch = { active: false, people: 0, toldPeople: 0 }
        branches.set(peer, branch)
        if (tree.linksUp.has(peer)) bind(tree, branch, sid, peer, out)
    }
    if (branches.size > 0) tree.branches.set(sid, branches)
    else tree.branches.delete(sid)
}

export function linkUp(tree: Tree, peer: string, out: Effect[]): void {
    tree.linksUp.add(peer)
    for (const [sid, branches] of tree.branches) {
        const branch = branches.get(peer)
        if (branch) bind(tree, branch, sid, peer, out)
    }
}

/** The peer may have forgotten everything: so do we. Returns the sessions that it carried. */
export function linkDown(tree: Tree, peer: string, out: Effect[]): string[] {
    tree.linksUp.delete(peer)
    tree.offered.delete(peer)
    const carried: string[] = []
    for (const [sid, branches] of tree.branches) {
        const branch = branches.get(peer)
        if (!branch) continue
        branch.labelIn = undefined
        deactivate(branch, sid, peer, out)
        carried.push(sid)
    }
    return carried
}

export function onBind(tree: Tree, peer: string, sid: string, label: number, out: Effect[]): void {
    const offered = tree.offered.get(peer) ?? new Map<string, number>()
    if (!offered.has(sid) && offered.size >= linkLimits.bindings) {
        out.push({ type: "log", level: "warn", what: "too many bindings", details: { peer, sid } })
        return
    }
    offered.set(sid, label)
    tree.offered.set(peer, offered)
    const branch = tree.branches.get(sid)?.get(peer)
    if (branch) activate(tree, branch, sid, peer, out)
}

export function onUnbind(tree: Tree, peer: string, sid: string, out: Effect[]): void {
    tree.offered.get(peer)?.delete(sid)
    const branch = tree.branches.get(sid)?.get(peer)
    if (branch) deactivate(branch, sid, peer, out)
}

/** Counts of a neighbour for which no branch carries the session are void: it tells again when one does. */
export function onCount(tree: Tree, peer: string, sid: string, people: number): void {
    const branch = tree.branches.get(sid)?.get(peer)
    if (branch?.labelIn !== undefined) branch.people = people
}

/** Links that carry the session now. */
export function activeLinks(tree: Tree, sid: string): number {
    let count = 0
    for (const branch of tree.branches.get(sid)?.values() ?? []) if (branch.active) count++
    return count
}

/** Links that the session's tree has here, carried or not. */
export function treeLinks(tree: Tree, sid: string): number {
    return tree.branches.get(sid)?.size ?? 0
}

/** People on the far sides of all links. */
export function peopleBeyond(tree: Tree, sid: string): number {
    let people = 0
    for (const branch of tree.branches.get(sid)?.values() ?? []) if (branch.active) people += branch.people
    return people
}

/** Tells each neighbour on the tree how many people are on this side, where that has changed. */
export function tellCounts(tree: Tree, sid: string, peopleHere: number, out: Effect[]): void {
    const all = peopleHere + peopleBeyond(tree, sid)
    for (const [peer, branch] of tree.branches.get(sid) ?? []) {
        if (!branch.active) continue
        const people = Math.min(all - branch.people, limits.sessionMembers)
        if (people === branch.toldPeople) continue
        branch.toldPeople = people
        out.push({ type: "control", peer, message: { k: "count", sid, people } })
    }
}

function bind(tree: Tree, branch: Branch, sid: string, peer: string, out: Effect[]): void {
    branch.labelIn = tree.nextLabel
    tree.nextLabel = tree.nextLabel >= 4294967295 ? 1 : tree.nextLabel + 1
    out.push({ type: "control", peer, message: { k: "bind", sid, label: branch.labelIn } })
    activate(tree, branch, sid, peer, out)
}

function activate(tree: Tree, branch: Branch, sid: string, peer: string, out: Effect[]): void {
    const labelOut = tree.offered.get(peer)?.get(sid)
    if (branch.labelIn === undefined || labelOut === undefined) return
    branch.active = true
    // Whoever hands out a label anew has forgotten what it was told.
    branch.toldPeople = 0
    out.push({ type: "addLink", sid, peer, labelOut, labelIn: branch.labelIn })
}

function deactivate(branch: Branch, sid: string, peer: string, out: Effect[]): void {
    if (branch.active) out.push({ type: "removeLink", sid, peer })
    branch.active = false
    branch.people = 0
    branch.toldPeople = 0
}
