/**
 * Why each server of the list is a neighbour or is none, for people and for programs [claims 7, 9, 11, 12]. Pure.
 */

import type { NeighbourKind, Trace } from "../neighbours/model.ts"
import { describe, type NeighbourTest, type PathMeasurement } from "../neighbours/rule.ts"

export interface NeighbourTrace {
    rs: string
    outcome: "neighbour" | "refused" | "declined" | "not-needed" | "not-yet-tried"
    kind?: NeighbourKind
    /** Whether the link is up; of neighbours only. */
    up?: boolean
    /** The test that refused it, with what was found and what is allowed. */
    test?: NeighbourTest
    found?: number
    allowed?: number
    unit?: string
    because?: string
    path?: PathMeasurement
    /** One line for a person. */
    text: string
}

interface ChoiceTrace {
    id: string
    path?: PathMeasurement
    trace?: Trace
}

const kindTexts: Record<NeighbourKind, string> = {
    static: "set by an administrator",
    dynamic: "chosen: it passed every test",
    inbound: "it has chosen us",
    "fix-up": "chosen so that the network is in one piece",
}

export function tracesOf(traces: readonly ChoiceTrace[], isUp: (rs: string) => boolean): NeighbourTrace[] {
    const traceOf = ({ id: rs, path, trace }: ChoiceTrace): NeighbourTrace => {
        const base = path ? { rs, path } : { rs }
        switch (trace?.outcome) {
            case undefined:
                return { ...base, outcome: "not-yet-tried", text: "not tried yet" }
            case "neighbour": {
                const up = isUp(rs)
                const text = `neighbour, ${kindTexts[trace.kind]}${up ? "" : "; the link is down"}`
                return { ...base, outcome: "neighbour", kind: trace.kind, up, text }
            }
            case "declined":
                return { ...base, outcome: "declined", text: `it passed, but was not to be had: ${trace.reason}` }
            case "not needed":
                return { ...base, outcome: "not-needed", text: `not needed: ${trace.wanted} neighbours are enough` }
            case "refused by rule": {
                const text = describe(trace.verdict)
                if (trace.verdict.accepted) return { ...base, outcome: "refused", text }
                const { test, found, allowed, unit, because } = trace.verdict
                return { ...base, outcome: "refused", test, found, allowed, unit, because, text }
            }
        }
    }
    return traces.map(traceOf)
}
