/**
 * The emulated speaker's recording: a WAV file and, beside it, `<file>.json` that says when its first sample was played.
 * Owns both files. Time that passes without sound is written as silence, so that a place in the file is a time.
 */

import { writeFile } from "node:fs/promises"
import type { Outcome } from "../../media/outcome.ts"
import { success } from "../../media/outcome.ts"
import { WavWriter } from "../../media/wav-writer.ts"

const silence = new Int16Array(400)
/** A longer hole than this is closed up, and the index says nothing of it: the machine was asleep. */
const holeSecondsMax = 10

export class Speaker {
    private nextMs: number | undefined
    private index: Promise<void> = Promise.resolve()

    private constructor(
        private readonly path: string,
        private readonly rate: number,
        private readonly writer: WavWriter,
    ) {}

    static async open(path: string, rate: number): Promise<Outcome<Speaker, "not-writable">> {
        const writer = await WavWriter.create(path, rate)
        return writer.ok ? success(new Speaker(path, rate, writer.value)) : writer
    }

    /** `count` samples that are played from `atMs` on. */
    write(atMs: number, samples: Int16Array, count: number): void {
        if (this.nextMs === undefined) this.writeIndex(atMs)
        else {
            let hole = Math.round(((atMs - this.nextMs) * this.rate) / 1000)
            if (hole > holeSecondsMax * this.rate) hole = 0
            for (; hole > 0; hole -= silence.length) this.writer.write(silence, Math.min(hole, silence.length))
        }
        this.writer.write(samples, count)
        this.nextMs = atMs + (count * 1000) / this.rate
    }

    async close(): Promise<Outcome<unknown, "not-writable">> {
        await this.index
        return this.writer.close()
    }

    private writeIndex(atMs: number): void {
        const index = { rate: this.rate, atMs, timeOriginMs: performance.timeOrigin }
        // Without the index the recording is still one; its user will see that the file is missing.
        this.index = writeFile(`${this.path}.json`, `${JSON.stringify(index)}\n`).catch(() => {})
    }
}
