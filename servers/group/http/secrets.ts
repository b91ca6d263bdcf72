/**
 * Secrets of what was just enrolled, for a caller that repeats its request under the same Idempotency-Key because the
 * answer was lost. In memory and for minutes only: the store never holds a secret.
 */

import { hashSecret, newSecret } from "../../broker/credentials.ts"

interface Kept {
    secret: string
    hash: string
    atMs: number
}

const keepMs = 10 * 60_000
const maxKept = 1000

export class RecentSecrets {
    private readonly kept = new Map<string, Kept>()

    /** A new secret, or the one that was made for the same key before. */
    secretFor(key: string | undefined, nowMs: number): { secret: string; hash: string } {
        for (const [other, { atMs }] of this.kept) {
            if (nowMs - atMs < keepMs && this.kept.size <= maxKept) break
            this.kept.delete(other)
        }
        const before = key === undefined ? undefined : this.kept.get(key)
        if (before) return before
        const secret = newSecret()
        const made = { secret, hash: hashSecret(secret), atMs: nowMs }
        if (key !== undefined) this.kept.set(key, made)
        return made
    }
}
