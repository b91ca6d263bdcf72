/**
 * Which routing server a session's tree starts from: the member server with the smallest largest pair delay, given that it
 * has free DSP units and takes sessions. A pair is two member servers; its delay is the way from one to the source and on
 * to the other. (Measured: worst pair 166 ms, against 196 ms for the first joiner's. [routing-spec 6])
 *
 * Says why, in words for people and as inputs for the audit log.
 */

import type { ServerState } from "../../../protocol/servers.ts"
import { type DelayBetween, delaysBetween } from "./delays.ts"

export interface SourceChoice {
    source: string
    reason: string
    inputs: Record<string, unknown>
}

interface Judged {
    id: string
    dspFree: number
    draining: boolean
    load: number
    /** Members attached or joined here. */
    members: number
    /** Member servers without a path to or from here. */
    unreachable: number
    /** The largest pair delay, 0.01 ms, and the pair. */
    worst: number
    from: string
    to: string
}

/**
 * `members`: how many members each member server has. `reported`: per server the delays to others that it reports. Only servers
 * that are online count; undefined when none is.
 */
export function chooseSource(
    members: Map<string, number>,
    servers: Map<string, ServerState>,
    reported: Map<string, Map<string, number>> = new Map(),
): SourceChoice | undefined {
    const online = [...members.keys()].filter(id => servers.get(id)?.on === 1)
    if (online.length === 0) return undefined
    const delay = delaysBetween(servers, reported)
    const judged = online.map(id => judge(id, online, delay, members, servers)).sort(better)

    const best = judged.find(isAble) ?? judged[0]
    const why = [`${best.id}: ${describe(best, online.length)}`]
    if (!isAble(best)) why.push("no member server has free DSP units")
    const second = judged.find(one => one !== best)
    if (second) why.push(`next ${second.id}: ${describe(second, online.length)}`)
    return { source: best.id, reason: why.join("; "), inputs: { judged } }
}

function judge(
    id: string,
    online: string[],
    delay: DelayBetween,
    members: Map<string, number>,
    servers: Map<string, ServerState>,
): Judged {
    const server = servers.get(id)!
    const { dspFree = 0, load = 0, draining } = server
    const one = { id, dspFree, draining: draining === 1, load, members: members.get(id) ?? 0 }
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
