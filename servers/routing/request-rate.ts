/**
 * How many requests one endpoint may make: a bucket of tokens for each. Owns the buckets; time comes in.
 */

const perSecond = 20
const burst = 60
const bucketsMost = 8192

export class RequestRate {
    readonly #buckets = new Map<string, { tokens: number; atMs: number }>()

    /** Whether one more is allowed. */
    take(endpoint: string, nowMs: number): boolean {
        const bucket = this.#buckets.get(endpoint) ?? { tokens: burst, atMs: nowMs }
        const tokens = Math.min(burst, bucket.tokens + ((nowMs - bucket.atMs) * perSecond) / 1000)
        // Re-inserting keeps the map in the order of use, so that the ones dropped are full again anyway.
        this.#buckets.delete(endpoint)
        this.#buckets.set(endpoint, { tokens: tokens >= 1 ? tokens - 1 : tokens, atMs: nowMs })
        if (this.#buckets.size > bucketsMost) this.#buckets.delete(this.#buckets.keys().next().value as string)
        return tokens >= 1
    }
}
