/**
 * PCMU (RFC 3551, payload type 0, 8 kHz clock) as a codec: G.711, and the way between 8 and 16 kHz.
 *
 * Owns the filters' state of each stream. It has no concealment of its own: the jitter buffer repeats the last pitch period.
 */

import type { Codec, Decoder, Encoder } from "./codec.ts"
import { makeTaps } from "./half-band.ts"
import { bytesAt, floatsAt, kernels, samplesAt } from "./kernels.ts"

export const pcmuPayloadType = 0
/** The byte of a zero sample. */
export const pcmuSilence = 0xff

const frameBytes = 160
const encodedBytesMax = 480
/** RFC 3551, section 4.2: a receiver takes packets of up to 200 ms. */
const receivedBytesMax = 1600
/** So many samples of silence push everything else out of the filter. */
const settlingBytes = 40

const history = kernels.history.value
const payload = bytesAt(kernels.payloadAt, receivedBytesMax)
const sound = samplesAt(kernels.soundAt, 2 * receivedBytesMax)
/** Of a packet of 20 ms. */
const frame = sound.subarray(0, 2 * frameBytes)
const work = floatsAt(kernels.workAt, history)
const middles = floatsAt(kernels.middlesAt, history)
const tapPairs = (history + 1) / 2
floatsAt(kernels.tapsAt, tapPairs).set(makeTaps(tapPairs))

class PcmuEncoder implements Encoder {
    /** Every second sample, and those between. */
    private readonly past = new Float32Array(history)
    private readonly pastMiddles = new Float32Array(history)

    encode(samples: Int16Array, count: number, packet: Uint8Array, offset: number): number {
        const { past, pastMiddles } = this
        const bytes = count >> 1
        for (let i = 0; i < history; i++) {
            work[i] = past[i]!
            middles[i] = pastMiddles[i]!
        }
        if (samples.length === count) sound.set(samples)
        else sound.set(samples.subarray(0, count))
        kernels.encodePcmu(bytes)
        for (let i = 0; i < bytes; i++) packet[offset + i] = payload[i]!
        for (let i = 0; i < history; i++) {
            past[i] = work[i]!
            pastMiddles[i] = middles[i]!
        }
        return bytes
    }

    /** A packet of it holds nothing of another. */
    expectLoss(): void {}

    restart(before?: Int16Array): void {
        const first = before ? before.length - 2 * history : -1
        for (let i = 0; i < history; i++) {
            this.pastMiddles[i] = first < 0 ? 0 : before![first + 2 * i]!
            this.past[i] = first < 0 ? 0 : before![first + 2 * i + 1]!
        }
    }

    free(): void {}
}

class PcmuDecoder implements Decoder {
    private readonly past = new Float32Array(history)
    /** The filter holds nothing but silence. */
    private settled = true

    decode(packet: Uint8Array, offset: number, bytes: number, samples: Int16Array): number {
        if (bytes < 1 || bytes > receivedBytesMax) return 0
        // Most of the members of a session are silent most of the time.
        const isSilent = holdsSilence(packet, offset, bytes)
        if (isSilent && this.settled) {
            samples.fill(0, 0, 2 * bytes)
            return 2 * bytes
        }
        this.settled = isSilent && bytes >= settlingBytes
        const { past } = this
        for (let i = 0; i < history; i++) work[i] = past[i]!
        if (offset === 0 && packet.length <= payload.length) payload.set(packet)
        else payload.set(packet.subarray(offset, offset + bytes))
        kernels.decodePcmu(bytes)
        samples.set(bytes === frameBytes ? frame : sound.subarray(0, 2 * bytes))
        for (let i = 0; i < history; i++) past[i] = work[i]!
        return 2 * bytes
    }

    recover(): number {
        return 0
    }

    conceal(): number {
        return 0
    }

    reset(): void {
        this.past.fill(0)
        this.settled = true
    }

    free(): void {}
}

function holdsSilence(packet: Uint8Array, offset: number, bytes: number): boolean {
    for (let i = offset; i < offset + bytes; i++) if (packet[i] !== pcmuSilence) return false
    return true
}

export const pcmu: Codec = {
    name: "pcmu",
    payloadType: pcmuPayloadType,
    clockRate: 8000,
    framesMs: Array.from({ length: 12 }, (_, i) => 5 * (i + 1)),
    payloadBytesMax: encodedBytesMax,
    silence: new Uint8Array(frameBytes).fill(pcmuSilence),
    isFixedSize: true,
    canRepair: false,
    samplesOf: (_packet, _offset, bytes) => (bytes >= 1 && bytes <= receivedBytesMax ? 2 * bytes : 0),
    createEncoder: () => new PcmuEncoder(),
    createDecoder: () => new PcmuDecoder(),
}
