/**
 * The last minutes of one stream of sound, with the time of every sample.
 *
 * Owns the samples, in blocks that are made when they are first needed and then used again. Bounded by the seconds it is told.
 */

import type { RecordedStretch } from "./interface.ts"

/** Sound that begins this much off the end of what is there begins a new stretch. */
const joinMs = 1
const stretchesMax = 1000

export class Recorder {
    private readonly blocks: Int16Array[] = []
    private readonly capacity: number
    /** Samples taken so far, and where each stretch begins in this count. */
    private written = 0
    private stretches: { start: number; atMs: number; endMs: number }[] = []

    constructor(
        private readonly rate: number,
        seconds: number,
    ) {
        this.capacity = seconds * rate
    }

    /** Takes `count` samples, the first of which was at `atMs`. */
    append(atMs: number, samples: Int16Array, count: number): void {
        if (this.capacity === 0) return
        let last = this.stretches[this.stretches.length - 1]
        if (!last || Math.abs(atMs - last.endMs) > joinMs) {
            last = { start: this.written, atMs, endMs: atMs }
            this.stretches.push(last)
            if (this.stretches.length > stretchesMax) this.stretches.shift()
        }
        last.endMs = atMs + (count * 1000) / this.rate
        for (let i = 0; i < count; i++) {
            const at = this.written++ % this.capacity
            const index = Math.floor(at / this.rate)
            this.blocks[index] ??= new Int16Array(this.rate)
            this.blocks[index][at % this.rate] = samples[i]!
        }
    }

    clear(): void {
        this.stretches = []
        this.written = 0
    }

    /** A copy of what is kept, oldest first. */
    stretchesKept(): RecordedStretch[] {
        const oldest = Math.max(0, this.written - this.capacity)
        const kept: RecordedStretch[] = []
        this.stretches.forEach((stretch, index) => {
            const end = this.stretches[index + 1]?.start ?? this.written
            const start = Math.max(stretch.start, oldest)
            if (end <= start) return
            const samples = new Int16Array(end - start)
            for (let i = 0; i < samples.length; i++) {
                const at = (start + i) % this.capacity
                samples[i] = this.blocks[Math.floor(at / this.rate)]![at % this.rate]!
            }
            const lostShare = (start - stretch.start) / (end - stretch.start)
            const atMs = stretch.atMs + (stretch.endMs - stretch.atMs) * lostShare
            kept.push({ atMs, endMs: stretch.endMs, samples })
        })
        return kept
    }
}
