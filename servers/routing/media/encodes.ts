/**
 * The encoders of one session, by codec: one for the mix that all listeners share, and one for each who is heard at present and
 * must not hear themselves.
 *
 * Owns the encoders and what they made of the present tick. Who is heard changes all the time, so encoders are lent, not kept;
 * one that begins anew is told what its listener heard just before, or the change would be a click.
 */

import { type Codec, type CodecName, type Encoder, unknownLossPercent } from "../../../media/codec.ts"
import { frameSamples } from "./channel.ts"

const never = -2

export class EncodedMix {
    /** What was encoded last. */
    payload: Uint8Array
    private readonly packet: Uint8Array
    /** Somebody hears this mix from this tick on who heard another before. */
    isJoined = false
    private lastTick = never
    /** Of its listeners in this tick, and what the encoder was told. */
    private lossPercent = 0
    private expectedPercent = unknownLossPercent

    constructor(
        private readonly encoder: Encoder,
        payloadBytesMax: number,
    ) {
        this.packet = new Uint8Array(payloadBytesMax)
        this.payload = this.packet
    }

    /** Somebody hears it in this tick who misses so much. */
    expectLoss(percent: number): void {
        if (percent > this.lossPercent) this.lossPercent = percent
    }

    isReadyFor(tick: number): boolean {
        return this.lastTick === tick
    }

    /** `before`: what was heard in the tick before; undefined: silence. */
    encode(mix: Int16Array, tick: number, before: Int16Array | undefined): void {
        const isNew = this.lastTick !== tick - 1
        if (this.lossPercent !== this.expectedPercent) this.encoder.expectLoss(this.lossPercent)
        this.expectedPercent = this.lossPercent
        this.lossPercent = 0
        if (isNew) this.encoder.restart(before)
        const bytes = this.encoder.encode(mix, frameSamples, this.packet, 0, isNew || this.isJoined)
        if (bytes !== this.payload.length) this.payload = this.packet.subarray(0, bytes)
        this.isJoined = false
        this.lastTick = tick
    }

    /** Its listener is gone; whoever is next hears another stream. */
    retire(): void {
        this.lastTick = never
        this.isJoined = false
    }

    free(): void {
        this.encoder.free()
    }
}

interface OfCodec {
    shared: EncodedMix | undefined
    spare: EncodedMix[]
}

/** Encoders that wait for the next who is heard; three speak at a time, and for one tick three others fade. */
const spareMax = 6

export class Encodes {
    private readonly ofCodec: Partial<Record<CodecName, OfCodec>> = {}

    /** The mix that everybody hears who is not heard. Undefined when the codec has no encoder left. */
    shared(codec: Codec): EncodedMix | undefined {
        const of = this.of(codec)
        of.shared ??= create(codec)
        return of.shared
    }

    /** Lends an encoder for one listener. */
    take(codec: Codec): EncodedMix | undefined {
        return this.of(codec).spare.pop() ?? create(codec)
    }

    giveBack(codec: Codec, mix: EncodedMix): void {
        const { spare } = this.of(codec)
        mix.retire()
        if (spare.length < spareMax) spare.push(mix)
        else mix.free()
    }

    free(): void {
        for (const of of Object.values(this.ofCodec)) {
            of.shared?.free()
            for (const mix of of.spare) mix.free()
        }
    }

    private of(codec: Codec): OfCodec {
        let of = this.ofCodec[codec.name]
        if (!of) {
            of = { shared: undefined, spare: [] }
            this.ofCodec[codec.name] = of
        }
        return of
    }
}

function create(codec: Codec): EncodedMix | undefined {
    const encoder = codec.createEncoder()
    return encoder && new EncodedMix(encoder, codec.payloadBytesMax)
}
