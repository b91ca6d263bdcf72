/**
 * How long two rooms do not hear each other when the source routing server of their session is killed (kill -9) in a sentence:
 * the whole system of three places, with the real group server, broker and firmware, and nobody who does anything. The rooms
 * are those at the other two servers; what counts is the longest pause that one hears of the other's steady tone.
 */

import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { soundRate } from "../../media/codec.ts"
import type { Stretch } from "../../media/measure.ts"
import { WavWriter } from "../../media/wav-writer.ts"
import { good } from "../../test/group/servers.ts"
import { eventually } from "../../test/support/deadline.ts"
import { type ServerDelay, System } from "../../test/system/system.ts"
import { longestPauseMs } from "./pauses.ts"

const places = ["a", "b", "c"]
/** What B and C say to each other goes by A, which is the source. */
const delays: ServerDelay[] = [
    ["rs-a", "rs-b", 2],
    ["rs-a", "rs-c", 2],
    ["rs-b", "rs-c", 15],
]
const [source, speaker, listener] = places
const toneHertz = 440
const beforeMs = 2000
const afterMs = 6000
const startsMost = 4
const starWithinMs = 15_000

/** Milliseconds. Where the session's tree has come out otherwise, there is nothing to measure, and all begins anew. */
export async function killSource(): Promise<number> {
    for (let start = 0; start < startsMost; start++) {
        const gapMs = await killOnce()
        if (gapMs !== undefined) return gapMs
    }
    throw new Error(`no tree from the source to both in ${startsMost} systems`)
}

/** Undefined: the tree does not lead over the source. */
async function killOnce(): Promise<number | undefined> {
    const system = await System.start("embedded", places, delays)
    try {
        const sid = await system.bookAndJoin()
        await system.hear()
        const isStar = await eventually(
            async () => {
                const session = good(await system.client.getSession(sid))
                const { state, tree } = session.reservation ?? { state: "none", tree: [] }
                const isOver = tree.length === 2 && tree.every(({ parent }) => parent === `rs-${source}`)
                return state === "active" && session.source === `rs-${source}` && isOver
            },
            "a tree from the source to both",
            starWithinMs,
        ).catch(() => false)
        if (!isStar) return undefined
        for (const { media } of system.rooms.values()) await media.setMicrophone(null)
        await playTone(system, `board-${speaker}`)
        const { media } = system.rooms.get(`board-${listener}`)!
        await pause(beforeMs)
        const killedMs = performance.now()
        await system.servers.get(`rs-${source}`)!.kill()
        await pause(afterMs)
        // From before the kill on, when the tone had begun there.
        return longestPauseMs(playedSince(media.recording().played, killedMs - 500), killedMs)
    } finally {
        await system.stop()
    }
}

/** In one piece: what a stalled process did not play was silence to whoever listened. */
function playedSince(stretches: readonly Stretch[], atMs: number): Stretch {
    const last = stretches.at(-1)
    if (!last) throw new Error("nothing was played")
    const at = (ms: number) => Math.round(((ms - atMs) * soundRate) / 1000)
    const samples = new Int16Array(at(last.atMs) + last.samples.length)
    for (const stretch of stretches) {
        const from = at(stretch.atMs)
        if (from + stretch.samples.length <= 0) continue
        samples.set(stretch.samples.subarray(Math.max(0, -from)), Math.max(0, from))
    }
    return { atMs, samples }
}

async function playTone(system: System, id: string): Promise<void> {
    const folder = mkdtempSync(join(tmpdir(), "parley-tone-"))
    try {
        const file = join(folder, "tone.wav")
        const writer = await WavWriter.create(file, soundRate)
        if (!writer.ok) throw new Error(writer.what)
        const second = Int16Array.from({ length: soundRate }, (_, i) =>
            Math.round(12_000 * Math.sin((2 * Math.PI * toneHertz * i) / soundRate)),
        )
        writer.value.write(second)
        await writer.value.close()
        const playing = await system.rooms.get(id)!.media.setMicrophone(file, { loop: true })
        if (!playing.ok) throw new Error(playing.what)
    } finally {
        rmSync(folder, { recursive: true, force: true })
    }
}

function pause(ms: number): Promise<void> {
    return new Promise(resolve => setTimeout(resolve, ms))
}
