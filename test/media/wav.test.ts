import assert from "node:assert/strict"
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, test } from "node:test"
import { levelDb } from "../../media/level.ts"
import { measure } from "../../media/measure.ts"
import { createRandom } from "../../media/random.ts"
import { loadWav, parseWav } from "../../media/wav.ts"
import { WavWriter, wavBytes, wavHeader } from "../../media/wav-writer.ts"

interface Kind {
    tag: number
    bits: number
    channels: number
    rate: number
}

/** One second of a sine as a WAV file of this kind. */
function sineFile({ tag, bits, channels, rate }: Kind, hertz = 440): Buffer {
    const bytes = bits / 8
    const data = Buffer.alloc(rate * channels * bytes)
    for (let i = 0; i < rate; i++) {
        const value = 0.25 * Math.sin((2 * Math.PI * hertz * i) / rate)
        for (let channel = 0; channel < channels; channel++) {
            const at = (i * channels + channel) * bytes
            if (tag === 3) bits === 32 ? data.writeFloatLE(value, at) : data.writeDoubleLE(value, at)
            else if (bits === 8) data[at] = Math.round(128 + value * 127)
            else data.writeIntLE(Math.round(value * (2 ** (bits - 1) - 1)), at, bytes)
        }
    }
    const header = wavHeader(rate, data.length)
    header.writeUInt16LE(tag, 20)
    header.writeUInt16LE(channels, 22)
    header.writeUInt32LE(rate * channels * bytes, 28)
    header.writeUInt16LE(channels * bytes, 32)
    header.writeUInt16LE(bits, 34)
    return Buffer.concat([header, data])
}

const reference = Int16Array.from({ length: 8000 }, (_, i) => 8192 * Math.sin((2 * Math.PI * 440 * i) / 8000))

describe("WAV files", () => {
    test("of every kind come out as the same 8 kHz mono sound", () => {
        for (const [tag, bits] of [
            [1, 8],
            [1, 16],
            [1, 24],
            [1, 32],
            [3, 32],
            [3, 64],
        ] as const)
            for (const channels of [1, 2])
                for (const rate of [8000, 11025, 16000, 44100, 48000]) {
                    const result = parseWav(sineFile({ tag, bits, channels, rate }), 8000)
                    const name = `${tag} ${bits} bits ${channels} x ${rate}`
                    assert.ok(result.ok, name)
                    assert.equal(result.value.samples.length, 8000, name)
                    const inner = result.value.samples.subarray(400, 7600)
                    let error = 0
                    inner.forEach((sample, i) => {
                        error = Math.max(error, Math.abs(sample - reference[i + 400]!))
                    })
                    assert.ok(error < (bits === 8 ? 300 : 40), `${name}: error ${error}`)
                }
    })

    test("lose what 8 kHz cannot carry instead of folding it back", () => {
        const result = parseWav(sineFile({ tag: 1, bits: 16, channels: 1, rate: 48000 }, 5000), 8000)
        assert.ok(result.ok && levelDb(result.value.samples.subarray(400, 7600)) < -60, "no alias")
    })

    test("that are none, or not PCM, or cut short are refused with what is wrong", () => {
        const good = sineFile({ tag: 1, bits: 16, channels: 1, rate: 8000 })
        const bad = (change: (bytes: Buffer) => void): string => {
            const bytes = Buffer.from(good)
            change(bytes)
            const result = parseWav(bytes, 8000)
            return result.ok ? "ok" : result.code
        }
        assert.equal(
            bad(bytes => bytes.write("OggS", 0)),
            "not-wav",
        )
        assert.equal(
            bad(bytes => bytes.writeUInt16LE(85, 20)),
            "unsupported",
        )
        assert.equal(
            bad(bytes => bytes.writeUInt16LE(0, 22)),
            "unsupported",
        )
        assert.equal(
            bad(bytes => bytes.writeUInt32LE(1, 24)),
            "unsupported",
        )
        assert.equal(
            bad(bytes => bytes.writeUInt16LE(12, 34)),
            "unsupported",
        )
        assert.equal(
            bad(bytes => bytes.write("junk", 36)),
            "not-wav",
        )
        assert.equal(
            bad(bytes => bytes.writeUInt32LE(8, 16)),
            "not-wav",
        )
        for (const length of [0, 1, 11, 12, 20, 30, 43])
            assert.equal(parseWav(good.subarray(0, length), 8000).ok, false, `${length} bytes`)
    })

    test("that a killed writer left behind are read as far as they go", () => {
        const whole = sineFile({ tag: 1, bits: 16, channels: 1, rate: 8000 })
        const cut = parseWav(whole.subarray(0, 44 + 8000), 8000)
        assert.ok(cut.ok && cut.value.samples.length === 4000, "cut")
        whole.writeUInt32LE(0, 40)
        const untold = parseWav(whole, 8000)
        assert.ok(untold.ok && untold.value.samples.length === 8000, "untold length")
    })

    test("of random bytes never throw", () => {
        const seed = 99
        const random = createRandom(seed)
        const good = sineFile({ tag: 1, bits: 16, channels: 1, rate: 8000 }).subarray(0, 200)
        for (let i = 0; i < 3000; i++) {
            const bytes = Buffer.from(good.subarray(0, 44 + Math.floor(random() * 100)))
            for (let k = 0; k < 4; k++) bytes[Math.floor(random() * 44)] = Math.floor(random() * 256)
            parseWav(bytes, 8000)
        }
    })

    test("can be written while the sound comes, and are valid before they are complete", async context => {
        const folder = await mkdtemp(join(tmpdir(), "parley-wav-"))
        context.after(() => rm(folder, { recursive: true }))
        const path = join(folder, "out.wav")
        const created = await WavWriter.create(path, 8000)
        assert.ok(created.ok, "created")
        const empty = parseWav(await readFile(path), 8000)
        assert.ok(empty.ok && empty.value.samples.length === 0, "valid from the start")
        for (let i = 0; i < 55; i++) created.value.write(reference.subarray(0, 160))
        const closed = await created.value.close()
        assert.ok(closed.ok && closed.value.samples === 55 * 160, "all written")
        const read = await loadWav(path, 8000)
        assert.ok(read.ok, "readable")
        assert.deepEqual([...read.value.samples.subarray(160, 320)], [...reference.subarray(0, 160)])
        assert.equal((await readFile(path)).length, 44 + 55 * 320)
    })

    test("that do not exist or are folders are refused by name", async context => {
        const folder = await mkdtemp(join(tmpdir(), "parley-wav-"))
        context.after(() => rm(folder, { recursive: true }))
        const missing = await loadWav(join(folder, "none.wav"), 8000)
        assert.ok(!missing.ok && missing.code === "not-found" && missing.what.includes("none.wav"), "missing")
        const isFolder = await loadWav(folder, 8000)
        assert.equal(!isFolder.ok && isFolder.code, "not-readable")
        await writeFile(join(folder, "a.wav"), wavBytes(8000, reference))
        const written = await WavWriter.create(join(folder, "none", "b.wav"), 8000)
        assert.equal(!written.ok && written.code, "not-writable")
        const same = await loadWav(join(folder, "a.wav"), 8000)
        assert.ok(same.ok, "read")
        const measured = measure(
            { atMs: 0, samples: reference },
            { atMs: 0, samples: same.value.samples },
            { rate: 8000, maxDelayMs: 0 },
        )
        assert.ok(measured.ok && measured.value.correlation > 0.9999, "the same sound")
    })
})
