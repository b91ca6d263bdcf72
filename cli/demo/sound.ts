/**
 * Sound of the demo: plays a WAV file into one room, records the others, and holds what was heard against what was said.
 *
 * The time at which speech began is the one that the simulator noted before it read the file, so the delay that comes out
 * is an upper bound: too large by the time of reading it (a few milliseconds), never too small by more than one piece of 5 ms.
 */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { soundRate } from "../../media/codec.ts"
import { levelDb } from "../../media/level.ts"
import { type Measurement, measure, type Stretch } from "../../media/measure.ts"
import { loadWav } from "../../media/wav.ts"
import type { SimClient } from "../../sim/client.ts"
import { failure, messageOf, type Outcome, success } from "../outcome.ts"
import { fromSim } from "../system/sim.ts"

/** Silence after the last word: the delay of the path, and the last packets. */
const tailMs = 1200
const leadSilenceMs = 300

export interface Heard {
    room: string
    stretch: Stretch
    levelDb: number
}

export interface Said {
    stretch: Stretch
}

export class Sound {
    private readonly sim: SimClient
    private readonly folder: string
    private recordings = 0

    constructor(sim: SimClient, folder: string) {
        this.sim = sim
        this.folder = folder
    }

    /** Plays `wav`, or its first seconds, into `speaker` while `listeners` are recorded. */
    async playAndRecord(
        wav: string,
        speaker: string,
        listeners: string[],
        secondsMax = Number.POSITIVE_INFINITY,
    ): Promise<Outcome<{ said: Said; heard: Heard[] }>> {
        const loaded = await loadWav(wav, soundRate)
        if (!loaded.ok) return failure("failed", loaded.code, loaded.what, { who: loaded.who })
        const number = ++this.recordings
        const fileOf = (board: string) => join(this.folder, `heard-${number}-${board}.wav`)
        for (const board of listeners) {
            const begun = fromSim(await this.sim.media(board, { speaker: fileOf(board) }))
            if (!begun.ok) return begun
        }
        const played = fromSim(await this.sim.media(speaker, { microphone: wav, leadSilenceMs }))
        if (!played.ok) return played
        const samples = loaded.value.samples.subarray(0, secondsMax * soundRate)
        const durationMs = (samples.length * 1000) / soundRate
        await new Promise(resolve => setTimeout(resolve, leadSilenceMs + durationMs + tailMs))

        const heard: Heard[] = []
        for (const board of listeners) {
            const ended = fromSim(await this.sim.media(board, { speaker: null }))
            if (!ended.ok) return ended
            const stretch = await readRecording(fileOf(board))
            if (!stretch.ok) return stretch
            heard.push({ room: board, stretch: stretch.value, levelDb: levelDb(stretch.value.samples) })
        }
        const silence = fromSim(await this.sim.media(speaker, { microphone: null }))
        if (!silence.ok) return silence
        return success({ said: { stretch: { atMs: played.value.atMs + leadSilenceMs, samples } }, heard })
    }
}

export function compare(said: Said, heard: Heard): Outcome<Measurement> {
    const measured = measure(said.stretch, heard.stretch, { rate: soundRate })
    if (measured.ok) return measured
    return failure("failed", measured.code, `${heard.room}: ${measured.what}`, { who: measured.who })
}

/** A recording of the simulator with the time of its first sample. */
async function readRecording(path: string): Promise<Outcome<Stretch>> {
    const index = `${path}.json`
    if (!existsSync(path) || !existsSync(index))
        return failure("failed", "nothing-recorded", `nothing was played by the speaker that records into ${path}`, {
            who: "maker",
        })
    const wav = await loadWav(path, soundRate)
    if (!wav.ok) return failure("failed", wav.code, wav.what, { who: wav.who })
    try {
        const { atMs } = JSON.parse(readFileSync(index, "utf8")) as { atMs: number }
        return success({ atMs, samples: wav.value.samples })
    } catch (error) {
        return failure("failed", "not-readable", `${index}: ${messageOf(error)}`, { who: "maker" })
    }
}
