import assert from "node:assert/strict"
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { measure } from "../../media/measure.ts"
import { crc32Ogg } from "../../media/ogg-crc.ts"
import { loadOpus, opus } from "../../media/opus.ts"
import { createSoundFile } from "../../media/sound-file.ts"
import { parseWav } from "../../media/wav.ts"
import { Recordings } from "../../servers/routing/data/recordings.ts"
import { eventually } from "../support/deadline.ts"

let folder = ""
before(async () => {
    folder = mkdtempSync(join(tmpdir(), "parley-recording-"))
    await loadOpus()
})
after(() => rmSync(folder, { recursive: true, force: true }))

const rate = 16_000
const tone = Int16Array.from({ length: 2 * rate + 100 }, (_, i) => 8000 * Math.sin((2 * Math.PI * 440 * i) / rate))

interface Page {
    flags: number
    granule: number
    number: number
    packets: Buffer[]
}

/** The pages of an Ogg file whose packets all end in their page, each checked by its checksum (RFC 3533). */
function pagesOf(file: Buffer): Page[] {
    const pages: Page[] = []
    for (let at = 0; at < file.length; ) {
        assert.equal(file.toString("latin1", at, at + 4), "OggS")
        const segments = file[at + 26]!
        const lacing = file.subarray(at + 27, at + 27 + segments)
        let from = at + 27 + segments
        const end = from + lacing.reduce((sum, bytes) => sum + bytes, 0)
        const page = Buffer.from(file.subarray(at, end))
        page.writeUInt32LE(0, 22)
        assert.equal(crc32Ogg(page), file.readUInt32LE(at + 22))
        const packets: Buffer[] = []
        let bytes = 0
        for (const part of lacing) {
            bytes += part
            if (part === 255) continue
            packets.push(file.subarray(from, from + bytes))
            from += bytes
            bytes = 0
        }
        const granule = Number(file.readBigUInt64LE(at + 6))
        pages.push({ flags: file[at + 5]!, granule, number: file.readUInt32LE(at + 18), packets })
        at = end
    }
    return pages
}

describe("a recording", () => {
    test("in Ogg has the headers of RFC 7845, whole pages, and the sound", async () => {
        const path = join(folder, "tone.ogg")
        const created = await createSoundFile(path, "ogg")
        assert.ok(created.ok)
        for (let at = 0; at < tone.length; at += 320) created.value.write(tone.subarray(at, at + 320))
        assert.ok((await created.value.close()).ok)
        const pages = pagesOf(readFileSync(path))
        assert.deepEqual([pages[0]!.flags, pages.at(-1)!.flags], [2, 4])
        assert.deepEqual(
            pages.map(({ number }) => number),
            pages.map((_, index) => index),
        )
        const [[head], [tags]] = [pages[0]!.packets, pages[1]!.packets]
        assert.deepEqual([head!.toString("latin1", 0, 8), tags!.toString("latin1", 0, 8)], ["OpusHead", "OpusTags"])
        const packets = pages.slice(2).flatMap(page => page.packets)
        assert.equal(packets.length, 101)
        assert.equal(pages.at(-1)!.granule, 101 * 960)
        const decoder = opus.createDecoder()!
        const heard = new Int16Array(101 * 320)
        const frame = new Int16Array(960)
        for (const [index, packet] of packets.entries()) {
            assert.equal(decoder.decode(packet, 0, packet.length, frame), 320)
            heard.set(frame.subarray(0, 320), index * 320)
        }
        decoder.free()
        const measured = measure({ atMs: 0, samples: tone }, { atMs: 0, samples: heard })
        assert.ok(measured.ok, JSON.stringify(measured))
        assert.ok(measured.value.correlation > 0.95, `correlation ${measured.value.correlation}`)
    })

    test("is a file of its owner alone, and never another one's", async () => {
        for (const format of ["wav", "ogg"] as const) {
            const path = join(folder, `own.${format}`)
            const created = await createSoundFile(path, format)
            assert.ok(created.ok)
            assert.equal(statSync(path).mode & 0o777, 0o600)
            assert.equal((await createSoundFile(path, format)).ok, false)
            await created.value.close()
        }
    })

    test("runs until it is stopped, is listed meanwhile, and holds what was said", async () => {
        const told: string[] = []
        const recordings = new Recordings((_level, what) => told.push(what))
        const path = join(folder, "new/s1.wav")
        recordings.start({ session: "s1", path, format: "wav" })
        await eventually(() => told.includes("recording"), "the file to be open")
        for (let at = 0; at < tone.length; at += 320) recordings.take("s1", tone.subarray(at, at + 320))
        recordings.take("s2", tone)
        assert.deepEqual(
            recordings.list().map(({ session, seconds, lostSeconds }) => [session, seconds, lostSeconds]),
            [["s1", 2.01, 0]],
        )
        recordings.stop("s1")
        await recordings.close()
        assert.deepEqual([told, recordings.list()], [["recording", "recorded"], []])
        const wav = parseWav(readFileSync(path), rate)
        assert.ok(wav.ok)
        assert.deepEqual([...wav.value.samples], [...tone])
    })

    test("that cannot be written says so, and the session goes on", async () => {
        const told: [string, unknown][] = []
        const recordings = new Recordings((_level, what, { reason }) => told.push([what, reason]))
        recordings.start({ session: "s1", path: join(folder, "own.wav/s1.wav"), format: "wav" })
        await eventually(() => told.length === 1, "a word")
        assert.equal(told[0]![0], "not recorded")
        recordings.take("s1", tone)
        assert.deepEqual(recordings.list(), [])
    })
})
