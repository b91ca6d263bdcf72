/**
 * The sample of speech as RTP payloads of a codec: what the benches of media send. Owns nothing.
 */

import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { type Codec, soundRate } from "../../media/codec.ts"
import { rtpHeaderBytes, writeRtp } from "../../media/rtp.ts"
import { parseWav } from "../../media/wav.ts"

const file = fileURLToPath(new URL("../../sim/samples/speech.wav", import.meta.url))
const frame = 320
/** Pieces of 20 ms in which nobody says anything are left out: whoever sends this, talks. */
const pausePower = 100 * 100

/** One payload for each 20 ms of somebody who does not stop. Opus has to be loaded. */
export function encodedSpeech(codec: Codec): Uint8Array[] {
    const wav = parseWav(readFileSync(file), soundRate)
    const encoder = codec.createEncoder()
    if (!wav.ok || !encoder) throw new Error("the sample of speech cannot be encoded")
    const { samples } = wav.value
    const packet = new Uint8Array(codec.payloadBytesMax)
    const payloads: Uint8Array[] = []
    for (let at = 0; at + frame <= samples.length; at += frame) {
        const piece = samples.subarray(at, at + frame)
        let power = 0
        for (const sample of piece) power += sample * sample
        if (power < pausePower * frame) continue
        payloads.push(packet.slice(0, encoder.encode(piece, frame, packet, 0)))
    }
    encoder.free()
    return payloads
}

/** Writes a packet of a stream into `packet`: its `sequence` in the stream, and the number of its frame. Returns its bytes. */
export function withHeader(
    packet: Uint8Array,
    codec: Codec,
    payload: Uint8Array,
    sequence: number,
    frameNumber: number,
    ssrc: number,
): number {
    writeRtp(packet, false, codec.payloadType, sequence, (frameNumber * codec.clockRate) / 50, ssrc)
    packet.set(payload, rtpHeaderBytes)
    return rtpHeaderBytes + payload.length
}
