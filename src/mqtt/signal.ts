/**
 * Signals: each wakes one fiber that waits for work. A signal that is raised while nobody waits is remembered, once.
 * Not `ds.wait` on an emitter: that starts a fiber for each event and forgets what nobody waits for.
 * Numbers in one table, as an object for each would take 84 bytes of heap.
 */

import * as ds from "@devicescript/core"

export type Signal = number

/** Of each signal: true when it is raised, the fiber that waits for it, or undefined. */
const states: any[] = []

export function newSignal(): Signal {
    states.push(undefined)
    return states.length - 1
}

export function raise(signal: Signal): void {
    const waiting = states[signal]
    states[signal] = true
    if (waiting && waiting !== true && waiting.suspended) waiting.resume(undefined)
}

/** Until the signal is raised, or `timeoutMs` have passed. For one fiber only. */
export async function raised(signal: Signal, timeoutMs?: number): Promise<void> {
    if (states[signal] !== true) {
        states[signal] = ds.Fiber.self()
        await ds.suspend(timeoutMs)
    }
    states[signal] = undefined
}
