/**
 * Failed logins by address: a bucket of tokens each, so that guessing and broken devices cost little.
 *
 * Owns the count. Never knows who logs in: one address may be a whole building behind NAT, which is why the bucket is
 * generous and fills again each second. The memory is bounded: the address that was quiet longest is forgotten first.
 */

export interface FailureLimits {
    failedLoginBurst: number
    failedLoginsPerSecond: number
    failedLoginAddresses: number
}

interface Bucket {
    tokens: number
    atMs: number
    /** Whether it was said that this address is held off. */
    told: boolean
}

export class FailedLogins {
    /** In order of last use. */
    private buckets = new Map<string, Bucket>()
    private limits: FailureLimits

    constructor(limits: FailureLimits) {
        this.limits = limits
    }

    /** Whether an address has failed so often that it has to wait. */
    isHeldOff(address: string, nowMs: number): boolean {
        const bucket = this.buckets.get(address)
        if (!bucket) return false
        this.refill(bucket, nowMs)
        return bucket.tokens < 1
    }

    /** Takes a failure down. True: this one should be logged; the many that follow a full bucket are only counted. */
    failed(address: string, nowMs: number): boolean {
        const bucket = this.buckets.get(address) ?? { tokens: this.limits.failedLoginBurst, atMs: nowMs, told: false }
        this.refill(bucket, nowMs)
        this.buckets.delete(address)
        this.buckets.set(address, bucket)
        for (const oldest of this.buckets.keys()) {
            if (this.buckets.size <= this.limits.failedLoginAddresses) break
            this.buckets.delete(oldest)
        }
        if (bucket.tokens >= 1) {
            bucket.tokens--
            return true
        }
        const first = !bucket.told
        bucket.told = true
        return first
    }

    private refill(bucket: Bucket, nowMs: number): void {
        const gained = ((nowMs - bucket.atMs) / 1000) * this.limits.failedLoginsPerSecond
        // Time may stand still or be set back; tokens are never taken by that.
        if (gained > 0) bucket.tokens = Math.min(this.limits.failedLoginBurst, bucket.tokens + gained)
        bucket.atMs = nowMs
        if (bucket.tokens >= this.limits.failedLoginBurst / 2) bucket.told = false
    }
}
