/**
 * What the source routing server of a session does: ask for a tree, count the notifications, confirm, keep alive, repair,
 * improve, extend [claims 14-17].
 *
 * A wish starts a campaign: attempts, each an epoch of its own, until one is active or there have been too many. The old epoch
 * goes on until the new one is active (make before break). Owns campaigns; what an attempt asks for is asking.ts, what happens to
 * it on its way node.ts.
 */

import { type Resv, reservationLimits } from "../../../protocol/reservation.ts"
import { Asking } from "./asking.ts"
import { type Attempt, newAttempt } from "./attempt.ts"
import type { Context } from "./context.ts"
import { DueList } from "./due-list.ts"
import type { Shortage, Wish } from "./model.ts"
import type { Node, SourceEars } from "./node.ts"
import { longestDelay, serversBelow, treeOfWays } from "./server-tree.ts"
import { moreExact, noAnswer, noPath, noUnitsAt, noUnitsHere, noWay, shortOnLink } from "./shortages.ts"
import {
    attemptsOf,
    type Campaign,
    newSession,
    type SourceSession,
    sourceDueMs,
    startCampaign,
    type Trial,
} from "./source-session.ts"
import { isSameWish, satisfies, unitsNeeded, withoutSource } from "./wish.ts"

export class Source implements SourceEars {
    node!: Node
    private readonly sessions = new Map<string, SourceSession>()
    private readonly due = new DueList<SourceSession>()
    /** Last epoch of sessions that are over, so that a session that comes again does not meet its own tombstones. */
    private readonly lastEpochs = new Map<string, number>()
    /** Sessions with an attempt under way, and those that wait for one of these to end, oldest first. */
    private readonly trials = new Set<SourceSession>()
    private readonly waiting = new Set<SourceSession>()
    private readonly asking: Asking

    constructor(private readonly context: Context) {
        this.asking = new Asking(context)
    }

    nextMs(): number {
        return this.due.nextMs()
    }

    // ---- wishes --------------------------------------------------------------------------------------------------------------

    wish(wanted: Wish) {
        const wish = { ...wanted, destinations: withoutSource(wanted.destinations, this.context.self) }
        const { sid, version } = wish
        const known = this.sessions.get(sid)
        if (known && version < known.wish.version) return
        const session = known ?? newSession(wish, this.lastEpochs.get(sid) ?? 0)
        this.sessions.set(sid, session)
        const before = session.wish
        session.wish = wish
        const { trial, current, campaign } = session
        // What is being tried is what is wanted; its budget goes on.
        if (known && campaign && isSameWish(before, wish)) return
        if (trial) this.abandon(session, trial)
        if (current && satisfies(current, wish) && session.isWhole) {
            session.campaign = undefined
            session.retryMs = session.orphanMs = Number.POSITIVE_INFINITY
            this.context.out.push({
                type: "active",
                sid,
                ep: current.ep,
                tree: treeOfWays(this.context.self, session.ways),
            })
            return this.schedule(session)
        }
        session.orphanMs = Number.POSITIVE_INFINITY
        this.begin(session, startCampaign(current ? "change" : "setup"))
    }

    drop(sid: string) {
        const session = this.sessions.get(sid)
        if (!session) return
        if (session.trial) this.node.tearDown(session.trial.attempt)
        if (session.current) this.node.tearDown(session.current)
        this.sessions.delete(sid)
        this.trials.delete(session)
        this.waiting.delete(session)
        this.due.forget(session)
        this.lastEpochs.delete(sid)
        this.lastEpochs.set(sid, session.lastEp)
        for (const oldest of this.lastEpochs.keys()) {
            if (this.lastEpochs.size <= rememberedEpochs) break
            this.lastEpochs.delete(oldest)
        }
    }

    // ---- attempts ---------------------------------------------------------------------------------------------------------------

    private begin(session: SourceSession, campaign: Campaign) {
        session.campaign = campaign
        session.retryMs = Number.POSITIVE_INFINITY
        this.tryOnce(session, campaign)
    }

    private tryOnce(session: SourceSession, campaign: Campaign) {
        const { context } = this
        const { wish } = session
        // Many sessions open at the full hour. Together they would make each other late; a repair never waits.
        const isCrowd = this.trials.size >= context.limits.trialsAtOnce && campaign.kind !== "repair"
        const short = this.ownShortage(session)
        if (isCrowd && !short) {
            this.waiting.add(session)
            return this.schedule(session)
        }
        this.waiting.delete(session)
        campaign.attempts++
        session.lastEp = Math.max(session.lastEp + 1, wish.version * reservationLimits.epochsPerVersion + 1)
        context.out.push({ type: "trying", sid: wish.sid, ep: session.lastEp, kind: campaign.kind })
        const attempt = newAttempt(this.asking.requestFor(session), context.self)
        attempt.dspUnits = wish.dspUnits
        attempt.arrivedMs = context.nowMs
        if (short) return this.fail(session, undefined, [short], true)
        const lost = wish.destinations.filter(({ rs }) => !Number.isFinite(context.view.delay(context.self, rs)))
        if (lost.length > 0)
            return this.fail(
                session,
                undefined,
                lost.map(({ rs }) => noPath(rs, rs)),
                false,
            )

        const { request } = attempt
        const isGuided = campaign.attempts <= context.limits.guidedAttempts && this.asking.guide(session, request)
        const farthest = Math.max(0, ...request.dests.map(({ maxDelay }) => maxDelay))
        if (!isGuided) request.window = this.asking.windowFor(wish)
        const { windowHops, setupSlackMs, setupMostMs } = context.limits
        const windowsMs = (request.window * windowHops) / 100
        request.deadlineMs = Math.ceil(Math.min(setupMostMs, (2 * farthest) / 100 + windowsMs + setupSlackMs))

        if (!context.ledger.holdDsp(wish.sid, attempt.ep, wish.dspUnits, 0))
            return this.fail(session, undefined, [this.dspShortage(session, 0)], true)
        context.add(attempt)
        const trial: Trial = {
            attempt,
            notified: new Set(),
            alive: new Map(),
            deadlineMs: context.nowMs + request.deadlineMs,
            answerMs: (2 * farthest) / 100 + setupSlackMs,
        }
        session.trial = trial
        this.trials.add(session)
        if (wish.destinations.length === 0) return this.confirm(session, trial)
        this.node.forward(attempt)
        // A full link of this server has ended it already.
        if (session.trial === trial) {
            this.schedule(session)
            // There are paths: none of them has room at its beginning.
            const full = () => wish.destinations.map(({ rs }) => noWay(rs, wish.bandwidthKbps, rs))
            if (attempt.forwardedTo.size === 0) this.fail(session, trial, full(), false)
        }
    }

    /** Attempts may have ended: those that wait for that go on. */
    startWaiting() {
        for (const session of this.waiting) {
            if (this.trials.size >= this.context.limits.trialsAtOnce) return
            this.waiting.delete(session)
            if (session.campaign && !session.trial) this.tryOnce(session, session.campaign)
        }
    }

    // ---- what is heard of an attempt --------------------------------------------------------------------------------------------

    /** [claims 14, 15, 16] */
    notified(attempt: Attempt, dests: Resv["dests"]) {
        const session = this.sessions.get(attempt.sid)
        const trial = session?.trial
        // [claim 17] The attempt of a notification that comes too late is over, though its end may not have been looked at yet.
        if (!session || trial?.attempt !== attempt || attempt.state !== "reserving") return
        if (trial.deadlineMs < this.context.nowMs) return
        for (const { id, bandwidth, dsp } of dests) {
            if (bandwidth === 1 && dsp === 1) trial.notified.add(id)
            else if (dsp === 0) return this.fail(session, trial, [noUnitsAt(id, unitsNeeded(session.wish, id))], true)
            else return this.fail(session, trial, [noWay(id, session.wish.bandwidthKbps, id)], false)
        }
        if (attempt.request.dests.every(({ id }) => trial.notified.has(id))) this.confirm(session, trial)
    }

    private confirm(session: SourceSession, trial: Trial) {
        const { context, node } = this
        const { attempt } = trial
        attempt.state = "committed"
        trial.deadlineMs = context.nowMs + trial.answerMs
        for (const peer of attempt.children.keys()) node.confirm(attempt, peer, "conf")
        context.schedule(attempt)
        context.plant(attempt.sid)
        if (attempt.request.dests.length === 0) this.activate(session, trial)
        else this.schedule(session)
    }

    heard(attempt: Attempt, dest: string, via: string[]) {
        const { nowMs } = this.context
        const session = this.sessions.get(attempt.sid)
        if (!session) return
        if (session.current === attempt) {
            const known = session.ways.get(dest)
            if (known) session.ways.set(dest, { heardMs: nowMs, via })
            return
        }
        const { trial } = session
        if (trial?.attempt !== attempt || attempt.state !== "committed" || trial.deadlineMs < nowMs) return
        if (!attempt.request.dests.some(({ id }) => id === dest)) return
        trial.alive.set(dest, { heardMs: nowMs, via })
        if (trial.alive.size === attempt.request.dests.length) this.activate(session, trial)
    }

    private activate(session: SourceSession, trial: Trial) {
        const { context, node } = this
        const { attempt } = trial
        const { current: before } = session
        attempt.active = true
        session.current = attempt
        session.trial = undefined
        this.trials.delete(session)
        session.campaign = undefined
        session.ways = trial.alive
        session.isWhole = true
        session.retryMs = session.orphanMs = Number.POSITIVE_INFINITY
        const { refreshMs, reviewMs } = context.limits
        // All sessions at the same instants, so that one frame carries many.
        session.refreshMs = (Math.floor(context.nowMs / refreshMs) + 1) * refreshMs
        session.reviewWaitMs = reviewMs
        session.reviewMs = context.nowMs + reviewMs
        for (const peer of attempt.children.keys()) node.confirm(attempt, peer, "refresh")
        context.plant(attempt.sid)
        context.out.push({
            type: "active",
            sid: attempt.sid,
            ep: attempt.ep,
            tree: treeOfWays(context.self, session.ways),
        })
        if (before) node.tearDown(before)
        this.schedule(session)
    }

    pathError(attempt: Attempt, { from, to, reason }: { from: string; to: string; reason: Shortage["reason"] }) {
        const session = this.sessions.get(attempt.sid)
        if (!session) return
        const another: readonly Shortage["reason"][] = ["no-path", "no-bandwidth", "no-dsp", "too-many"]
        if (another.includes(reason)) this.asking.avoid(from, to)
        const { trial } = session
        if (session.current === attempt) return this.repair(session)
        if (trial?.attempt !== attempt) return
        if (!attempt.request.tree) {
            // In window mode those below may still fall back on another neighbour, and then answer again.
            for (const [dest, { via }] of trial.alive)
                if (via.includes(from) && [dest, ...via][via.indexOf(from)] === to) trial.alive.delete(dest)
            return
        }
        const { tree, dests } = attempt.request
        // Either end may have found the link too full.
        const below = serversBelow(tree, tree.some(({ rs, parent }) => rs === from && parent === to) ? from : to)
        const short = dests
            .filter(({ id }) => below.has(id))
            .map(({ id }) => shortOnLink(id, session.wish.bandwidthKbps, from, to, reason))
        this.fail(session, trial, short, false)
    }

    lostChild(attempt: Attempt, peer: string) {
        const session = this.sessions.get(attempt.sid)
        if (!session) return
        if (session.current === attempt) {
            this.asking.avoid(this.context.self, peer)
            return this.repair(session)
        }
        const { trial } = session
        if (trial?.attempt === attempt && (attempt.request.tree || attempt.state === "committed"))
            this.fail(session, trial, this.missing(trial), false)
    }

    // ---- failure ------------------------------------------------------------------------------------------------------------------

    /** `isFinal`: another attempt would not help. */
    private fail(session: SourceSession, trial: Trial | undefined, short: Shortage[], isFinal: boolean) {
        const { context } = this
        const { limits, nowMs } = context
        if (trial) this.abandon(session, trial)
        const { campaign } = session
        if (!campaign) return
        campaign.short = short.map(one => moreExact(one, campaign.short))
        if (!isFinal && campaign.attempts < attemptsOf(campaign.kind, limits)) {
            session.retryMs = nowMs + this.waitMs(campaign, trial === undefined)
            return this.schedule(session)
        }
        session.campaign = undefined
        session.retryMs = Number.POSITIVE_INFINITY
        const { sid } = session.wish
        const ep = session.lastEp
        const named = () => campaign.short.map(one => this.asking.withLink(session, one))
        // A better tree that cannot be had leaves the good one as it is.
        if (campaign.kind === "review") {
            session.reviewWaitMs = Math.min(2 * session.reviewWaitMs, reviewWaitMost * limits.reviewMs)
            session.reviewMs = nowMs + session.reviewWaitMs
            return this.schedule(session)
        }
        if (session.current) {
            // A whole tree goes on as it is, for those whom it has.
            if (!session.isWhole) session.orphanMs = nowMs + limits.orphanMs
            context.out.push({ type: "degraded", sid, ep, short: named() })
        } else context.out.push({ type: "refused", sid, ep, short: named() })
        this.schedule(session)
    }

    private waitMs({ kind, attempts }: Campaign, wasNoPath: boolean): number {
        const { retryMinMs, retryMaxMs, repairFirstMs, repairMostMs, setupMostMs } = this.context.limits
        if (kind === "repair") return Math.min(repairMostMs, repairFirstMs * 2 ** (attempts - 1))
        const randomMs = retryMinMs + this.context.random() * (retryMaxMs - retryMinMs)
        // Routes that are still being found need time, not attempts.
        return wasNoPath ? Math.max(randomMs, setupMostMs / 4) : randomMs
    }

    private abandon(session: SourceSession, trial: Trial) {
        session.trial = undefined
        this.trials.delete(session)
        this.node.tearDown(trial.attempt)
    }

    private missing({ attempt, notified, alive }: Trial): Shortage[] {
        const isThere = (id: string) => (attempt.state === "committed" ? alive.has(id) : notified.has(id))
        return attempt.request.dests.filter(({ id }) => !isThere(id)).map(({ id }) => noAnswer(id))
    }

    /** [claim 14] The source looks at its own units first, with one link more than none. */
    private ownShortage(session: SourceSession): Shortage | undefined {
        const { ledger, limits } = this.context
        const { sid, destinations, dspUnits } = session.wish
        const links = destinations.length > 0 ? limits.dspUnitsPerLink : 0
        const needed = ledger.dspWith(sid, dspUnits, links)
        return needed > ledger.dspOf(sid) + ledger.dspFree() ? this.dspShortage(session, links) : undefined
    }

    private dspShortage({ wish }: SourceSession, links: number): Shortage {
        const { self, ledger } = this.context
        const needed = ledger.dspWith(wish.sid, wish.dspUnits, links)
        return noUnitsHere(self, needed, ledger.dspFree() + ledger.dspOf(wish.sid))
    }

    // ---- active sessions --------------------------------------------------------------------------------------------------------------

    private repair(session: SourceSession) {
        session.isWhole = false
        const { campaign, trial } = session
        if (campaign?.kind === "repair" || campaign?.kind === "change") {
            campaign.kind = "repair"
            return
        }
        if (trial) this.abandon(session, trial)
        // Degraded already: the next wish decides.
        if (session.orphanMs < Number.POSITIVE_INFINITY) return
        this.begin(session, startCampaign("repair"))
    }

    private refresh(session: SourceSession) {
        const { context, node } = this
        const { limits, nowMs } = context
        session.refreshMs += limits.refreshMs
        if (session.refreshMs <= nowMs) session.refreshMs = nowMs + limits.refreshMs
        const { current } = session
        if (!current) return
        for (const peer of current.children.keys()) node.confirm(current, peer, "refresh")
        for (const { heardMs } of session.ways.values())
            if (nowMs - heardMs > limits.silentMs) return this.repair(session)
    }

    /** Whether there is a much better tree by now. */
    private review(session: SourceSession) {
        const { limits, nowMs, self } = this.context
        session.reviewMs = nowMs + session.reviewWaitMs
        const { current, wish } = session
        if (!current || !session.isWhole || session.campaign || wish.destinations.length === 0) return
        // The windows would find again what they have found.
        if (limits.guidedAttempts === 0) return
        const request = this.asking.requestFor({ ...session, lastEp: session.lastEp + 1 })
        if (!this.asking.guide(session, request) || !request.tree) return
        const now = treeOfWays(self, session.ways)
        const graph = this.context.view.graph()
        const nowDelay = longestDelay(graph, self, now)
        const nextDelay = longestDelay(graph, self, request.tree)
        const isShorter =
            nextDelay < nowDelay * limits.reviewDelayShare && nextDelay < nowDelay - limits.reviewDelayFloor
        const hasFewer = request.tree.length < now.length * limits.reviewLinkShare && nextDelay <= nowDelay * 1.1
        if (isShorter || hasFewer) this.begin(session, startCampaign("review"))
    }

    /** Routes may have appeared that an attempt waits for. */
    topologyChanged() {
        const { self, view } = this.context
        for (const session of this.sessions.values()) {
            const { campaign, trial, wish } = session
            if (!campaign || trial || campaign.short.some(({ reason }) => reason !== "no-path")) continue
            if (wish.destinations.some(({ rs }) => !Number.isFinite(view.delay(self, rs)))) continue
            session.retryMs = Number.POSITIVE_INFINITY
            this.tryOnce(session, campaign)
        }
    }

    tick() {
        for (let session = this.due.take(this.context.nowMs); session; session = this.due.take(this.context.nowMs)) {
            this.onDue(session)
            if (this.sessions.get(session.wish.sid) === session) this.schedule(session)
        }
    }

    private onDue(session: SourceSession) {
        const { nowMs } = this.context
        const { trial, campaign, current } = session
        // [claim 17]
        if (trial && trial.deadlineMs <= nowMs) this.fail(session, trial, this.missing(trial), false)
        else if (campaign && session.retryMs <= nowMs) {
            session.retryMs = Number.POSITIVE_INFINITY
            this.tryOnce(session, campaign)
        }
        if (current && session.refreshMs <= nowMs) this.refresh(session)
        if (session.reviewMs <= nowMs) this.review(session)
        if (session.orphanMs <= nowMs && session.current) {
            session.orphanMs = Number.POSITIVE_INFINITY
            const { current: left } = session
            session.current = undefined
            session.refreshMs = session.reviewMs = Number.POSITIVE_INFINITY
            this.node.tearDown(left)
        }
    }

    private schedule(session: SourceSession) {
        this.due.set(session, sourceDueMs(session))
    }
}

const rememberedEpochs = 4096
/** Reviews that come to nothing are at most so many times as far apart as others. */
const reviewWaitMost = 32
