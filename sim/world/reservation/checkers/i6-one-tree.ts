/**
 * I6: all servers agree on one tree for each active session: after quiescence there is one epoch, parents and children match, it
 * reaches every destination and ends only in destinations, exactly its links are held, and media follow it with labels that fit.
 *
 * While it runs: no server waits for packets of two sessions under one label on the same link.
 */

import type { AttemptView, ReservationEffect, ReservationEvent } from "../../../../servers/routing/reservation/model.ts"
import { type Checker, Violation } from "../checker.ts"
import type { GroupServer, Session } from "../group-server.ts"
import type { SimulatedServer } from "../server.ts"
import type { World } from "../world.ts"

export class OneTreeChecker implements Checker {
    readonly name = "I6"
    readonly counts = { treesCompared: 0 }

    constructor(
        private readonly world: World,
        private readonly group: GroupServer,
    ) {}

    afterStep(server: SimulatedServer, _event: ReservationEvent, effects: readonly ReservationEffect[]): void {
        for (const effect of effects) {
            if (effect.type !== "tree") continue
            for (const { peer, labelIn } of effect.branches)
                for (const [sid, { branches }] of server.media) {
                    // The effects of one event are carried out together: what ends with this one does not count.
                    const next = effects.findLast(other => other.type === "tree" && other.sid === sid)
                    const now = next?.type === "tree" ? next.branches : branches
                    if (sid !== effect.sid && now.some(branch => branch.peer === peer && branch.labelIn === labelIn))
                        throw new Violation(
                            this.name,
                            `${server.id} waits for packets of ${effect.sid} and ${sid} from ${peer} under label ${labelIn}`,
                        )
                }
        }
    }

    onSettled(): void {
        for (const session of this.group.sessions) if (session.phase === "active") this.isOneTree(session)
    }

    private isOneTree(session: Session): void {
        const { sid, source, members, plan } = session
        const { world } = this
        const fault = (what: string) => new Violation(this.name, `${sid}: ${what}`)
        const views = new Map<string, AttemptView>()
        for (const server of world.servers) {
            const own = server.isAlive ? server.reservation.attempts().filter(attempt => attempt.sid === sid) : []
            if (own.length > 1)
                throw fault(`${server.id} has ${own.length} epochs of it: ${own.map(({ ep }) => ep).join(" ")}`)
            if (own.length > 0) views.set(server.id, own[0])
        }
        this.counts.treesCompared++
        const root = views.get(source.id)
        if (root?.role !== "source") throw fault(`its source ${source.id} has no tree`)
        for (const [id, { ep, state, upstream, children, role, source: from }] of views) {
            if (ep !== root.ep) throw fault(`${id} has epoch ${ep}, the source ${root.ep}`)
            if (state !== "active") throw fault(`${id} is ${state}`)
            if (from !== source.id) throw fault(`${id} has the source ${from}, not ${source.id}`)
            if (id === source.id) {
                if (upstream !== undefined) throw fault(`the source has the parent ${upstream}`)
            } else if (upstream === undefined || !views.get(upstream)?.children.includes(id))
                throw fault(`${id} names ${upstream ?? "nobody"} as its parent, which has no such child`)
            for (const child of children)
                if (views.get(child)?.upstream !== id)
                    throw fault(`${id} has the child ${child}, which names another parent`)
            const isMember = members.has(world.serverOf.get(id)!)
            if (!isMember && children.length === 0) throw fault(`it ends at ${id}, which has no members`)
            if ((role === "transit") === isMember) throw fault(`${id} takes itself for a ${role} server`)
        }
        for (const member of members.keys()) if (!views.has(member.id)) throw fault(`${member.id} has no part in it`)
        this.areAcyclic(views, source, fault)
        for (const server of world.servers) {
            if (!server.isAlive) continue
            const view = views.get(server.id)
            for (const peer of server.directions.keys()) {
                const isTreeLink = view !== undefined && (view.upstream === peer || view.children.includes(peer))
                const held = server.reservation.ledger.sessionHeld(peer, sid)
                if (held !== (isTreeLink ? plan.bandwidthKbps : 0))
                    throw fault(
                        `${server.id} holds ${held} kbit/s towards ${peer}, ${isTreeLink ? "a link" : "no link"} of its tree`,
                    )
            }
            this.mediaFollow(session, server, view, fault)
        }
    }

    private areAcyclic(
        views: Map<string, AttemptView>,
        source: SimulatedServer,
        fault: (what: string) => Violation,
    ): void {
        for (const id of views.keys()) {
            let at = id
            for (let steps = 0; at !== source.id; steps++) {
                if (steps > views.size) throw fault(`the parents of ${id} do not lead to the source`)
                at = views.get(at)?.upstream ?? source.id
            }
        }
    }

    private mediaFollow(
        { sid }: Session,
        server: SimulatedServer,
        view: AttemptView | undefined,
        fault: (what: string) => Violation,
    ): void {
        const media = server.media.get(sid)
        const wanted = view ? [...view.children, ...(view.upstream === undefined ? [] : [view.upstream])].sort() : []
        const got = (media?.branches ?? []).map(({ peer }) => peer).sort()
        if (wanted.join() !== got.join())
            throw fault(
                `media of ${server.id} go over its links to ${got.join(" ") || "nobody"}, the tree to ${wanted.join(" ")}`,
            )
        if (media && view && media.transit !== (view.role === "transit" && view.children.length < 2))
            throw fault(`${server.id} (${view.role}) ${media.transit ? "forwards unread" : "mixes"}`)
        for (const { peer, labelOut } of media?.branches ?? []) {
            const there = this.world.serverOf.get(peer)?.media.get(sid)
            const labelIn = there?.branches.find(branch => branch.peer === server.id)?.labelIn
            if (labelIn !== labelOut)
                throw fault(
                    `${server.id} sends to ${peer} under label ${labelOut}, which waits for ${labelIn ?? "nothing"}`,
                )
        }
    }
}
