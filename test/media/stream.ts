/**
 * One stream through a jitter buffer under virtual time: encoded, carried by a network that a function describes, played.
 * Owns nothing that outlives a test.
 */

import assert from "node:assert/strict"
import { type CodecName, soundRate } from "../../media/codec.ts"
import { codecs } from "../../media/codecs.ts"
import { JitterBuffer, type JitterBufferStatistics } from "../../media/jitter-buffer.ts"
import { RtpHeader, readRtp, rtpHeaderBytes, writeRtp } from "../../media/rtp.ts"

const frameSamples = 320
const frameMs = 20

export interface StreamOptions {
    codec: CodecName
    seconds: number
    /** The sample with this number. */
    say: (at: number) => number
    /** When the packet arrives that was sent at `sentMs`; undefined: never. */
    arrives?: (number: number, sentMs: number) => number | undefined
    /** How much faster than the player's the speaker's clock runs, in parts per million. */
    ppm?: number
    /** Of one pull; 320 as in a server, 80 as in a media engine. */
    pullSamples?: number
    /** Looks at the statistics after each pull. */
    watch?: (statistics: JitterBufferStatistics, nowMs: number) => void
}

export interface Played {
    sound: Int16Array
    /** When the first sample of `sound` was played, and when sample 0 was said. */
    atMs: number
    statistics: JitterBufferStatistics
}

export function carry(options: StreamOptions): Played {
    const { codec: name, seconds, say, arrives = (_, sentMs) => sentMs, ppm = 0, pullSamples = frameSamples } = options
    const codec = codecs[name]
    const encoder = codec.createEncoder()
    const buffer = new JitterBuffer({ codec, pullSamples, floorMs: 3, maxMs: 200 })
    assert.ok(encoder && buffer.canDecode, "a codec")
    const header = new RtpHeader()
    const frame = new Int16Array(frameSamples)
    const pullMs = (pullSamples * 1000) / soundRate
    const pulls = Math.floor((seconds * 1000) / pullMs)
    const sound = new Int16Array(pulls * pullSamples)
    const piece = new Int16Array(pullSamples)
    const underWay: { atMs: number; bytes: Uint8Array }[] = []
    const sentMsOf = (number: number) => ((number + 1) * frameMs) / (1 + ppm / 1e6)
    let next = 0
    for (let pull = 0; pull < pulls; pull++) {
        const nowMs = 10 + pull * pullMs
        for (; sentMsOf(next) <= nowMs; next++) {
            const bytes = new Uint8Array(rtpHeaderBytes + codec.payloadBytesMax)
            for (let i = 0; i < frameSamples; i++) frame[i] = Math.round(say(next * frameSamples + i))
            const count = encoder.encode(frame, frameSamples, bytes, rtpHeaderBytes)
            writeRtp(bytes, next === 0, codec.payloadType, next, (next * codec.clockRate * frameMs) / 1000, 7)
            const atMs = arrives(next, sentMsOf(next))
            if (atMs === undefined) continue
            let place = underWay.length
            while (place > 0 && underWay[place - 1]!.atMs > atMs) place--
            underWay.splice(place, 0, { atMs, bytes: bytes.subarray(0, rtpHeaderBytes + count) })
        }
        while (underWay.length > 0 && underWay[0]!.atMs <= nowMs) {
            const { atMs, bytes } = underWay.shift()!
            assert.ok(readRtp(bytes, header), "valid RTP")
            buffer.push(bytes, header, atMs)
        }
        buffer.pull(piece, nowMs)
        sound.set(piece, pull * pullSamples)
        options.watch?.(buffer.statistics(), nowMs)
    }
    const statistics = buffer.statistics()
    encoder.free()
    buffer.free()
    return { sound, atMs: 10, statistics }
}
