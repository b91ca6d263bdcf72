/**
 * A file that sound is written into while it comes (16 kHz mono): WAV, or Opus in Ogg.
 *
 * Owns the choice by format. A kill leaves a file that can be played up to a second before it; nothing waits for the disk
 * while sound comes, and a disk that cannot follow loses sound (counted), never memory.
 */

import type { RecordingFormat } from "../protocol/servers.ts"
import { soundRate } from "./codec.ts"
import { OggOpusWriter } from "./ogg-opus-writer.ts"
import type { Outcome } from "./outcome.ts"
import { WavWriter } from "./wav-writer.ts"

export type SoundFormat = RecordingFormat

export interface SoundFile {
    /** Samples that are not in the file: the disk was too slow or full, or the file is as long as it may be. */
    readonly lostSamples: number
    /** Takes samples. Returns at once. */
    write(samples: Int16Array): void
    /** Writes what is left and closes the file. */
    close(): Promise<Outcome<{ samples: number }, "not-writable">>
}

/** A new file, readable by its owner only; it fails where there is one already. */
export function createSoundFile(path: string, format: SoundFormat): Promise<Outcome<SoundFile, "not-writable">> {
    return format === "wav" ? WavWriter.create(path, soundRate, true) : OggOpusWriter.create(path)
}
