import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { type Codec, soundRate as rate } from "../../media/codec.ts"
import { JitterBuffer, type JitterBufferOptions } from "../../media/jitter-buffer.ts"
import { power, powerToDb } from "../../media/level.ts"
import { createRandom } from "../../media/random.ts"
import { RtpHeader, readRtp, writeRtp } from "../../media/rtp.ts"
import { decodePcmu, encodePcmu, pcmuToLinear } from "./g711.ts"

const frame = 320

/** G.711 of 16 kHz without a filter: what is played can be told sample by sample. */
const plain: Codec = {
    name: "pcmu",
    payloadType: 0,
    clockRate: rate,
    framesMs: [20],
    payloadBytesMax: 960,
    silence: new Uint8Array(frame).fill(0xff),
    isFixedSize: true,
    canRepair: false,
    samplesOf: (_packet, _offset, bytes) => (bytes > 960 ? 0 : bytes),
    createEncoder: () => undefined,
    createDecoder: () => ({
        decode(packet, offset, bytes, samples) {
            decodePcmu(packet, offset, bytes, samples)
            return bytes
        },
        recover: () => 0,
        conceal: () => 0,
        reset() {},
        free() {},
    }),
}

/** The same at half of the rate, each sample played twice: as much as PCMU has in the largest datagram. */
const narrow: Codec = {
    ...plain,
    clockRate: rate / 2,
    samplesOf: (_packet, _offset, bytes) => 2 * bytes,
    createDecoder: () => ({
        ...plain.createDecoder()!,
        decode(packet, offset, bytes, samples) {
            for (let i = 0; i < bytes; i++) samples.fill(pcmuToLinear(packet[offset + i]!), 2 * i, 2 * i + 2)
            return 2 * bytes
        },
    }),
}

/** A slow chirp: every 20 ms of it differ from every other. */
function sound(index: number): number {
    const seconds = index / rate
    return Math.round(6000 * Math.sin(2 * Math.PI * (200 * seconds + 20 * seconds * seconds)))
}

function quantised(sample: number): number {
    const byte = new Uint8Array(1)
    encodePcmu(Int16Array.of(sample), 1, byte, 0)
    return pcmuToLinear(byte[0]!)
}

interface Stream {
    ssrc?: number
    firstSequence?: number
    firstTimestamp?: number
    samples?: number
}

function packet(index: number, stream: Stream = {}): Uint8Array {
    const samples = stream.samples ?? frame
    const bytes = new Uint8Array(12 + samples)
    const linear = Int16Array.from({ length: samples }, (_, i) => sound(index * samples + i))
    writeRtp(
        bytes,
        index === 0,
        0,
        (stream.firstSequence ?? 1) + index,
        (stream.firstTimestamp ?? 0) + index * samples,
        stream.ssrc ?? 7,
    )
    encodePcmu(linear, samples, bytes, 12)
    return bytes
}

type Arrival = [atMs: number, packet: Uint8Array]

/** Lets packets arrive and pulls at the same time, and returns all that was played. `latestMs` ends it. */
function play(arrivals: Arrival[], latestMs: number, options: Partial<JitterBufferOptions> = {}, tickMs?: number) {
    const buffer = new JitterBuffer({ codec: plain, pullSamples: frame, floorMs: 3, maxMs: 150, ...options })
    const pullSamples = options.pullSamples ?? frame
    const periodMs = tickMs ?? (pullSamples * 1000) / rate
    const header = new RtpHeader()
    const chunk = new Int16Array(pullSamples)
    const played: number[] = []
    const outcomes: string[] = []
    const delays: number[] = []
    const queue = [...arrivals].sort((a, b) => a[0] - b[0])
    for (let nowMs = 10; nowMs <= latestMs; nowMs += periodMs) {
        while (queue.length > 0 && queue[0]![0] <= nowMs) {
            const [atMs, bytes] = queue.shift()!
            assert.ok(readRtp(bytes, header))
            outcomes.push(buffer.push(bytes, header, atMs))
        }
        buffer.pull(chunk, nowMs)
        played.push(...chunk)
        delays.push(buffer.statistics().delayMs)
    }
    return { played, outcomes, delays, statistics: buffer.statistics() }
}

/** A stream comes in faded over so much, and so does what follows a gap. */
const fade = 128

/** Where in `played` the sound of sample 0 begins, and whether all until `count` follows unchanged. */
function unbroken(played: number[], count: number): boolean {
    const start =
        played.findIndex(
            (sample, at) => sample === quantised(sound(fade)) && played[at + 40] === quantised(sound(fade + 40)),
        ) - fade
    if (start < -fade) return false
    for (let i = fade; i < count; i++) if (played[start + i] !== quantised(sound(i))) return false
    return true
}

/** A stream of `narrow` in pieces of so many ms, each of which comes when the last of it has been said. */
function inPieces(milliseconds: readonly number[]): Arrival[] {
    let said = 0
    return milliseconds.map((ms, i) => {
        const count = 8 * ms
        const bytes = new Uint8Array(12 + count)
        const linear = Int16Array.from({ length: count }, (_, k) => sound(2 * (said + k)))
        writeRtp(bytes, i === 0, 0, 1 + i, said, 7)
        encodePcmu(linear, count, bytes, 12)
        said += count
        return [said / 8, bytes]
    })
}

/** Whether the stream of `narrow` is played from `fromMs` to `toMs` of it without a sample changed. */
function isPlayed(played: number[], fromMs: number, toMs: number): boolean {
    const expected = Array.from({ length: 16 * (toMs - fromMs) }, (_, i) => quantised(sound((16 * fromMs + i) & ~1)))
    const at = played.findIndex((_, from) => expected.slice(0, 100).every((sample, i) => played[from + i] === sample))
    return at >= 0 && expected.every((sample, i) => played[at + i] === sample)
}

const steady = (count: number, stream?: Stream, delayMs = 0): Arrival[] =>
    Array.from({ length: count }, (_, i) => [i * 20 + delayMs, packet(i, stream)])

describe("a jitter buffer", () => {
    test("plays a steady stream unchanged and within one tick and the floor", () => {
        for (const delayMs of [0, 3, 6, 9.9, 10, 13, 19]) {
            const { played, statistics, delays } = play(steady(100, {}, delayMs), 2000)
            assert.ok(unbroken(played, 95 * frame), `phase ${delayMs}`)
            assert.deepEqual(
                [statistics.lost, statistics.late, statistics.duplicates, statistics.concealedSamples],
                [0, 0, 0, 0],
            )
            assert.ok(Math.max(...delays) <= 23.01, `${Math.max(...delays)}`)
        }
    })

    test("pulled in small pieces, holds a steady stream back by no more than the floor and one piece", () => {
        const { played, delays } = play(steady(100, {}, 9), 2000, { pullSamples: 80 })
        assert.ok(unbroken(played, 95 * frame), "unchanged")
        assert.ok(Math.max(...delays) <= 3 + 5.01, `${Math.max(...delays)}`)
    })

    test("takes packets of any size", () => {
        for (const samples of [160, 480, 640, 960]) {
            const arrivals: Arrival[] = Array.from({ length: 60 }, (_, i) => [
                (i * samples) / 16,
                packet(i, { samples }),
            ])
            const { played, statistics } = play(arrivals, (60 * samples) / 16)
            assert.ok(unbroken(played, 50 * samples), `${samples}`)
            assert.equal(statistics.concealedSamples, 0)
        }
    })

    test("plays packets of up to a whole datagram unchanged, as soon as it does small ones", () => {
        for (const ms of [60, 128, 182.5, 186]) {
            const { played, statistics, delays } = play(inPieces(Array(40).fill(ms)), 40 * ms, { codec: narrow })
            assert.ok(isPlayed(played, 20, 38 * ms), `${ms} ms`)
            assert.deepEqual([statistics.lost, statistics.late, statistics.concealedSamples], [0, 0, 0], `${ms} ms`)
            assert.ok(Math.max(...delays) <= 3 + frame / 16, `${ms} ms: held back by ${Math.max(...delays)} ms`)
        }
    })

    test("plays packets whose size changes from one to the next unchanged, once it knows how late the largest are", () => {
        for (const cycle of [
            [182.5, 73.5],
            [20, 186, 60, 5, 128],
        ]) {
            const arrivals = inPieces(Array.from({ length: 300 }, (_, i) => cycle[i % cycle.length]!))
            const endMs = arrivals.at(-1)![0]
            const { played, statistics } = play(arrivals, endMs, { codec: narrow, maxMs: 200 })
            assert.ok(isPlayed(played, 10_000, endMs - 500), `${cycle}`)
            assert.equal(statistics.lost, 0)
        }
    })

    test("goes on over the wrap of sequence numbers and timestamps", () => {
        const { played, statistics } = play(
            steady(100, { firstSequence: 65500, firstTimestamp: 4294967296 - 3000 }),
            2000,
        )
        assert.ok(unbroken(played, 95 * frame), "unchanged")
        assert.deepEqual([statistics.lost, statistics.restarts], [0, 0])
    })

    test("counts a duplicate and plays it once", () => {
        const arrivals = steady(50)
        arrivals.push([405, packet(20)], [700, packet(20)])
        const { played, statistics } = play(arrivals, 1000)
        assert.ok(unbroken(played, 45 * frame), "unchanged")
        assert.deepEqual([statistics.duplicates, statistics.received, statistics.lost], [2, 50, 0])
    })

    test("puts packets that overtook each other in order again", () => {
        const arrivals = steady(50, {}, 1)
        arrivals[0]![0] = 21.8
        arrivals[1]![0] = 21.5
        arrivals[20]![0] = 421.5
        arrivals[21]![0] = 421.2
        const { statistics } = play(arrivals, 1000, { floorMs: 25 })
        assert.deepEqual(
            [statistics.received, statistics.lost, statistics.late, statistics.concealedSamples],
            [50, 0, 0, 0],
        )
    })

    test("conceals one lost packet, loses its place for nothing else, and counts it", () => {
        const arrivals = steady(60).filter((_, index) => index !== 30)
        const { played, statistics } = play(arrivals, 1200)
        assert.deepEqual([statistics.lost, statistics.late, statistics.concealedSamples], [1, 0, frame])
        assert.ok(unbroken(played, 30 * frame), "unchanged before the gap")
        const start = played.findIndex(sample => sample !== 0) - 1
        const gap = Int16Array.from(played.slice(start + 30 * frame, start + 31 * frame))
        assert.ok(powerToDb(power(gap)) > -25, "the gap is filled with sound")
        for (let i = 31 * frame + fade; i < 55 * frame; i++) assert.equal(played[start + i], quantised(sound(i)))
    })

    test("fades to silence when the stream ends and counts no more than 60 ms of it", () => {
        const { played, statistics } = play(steady(20), 2000)
        assert.ok(
            played.slice(-frame * 50).every(sample => sample === 0),
            "silence",
        )
        assert.equal(statistics.concealedSamples, 960)
        assert.equal(statistics.lost, 0)
    })

    test("counts a packet that came after its time as late and not as lost", () => {
        const arrivals = steady(60)
        arrivals[30]![0] += 90
        const { statistics } = play(arrivals, 1200)
        assert.deepEqual([statistics.lost, statistics.late, statistics.received], [0, 1, 60])
    })

    test("holds the stream back for the jitter that it has seen, and lets go of it when it has passed", () => {
        const random = createRandom(5)
        const arrivals: Arrival[] = []
        for (let i = 0; i < 3000; i++) arrivals.push([i * 20 + (i < 500 ? random() * 40 : 0), packet(i)])
        const { delays, statistics } = play(arrivals, 60000)
        assert.ok(delays[500]! >= 38 && delays[500]! <= 65, `in jitter ${delays[500]}`)
        assert.ok(delays[2990]! <= 25, `after it ${delays[2990]}`)
        assert.ok(statistics.late <= 30, `late ${statistics.late}`)
        assert.ok(statistics.concealedSamples <= 25 * frame, `concealed ${statistics.concealedSamples}`)
    })

    test("does not remember one stall of 300 ms for longer than the stall", () => {
        const arrivals: Arrival[] = steady(400, {}, 1).map(([atMs, bytes]) => [
            atMs > 3000 && atMs < 3300 ? 3300 : atMs,
            bytes,
        ])
        const { delays, statistics } = play(arrivals, 8000)
        assert.ok(delays[100]! <= 25 && delays[190]! <= 25 && delays[390]! <= 25, `${delays[190]}`)
        assert.equal(statistics.lost, 0)
    })

    test("follows a sender whose clock runs fast or slow for an hour", () => {
        for (const partsPerMillion of [-200, 200]) {
            const count = 180_000
            const bytes = packet(0)
            const buffer = new JitterBuffer({ codec: plain, pullSamples: frame, floorMs: 3, maxMs: 150 })
            const header = new RtpHeader()
            const chunk = new Int16Array(frame)
            let next = 0
            let delayMax = 0
            for (let nowMs = 10; nowMs < count * 20; nowMs += 20) {
                while (next * 20 * (1 + partsPerMillion / 1e6) <= nowMs) {
                    writeRtp(bytes, false, 0, next, next * frame, 7)
                    readRtp(bytes, header)
                    buffer.push(bytes, header, next * 20 * (1 + partsPerMillion / 1e6))
                    next++
                }
                buffer.pull(chunk, nowMs)
                if (nowMs > 1000) delayMax = Math.max(delayMax, buffer.statistics().delayMs)
            }
            const statistics = buffer.statistics()
            assert.ok(delayMax < 50, `delay ${delayMax}`)
            assert.deepEqual([statistics.lost, statistics.restarts], [0, 0])
            assert.ok(statistics.late <= 40, `late ${statistics.late}`)
        }
    })

    test("begins anew with another SSRC", () => {
        const arrivals = [...steady(50), ...steady(50, { ssrc: 8, firstSequence: 40000, firstTimestamp: 999 }, 1000)]
        const { statistics, outcomes } = play(arrivals, 2000)
        assert.deepEqual([statistics.restarts, statistics.received, statistics.lost], [1, 100, 0])
        assert.ok(
            outcomes.every(outcome => outcome === "accepted"),
            "all accepted",
        )
    })

    test("believes a jump of the numbers only when a second packet confirms it", () => {
        const jumped = steady(50, { firstSequence: 30000, firstTimestamp: 3_000_000_000 }, 1000)
        const forged = packet(0, { firstSequence: 9000, firstTimestamp: 1_234_567 })
        const { statistics, outcomes } = play([...steady(50), [505, forged], ...jumped], 2000)
        assert.equal(outcomes.filter(outcome => outcome === "strange").length, 2)
        assert.deepEqual([statistics.restarts, statistics.received, statistics.late], [1, 99, 0])
    })

    test("takes a pause of a silent sender for no loss", () => {
        const quiet = (index: number): Uint8Array => {
            const bytes = packet(index)
            bytes.fill(0xff, 12)
            return bytes
        }
        const arrivals: Arrival[] = []
        for (let i = 0; i < 20; i++) arrivals.push([i * 20, quiet(i)])
        for (let i = 0; i < 20; i++) {
            const bytes = packet(200 + i)
            writeRtp(bytes, i === 0, 0, 21 + i, (200 + i) * frame, 7)
            arrivals.push([(200 + i) * 20, bytes])
        }
        const { statistics } = play(arrivals, 4380)
        assert.deepEqual([statistics.lost, statistics.late, statistics.concealedSamples], [0, 0, 0])
    })

    test("keeps every count and stays bounded under hostile numbers", () => {
        const seed = 20261122
        const random = createRandom(seed)
        const buffer = new JitterBuffer({ codec: plain, pullSamples: frame, floorMs: 3, maxMs: 150 })
        const header = new RtpHeader()
        const chunk = new Int16Array(frame)
        for (let i = 0; i < 100_000; i++) {
            header.sequence = Math.floor(random() * 65536)
            header.timestamp = Math.floor(random() * 4294967296)
            header.ssrc = random() < 0.9 ? 7 : Math.floor(random() * 4294967296)
            if (random() < 0.7) {
                header.sequence = i & 0xffff
                header.timestamp = (i * frame) >>> 0
            }
            header.payloadOffset = 0
            header.payloadBytes = Math.floor(random() * 1200)
            buffer.push(new Uint8Array(1200), header, i * 5)
            if (i % 4 === 0) buffer.pull(chunk, i * 5)
        }
        const statistics = buffer.statistics()
        for (const [name, value] of Object.entries(statistics))
            assert.ok(Number.isFinite(value) && value >= 0, `${name} = ${value}, seed ${seed}`)
    })
})
