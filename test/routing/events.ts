/** Waiting for events with a generous deadline that only a failure reaches. */

import type { EventEmitter } from "node:events"

const deadlineMs = 30_000

/** The arguments of the next event `name` for which `matches` holds. */
export function next<Args extends unknown[]>(
    // biome-ignore lint/suspicious/noExplicitAny: any map of events will do
    emitter: EventEmitter<any>,
    name: string,
    matches: (...args: Args) => boolean = () => true,
): Promise<Args> {
    return new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`"${name}" did not come within ${deadlineMs} ms`)), deadlineMs)
        const listener = (...args: unknown[]) => {
            if (!matches(...(args as Args))) return
            clearTimeout(timer)
            emitter.off(name, listener)
            resolve(args as Args)
        }
        emitter.on(name, listener)
    })
}

/** Resolves once `holds`, which is asked again each few milliseconds. */
export async function until(what: string, holds: () => boolean): Promise<void> {
    const end = Date.now() + deadlineMs
    while (!holds()) {
        if (Date.now() > end) throw new Error(`${what}: not within ${deadlineMs} ms`)
        await new Promise(resolve => setTimeout(resolve, 5))
    }
}
