/**
 * What every server on the way does with an attempt: collect requests, select an upstream neighbour, hold, forward, notify,
 * keep alive, let go [claims 4, 18-22]. The source shares all that concerns its children.
 *
 * Owns the rules for one attempt. Never starts one, and never decides what becomes of a session (source.ts does).
 * S1 .. S4 are the rules of routing-spec 4 whose breach makes loops or half trees.
 */

import type { Reason } from "../../../protocol/reasons.ts"
import {
    type Alive,
    type Conf,
    type PathErr,
    type Req,
    type Rerr,
    type Resv,
    reservationLimits,
} from "../../../protocol/reservation.ts"
import { type Attempt, type Candidate, covered, mixedLinks, newAttempt } from "./attempt.ts"
import type { Context } from "./context.ts"

/** What the source makes of what arrives for its own attempts. */
export interface SourceEars {
    notified(attempt: Attempt, dests: Resv["dests"]): void
    heard(attempt: Attempt, dest: string, via: string[]): void
    pathError(attempt: Attempt, error: Pick<PathErr, "from" | "to" | "reason">): void
    lostChild(attempt: Attempt, peer: string): void
}

type Notice = Resv["dests"][number]

export class Node {
    constructor(
        private readonly context: Context,
        private readonly source: SourceEars,
    ) {}

    // ---- down: requests --------------------------------------------------------------------------------------------------------

    onReq(from: string, request: Req) {
        const { context } = this
        const { self, nowMs } = context
        const { sid, ep } = request
        if (request.src === self || request.deadlineMs === 0 || context.isBuried(sid, ep)) return
        if (!Number.isFinite(context.view.linkDelay(from))) return
        const known = context.attempt(sid, ep)
        // [claim 20] The window is over, though the server has not come to close it yet.
        if (known?.state === "collecting" && known.collectUntilMs < nowMs) this.select(known)
        // S2: whoever asks after the selection is never used, also not to fall back on.
        if (known && known.state !== "collecting") return
        if (known?.candidates.some(candidate => candidate.from === from)) return
        if (!known && context.isFull) {
            const short = { from, to: self, reason: "too-many" } as const
            return context.send(from, { t: "patherr", sid, ep, ...short })
        }
        const attempt = known ?? newAttempt(request, self)
        const { usageCount, delaySoFar } = request
        attempt.candidates.push({ from, usageCount, delaySoFar, dead: false })
        if (known) return
        attempt.arrivedMs = nowMs
        attempt.expiresMs = nowMs + context.limits.firstLeaseMs
        attempt.collectUntilMs = nowMs + request.window / 100
        context.add(attempt)
        if (request.window === 0) this.select(attempt)
        else context.schedule(attempt)
    }

    /** [claims 20, 21] Out of those that lead to the most destinations in time: largest usage count, then earliest arrival. */
    private bestCandidate(attempt: Attempt): Candidate | undefined {
        const { self, view } = this.context
        const alive = attempt.candidates.filter(candidate => !candidate.dead)
        if (alive.length < 2) return alive[0]
        let best: Candidate | undefined
        let bestReach = -1
        for (const candidate of alive) {
            let reach = 0
            for (const { id, maxDelay } of attempt.request.dests)
                if (candidate.delaySoFar + view.delay(self, id) <= maxDelay) reach++
            // Candidates stand in order of arrival, so that an equal one does not take the place of an earlier one.
            if (reach > bestReach || (reach === bestReach && candidate.usageCount > (best?.usageCount ?? -1))) {
                best = candidate
                bestReach = reach
            }
        }
        return best
    }

    private select(attempt: Attempt) {
        const { context } = this
        const candidate = this.bestCandidate(attempt)
        if (!candidate) return context.bury(attempt)
        attempt.state = "reserving"
        attempt.selected = candidate
        const isDestination = attempt.role === "destination"
        if (isDestination) {
            if (!this.holdMixing(attempt, 0)) {
                this.tellUp(attempt, [{ id: context.self, bandwidth: 1, dsp: 0 }])
                return context.bury(attempt)
            }
            if (this.holdUp(attempt)) this.announce(attempt)
            else if (!this.fallBack(attempt, true)) return
        }
        // S1: not before the selection.
        this.forward(attempt)
        if (!isDestination && attempt.forwardedTo.size === 0) return context.bury(attempt)
        context.schedule(attempt)
    }

    /** Holds the way to the selected neighbour; false when its link is full. */
    private holdUp(attempt: Attempt): boolean {
        const { sid, ep, selected, request } = attempt
        if (!selected || !this.context.ledger.hold(selected.from, sid, ep, request.bandwidth)) return false
        attempt.upHeld = true
        return true
    }

    /** [claims 18, 20] To the downstream neighbours that have enough bandwidth. */
    forward(attempt: Attempt) {
        const { self, view, ledger, nowMs } = this.context
        const { sid, request, selected } = attempt
        const delaySoFar = selected?.delaySoFar ?? 0
        const leftMs = request.deadlineMs - (nowMs - attempt.arrivedMs)
        // [claims 18, 20] A server in transit leaves the usage count as it is.
        attempt.usageCount = (selected?.usageCount ?? 0) + (attempt.role === "destination" ? 1 : 0)
        const { usageCount } = attempt
        const ask = (to: string) => {
            const linkDelay = view.linkDelay(to)
            // Whoever hears of it too late cannot be in time either [claim 17].
            const deadlineMs = Math.floor(leftMs - linkDelay / 100)
            if (deadlineMs <= 0) return
            attempt.forwardedTo.add(to)
            this.context.send(to, { ...request, usageCount, delaySoFar: delaySoFar + linkDelay, deadlineMs })
        }
        const enough = (to: string) => ledger.free(to, sid) >= request.bandwidth
        if (request.tree) {
            const below = request.tree.filter(({ parent }) => parent === self).map(({ rs }) => rs)
            // One link short is a tree short: nobody below is asked in vain.
            const short = below.find(rs => !Number.isFinite(view.linkDelay(rs)) || !enough(rs))
            if (short === undefined) return below.forEach(ask)
            const reason = Number.isFinite(view.linkDelay(short)) ? "no-bandwidth" : "no-path"
            return this.pathErrorUp(attempt, { from: self, to: short, reason })
        }
        for (const to of view.neighbours()) {
            if (to === selected?.from || to === attempt.source || !enough(to)) continue
            const there = delaySoFar + view.linkDelay(to)
            const leads = request.dests.some(({ id, maxDelay }) => {
                if (id === self) return false
                const rest = view.delay(to, id)
                return rest < view.delay(self, id) && there + rest <= maxDelay
            })
            if (leads) ask(to)
        }
    }

    // ---- up: notifications [claims 14, 15, 19, 22] ------------------------------------------------------------------------------

    onResv(from: string, message: Resv) {
        const { context } = this
        const { sid, ep, dests, label } = message
        const attempt = context.attempt(sid, ep)
        if (!attempt || attempt.state === "collecting" || !attempt.forwardedTo.has(from))
            return context.send(from, { t: "tear", sid, ep })
        if (label === undefined) return this.passUp(attempt, dests)
        const known = attempt.children.get(from)
        if (known) {
            known.labelOut = label
            for (const { id } of dests) known.dests.add(id)
        } else if (!this.takeChild(attempt, from, label, dests)) return
        context.schedule(attempt)
        // In transit the way up is held once somebody below needs it.
        if (attempt.role !== "source" && !attempt.upHeld && !this.holdUp(attempt)) {
            this.fallBack(attempt, true)
            return
        }
        if (attempt.state === "committed") {
            context.plant(sid)
            this.confirm(attempt, from, "conf")
        }
        this.passUp(attempt, dests)
    }

    private takeChild(attempt: Attempt, from: string, label: number, dests: Resv["dests"]): boolean {
        const { ledger, limits, nowMs, self } = this.context
        const { sid, ep, request } = attempt
        const refuse = (reason: Reason) => {
            this.context.send(from, { t: "rerr", sid, ep, reason })
            // With one upstream neighbour for each server only another tree helps.
            if (request.tree) this.pathErrorUp(attempt, { from: self, to: from, reason })
            return false
        }
        if (!ledger.hold(from, sid, ep, request.bandwidth)) return refuse("no-bandwidth")
        if (!this.holdMixing(attempt, attempt.children.size + 1)) {
            ledger.release(from, sid, ep)
            return refuse("no-dsp")
        }
        const leaseMs = nowMs + limits.firstLeaseMs
        attempt.children.set(from, { labelOut: label, dests: new Set(dests.map(({ id }) => id)), leaseMs })
        return true
    }

    /** Holds what mixing needs here with so many children; false when there is not enough. In transit nothing is held. */
    private holdMixing(attempt: Attempt, children: number): boolean {
        const { ledger, limits } = this.context
        const { sid, ep, role, dspUnits } = attempt
        const links = mixedLinks(attempt, children) * limits.dspUnitsPerLink
        if (role !== "transit" || links > 0) return ledger.holdDsp(sid, ep, dspUnits, links)
        ledger.releaseDsp(sid, ep)
        return true
    }

    private passUp(attempt: Attempt, dests: Resv["dests"]) {
        if (attempt.role === "source") return this.source.notified(attempt, dests)
        const isGood = dests.every(({ bandwidth, dsp }) => bandwidth === 1 && dsp === 1)
        this.tellUp(attempt, dests, isGood && attempt.upHeld)
    }

    /** `asChild`: with a label, since the way up is held. */
    private tellUp(attempt: Attempt, dests: Notice[], asChild = false) {
        const { sid, ep, selected } = attempt
        if (!selected || dests.length === 0) return
        const label = asChild ? { label: this.context.labelFor(sid, selected.from) } : {}
        this.context.send(selected.from, { t: "resv", sid, ep, dests, ...label })
    }

    /** To a new upstream neighbour: all that is reached by this server. */
    private announce(attempt: Attempt) {
        const dests = covered(attempt, this.context.self).map(id => ({ id, bandwidth: 1, dsp: 1 }))
        this.tellUp(attempt, dests, true)
    }

    pathErrorUp(attempt: Attempt, error: Pick<PathErr, "from" | "to" | "reason">) {
        const { sid, ep, selected } = attempt
        if (attempt.role === "source") return this.source.pathError(attempt, error)
        if (selected) this.context.send(selected.from, { t: "patherr", sid, ep, ...error })
    }

    onPathErr(from: string, { sid, ep, from: at, to, reason }: PathErr) {
        const attempt = this.context.attempt(sid, ep)
        if (attempt?.forwardedTo.has(from)) this.pathErrorUp(attempt, { from: at, to, reason })
    }

    // ---- falling back -----------------------------------------------------------------------------------------------------------

    onRerr(from: string, { sid, ep }: Rerr) {
        const attempt = this.context.attempt(sid, ep)
        if (!attempt) return
        if (attempt.selected?.from !== from) return this.loseCandidate(attempt, from)
        if (attempt.state === "committed") return this.tearDown(attempt)
        this.fallBack(attempt, false)
    }

    /**
     * The selected neighbour is of no use: the next best of those that had asked before the selection, whose links can be
     * held. `ownLink`: it is this server's link to it that is full. False when there is none: then all is released.
     */
    private fallBack(attempt: Attempt, ownLink: boolean): boolean {
        const { context } = this
        const { sid, ep, request } = attempt
        const first = attempt.selected
        for (let lost = first; lost; lost = attempt.selected) {
            lost.dead = true
            const isUp = Number.isFinite(context.view.linkDelay(lost.from))
            if (attempt.upHeld) {
                context.ledger.release(lost.from, sid, ep)
                attempt.upHeld = false
                if (isUp) context.send(lost.from, { t: "prune", sid, ep })
            }
            attempt.selected = this.bestCandidate(attempt)
            if (!attempt.selected) break
            // In transit the way up is held once somebody below needs it.
            if (attempt.role === "transit" && attempt.children.size === 0) return true
            if (context.ledger.hold(attempt.selected.from, sid, ep, request.bandwidth)) {
                attempt.upHeld = true
                this.announce(attempt)
                return true
            }
        }
        if (ownLink && first) {
            attempt.selected = first
            if (request.tree) this.pathErrorUp(attempt, { from: context.self, to: first.from, reason: "no-bandwidth" })
            // By windows those below may still find another way.
            else if (attempt.role === "destination") this.tellUp(attempt, [{ id: context.self, bandwidth: 0, dsp: 1 }])
            attempt.selected = undefined
        }
        // Whoever is below, or may become so, has to look for another one.
        for (const peer of attempt.forwardedTo) context.send(peer, { t: "rerr", sid, ep, reason: "no-bandwidth" })
        context.bury(attempt)
        return false
    }

    // ---- confirming, keeping alive [S4] -------------------------------------------------------------------------------------------

    onConf(from: string, message: Conf) {
        const { context } = this
        const { limits, nowMs, self } = context
        const { sid, ep, label, active } = message
        const attempt = context.attempt(sid, ep)
        if (attempt?.selected?.from !== from || !attempt.upHeld) return context.send(from, { t: "prune", sid, ep })
        attempt.state = "committed"
        attempt.labelUp = label
        attempt.expiresMs = nowMs + limits.leaseMs
        if (active === 1) attempt.active = true
        context.send(from, { t: "rack", sid, ep })
        if (attempt.role === "destination") context.send(from, { t: "alive", sid, ep, dest: self, via: [] })
        for (const peer of attempt.children.keys()) this.confirm(attempt, peer, message.t)
        context.schedule(attempt)
        context.plant(sid)
    }

    confirm(attempt: Attempt, peer: string, t: Conf["t"]) {
        const { sid, ep, active } = attempt
        const label = this.context.labelFor(sid, peer)
        this.context.send(peer, { t, sid, ep, label, active: active ? 1 : 0 })
    }

    onRack(from: string, sid: string, ep: number) {
        const attempt = this.context.attempt(sid, ep)
        const child = attempt?.children.get(from)
        if (!attempt || !child) return
        child.leaseMs = this.context.nowMs + this.context.limits.leaseMs
        this.context.schedule(attempt)
    }

    onAlive(from: string, message: Alive) {
        const { sid, ep, dest, via } = message
        const attempt = this.context.attempt(sid, ep)
        if (!attempt?.children.has(from)) return
        if (attempt.role === "source") return this.source.heard(attempt, dest, via)
        // Only what is held whole is alive.
        if (!attempt.selected || !attempt.upHeld || via.length >= reservationLimits.pathServers) return
        const passed = [...via, this.context.self]
        this.context.send(attempt.selected.from, { t: "alive", sid, ep, dest, via: passed })
    }

    // ---- letting go -----------------------------------------------------------------------------------------------------------------

    onPrune(from: string, sid: string, ep: number) {
        const attempt = this.context.attempt(sid, ep)
        if (attempt?.children.has(from)) this.loseChild(attempt, from)
    }

    onTear(from: string, sid: string, ep: number) {
        const attempt = this.context.attempt(sid, ep)
        if (!attempt) return
        if (attempt.selected?.from === from) return this.tearDown(attempt)
        this.loseCandidate(attempt, from)
    }

    /** Releases everything here and below. */
    tearDown(attempt: Attempt) {
        const { sid, ep } = attempt
        for (const peer of attempt.forwardedTo) this.context.send(peer, { t: "tear", sid, ep })
        this.context.bury(attempt)
    }

    private loseCandidate(attempt: Attempt, from: string) {
        for (const candidate of attempt.candidates) if (candidate.from === from) candidate.dead = true
        const isOver = attempt.state === "collecting" && attempt.candidates.every(({ dead }) => dead)
        if (isOver) this.context.bury(attempt)
    }

    /** A child has gone, or is no longer believed to be there. */
    private loseChild(attempt: Attempt, peer: string) {
        const { context } = this
        const { sid, ep, role, state } = attempt
        attempt.children.delete(peer)
        context.ledger.release(peer, sid, ep)
        this.holdMixing(attempt, attempt.children.size)
        if (role === "source") {
            context.schedule(attempt)
            context.plant(sid)
            return this.source.lostChild(attempt, peer)
        }
        if (state === "committed") this.pathErrorUp(attempt, { from: context.self, to: peer, reason: "no-path" })
        if (role === "transit" && attempt.children.size === 0) {
            if (attempt.selected && attempt.upHeld) context.send(attempt.selected.from, { t: "prune", sid, ep })
            return context.bury(attempt)
        }
        context.schedule(attempt)
        context.plant(sid)
    }

    onLinkDown(peer: string) {
        const { context } = this
        context.ledger.dropLink(peer)
        context.each(attempt => {
            if (attempt.children.has(peer)) this.loseChild(attempt, peer)
            else if (attempt.request.tree && attempt.forwardedTo.has(peer) && attempt.state === "reserving")
                this.pathErrorUp(attempt, { from: context.self, to: peer, reason: "no-path" })
            attempt.forwardedTo.delete(peer)
            if (context.attempt(attempt.sid, attempt.ep) !== attempt) return
            if (attempt.selected?.from !== peer) return this.loseCandidate(attempt, peer)
            if (attempt.state === "reserving") {
                this.fallBack(attempt, false)
                return
            }
            // What is below may serve the next epoch: it is kept until the lease is over.
            attempt.selected = undefined
            attempt.upHeld = false
            attempt.labelUp = undefined
            context.plant(attempt.sid)
        })
    }

    /** Something of the attempt has come due. */
    onDue(attempt: Attempt) {
        const { nowMs } = this.context
        if (attempt.state === "collecting" && attempt.collectUntilMs <= nowMs) return this.select(attempt)
        if (attempt.expiresMs <= nowMs) return this.tearDown(attempt)
        for (const [peer, child] of attempt.children)
            if (child.leaseMs <= nowMs) {
                this.loseChild(attempt, peer)
                if (this.context.attempt(attempt.sid, attempt.ep) !== attempt) return
            }
        this.context.schedule(attempt)
    }
}
