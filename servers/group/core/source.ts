/**
 * Which routing server a session's tree starts from: the member server with the smallest largest pair delay, given that it
 * has free DSP units, reaches others and takes sessions. A pair is two member servers; its delay is the way from one to the
 * source and on to the other. (Measured: worst pair 166 ms, against 196 ms for the first joiner's. [routing-spec 6])
 *
 * Says why, in words for people and as inputs for the audit log.
 */

import type { ServerState } from "../../../protocol/servers.ts"
import { type DelayBetween, delaysBetween } from "./delays.ts"
import { joinedServers, memberServers } from "./members.ts"
import type { Context, SessionReservation, SessionRow, State } from "./model.ts"
import { audit } from "./outcome.ts"
import { forgetTold } from "./reservation.ts"
import { forgetWays } from "./unreached.ts"

/** Of its largest pair delay, and in 0.01 ms. */
const moveShare = 2 / 3
const moveGain = 1000

export interface SourceChoice {
    source: string
    reason: string
    /** All that could be it, as they compare by delay. */
    judged: Judged[]
}

interface Judged {
    id: string
    dspFree: number
    draining: boolean
    load: number
    /** Members attached or joined here. */
    members: number
    /** Free units that a source needs here at least: for members that have not joined yet, and one link. */
    dspNeeded: number
    /** Member servers without a path to or from here. */
    unreachable: number
    /** The largest pair delay, 0.01 ms, and the pair. */
    worst: number
    from: string
    to: string
}

/**
 * Keeps the source while people use it, it lives and its units suffice; chooses again when it is gone, when it is short or
 * while nobody has joined.
 */
export function ensureSource(state: State, session: SessionRow, context: Context): void {
    const servers = memberServers(state, session)
    const reservation = state.live.reservations.get(session.id)
    const present = session.source
    const lives = present !== "" && !isGone(state, present) && servers.has(present)
    if (reservation && !lives) forgetWays(reservation)
    const able = sourcesAmong(servers, reservation)
    const inUse = session.invitations.some(invitation => invitation.status === "joined")
    // Where everybody is left out there is no better one, and whoever is at this one can still meet there.
    const isAlone = reservation?.unreached.has(present) === true
    if (lives && able.has(present) && (inUse || isAlone)) return

    const choice = chooseSource(able, state.live.servers, state.live.distances, joinedServers(session))
    if (!choice || choice.source === present) return
    if (lives && able.has(present) && reservation && !isWorthMoving(choice, present, reservation)) return
    const inputs = { was: present, reason: choice.reason, judged: choice.judged }
    audit(context, "group", "source", session.id, choice.source, inputs)
    session.source = choice.source
    session.sourceReason = choice.reason
    context.writes.push({ table: "sessions", put: session })
    if (!reservation) return
    forgetTold(state, session.id)
    forgetWays(reservation)
}

/** The best of what there is: those that were not short as a source, else those that are not left out, else all. */
function sourcesAmong(servers: Map<string, number>, reservation: SessionReservation | undefined): Map<string, number> {
    if (!reservation) return new Map(servers)
    const { unreached, shortSources } = reservation
    const reached = new Map([...servers].filter(([id]) => !unreached.has(id)))
    const able = new Map([...reached].filter(([id]) => !shortSources.has(id)))
    return able.size > 0 ? able : reached.size > 0 ? reached : servers
}

/**
 * Nobody has joined, but something is reserved: that is torn down only for a much better source, by the rule of live sessions
 * [routing-spec 3]. What its own reservation holds looks as if others had it, so free units say nothing here.
 */
function isWorthMoving(choice: SourceChoice, present: string, { told }: SessionReservation): boolean {
    if (told?.state !== "active" && told?.state !== "degraded") return false
    const now = choice.judged.find(one => one.id === present)
    const best = choice.judged.find(one => one.id === choice.source)
    if (!now || !best) return true
    if (best.unreachable !== now.unreachable) return best.unreachable < now.unreachable
    return best.worst < moveShare * now.worst && best.worst < now.worst - moveGain
}

/** A server that has not been heard of since this process started is not gone: its retained state is on its way. */
function isGone(state: State, server: string): boolean {
    return !state.durable.servers.has(server) || state.live.servers.get(server)?.on === 0
}

/**
 * `members`: how many members each member server has; `joined`: those of them that hold their units already. `reported`: per
 * server the delays to others that it reports. Only servers that are online count; undefined when none is.
 */
export function chooseSource(
    members: Map<string, number>,
    servers: Map<string, ServerState>,
    reported: Map<string, Map<string, number>> = new Map(),
    joined: Map<string, number> = new Map(),
): SourceChoice | undefined {
    const online = [...members.keys()].filter(id => servers.get(id)?.on === 1)
    if (online.length === 0) return undefined
    const delay = delaysBetween(servers, reported)
    const judged = online.map(id => judge(id, online, delay, members, joined, servers)).sort(better)

    const reaches = (one: Judged) => online.length === 1 || one.unreachable < online.length - 1
    const suffices = (one: Judged) => isAble(one) && one.dspFree >= one.dspNeeded && reaches(one)
    const best = judged.find(suffices) ?? judged.find(isAble) ?? judged[0]
    const why = [`${best.id}: ${describe(best, online.length)}`]
    if (!isAble(best)) why.push("no member server has free DSP units")
    const second = judged.find(one => one !== best)
    if (second) why.push(`next ${second.id}: ${describe(second, online.length)}`)
    return { source: best.id, reason: why.join("; "), judged }
}

function judge(
    id: string,
    online: string[],
    delay: DelayBetween,
    members: Map<string, number>,
    joined: Map<string, number>,
    servers: Map<string, ServerState>,
): Judged {
    const server = servers.get(id)!
    const { dspFree = 0, load = 0, draining } = server
    const here = members.get(id) ?? 0
    const dspNeeded = Math.max(0, here - (joined.get(id) ?? 0)) + (online.length > 1 ? 1 : 0)
    const one = { id, dspFree, dspNeeded, draining: draining === 1, load, members: here }
    const ways = online.map(other => ({ other, up: delay(other, id), down: delay(id, other) }))
    const reached = ways.filter(way => way.up !== undefined && way.down !== undefined)
    const judged: Judged = { ...one, unreachable: ways.length - reached.length, worst: 0, from: "", to: "" }
    for (const a of reached)
        for (const b of reached) {
            const pair = a.up! + b.down!
            if (a === b || (judged.from && pair <= judged.worst)) continue
            Object.assign(judged, { worst: pair, from: a.other, to: b.other })
        }
    return judged
}

function isAble(one: Judged): boolean {
    return one.dspFree > 0 && !one.draining
}

function better(a: Judged, b: Judged): number {
    return (
        a.unreachable - b.unreachable ||
        a.worst - b.worst ||
        b.members - a.members ||
        a.load - b.load ||
        (a.id < b.id ? -1 : 1)
    )
}

function describe(one: Judged, servers: number): string {
    const able = `${one.dspFree} DSP units free${one.draining ? ", draining" : ""}`
    if (servers === 1) return `the only member server, ${able}`
    const cut = one.unreachable > 0 ? `, ${one.unreachable} without a path` : ""
    const worst = one.from
        ? `worst pair ${(one.worst / 100).toFixed(2)} ms (${one.from} to ${one.to})`
        : "no path measured"
    return `${worst}${cut}, ${able}`
}
