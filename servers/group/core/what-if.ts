/**
 * A dry run: what would become of a session with these members at that time, by all that the group server knows: who is
 * busy, which routing servers they are at, where it would start and why, and whether the DSP units suffice. Changes nothing.
 * What the links carry the source routing server knows alone.
 */

import { limits } from "../../../protocol/limits.ts"
import type { Reason } from "../../../protocol/reasons.ts"
import { spanOf } from "./booking.ts"
import { fit } from "./calendar.ts"
import { linkGraph, shortestWays } from "./delays.ts"
import { attachedTo, memberServers } from "./members.ts"
import type { EndpointRow, Policy, Refusal, SessionRow, State } from "./model.ts"
import { refuse } from "./outcome.ts"
import { nextRelease } from "./releases.ts"
import { chooseSource } from "./source.ts"

export interface WhatIf {
    /** Endpoints and groups. */
    members: string[]
    /** Unix seconds; 0 is now. */
    start: number
    minutes: number
    /** Of each direction of each link of the tree. */
    kbps: number
}

export interface ServerNeed {
    server: string
    members: number
    /** Links of the tree that would be mixed here: over the shortest ways, where these are known. */
    links: number
    /** One for each member and one for each link. */
    dspNeeded: number
    /** Now; of a session that starts later, what those booked for that time leave. Absent: not known. */
    dspFree?: number
}

export interface Lack {
    server: string
    reason: Reason
    what: string
    who: "operator" | "organiser"
    /** Unix seconds. */
    next?: number
}

export interface Forecast {
    fits: boolean
    start: number
    end: number
    kbps: number
    invited: { endpoint: string; name: string; server?: string }[]
    source?: string
    sourceReason?: string
    servers: ServerNeed[]
    short: Lack[]
    busy: { endpoint: string; name: string; from: number; until: number }[]
    /** The next time that fits, as far as is known; Unix seconds. */
    next?: number
}

export function whatIf(state: State, wanted: WhatIf, nowMs: number, policy: Policy): Forecast | Refusal {
    const nowSeconds = Math.floor(nowMs / 1000)
    const span = spanOf(wanted, nowSeconds, policy)
    if ("ok" in span) return span
    const invited = invitedBy(state, wanted.members)
    if ("ok" in invited) return invited

    const { start, end, latest } = span
    const { clashes, next: free } = fit(
        state,
        invited.map(({ id }) => id),
        start,
        end,
        latest,
    )
    const busy = clashes.map(({ endpoint, session }) => {
        const name = state.durable.endpoints.get(endpoint)?.name ?? endpoint
        return { endpoint, name, from: session.start, until: session.end }
    })
    const members = new Map<string, number>()
    for (const { id } of invited) {
        const server = attachedTo(state, id)
        if (server) members.set(server, (members.get(server) ?? 0) + 1)
    }
    const choice = chooseSource(members, state.live.servers, state.live.distances)
    // Before it opens nothing is reserved, so what is free now says nothing of a session later.
    const isNow = start <= nowSeconds + limits.openingSeconds
    const servers = needs(state, members, choice?.source, isNow ? undefined : { start, end })
    const short = lacks(state, servers, isNow)
    if (!choice)
        short.push({
            server: "",
            reason: "no-servers",
            what: "no member is at a server that is online",
            who: "operator",
        })

    const forecast: Forecast = {
        fits: busy.length === 0 && short.length === 0,
        start,
        end,
        kbps: wanted.kbps,
        invited: invited.map(row => shownEndpoint(state, row)),
        servers,
        short,
        busy,
    }
    if (choice) Object.assign(forecast, { source: choice.source, sourceReason: choice.reason })
    const times = [...(busy.length > 0 ? [free] : []), ...short.map(one => one.next)]
    // One that never fits, or of which nothing is known, makes the others' times worthless.
    if (times.length > 0 && times.every(time => time !== undefined)) forecast.next = Math.max(...times)
    return forecast
}

function invitedBy(state: State, members: string[]): EndpointRow[] | Refusal {
    const invited = new Map<string, EndpointRow>()
    for (const id of members) {
        const group = state.durable.groups.get(id)
        const room = state.durable.endpoints.get(id)
        if (!group && !room) return refuse("unknown-group", `no group or room ${id}`, "you")
        for (const member of group?.members ?? [id]) {
            const row = state.durable.endpoints.get(member)
            if (row) invited.set(member, row)
        }
    }
    if (invited.size > limits.sessionMembers)
        return refuse("too-many", `${invited.size} members, at most ${limits.sessionMembers}`, "organiser")
    if (invited.size < 2) return refuse("not-allowed", "a session needs two rooms at least", "you")
    return [...invited.values()]
}

function shownEndpoint(state: State, { id, name }: EndpointRow): Forecast["invited"][number] {
    const server = attachedTo(state, id)
    return server ? { endpoint: id, name, server } : { endpoint: id, name }
}

function needs(
    state: State,
    members: Map<string, number>,
    source: string | undefined,
    later: { start: number; end: number } | undefined,
): ServerNeed[] {
    const links = treeLinks(state, [...members.keys()], source)
    return [...members].sort(byId).map(([server, count]) => {
        const own = links.get(server) ?? 0
        const need: ServerNeed = { server, members: count, links: own, dspNeeded: count + own }
        const free = later ? freeThen(state, server, later) : freeNow(state, server)
        return free === undefined ? need : { ...need, dspFree: free }
    })
}

/** Links of the tree over the shortest ways at each member server; where no way is known, one link to the source. */
function treeLinks(state: State, members: string[], source: string | undefined): Map<string, number> {
    const links = new Map<string, Set<string>>()
    if (source === undefined) return new Map()
    const ways = shortestWays(linkGraph(state.live.servers), source)
    const add = (from: string, to: string) => links.set(from, (links.get(from) ?? new Set()).add(to))
    for (const member of members) {
        if (member === source) continue
        for (let at: string = member; at !== source; ) {
            const parent: string = ways.get(at)?.parent ?? source
            add(at, parent)
            add(parent, at)
            at = parent
        }
    }
    return new Map([...links].map(([server, peers]) => [server, peers.size]))
}

function freeNow(state: State, server: string): number | undefined {
    const live = state.live.servers.get(server)
    return live?.on === 1 ? live.dspFree : undefined
}

/** What the sessions that are booked for that time leave, if everybody comes to where they are now. */
function freeThen(state: State, server: string, { start, end }: { start: number; end: number }): number | undefined {
    const units = state.live.servers.get(server)?.dspUnits ?? state.durable.servers.get(server)?.dspUnits
    if (!units) return undefined
    let taken = 0
    for (const session of state.durable.sessions.values())
        if (session.state !== "ended" && session.start < end && start < session.end)
            taken += taking(state, session, server)
    return Math.max(0, units - taken)
}

/** At least: a member each, and a link where there are others. */
function taking(state: State, session: SessionRow, server: string): number {
    const servers = memberServers(state, session)
    const members = servers.get(server)
    return members === undefined ? 0 : members + (servers.size > 1 ? 1 : 0)
}

function lacks(state: State, servers: ServerNeed[], isNow: boolean): Lack[] {
    return servers.flatMap(({ server, dspNeeded, dspFree }): Lack[] => {
        const live = state.live.servers.get(server)
        if (isNow && live?.on !== 1) return [{ server, reason: "unavailable", what: "it is offline", who: "operator" }]
        if (dspFree === undefined || dspNeeded <= dspFree) return []
        const what = `${dspNeeded - dspFree} DSP units short: ${dspNeeded} needed, ${dspFree} free`
        const all = live?.dspUnits ?? state.durable.servers.get(server)?.dspUnits ?? 0
        if (all > 0 && dspNeeded > all) return [{ server, reason: "no-dsp", what, who: "organiser" }]
        const next = isNow ? nextRelease(state, server) : undefined
        const lack: Lack = { server, reason: "no-dsp", what, who: "operator" }
        return [next === undefined ? lack : { ...lack, next }]
    })
}

function byId(a: [string, number], b: [string, number]): number {
    return a[0] < b[0] ? -1 : 1
}
