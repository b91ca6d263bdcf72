/**
 * What a checker is told, and how it objects. One checker a file in checkers/; each owns one rule of routing-spec 5.
 *
 * Cheap rules look after each event at the server where it happened; rules about the whole network look at defined instants:
 * every `sampleMs`, at ACTIVE, once sessions have settled, and when all are over.
 */

import type { ReservationEffect, ReservationEvent } from "../../../servers/routing/reservation/model.ts"
import type { Link } from "./link.ts"
import type { SimulatedServer } from "./server.ts"
import type { WorldMessage } from "./world.ts"

/** How often checkers look at the whole network, virtual ms. */
export const sampleMs = 250

/** Messages that only keep alive what there is. */
export const keepAlives: ReadonlySet<string> = new Set(["conf", "refresh", "rack", "alive", "patherr"])

export type Report = ReservationEffect & { type: "active" | "refused" | "degraded" }

/** A wish as the source has got it. */
export interface DeliveredWish {
    sid: string
    version: number
    source: SimulatedServer
    bandwidthKbps: number
    dspUnits: number
    destinations: readonly { rs: string; dspUnits: number }[]
}

export interface Checker {
    /** I1 .. I9. */
    readonly name: string
    /** After each event at a server's reservation, before its effects go anywhere. */
    afterStep?(server: SimulatedServer, event: ReservationEvent, effects: readonly ReservationEffect[]): void
    onReport?(server: SimulatedServer, report: Report): void
    onWish?(wish: DeliveredWish): void
    /** The group server has ended the session, or moved it away from this source, which knows it now. */
    onDrop?(sid: string, source: SimulatedServer): void
    onBreak?(link: Link<WorldMessage>): void
    onCrash?(server: SimulatedServer): void
    onSample?(): void
    /** At the same instants, for each server that lives and where something has changed since the last one. */
    onChanged?(server: SimulatedServer): void
    /** Nothing breaks and nothing is wished any more, every session is active or over, and the longest lease has passed. */
    onSettled?(): void
    /** Every session is over, and the longest lease has passed. */
    onEnd?(): void
    /** As onEnd, and the link-state databases have had the time to tell all that they put off. */
    onQuiet?(): void
    /** What it has looked at, so that a rule that never applied can be seen. */
    readonly counts?: Record<string, number>
}

export class Violation extends Error {
    /** Virtual time at which it was seen; set by the run. */
    atMs = 0

    constructor(
        readonly checker: string,
        /** One sentence: what was seen, at which server, of which session. */
        readonly seen: string,
    ) {
        super(`${checker}: ${seen}`)
    }
}
