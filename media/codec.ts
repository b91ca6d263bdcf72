/**
 * What a codec is to the rest: RTP payloads in, 16 kHz mono out, and back.
 *
 * Owns the interface and the one rate that sound has inside Parley. Each codec has a file of its own (`pcmu.ts`, `opus.ts`);
 * `codecs.ts` knows them by name and payload type. Encoders and decoders keep state: one of each for each stream, freed with it.
 */

/** Samples a second everywhere between decoder and encoder: mixer, media engine, recordings. */
export const soundRate = 16000

/** What is expected of a way of which nobody has told yet. */
export const unknownLossPercent = 10

export type CodecName = "pcmu" | "opus"

export interface Codec {
    readonly name: CodecName
    /** RTP payload type: RFC 3551 for PCMU, the dynamic type that Parley uses for Opus. */
    readonly payloadType: number
    /** RTP clock, ticks a second. */
    readonly clockRate: number
    /** Lengths of a frame that `encode` takes, in ms. */
    readonly framesMs: readonly number[]
    /** Largest payload that `encode` writes, of the longest of these frames. */
    readonly payloadBytesMax: number
    /** The payload of 20 ms of silence, for everybody. Never written to. */
    readonly silence: Uint8Array
    /** Every payload of 20 ms is as long as `silence`. */
    readonly isFixedSize: boolean
    /** Packets hold the one before them once more, in short. */
    readonly canRepair: boolean
    /** How many samples (16 kHz) a received payload holds; 0 when it is none of this codec, or longer than it takes: 200 ms at most. */
    samplesOf(packet: Uint8Array, offset: number, bytes: number): number
    /** Undefined when there are too many already. */
    createEncoder(): Encoder | undefined
    createDecoder(): Decoder | undefined
}

export interface Encoder {
    /**
     * Encodes `count` samples (one of `framesMs`) into `packet` from `offset` on; returns the bytes written. `isJoin`: somebody
     * hears this stream from here on who heard another before, so this frame must not lean on the ones before it.
     */
    encode(samples: Int16Array, count: number, packet: Uint8Array, offset: number, isJoin?: boolean): number
    /**
     * Of what it makes, `percent` are lost on the way to whoever misses most of it: so much repair goes into its packets. None where
     * nothing is lost, as it takes a third of the time and bits that the voice could have. It begins with `unknownLossPercent`.
     */
    expectLoss(percent: number): void
    /** Begins a stream anew, as if `before` (the last sound its listener heard; none: silence) had just been encoded. */
    restart(before?: Int16Array): void
    free(): void
}

export interface Decoder {
    /** Decodes a payload into `samples` from 0 on; returns how many there are, 0 when it cannot be decoded. */
    decode(packet: Uint8Array, offset: number, bytes: number, samples: Int16Array): number
    /**
     * The frame before this payload, which was lost, from what the payload says of it. Returns its samples; 0 when it says nothing.
     * To be called before `decode` of the same payload.
     */
    recover(packet: Uint8Array, offset: number, bytes: number, samples: Int16Array): number
    /** Makes up at least 10 ms, `wanted` samples at best, where a packet is missing; returns how many, 0: it has no way to. */
    conceal(wanted: number, samples: Int16Array): number
    /** Forgets the stream; the next payload begins another. */
    reset(): void
    free(): void
}
