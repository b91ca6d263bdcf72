/**
 * Makes `speech.wav` anew: three sentences by three voices of espeak-ng, 16 kHz mono. Run: node --import tsx sim/samples/make.ts
 * Owns the sentences. Needs `espeak-ng` in the path (Debian: apt-get install espeak-ng).
 */

import { execFileSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { power, powerToDb } from "../../media/level.ts"
import { parseWav } from "../../media/wav.ts"
import { wavBytes } from "../../media/wav-writer.ts"

const rate = 16000
const targetDb = -22
const pauseSamples = rate * 0.15
const sentences: [voice: string, wordsPerMinute: number, pitch: number, text: string][] = [
    ["en-gb", 175, 45, "Good morning, can everybody in the other rooms hear me?"],
    ["en-us", 185, 60, "The quick brown fox jumps over the lazy dog."],
    ["en-gb-scotland", 170, 35, "Shall we meet again on Thursday, at a quarter past three?"],
]

const parts: Int16Array[] = []
for (const [voice, speed, pitch, text] of sentences) {
    const wav = parseWav(
        execFileSync("espeak-ng", ["-v", voice, "-s", `${speed}`, "-p", `${pitch}`, "--stdout", text], {
            maxBuffer: 1e8,
        }),
        rate,
    )
    if (!wav.ok) throw new Error(wav.what)
    const gain = 10 ** ((targetDb - powerToDb(power(wav.value.samples))) / 20)
    parts.push(wav.value.samples.map(sample => Math.max(-32768, Math.min(32767, Math.round(sample * gain)))))
    parts.push(new Int16Array(pauseSamples))
}
const samples = new Int16Array(parts.reduce((sum, part) => sum + part.length, 0))
let at = 0
for (const part of parts) {
    samples.set(part, at)
    at += part.length
}
writeFileSync(new URL("speech.wav", import.meta.url), wavBytes(rate, samples))
process.stderr.write(`speech.wav: ${(samples.length / rate).toFixed(2)} s\n`)
