/**
 * What the emulated network does to a path: the words, their limits, and what is wrong with a description of it that came
 * from outside (a file, the control API).
 *
 * Owns the vocabulary. Never emulates.
 */

import { isIPv4 } from "node:net"
import { isIdentifier } from "../../../protocol/text.ts"

export interface PathConditions {
    /** One way, added on the sending side. */
    delayMs: number
    /** The delay varies evenly by as much in both directions. The order of packets is kept, as a queue keeps it. */
    jitterMs: number
    /** Share of datagrams lost, 0..1. On the control stream a loss is a retransmission: nothing is missing, all waits. */
    loss: number
    /** Bottleneck in kbit/s; 0: none. */
    rateKbps: number
    /** What may wait at the bottleneck; more is lost. */
    queueBytes: number
    /** Nothing passes in either direction, nobody is told, TCP included. */
    cut: boolean
}

export const noConditions: PathConditions = {
    delayMs: 0,
    jitterMs: 0,
    loss: 0,
    rateKbps: 0,
    queueBytes: 65_536,
    cut: false,
}

export const conditionLimits = {
    delayMs: 10_000,
    jitterMs: 10_000,
    loss: 1,
    rateKbps: 10_000_000,
    queueBytesMin: 1500,
    queueBytes: 16_777_216,
    /** Paths with conditions at one server. */
    paths: 2000,
    fileBytes: 1_048_576,
}

/** Nothing is emulated under these. */
export function isPlain(conditions: PathConditions): boolean {
    const { delayMs, jitterMs, loss, rateKbps, cut } = conditions
    return !cut && delayMs === 0 && jitterMs === 0 && loss === 0 && rateKbps === 0
}

/** Whole conditions from a part of them, or what is wrong. */
export function readConditions(value: unknown): { ok: true; conditions: PathConditions } | { ok: false; what: string } {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return wrong("an object is needed")
    const given = value as Record<string, unknown>
    const unknown = Object.keys(given).find(name => !Object.hasOwn(noConditions, name))
    if (unknown !== undefined)
        return wrong(`unknown "${unknown.slice(0, 24)}"; there are ${Object.keys(noConditions).join(", ")}`)
    if (given.cut !== undefined && typeof given.cut !== "boolean") return wrong("cut: true or false is needed")
    for (const name of ["delayMs", "jitterMs", "loss", "rateKbps", "queueBytes"] as const) {
        const number = given[name]
        const least = name === "queueBytes" ? conditionLimits.queueBytesMin : 0
        const most = conditionLimits[name]
        if (number === undefined) continue
        if (typeof number !== "number" || !(number >= least && number <= most))
            return wrong(`${name}: a number from ${least} to ${most} is needed`)
    }
    return { ok: true, conditions: { ...noConditions, ...(given as Partial<PathConditions>) } }
}

export interface UnderlayPlan {
    seed: number
    /** By address or identifier of the far side. */
    paths: Map<string, PathConditions>
}

/**
 * The content of an underlay file, or what is wrong:
 *
 *     {"seed": 7, "paths": {"rs-b": {"delayMs": 20, "jitterMs": 2}, "127.0.1.13": {"cut": true}}}
 */
export function readUnderlayPlan(text: string): { ok: true; plan: UnderlayPlan } | { ok: false; what: string } {
    if (text.length > conditionLimits.fileBytes) return wrong(`more than ${conditionLimits.fileBytes} bytes`)
    let value: unknown
    try {
        value = JSON.parse(text)
    } catch (error) {
        return wrong(`not JSON: ${(error as Error).message}`)
    }
    if (typeof value !== "object" || value === null || Array.isArray(value)) return wrong("one JSON object is needed")
    const { seed = 1, paths = {}, ...others } = value as Record<string, unknown>
    const unknown = Object.keys(others)[0]
    if (unknown !== undefined) return wrong(`unknown "${unknown.slice(0, 24)}"; there are seed and paths`)
    if (!Number.isInteger(seed) || (seed as number) < 0 || (seed as number) > 4294967295)
        return wrong("seed: a whole number from 0 to 4294967295 is needed")
    if (typeof paths !== "object" || paths === null || Array.isArray(paths)) return wrong("paths: an object is needed")
    const entries = Object.entries(paths)
    if (entries.length > conditionLimits.paths) return wrong(`paths: at most ${conditionLimits.paths}`)
    const plan: UnderlayPlan = { seed: seed as number, paths: new Map() }
    for (const [far, given] of entries) {
        if (!isIPv4(far) && !isIdentifier(far))
            return wrong(`paths: "${far.slice(0, 24)}" is neither an IPv4 address nor an identifier`)
        const read = readConditions(given)
        if (!read.ok) return wrong(`paths.${far}: ${read.what}`)
        plan.paths.set(far, read.conditions)
    }
    return { ok: true, plan }
}

function wrong(what: string): { ok: false; what: string } {
    return { ok: false, what }
}
