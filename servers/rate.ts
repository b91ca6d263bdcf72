/**
 * How often one sender may ask: a bucket of tokens per sender. Time is an argument; senders that are quiet are forgotten.
 */

export interface RateLimits {
    perSecond: number
    /** How many may come at once after a quiet time. */
    burst: number
}

interface Bucket {
    tokens: number
    atMs: number
}

/** Senders remembered before the quiet ones are forgotten. */
const maxSenders = 50_000

export class Rate {
    private readonly buckets = new Map<string, Bucket>()
    private readonly limits: RateLimits

    constructor(limits: RateLimits) {
        this.limits = limits
    }

    /** Whether `sender` may do one more thing now. */
    take(sender: string, nowMs: number): boolean {
        const { perSecond, burst } = this.limits
        const bucket = this.buckets.get(sender) ?? { tokens: burst, atMs: nowMs }
        const refill = (Math.max(0, nowMs - bucket.atMs) * perSecond) / 1000
        bucket.tokens = Math.min(burst, bucket.tokens + refill)
        bucket.atMs = nowMs
        if (!this.buckets.has(sender)) {
            if (this.buckets.size >= maxSenders) this.forgetQuiet(nowMs)
            this.buckets.set(sender, bucket)
        }
        if (bucket.tokens < 1) return false
        bucket.tokens--
        return true
    }

    /** A bucket that has refilled says nothing any more; should all be busy, the oldest half goes. */
    private forgetQuiet(nowMs: number): void {
        const refillMs = (this.limits.burst / this.limits.perSecond) * 1000
        for (const [sender, { atMs }] of this.buckets) if (nowMs - atMs > refillMs) this.buckets.delete(sender)
        for (const sender of this.buckets.keys()) {
            if (this.buckets.size < maxSenders / 2) break
            this.buckets.delete(sender)
        }
    }
}
