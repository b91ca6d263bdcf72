import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { LineReader, sealed, toLine } from "../../serial/framing.ts"
import { drawSeed, type SeededRandom, seededRandom } from "../support/random.ts"

const seed = drawSeed("framing")

function frameOf(random: SeededRandom): Buffer {
    const size = 4 * random.int(0, 59)
    const frame = random.bytes(12 + size)
    // Half of the bytes are those that need care.
    for (let i = 0; i < frame.length; i++) if (random.chance(0.5)) frame[i] = random.int(0xf8, 0xff)
    frame[2] = size
    return sealed(frame)
}

function readerOf() {
    const frames: string[] = []
    const lines: string[] = []
    const reader = new LineReader({ frame: frame => frames.push(frame.toString("hex")), log: line => lines.push(line) })
    return { reader, frames, lines }
}

describe("Jacdac frames on a serial line", () => {
    test("come out as they went in, whatever their bytes and however the line cuts them, with the log between them", () => {
        const random = seededRandom(seed)
        const sent = Array.from({ length: 300 }, () => frameOf(random))
        const bytes = Buffer.concat(
            sent.flatMap((frame, i) => [Buffer.from(`line ${i} ä\r\n`), toLine(frame), Buffer.alloc(i % 5)]),
        )
        const { reader, frames, lines } = readerOf()
        for (let at = 0; at < bytes.length; ) {
            const length = random.int(1, 70)
            reader.push(bytes.subarray(at, at + length))
            at += length
        }
        assert.deepEqual(
            frames,
            sent.map(frame => frame.toString("hex")),
        )
        assert.deepEqual(
            lines,
            sent.map((_, i) => `line ${i} ä`),
        )
        assert.equal(reader.damaged, 0)
    })

    test("survive damage: a frame that is cut, changed or too long is dropped, and the next whole one arrives", () => {
        const random = seededRandom(seed)
        for (let round = 0; round < 500; round++) {
            const bad = toLine(frameOf(random))
            const kind = round % 3
            if (kind === 0) bad[random.int(2, bad.length - 3)]! ^= 1 << random.int(0, 7)
            const damaged =
                kind === 1
                    ? bad.subarray(0, random.int(3, bad.length - 2))
                    : kind === 2
                      ? Buffer.concat([bad.subarray(0, -2), Buffer.alloc(300, 1), bad.subarray(-2)])
                      : bad
            const good = frameOf(random)
            const { reader, frames } = readerOf()
            reader.push(damaged)
            reader.push(toLine(good))
            assert.equal(frames.at(-1), good.toString("hex"), `round ${round}, kind ${kind}`)
            assert.equal(frames.length, 1, `round ${round}, kind ${kind}: a damaged frame was believed`)
        }
    })

    test("lose nothing of a line of the log but its colours, and no memory to one that never ends", () => {
        const { reader, lines } = readerOf()
        reader.push(Buffer.from("\u001b[31m! red\u001b[0m\n"))
        for (let i = 0; i < 100; i++) reader.push(Buffer.alloc(1000, 65))
        reader.push(Buffer.from("\n"))
        assert.equal(lines[0], "! red")
        assert.equal(lines[1]!.length, 1024)
    })
})
