/**
 * Where routing servers stand and what they are: tags, risk groups, area, coordinates. Field by field what an operator has
 * stored here wins over what the server announces in its hello.
 */

import { type Place, placeShape, serverLimits } from "../../../protocol/servers.ts"
import { isIdentifier } from "../../../protocol/text.ts"
import type { Answer, Context, PlaceChange, Position, ServerRow, State } from "./model.ts"
import { done, refuse } from "./outcome.ts"
import { pick } from "./pick.ts"

/** What counts. Coordinates are one field: they come from one source. */
export function placeOf({ stored, announced }: ServerRow): Place {
    const place: Place = {}
    const tags = stored.tags ?? announced.tags
    const risk = stored.risk ?? announced.risk
    const area = stored.area ?? announced.area
    const position = positionOf(stored) ?? positionOf(announced)
    if (tags && tags.length > 0) place.tags = tags
    if (risk && risk.length > 0) place.risk = risk
    if (area) place.area = area
    return { ...place, ...position }
}

export function positionOf({ lat, lon }: Place): Position | undefined {
    return lat === undefined || lon === undefined ? undefined : { lat, lon }
}

/** Of a hello that has its shape: the place in it, or what is wrong with it. */
export function announcedPlace(hello: Place): { ok: true; place: Place } | { ok: false; what: string } {
    const what = problemWithPlace(hello)
    return what ? { ok: false, what } : { ok: true, place: tidy(pick(placeShape, hello)) }
}

/** What is wrong with the words and coordinates of a place that has its shape, or "". */
function problemWithPlace({ tags = [], risk = [], area, lat, lon }: Place): string {
    for (const word of [...tags, ...risk, ...(area === undefined ? [] : [area])]) {
        const problem = problemWithTag(word)
        if (problem) return problem
    }
    return (lat === undefined) === (lon === undefined) ? "" : "lat and lon: both or none"
}

export function problemWithTag(word: string): string {
    if (isIdentifier(word) && word.length <= serverLimits.tagBytes) return ""
    return `tags, risk, area: 1..${serverLimits.tagBytes} of a-z, 0-9 and -`
}

/** Each word once and in order, so that equal places look equal. */
function tidy(place: Place): Place {
    const words = (list: string[]) => [...new Set(list)].sort()
    const tidied: Place = { ...place }
    if (place.tags) tidied.tags = words(place.tags)
    if (place.risk) tidied.risk = words(place.risk)
    return tidied
}

export function placeServer(state: State, id: string, change: PlaceChange, context: Context): Answer {
    const row = state.durable.servers.get(id)
    if (!row) return refuse("unknown-server", `no routing server ${id}`, "you")
    const { lat, lon, ...rest } = row.stored
    const position = change.position === undefined ? positionOf({ lat, lon }) : change.position
    const stored: Place = { ...rest, ...position }
    for (const field of ["tags", "risk"] as const) {
        const words = change[field]
        if (words === null) delete stored[field]
        else if (words && words.length > serverLimits.tags)
            return refuse("too-many", `${field}: at most ${serverLimits.tags}`, "you")
        else if (words) stored[field] = words
    }
    if (change.area === null) delete stored.area
    else if (change.area !== undefined) stored.area = change.area
    const what = problemWithPlace(stored)
    if (what) return refuse("malformed", what, "you")

    const before = JSON.stringify(placeOf(row))
    row.stored = tidy(stored)
    context.writes.push({ table: "servers", put: row })
    if (JSON.stringify(placeOf(row)) !== before) touchPlace(state, id)
    return done({ id })
}

/** The server itself and all others hear of its new place. */
export function touchPlace(state: State, id: string): void {
    state.touched.places.add(id)
    state.touched.peers = true
}

/** Kilometres along the surface of the earth. */
export function distanceKm(from: Position, to: Position): number {
    const radians = (thousandths: number) => (thousandths / 1000) * (Math.PI / 180)
    const north = Math.sin((radians(to.lat) - radians(from.lat)) / 2) ** 2
    const east = Math.sin((radians(to.lon) - radians(from.lon)) / 2) ** 2
    const share = north + Math.cos(radians(from.lat)) * Math.cos(radians(to.lat)) * east
    return 2 * 6371 * Math.asin(Math.min(1, Math.sqrt(share)))
}
