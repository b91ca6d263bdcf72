/**
 * What is wanted of a session, and how two wishes compare. Owns nothing.
 */

import type { Attempt } from "./attempt.ts"
import type { Destination, Wish } from "./model.ts"

/** Each once, and not the source itself. */
export function withoutSource(destinations: readonly Destination[], self: string): Destination[] {
    const each = new Map(destinations.map(one => [one.rs, one]))
    each.delete(self)
    return [...each.values()]
}

export function isSameWish(a: Wish, b: Wish): boolean {
    return a.bandwidthKbps === b.bandwidthKbps && a.dspUnits === b.dspUnits && destinationText(a) === destinationText(b)
}

/** Whether an attempt has all that the wish asks for, and no more. */
export function satisfies({ request, dspUnits }: Attempt, wish: Wish): boolean {
    if (request.bandwidth !== wish.bandwidthKbps || dspUnits !== wish.dspUnits) return false
    const has = request.dests.map(({ id, dsp }) => `${id} ${dsp}`).sort()
    return has.join() === destinationText(wish)
}

function destinationText({ destinations }: Wish): string {
    return destinations
        .map(({ rs, dspUnits }) => `${rs} ${dspUnits}`)
        .sort()
        .join()
}

export function unitsNeeded({ destinations }: Wish, id: string): number {
    return destinations.find(({ rs }) => rs === id)?.dspUnits ?? 0
}
