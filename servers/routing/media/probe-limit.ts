/**
 * How many probes a source address may ask a second, and all of them together.
 *
 * Owns one bucket per address. Bounded: beyond so many addresses the oldest is forgotten, so that forged ones cost no memory.
 */

const addressesMax = 4096
/** For all addresses together, against floods from many forged ones. */
const totalPerSecond = 20_000

interface Bucket {
    tokens: number
    atMs: number
}

export class ProbeLimit {
    private readonly buckets = new Map<string, Bucket>()
    private readonly total: Bucket = { tokens: totalPerSecond, atMs: 0 }

    constructor(private readonly perSecond: number) {}

    /** True when a probe from `ip` may be answered at `nowMs`. A source may save up one second's worth. */
    allows(ip: string, nowMs: number): boolean {
        let bucket = this.buckets.get(ip)
        if (!bucket) {
            if (this.buckets.size >= addressesMax) this.buckets.delete(this.buckets.keys().next().value as string)
            bucket = { tokens: this.perSecond, atMs: nowMs }
            this.buckets.set(ip, bucket)
        }
        return take(bucket, this.perSecond, nowMs) && take(this.total, totalPerSecond, nowMs)
    }
}

function take(bucket: Bucket, perSecond: number, nowMs: number): boolean {
    bucket.tokens = Math.min(perSecond, bucket.tokens + ((nowMs - bucket.atMs) * perSecond) / 1000)
    bucket.atMs = nowMs
    if (bucket.tokens < 1) return false
    bucket.tokens--
    return true
}
