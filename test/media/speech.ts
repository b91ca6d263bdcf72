/**
 * The sample of speech that tests let rooms say, and how stretches of sound are put together again. Owns nothing.
 */

import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { soundRate } from "../../media/codec.ts"
import type { Stretch } from "../../media/measure.ts"
import { parseWav } from "../../media/wav.ts"

export const rate = soundRate
export const speechFile = fileURLToPath(new URL("../../sim/samples/speech.wav", import.meta.url))

export function readSpeech(): Int16Array {
    const wav = parseWav(readFileSync(speechFile), rate)
    assert.ok(wav.ok, "the sample can be read")
    return wav.value.samples
}

/** The part of a recording between two times, as one stretch. */
export function part(stretches: Stretch[], fromMs: number, toMs: number): Stretch {
    const samples = new Int16Array(Math.max(0, Math.round(((toMs - fromMs) * rate) / 1000)))
    for (const stretch of stretches) {
        const offset = Math.round(((stretch.atMs - fromMs) * rate) / 1000)
        for (let i = Math.max(0, -offset); i < stretch.samples.length && i + offset < samples.length; i++)
            samples[i + offset] = stretch.samples[i]!
    }
    return { atMs: fromMs, samples }
}
