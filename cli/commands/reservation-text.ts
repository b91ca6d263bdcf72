/**
 * Reservations as people read them: trees, what is held where, what is short. Pure: values in, text out.
 */
import type { Forecast, Reservation } from "../../servers/group/http/schemas.ts"
import type { Can } from "../../servers/routing/control/schemas.ts"
import { table } from "../output.ts"
import type { ServerLegs, ServerReservations } from "../system/reservations.ts"

/** One way, in milliseconds; undefined when it is not known. */
export type LinkDelay = (from: string, to: string) => number | undefined

export interface TreeLink {
    server: string
    parent: string
}

export function timeText(seconds: number): string {
    return new Date(seconds * 1000).toISOString().replace(":00.000Z", "Z").replace(".000Z", "Z")
}

export function momentText(ms: number): string {
    return new Date(ms).toISOString()
}

/**
 * The tree from its source down, a level two columns further in. `members`: how many each server has; one without any is in
 * transit. A link that leads nowhere is shown at the end, so that nothing is lost of what was told.
 */
export function treeText(source: string, tree: TreeLink[], members: Map<string, number>, delay: LinkDelay): string[] {
    const children = new Map<string, string[]>()
    for (const { server, parent } of tree) children.set(parent, [...(children.get(parent) ?? []), server])
    const lines: string[] = []
    const shown = new Set<string>()
    const visit = (server: string, parent: string, level: number, fromSource: number | undefined) => {
        shown.add(server)
        const own = parent === "" ? undefined : delay(parent, server)
        const sum = parent === "" ? 0 : own === undefined || fromSource === undefined ? undefined : fromSource + own
        const notes = [
            parent === "" ? "source" : undefined,
            roleText(members.get(server), parent === ""),
            wayText(own, sum, level),
        ]
        lines.push(`${"  ".repeat(level)}${server}  ${notes.filter(Boolean).join(", ")}`)
        for (const child of [...(children.get(server) ?? [])].sort())
            if (!shown.has(child)) visit(child, server, level + 1, sum)
    }
    visit(source, "", 0, 0)
    for (const { server, parent } of tree)
        if (!shown.has(server)) lines.push(`${server}  under ${parent}, which has no way to ${source}`)
    return lines
}

function roleText(members: number | undefined, isSource: boolean): string | undefined {
    if (members !== undefined && members > 0) return `${members} ${members === 1 ? "member" : "members"}`
    return isSource ? undefined : "transit"
}

function wayText(own: number | undefined, sum: number | undefined, level: number): string | undefined {
    if (own === undefined) return undefined
    return level > 1 && sum !== undefined ? `${round(own)} ms (${round(sum)} ms from the source)` : `${round(own)} ms`
}

/** Where it is short, in words: at the server itself, at another one, or on a link. */
export function whereText({ server, at, to }: { server: string; at?: string; to?: string }): string {
    if (to !== undefined && at !== undefined) return `${server}, on the link ${at} - ${to}`
    return at === undefined || at === server ? server : `${server}, at ${at}`
}

export interface Shown {
    server: string
    reason: string
    what: string
    who?: string
    next?: number
    at?: string
    to?: string
}

export function shortText(short: Shown): string {
    const { reason, what, who, next } = short
    const where = whereText(short) || "everywhere"
    const fixer = who === undefined ? "" : `; who can fix it: ${who}`
    return `${where}: ${reason}, ${what}${fixer}${next === undefined ? "" : `; possible from ${timeText(next)}`}`
}

/** What the group server knows of a session's reservation. */
export function reservationText(
    source: string,
    reservation: Reservation,
    members: Map<string, number>,
    delay: LinkDelay,
): string {
    const { state, epoch, kbps, atMs, tree, short, unreached, history } = reservation
    const facts = [
        state === "none" ? `none: ${source} has told nothing yet` : state,
        epoch === undefined ? "" : `epoch ${epoch}`,
        kbps === undefined ? "" : `${kbps} kbit/s each way`,
        atMs === undefined ? "" : `since ${momentText(atMs)}`,
    ]
    const lines = [`reservation  ${facts.filter(Boolean).join(", ")}`]
    if (state === "active") lines.push("", ...treeText(source, tree, members, delay))
    for (const one of short) lines.push(`short        ${shortText(one)}`)
    for (const one of unreached) lines.push(`left out     ${shortText(one)}; tried again by ${momentText(one.retryMs)}`)
    if (history.length > 0) {
        const rows = history.map(one => [
            momentText(one.atMs),
            one.source,
            String(one.epoch),
            one.state,
            one.state === "active" ? String(one.servers) : "",
            one.short.map(each => `${each.reason} ${whereText(each)}`).join("; "),
        ])
        lines.push("", table(["WHEN", "SOURCE", "EPOCH", "STATE", "SERVERS", "SHORT"], rows))
    }
    return lines.join("\n")
}

export function heldTable(servers: ServerReservations[], withSession: boolean): string {
    const rows = servers.flatMap(({ server, reservations }) =>
        reservations.map(one => [
            server,
            ...(withSession ? [one.sid] : []),
            one.role,
            one.state,
            String(one.epoch),
            one.source,
            one.upstream ?? "-",
            one.children.length > 0 ? one.children.join(",") : "-",
            `${one.kbps}`,
            String(one.usageCount),
        ]),
    )
    const head = ["ROLE", "STATE", "EPOCH", "SOURCE", "UPSTREAM", "CHILDREN", "KBIT/S", "USAGE"]
    return table(["SERVER", ...(withSession ? ["SESSION"] : []), ...head], rows)
}

/** How each leg of a session is: loss each way over the last 8 s, and the E-model's estimate. */
export function legsTable(servers: ServerLegs[]): string {
    const rows = servers.flatMap(({ server, legs }) =>
        legs.map(one => [
            one.endpoint,
            server,
            one.plain ? `${one.codec}, plain` : one.codec,
            `${one.lossInPercent.toFixed(1)} %`,
            `${one.lossOutPercent.toFixed(1)} %`,
            `${one.jitterMs.toFixed(1)} ms`,
            one.roundTripMs < 0 ? "-" : `${one.roundTripMs.toFixed(1)} ms`,
            one.opinion.toFixed(1),
            one.muted ? "muted" : "",
        ]),
    )
    const head = ["ENDPOINT", "SERVER", "CODEC", "LOSS IN", "LOSS OUT", "JITTER", "ROUND TRIP", "MOS", ""]
    return table(head, rows)
}

/** Bandwidth and DSP units: what is held of what there is. */
export function ledgerTable(servers: ServerReservations[]): string {
    const rows = servers.flatMap(({ server, ledger }) => [
        [
            server,
            "DSP units",
            String(ledger.dspHeld),
            String(ledger.dspUnits),
            percent(ledger.dspHeld, ledger.dspUnits),
        ],
        ...ledger.links.map(({ peer, heldKbps, capacityKbps }) => [
            server,
            `kbit/s to ${peer}`,
            String(heldKbps),
            String(capacityKbps),
            percent(heldKbps, capacityKbps),
        ]),
    ])
    return table(["SERVER", "OF", "HELD", "THERE IS", ""], rows)
}

/** The group server's forecast and the source's, as one answer. */
export interface CanSession extends Omit<Forecast, "short"> {
    tree: TreeLink[]
    short: Shown[]
}

/**
 * With a tree from the source the links at each server are known, and with them the DSP units; `short` of the source comes
 * with the next time that the group server knows for it. What is given back before a later session starts is not short.
 */
export function combine(forecast: Forecast, can: Can | undefined, next: Map<string, number>): CanSession {
    const tree = can?.fits ? can.tree : []
    const servers = tree.length > 0 ? forecast.servers.map(need => withLinks(need, tree)) : forecast.servers
    const lacking = (server: string) => {
        const need = servers.find(one => one.server === server)
        return need?.dspFree !== undefined && need.dspNeeded > need.dspFree
    }
    const short: Shown[] = forecast.short.filter(one => one.reason !== "no-dsp" || lacking(one.server))
    for (const { server, dspNeeded, dspFree } of servers) {
        if (!lacking(server) || short.some(one => one.server === server)) continue
        const what = `${dspNeeded - dspFree!} DSP units short: ${dspNeeded} needed, ${dspFree} free`
        short.push({ server, reason: "no-dsp", what, who: "operator" })
    }
    for (const one of can?.short ?? []) {
        const release = next.get(releaseKey(one))
        if (release !== undefined && release <= forecast.start) continue
        if (short.some(each => each.server === one.server && each.reason === one.reason)) continue
        short.push({ ...one, who: "operator", ...(release !== undefined && { next: release }) })
    }
    if (can && !can.fits && can.short.length === 0)
        short.push({ server: forecast.source ?? "", reason: "unavailable", what: "it finds no tree", who: "operator" })
    const fits = forecast.busy.length === 0 && short.length === 0
    const { next: known, ...rest } = forecast
    const result: CanSession = { ...rest, fits, servers, tree, short }
    const times = [...(forecast.busy.length > 0 ? [known] : []), ...short.map(one => one.next)]
    if (times.length > 0 && times.every(time => time !== undefined)) result.next = Math.max(...times)
    return result
}

export function releaseKey({ at, to }: { at: string; to?: string }): string {
    return to === undefined ? at : `${at} ${to}`
}

function withLinks(need: Forecast["servers"][number], tree: TreeLink[]): Forecast["servers"][number] {
    const links = tree.filter(({ server, parent }) => server === need.server || parent === need.server).length
    return { ...need, links, dspNeeded: need.members + links }
}

export function canText(can: CanSession, delay: LinkDelay): string {
    const { fits, invited, start, end, kbps, source, sourceReason, servers, short, busy, next, tree } = can
    const minutes = Math.round((end - start) / 60)
    const lines = [
        `${fits ? "fits" : "does not fit"}: ${invited.length} rooms, ${kbps} kbit/s, ${timeText(start)} for ${minutes} min`,
    ]
    for (const one of short) lines.push(`short    ${shortText(one)}`)
    for (const { endpoint, name, from, until } of busy)
        lines.push(`busy     ${endpoint} (${name}) from ${timeText(from)} to ${timeText(until)}`)
    if (!fits && next !== undefined) lines.push(`next     ${timeText(next)}`)
    if (!fits && next === undefined) lines.push("next     no time is known")
    const away = invited.filter(one => one.server === undefined).map(one => one.endpoint)
    if (away.length > 0) lines.push(`away     ${away.join(", ")}: attached to no routing server now`)
    if (source !== undefined) {
        const members = new Map(servers.map(one => [one.server, one.members]))
        lines.push(`source   ${sourceReason ?? source}`)
        if (fits && (tree.length > 0 || servers.length === 1)) lines.push("", ...treeText(source, tree, members, delay))
    }
    if (servers.length > 0) {
        const rows = servers.map(one => [
            one.server,
            String(one.members),
            String(one.links),
            String(one.dspNeeded),
            one.dspFree === undefined ? "-" : String(one.dspFree),
        ])
        lines.push("", table(["SERVER", "MEMBERS", "LINKS", "DSP UNITS", "FREE"], rows))
    }
    return lines.join("\n")
}

function percent(part: number, whole: number): string {
    return whole > 0 ? `${Math.round((part * 100) / whole)} %` : ""
}

function round(ms: number): number {
    return Math.round(ms * 100) / 100
}
