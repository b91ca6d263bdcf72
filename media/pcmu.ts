/**
 * PCMU (RFC 3551, payload type 0, 8 kHz clock) as a codec: G.711 by table, and the way between 8 and 16 kHz.
 *
 * Owns the filters' state of each stream. It has no concealment of its own: the jitter buffer repeats the last pitch period.
 */

import type { Codec, Decoder, Encoder } from "./codec.ts"
import { decodePcmu, encodePcmu, pcmuPayloadType, pcmuSilence } from "./g711.ts"
import { Doubler, Halver } from "./half-band.ts"

const frameBytes = 160
const encodedBytesMax = 480
/** RFC 3551, section 4.2: a receiver takes packets of up to 200 ms. */
const receivedBytesMax = 1600
/** So many samples of silence push everything else out of the filter. */
const settlingBytes = 40
/** Samples at 8 kHz; shared, as nothing is left in it from one call to the next. */
const narrow = new Int16Array(receivedBytesMax)

class PcmuEncoder implements Encoder {
    private readonly halver = new Halver()

    encode(samples: Int16Array, count: number, packet: Uint8Array, offset: number): number {
        const bytes = count >> 1
        this.halver.process(samples, bytes, narrow)
        encodePcmu(narrow, bytes, packet, offset)
        return bytes
    }

    restart(before?: Int16Array): void {
        this.halver.restart(before)
    }

    free(): void {}
}

class PcmuDecoder implements Decoder {
    private readonly doubler = new Doubler()
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
        decodePcmu(packet, offset, bytes, narrow)
        this.doubler.process(narrow, bytes, samples)
        return 2 * bytes
    }

    recover(): number {
        return 0
    }

    conceal(): number {
        return 0
    }

    reset(): void {
        this.doubler.reset()
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
