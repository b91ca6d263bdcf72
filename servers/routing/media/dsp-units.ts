/**
 * What mixing costs in DSP units [claims 14, 16, 18]: the currency in which routing servers reserve media processing.
 *
 * Owns the table's meaning. One unit is one PCMU stream received, mixed and sent again; others are charged by measured cost in
 * multiples of it, rounded up. `dsp-table.json` is what `npm run bench -- dsp` measured and wrote: run it anew where another
 * processor or codec version is used, and commit what it writes. It compares, so a faster machine gives about the same table.
 */

import type { CodecName } from "../../../media/codec.ts"
import type { ChannelKind } from "./channel.ts"
import table from "./dsp-table.json" with { type: "json" }

const unitsOf: Record<CodecName, number> = table.units

/** Of a leg or a link whose far side sends and hears this codec. */
export function dspUnitsOf(_kind: ChannelKind, codec: CodecName = "pcmu"): number {
    return unitsOf[codec]
}
