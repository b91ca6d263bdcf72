/**
 * The dynamic choice of neighbours as a pure state machine [claims 7-12]: when to measure, whom to ask, whom to keep, whom
 * to let go. `step(event, nowMs)` returns effects; the adapter probes, dials and sends.
 *
 * Owns the set of neighbours and the trace that says of each candidate why it is one or is none. Never measures and never
 * decides by itself what a test means: that is `rule.ts`. [routing-spec 2]
 */

import {
    type ChoiceEffect,
    type ChoiceEvent,
    type ChoiceLimits,
    choiceDefaults,
    type Distances,
    type Member,
    type Neighbour,
    type NeighbourKind,
    type Trace,
} from "./model.ts"
import {
    type Candidate,
    inOrder,
    type NeighbourPolicy,
    type PathMeasurement,
    policyVerdict,
    verdictOn,
} from "./rule.ts"
import { sharedPath } from "./shared-path.ts"

/** How much later in the fix-up a server takes its turn for each ms of round trip to the nearest one outside. */
const fixUpTurnMsPerMs = 50

type Phase =
    | { name: "resting" }
    | { name: "measuring"; waiting: Set<string>; queue: string[] }
    | { name: "choosing"; queue: Candidate[]; asking?: { id: string; untilMs: number; kind: NeighbourKind } }

export class NeighbourChoice {
    private readonly members = new Map<string, Member>()
    private policy: NeighbourPolicy = { deny: [] }
    private readonly measured = new Map<string, PathMeasurement>()
    private readonly traces = new Map<string, readonly string[]>()
    private readonly distancesOf = new Map<string, ReadonlyMap<string, number>>()
    private readonly current = new Map<string, Neighbour>()
    private readonly retiring = new Map<string, number>()
    private readonly why = new Map<string, Trace>()
    private phase: Phase = { name: "resting" }
    private nextRunMs = Number.POSITIVE_INFINITY
    private judgeComponentMs = Number.POSITIVE_INFINITY
    private runEndedMs = 0
    private replacedMs = Number.NEGATIVE_INFINITY
    private reachable = new Set<string>()
    private acceptedInRun: string[] = []
    private self: Member | undefined

    constructor(
        readonly id: string,
        private readonly limits: ChoiceLimits = choiceDefaults,
    ) {}

    neighbours(): Neighbour[] {
        return [...this.current.values()]
    }

    /** Of every other server of the list: why it is a neighbour, or is none. */
    trace(): { id: string; path?: PathMeasurement; trace?: Trace }[] {
        return [...this.members.keys()]
            .filter(id => id !== this.id)
            .sort()
            .map(id => {
                const neighbour = this.current.get(id)
                const trace: Trace | undefined = neighbour
                    ? { outcome: "neighbour", kind: neighbour.kind }
                    : this.why.get(id)
                return { id, path: this.measured.get(id), trace }
            })
    }

    nextTickMs(): number {
        let next = Math.min(this.nextRunMs, this.judgeComponentMs)
        if (this.phase.name === "choosing" && this.phase.asking) next = Math.min(next, this.phase.asking.untilMs)
        for (const atMs of this.retiring.values()) next = Math.min(next, atMs)
        return next
    }

    step(event: ChoiceEvent, nowMs: number): ChoiceEffect[] {
        switch (event.type) {
            case "start":
                return this.runSoon(nowMs)
            case "tick":
                return this.onTick(nowMs)
            case "members":
                return this.onMembers(event.list, nowMs)
            case "policy":
                this.policy = event.policy
                return [...this.enforcePolicy(), ...this.runSoon(nowMs)]
            case "measured":
                return this.onMeasured(event, nowMs)
            case "linkUp":
                return []
            case "linkDown":
                return this.onLinkDown(event.peer, nowMs)
            case "asked":
                return this.onAsked(event.by, event.distances, nowMs)
            case "answered":
                return this.onAnswered(event, nowMs)
            case "released":
                return this.onReleased(event.by, nowMs)
            case "distances":
                this.remember(event.from, event.distances)
                return []
            case "reachable":
                this.reachable = new Set(event.ids)
                return []
        }
    }

    // ---- when to run ------------------------------------------------------------------------------------------------

    private runSoon(nowMs: number): ChoiceEffect[] {
        this.nextRunMs = Math.min(this.nextRunMs, nowMs + this.limits.settleMs)
        return []
    }

    private onTick(nowMs: number): ChoiceEffect[] {
        const effects: ChoiceEffect[] = []
        for (const [id, atMs] of this.retiring)
            if (nowMs >= atMs) {
                this.retiring.delete(id)
                effects.push(...this.remove(id), { type: "drop", id })
            }
        if (this.phase.name === "choosing" && this.phase.asking && nowMs >= this.phase.asking.untilMs) {
            this.why.set(this.phase.asking.id, { outcome: "declined", reason: "no answer" })
            this.phase.asking = undefined
            effects.push(...this.choose(nowMs))
        }
        if (nowMs >= this.nextRunMs && this.phase.name === "resting") effects.push(...this.run(nowMs))
        if (nowMs >= this.judgeComponentMs && this.phase.name === "resting") effects.push(...this.fixUp(nowMs))
        return effects
    }

    /** [claim 10] A server that is new in the list makes the whole choice be repeated. */
    private onMembers(list: readonly Member[], nowMs: number): ChoiceEffect[] {
        const effects: ChoiceEffect[] = []
        this.members.clear()
        for (const member of list) this.members.set(member.id, member)
        this.self = this.members.get(this.id)
        for (const neighbour of [...this.current.values()]) {
            const member = this.members.get(neighbour.id)
            if (!member) effects.push(...this.remove(neighbour.id), { type: "drop", id: neighbour.id })
            else if (neighbour.kind === "static" && !member.static) neighbour.kind = "dynamic"
        }
        for (const known of [this.measured, this.traces, this.distancesOf, this.why])
            for (const id of [...known.keys()]) if (!this.members.has(id)) known.delete(id)
        // [claim 7] Static neighbours are set first and always kept.
        for (const member of list)
            if (member.static && member.id !== this.id) effects.push(...this.add(member.id, "static", nowMs))
        return [...effects, ...this.enforcePolicy(), ...this.runSoon(nowMs)]
    }

    private run(nowMs: number): ChoiceEffect[] {
        this.nextRunMs = nowMs + this.limits.runIntervalMs
        this.acceptedInRun = []
        const candidates: string[] = []
        for (const member of this.members.values()) {
            if (member.id === this.id) continue
            const verdict = policyVerdict(this.self?.tags ?? [], member, this.policy)
            if (verdict.accepted) candidates.push(member.id)
            else this.why.set(member.id, { outcome: "refused by rule", verdict })
        }
        const first = candidates.slice(0, this.limits.probesAtOnce)
        this.phase = { name: "measuring", waiting: new Set(first), queue: candidates.slice(this.limits.probesAtOnce) }
        if (first.length === 0) return this.startChoosing(nowMs)
        return first.map(id => ({ type: "probe", id }))
    }

    private onMeasured(event: Extract<ChoiceEvent, { type: "measured" }>, nowMs: number): ChoiceEffect[] {
        if (!this.members.has(event.id)) return []
        if (event.path) this.measured.set(event.id, event.path)
        else this.measured.delete(event.id)
        if (event.trace) this.traces.set(event.id, event.trace)
        if (this.phase.name !== "measuring" || !this.phase.waiting.delete(event.id)) return []
        const next = this.phase.queue.shift()
        if (next !== undefined) {
            this.phase.waiting.add(next)
            return [{ type: "probe", id: next }]
        }
        return this.phase.waiting.size > 0 ? [] : this.startChoosing(nowMs)
    }

    // ---- choosing ---------------------------------------------------------------------------------------------------

    private startChoosing(nowMs: number): ChoiceEffect[] {
        const effects = this.reviewNeighbours(nowMs)
        const candidates: Candidate[] = []
        for (const member of this.members.values()) {
            if (member.id === this.id) continue
            if (!policyVerdict(this.self?.tags ?? [], member, this.policy).accepted) continue
            candidates.push({ id: member.id, tags: member.tags, path: this.measured.get(member.id) })
        }
        this.phase = { name: "choosing", queue: inOrder(candidates) }
        return [...effects, ...this.choose(nowMs)]
    }

    /** [claim 12] Tries one candidate after the other until there are enough. */
    private choose(nowMs: number): ChoiceEffect[] {
        const effects: ChoiceEffect[] = []
        while (this.phase.name === "choosing" && !this.phase.asking) {
            const candidate = this.phase.queue.shift()
            if (!candidate) {
                effects.push(...this.endRun(nowMs))
                break
            }
            if (this.current.has(candidate.id)) continue
            // Those that asked us count too: they are as good as those that we asked.
            if (this.current.size >= this.limits.degree) {
                if (!this.worthReplacing(candidate, nowMs)) {
                    this.why.set(candidate.id, { outcome: "not needed", wanted: this.limits.degree })
                    continue
                }
            }
            const verdict = verdictOn(candidate, [...this.current.keys()], this.share, this.limits)
            if (!verdict.accepted) {
                this.why.set(candidate.id, { outcome: "refused by rule", verdict })
                continue
            }
            this.phase.asking = { id: candidate.id, untilMs: nowMs + this.limits.askTimeoutMs, kind: "dynamic" }
            effects.push({ type: "ask", id: candidate.id, distances: this.distances() })
        }
        return effects
    }

    private onAnswered(event: Extract<ChoiceEvent, { type: "answered" }>, nowMs: number): ChoiceEffect[] {
        this.remember(event.by, event.distances)
        if (this.phase.name !== "choosing" || this.phase.asking?.id !== event.by) {
            // Late: the other side counts us as a neighbour now, and must not.
            return event.accepted && !this.current.has(event.by) ? [{ type: "drop", id: event.by }] : []
        }
        const { kind } = this.phase.asking
        this.phase.asking = undefined
        const effects: ChoiceEffect[] = []
        if (event.accepted) {
            effects.push(...this.add(event.by, kind, nowMs))
            this.acceptedInRun.push(event.by)
            if (kind === "dynamic" && this.current.size > this.limits.degree) effects.push(...this.replaceWorst(nowMs))
        } else this.why.set(event.by, { outcome: "declined", reason: event.reason })
        return [...effects, ...this.choose(nowMs)]
    }

    private onAsked(by: string, distances: Distances, nowMs: number): ChoiceEffect[] {
        this.remember(by, distances)
        const member = this.members.get(by)
        const answer = (accepted: boolean, reason: string): ChoiceEffect => ({
            type: "answer",
            to: by,
            accepted,
            reason,
            distances: this.distances(),
        })
        if (!member) return [answer(false, "not in the list")]
        if (this.current.has(by)) return [answer(true, "")]
        if (!policyVerdict(this.self?.tags ?? [], member, this.policy).accepted) return [answer(false, "policy")]
        if (this.current.size >= this.limits.degreeMax) return [answer(false, "full")]
        return [...this.add(by, "inbound", nowMs), answer(true, "")]
    }

    private endRun(nowMs: number): ChoiceEffect[] {
        this.phase = { name: "resting" }
        this.runEndedMs = nowMs
        this.judgeComponentMs = nowMs + this.limits.componentWaitMs
        return [{ type: "runEnded", accepted: this.acceptedInRun }]
    }

    /**
     * The claims' rules alone can leave the overlay in pieces: while somebody in the list is not reached, the nearest one
     * that is not becomes a neighbour, whatever its path has in common with others.
     */
    private fixUp(nowMs: number): ChoiceEffect[] {
        this.judgeComponentMs = Number.POSITIVE_INFINITY
        if (this.current.size >= this.limits.degreeMax) return []
        const outside: Candidate[] = []
        for (const member of this.members.values()) {
            const path = this.measured.get(member.id)
            if (member.id === this.id || this.reachable.has(member.id) || this.current.has(member.id) || !path) continue
            if (path.probesAnswered === 0) continue
            if (policyVerdict(this.self?.tags ?? [], member, this.policy).accepted)
                outside.push({ id: member.id, tags: member.tags, path })
        }
        if (outside.length === 0) return []
        // The nearest whose path passes the tests; a poor path is still better than none.
        const passing = outside.filter(candidate => verdictOn(candidate, [], this.share, this.limits).accepted)
        const nearest = (passing.length > 0 ? passing : outside).reduce((a, b) =>
            (b.path?.rttMs ?? 0) < (a.path?.rttMs ?? 0) ? b : a,
        )
        // Not everybody of a component at once: the nearer to the outside, the earlier, and the others see that it is done.
        const turnMs = this.runEndedMs + this.limits.componentWaitMs + (nearest.path?.rttMs ?? 0) * fixUpTurnMsPerMs
        if (nowMs < turnMs) {
            this.judgeComponentMs = turnMs
            return []
        }
        this.phase = {
            name: "choosing",
            queue: [],
            asking: { id: nearest.id, untilMs: nowMs + this.limits.askTimeoutMs, kind: "fix-up" },
        }
        return [{ type: "ask", id: nearest.id, distances: this.distances() }]
    }

    // ---- keeping and letting go -----------------------------------------------------------------------------------------

    /** Neighbours whose path failed twice in a row are let go; a static one never is. */
    private reviewNeighbours(nowMs: number): ChoiceEffect[] {
        const effects: ChoiceEffect[] = []
        for (const neighbour of this.current.values()) {
            if (neighbour.kind === "static" || neighbour.kind === "fix-up") continue
            const candidate: Candidate = { id: neighbour.id, tags: [], path: this.measured.get(neighbour.id) }
            const verdict = verdictOn(candidate, [], this.share, this.limits)
            neighbour.failedRuns = verdict.accepted ? 0 : neighbour.failedRuns + 1
            if (neighbour.failedRuns >= this.limits.failedRunsMax) {
                this.why.set(neighbour.id, { outcome: "refused by rule", verdict })
                effects.push(...this.retire(neighbour.id, nowMs))
            }
        }
        return effects
    }

    private worthReplacing(candidate: Candidate, nowMs: number): boolean {
        if (nowMs < this.replacedMs + this.limits.replaceIntervalMs) return false
        const worst = this.worst()
        const worstRtt = worst ? this.measured.get(worst.id)?.rttMs : undefined
        return worstRtt !== undefined && (candidate.path?.rttMs ?? worstRtt) < worstRtt * (1 - this.limits.replaceGain)
    }

    private worst(): Neighbour | undefined {
        let worst: Neighbour | undefined
        let worstRtt = -1
        for (const neighbour of this.current.values()) {
            const rtt = this.measured.get(neighbour.id)?.rttMs ?? Number.POSITIVE_INFINITY
            if (neighbour.kind === "dynamic" && !this.retiring.has(neighbour.id) && rtt > worstRtt) {
                worst = neighbour
                worstRtt = rtt
            }
        }
        return worst
    }

    private replaceWorst(nowMs: number): ChoiceEffect[] {
        const worst = this.worst()
        if (!worst) return []
        this.replacedMs = nowMs
        this.why.set(worst.id, { outcome: "not needed", wanted: this.limits.degree })
        return this.retire(worst.id, nowMs)
    }

    private retire(id: string, nowMs: number): ChoiceEffect[] {
        if (this.retiring.has(id)) return []
        this.retiring.set(id, nowMs + this.limits.retireMs)
        return [{ type: "retire", id }]
    }

    /** [claim 9] What the policy has come to forbid goes at once, static or not. */
    private enforcePolicy(): ChoiceEffect[] {
        const effects: ChoiceEffect[] = []
        for (const neighbour of [...this.current.values()]) {
            const member = this.members.get(neighbour.id)
            if (!member) continue
            const verdict = policyVerdict(this.self?.tags ?? [], member, this.policy)
            if (verdict.accepted) continue
            this.why.set(neighbour.id, { outcome: "refused by rule", verdict })
            effects.push(...this.remove(neighbour.id), { type: "drop", id: neighbour.id })
        }
        return effects
    }

    private onLinkDown(peer: string, nowMs: number): ChoiceEffect[] {
        const neighbour = this.current.get(peer)
        if (!neighbour) return []
        this.distancesOf.delete(peer)
        this.measured.delete(peer)
        const effects = neighbour.kind === "static" ? [] : this.remove(peer)
        this.why.set(peer, {
            outcome: "refused by rule",
            verdict: { accepted: false, test: "path", found: 0, allowed: this.limits.minAnswered, unit: "answered" },
        })
        return [...effects, ...this.runSoon(nowMs)]
    }

    private onReleased(by: string, nowMs: number): ChoiceEffect[] {
        if (this.current.get(by)?.kind === "static") return []
        const wasChosen = this.current.has(by) && this.current.get(by)?.kind !== "inbound"
        return [...this.remove(by), ...(wasChosen ? this.runSoon(nowMs) : [])]
    }

    private add(id: string, kind: NeighbourKind, nowMs: number): ChoiceEffect[] {
        const known = this.current.get(id)
        if (known) {
            if (kind === "static") known.kind = "static"
            return []
        }
        this.current.set(id, { id, kind, sinceMs: nowMs, failedRuns: 0 })
        this.why.delete(id)
        return [{ type: "neighbours", ids: [...this.current.keys()] }]
    }

    private remove(id: string): ChoiceEffect[] {
        this.retiring.delete(id)
        return this.current.delete(id) ? [{ type: "neighbours", ids: [...this.current.keys()] }] : []
    }

    // ---- what is known of paths ----------------------------------------------------------------------------------------

    private remember(from: string, distances: Distances): void {
        if (this.members.has(from)) this.distancesOf.set(from, new Map(distances))
    }

    /** Round trips to all others that this server has measured. */
    distances(): Distances {
        return [...this.measured].map(([id, path]) => [id, path.rttMs] as const)
    }

    /** [claim 7: "common path traffic"] Share of the path to `a` that is common with the path to neighbour `b`. */
    private readonly share = (a: string, b: string): number => {
        const evidence = (id: string) => {
            const member = this.members.get(id)
            const path = this.measured.get(id)
            if (!member || !path) return undefined
            return { ip: member.ip, riskGroups: member.riskGroups, trace: this.traces.get(id), rttMs: path.rttMs }
        }
        const candidate = evidence(a)
        const neighbour = evidence(b)
        if (!candidate || !neighbour) return 0
        return sharedPath(candidate, neighbour, this.distancesOf.get(b)?.get(a), this.limits.shared)
    }
}
