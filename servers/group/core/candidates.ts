/**
 * Which routing servers an endpoint should probe, best guess first: those that it chose before by its own measurement, then
 * the nearest by coordinates where coordinates are known, and always the two least loaded. The endpoint decides by
 * measurement: the nearest by coordinates was measured to be the wrong one for every fifth city. [routing-spec 6]
 */

import { limits } from "../../../protocol/limits.ts"
import type { Candidate } from "../../../protocol/messages.ts"
import type { EndpointRow, Position, ServerRow, State } from "./model.ts"
import { distanceKm, placeOf, positionOf } from "./place.ts"

/** Kept for the least loaded servers, whatever history or place says. */
const leastLoaded = 2

interface Guess {
    candidate: Candidate
    /** 0 is the last choice of the endpoint. */
    choice: number
    distanceKm: number
}

export function candidatesFor(state: State, endpoint: EndpointRow): Candidate[] {
    const here = endpoint.position ?? assumedPosition(state, endpoint)
    const guesses: Guess[] = []
    for (const row of state.durable.servers.values()) {
        const live = state.live.servers.get(row.id)
        if (live?.on !== 1 || live.draining === 1 || !row.ip) continue
        const candidate = { rs: row.id, ip: row.ip, port: row.mediaPort, load: live.load ?? 0 }
        guesses.push({ candidate, choice: choiceOf(endpoint, row.id), distanceKm: distanceFrom(here, row) })
    }
    const byLoad = (a: Guess, b: Guess) =>
        a.candidate.load - b.candidate.load || (a.candidate.rs < b.candidate.rs ? -1 : 1)
    guesses.sort(byLoad)
    const idle = guesses.slice(0, leastLoaded)
    guesses.sort((a, b) => order(a.choice, b.choice) || order(a.distanceKm, b.distanceKm) || byLoad(a, b))

    const chosen = guesses.slice(0, limits.candidates)
    const rest = idle.filter(guess => !chosen.includes(guess))
    return [...chosen.slice(0, limits.candidates - rest.length), ...rest].map(guess => guess.candidate)
}

/** What an endpoint measured best before is likely the nearest still; one that it never chose comes after all. */
function choiceOf(endpoint: EndpointRow, server: string): number {
    const choice = endpoint.history.indexOf(server)
    return choice < 0 ? Number.POSITIVE_INFINITY : choice
}

/** Nobody has said where it stands: near the server that it found nearest. */
function assumedPosition(state: State, endpoint: EndpointRow): Position | undefined {
    for (const server of endpoint.history) {
        const row = state.durable.servers.get(server)
        const position = row && positionOf(placeOf(row))
        if (position) return position
    }
    return undefined
}

/** A server without coordinates comes after those with. */
function distanceFrom(here: Position | undefined, row: ServerRow): number {
    const there = here && positionOf(placeOf(row))
    return here && there ? distanceKm(here, there) : Number.POSITIVE_INFINITY
}

/** Both may be infinite, whose difference is no number. */
function order(a: number, b: number): number {
    return a === b ? 0 : a - b
}
