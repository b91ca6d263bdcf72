/**
 * Cursors: where a page ended, as text that only this server reads.
 */

export const defaultPage = 50

export function writeCursor(place: (string | number)[]): string {
    return Buffer.from(JSON.stringify(place)).toString("base64url")
}

/** The place in a cursor, or undefined when it is not one with these types. */
export function readCursor(cursor: string, types: ("string" | "number")[]): (string | number)[] | undefined {
    try {
        const place: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString("utf8"))
        if (!Array.isArray(place) || place.length !== types.length) return undefined
        return place.every((part, index) => typeof part === types[index]) ? place : undefined
    } catch {
        return undefined
    }
}

/** One page of rows that are ordered by id: those after the cursor. */
export function pageById<Row extends { id: string }>(
    rows: Iterable<Row>,
    cursor: string | undefined,
    limit: number,
): { items: Row[]; next?: string } | undefined {
    const place = cursor === undefined ? [""] : readCursor(cursor, ["string"])
    if (!place) return undefined
    const after = [...rows].filter(row => row.id > place[0]).sort((a, b) => (a.id < b.id ? -1 : 1))
    const items = after.slice(0, limit)
    return after.length > limit ? { items, next: writeCursor([items[items.length - 1].id]) } : { items }
}
