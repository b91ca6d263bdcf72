/**
 * What mixing costs in DSP units [claims 14, 16, 18]: the currency in which routing servers reserve media processing.
 * Owns the table. One unit is one PCMU stream decoded, mixed and encoded; measured figures for other codecs join it here.
 */

import type { ChannelKind } from "./channel.ts"

const unitsOf: Record<ChannelKind, number> = { leg: 1, link: 1 }

export function dspUnitsOf(kind: ChannelKind): number {
    return unitsOf[kind]
}
