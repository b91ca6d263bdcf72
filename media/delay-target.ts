/**
 * How long a stream has to be held back so that its packets are there in time: the 99th percentile of their lateness.
 *
 * Owns the stream's fastest transit (of the last 2 to 4 s, so that drifting clocks are followed) and the distribution of
 * lateness against it (of about the last 10 s at 50 packets/s). Time and arrival come as arguments.
 */

const bins = 256 // of 1 ms
const windowMs = 2000
const forgetAfter = 500
const lateShare = 0.01
/** One late packet alone proves nothing, be there ever so few of them. */
const lateMin = 1
/** Packets that are later than the target and come so close together count as one: they waited for the same thing. */
const eventMs = 10

export class DelayTarget {
    private readonly lateness = new Float64Array(bins)
    private total = 0
    /** The highest bin with more than the late share in it and above it, and how much that is: they move by little with each packet. */
    private quantileBin = 0
    private fromQuantile = 0
    private windowStartMs = 0
    private windowMinMs = Infinity
    private previousMinMs = Infinity
    private quantileMs = 0
    private lastLateMs = -Infinity
    /** Smallest transit, in ms: arrival minus media time, of arbitrary origin. */
    minTransitMs = 0

    constructor(
        private readonly floorMs: number,
        private readonly maxMs: number,
    ) {}

    reset(): void {
        this.lateness.fill(0)
        this.quantileBin = 0
        this.fromQuantile = 0
        this.total = 0
        this.windowMinMs = Infinity
        this.previousMinMs = Infinity
        this.quantileMs = 0
    }

    /** One packet arrived at `nowMs` with this transit, `excusedMs` of which the receiver itself was late. */
    note(transitMs: number, nowMs: number, excusedMs = 0): void {
        if (this.windowMinMs === Infinity) this.windowStartMs = nowMs
        else if (nowMs - this.windowStartMs >= windowMs) {
            this.previousMinMs = this.windowMinMs
            this.windowMinMs = Infinity
            this.windowStartMs = nowMs
        }
        this.windowMinMs = Math.min(this.windowMinMs, transitMs)
        this.minTransitMs = Math.min(this.windowMinMs, this.previousMinMs)

        const latenessMs = Math.max(0, transitMs - excusedMs - this.minTransitMs)
        // A stall of 200 ms holds up ten packets. It is one event, not ten, or it would be remembered for half a minute.
        if (latenessMs > this.targetMs) {
            const isSame = nowMs - this.lastLateMs < eventMs
            this.lastLateMs = nowMs
            if (isSame) return
        }
        if (this.total >= forgetAfter) this.halve()
        const bin = Math.min(bins - 1, Math.floor(latenessMs))
        this.lateness[bin]! += 1
        if (bin >= this.quantileBin) this.fromQuantile++
        this.total++
        this.quantileMs = this.findQuantile()
    }

    /** How long after its fastest possible arrival a packet is waited for. */
    get targetMs(): number {
        return Math.min(this.maxMs, Math.max(this.floorMs, this.quantileMs))
    }

    private halve(): void {
        const { lateness } = this
        let above = 0
        for (let bin = bins - 1; bin >= 0; bin--) {
            lateness[bin]! /= 2
            if (bin >= this.quantileBin) above += lateness[bin]!
        }
        this.total /= 2
        this.fromQuantile = above
    }

    private findQuantile(): number {
        const { lateness } = this
        const most = Math.max(lateMin, this.total * lateShare)
        while (this.fromQuantile <= most && this.quantileBin > 0) this.fromQuantile += lateness[--this.quantileBin]!
        while (this.fromQuantile - lateness[this.quantileBin]! > most)
            this.fromQuantile -= lateness[this.quantileBin++]!
        return this.fromQuantile > most ? this.quantileBin + 1 : 0
    }
}
