/**
 * One clock for all threads of a process: `performance.now()` begins anew in each of them.
 *
 * Owns the distance between this thread's `performance.now()` and the process's monotonic clock; both advance alike.
 */

function monotonicMs(): number {
    const [seconds, nanoseconds] = process.hrtime()
    return seconds * 1000 + nanoseconds / 1e6
}

const aheadMs = monotonicMs() - performance.now()

/** The same instant is the same number in every thread. */
export function sharedMs(): number {
    return performance.now() + aheadMs
}

/** What `performance.now()` says in this thread at an instant of the shared clock. */
export function ownMs(instantMs: number): number {
    return instantMs - aheadMs
}
