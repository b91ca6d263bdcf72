/**
 * DSP units at this server: what is used, and what one more join needs [claims 14, 16]. Owns the sums only.
 */

import { dspUnitsOf } from "../media/dsp-units.ts"
import type { State } from "./model.ts"
import { activeLinks, treeLinks } from "./tree.ts"

export function dspUsed(state: State): number {
    let units = 0
    for (const [sid, session] of state.sessions)
        units += session.legs.size * dspUnitsOf("leg") + activeLinks(state.tree, sid) * dspUnitsOf("link")
    return units
}

export function dspFree(state: State): number {
    return Math.max(0, state.self.dspUnits - dspUsed(state))
}

/** Units that a new leg needs: its own, and those of the session's links that do not carry it yet. */
export function dspNeed(state: State, sid: string): number {
    const dormant = treeLinks(state.tree, sid) - activeLinks(state.tree, sid)
    return dspUnitsOf("leg") + dormant * dspUnitsOf("link")
}

export function loadPercent(state: State): number {
    if (state.self.dspUnits === 0) return 100
    return Math.min(100, Math.round((dspUsed(state) * 100) / state.self.dspUnits))
}
