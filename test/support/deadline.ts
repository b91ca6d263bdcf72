/**
 * Deadlines of tests: every wait is for an event, and a generous deadline only turns a hang into a failure that says what
 * did not come.
 */

export const deadlineMs = 30_000

/** The outcome of `promise`, or an error naming `what` when it takes longer than `limitMs`. */
export async function within<T>(promise: Promise<T>, what: string, limitMs = deadlineMs): Promise<T> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`${what}: not within ${limitMs} ms`)), limitMs)
    })
    try {
        return await Promise.race([promise, late])
    } finally {
        clearTimeout(timer)
    }
}

/**
 * Waits until `holds` gives something true, looking again after each turn of the event loop and at least each 10 ms:
 * for the state of another process that tells nobody when it changes.
 */
export async function eventually<T>(
    holds: () => T | Promise<T>,
    what: string,
    limitMs = deadlineMs,
): Promise<NonNullable<T>> {
    const endMs = Date.now() + limitMs
    for (;;) {
        const value = await holds()
        if (value) return value as NonNullable<T>
        if (Date.now() > endMs) throw new Error(`${what}: not within ${limitMs} ms`)
        await new Promise(resolve => setTimeout(resolve, 10))
    }
}
