/**
 * The recordings of sessions whose mix is made here: one file each, from when it is asked for until it is stopped.
 *
 * Owns the files while they are written. Never decides what is recorded and never deletes a file.
 */

import { mkdir } from "node:fs/promises"
import { dirname } from "node:path"
import { createSoundFile, type SoundFile, type SoundFormat } from "../../../media/sound-file.ts"
import type { RecordingStatistics } from "./statistics.ts"

export interface RecordRequest {
    session: string
    path: string
    format: SoundFormat
}

interface Running extends RecordRequest {
    file: SoundFile | undefined
    samples: number
}

/** At once; each writes 32 KB or 6 KB a second. */
const recordingsMax = 32

export class Recordings {
    readonly #running = new Map<string, Running>()
    readonly #tell: (level: "info" | "warn", what: string, details: Record<string, unknown>) => void
    #closing: Promise<unknown> = Promise.resolve()

    constructor(tell: (level: "info" | "warn", what: string, details: Record<string, unknown>) => void) {
        this.#tell = tell
    }

    start({ session, path, format }: RecordRequest): void {
        if (this.#running.has(session)) return
        if (this.#running.size >= recordingsMax) {
            this.#tell("warn", "not recorded", { session, reason: `${recordingsMax} recordings run already` })
            return
        }
        const running: Running = { session, path, format, file: undefined, samples: 0 }
        this.#running.set(session, running)
        const folder = mkdir(dirname(path), { recursive: true, mode: 0o700 }).catch(() => {})
        void folder
            .then(() => createSoundFile(path, format))
            .then(created => {
                if (!created.ok) {
                    this.#tell("warn", "not recorded", { session, path, reason: created.what })
                    if (this.#running.get(session) === running) this.#running.delete(session)
                } else if (this.#running.get(session) === running) {
                    running.file = created.value
                    this.#tell("info", "recording", { session, path, format })
                } else void created.value.close()
            })
    }

    stop(session: string): void {
        const running = this.#running.get(session)
        if (!running) return
        this.#running.delete(session)
        const { file, path } = running
        if (!file) return
        const closed = file.close().then(outcome => {
            const details = { session, path, seconds: seconds(running.samples), lostSeconds: seconds(file.lostSamples) }
            if (outcome.ok) this.#tell("info", "recorded", details)
            else this.#tell("warn", "recording failed", { ...details, reason: outcome.what })
        })
        this.#closing = Promise.all([this.#closing, closed])
    }

    /** One tick of the session's mix. */
    take(session: string, mix: Int16Array): void {
        const running = this.#running.get(session)
        if (!running?.file) return
        running.file.write(mix)
        running.samples += mix.length
    }

    list(): RecordingStatistics[] {
        return [...this.#running.values()].map(({ session, path, format, file, samples }) => {
            const lostSeconds = seconds(file?.lostSamples ?? 0)
            return { session, path, format, seconds: seconds(samples), lostSeconds }
        })
    }

    async close(): Promise<void> {
        for (const session of [...this.#running.keys()]) this.stop(session)
        await this.#closing
    }
}

function seconds(samples: number): number {
    return Math.round(samples / 160) / 100
}
