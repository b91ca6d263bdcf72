/** Places over HTTP: people write degrees, the core and the wire have integers of 0.001 degree. */

import type { Place } from "../../../protocol/servers.ts"
import type { Position } from "../core/model.ts"
import type * as schemas from "./schemas.ts"

export const halfPosition = "body: lat and lon, both or none"

/** The position in a change: undefined when it says nothing, null when it takes the position back. */
export function positionIn({
    lat,
    lon,
}: {
    lat?: number | null
    lon?: number | null
}): Position | null | undefined | "half" {
    if (lat === undefined && lon === undefined) return undefined
    if (lat === null && lon === null) return null
    if (typeof lat !== "number" || typeof lon !== "number") return "half"
    return { lat: Math.round(lat * 1000), lon: Math.round(lon * 1000) }
}

export function shownPlace({ tags, risk, area, lat, lon }: Place): schemas.Place {
    const place: schemas.Place = {}
    if (tags) place.tags = tags
    if (risk) place.risk = risk
    if (area !== undefined) place.area = area
    return lat === undefined || lon === undefined ? place : { ...place, ...shownPosition({ lat, lon }) }
}

export function shownPosition({ lat, lon }: Position): { lat: number; lon: number } {
    return { lat: lat / 1000, lon: lon / 1000 }
}
