/**
 * DSP units at this server: what is held, and what one more join needs [claims 14, 16]. Reads and writes the ledger that the
 * reservation holds its units in; owns no sums of its own.
 */

import type { CodecName } from "../../../media/codec.ts"
import { dspUnitsOf } from "../media/dsp-units.ts"
import type { Session, State } from "./model.ts"

/** What a server with members needs at least: one of them can be in the session. Who comes next asks for its own. */
export const dspUnitsOfMembers = dspUnitsOf("leg")

export function dspFree(state: State): number {
    return Math.max(0, state.ledger.dspFree())
}

/** Units that are short for one more leg of this codec in the session, 0 when it fits. */
export function dspShort(state: State, session: Session, codec: CodecName): number {
    return state.ledger.shortForPresent(session.known.sid, dspOfLegs(session) + dspUnitsOf("leg", codec))
}

function dspOfLegs({ legs, plain }: Session): number {
    let units = 0
    for (const { codec } of [...legs.values(), ...plain.values()]) units += dspUnitsOf("leg", codec)
    return units
}

/** The legs of the session are others now. */
export function countLegs(state: State, session: Session): void {
    state.ledger.holdPresent(session.known.sid, dspOfLegs(session))
}

export function loadPercent(state: State): number {
    const { dspUnits } = state.self
    if (dspUnits === 0) return 100
    return Math.min(100, Math.round((state.ledger.dspHeld() * 100) / dspUnits))
}
