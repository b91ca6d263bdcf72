/**
 * The sessions of a media plane: for each its mixer, and in that the channels of its legs and links.
 *
 * Owns when a session begins and ends here, what its channels cost, and how many of them may carry Opus. Never knows whose a
 * channel is, nor how it is reached.
 */

import type { CodecName } from "../../../media/codec.ts"
import { type Failure, failure } from "../../../media/outcome.ts"
import type { Channel } from "./channel.ts"
import { dspUnitsOf } from "./dsp-units.ts"
import { Mixer } from "./mixer.ts"

/** Legs and links together that carry Opus: each may need a decoder and two encoders, of some 30 KB. */
const opusChannelsMost = 2000

export interface SessionsOptions {
    /** The first session has begun; the last one has ended. */
    onFirst: () => void
    onLast: () => void
    /** Somebody else speaks in a session; undefined: nobody. */
    onSpeaker: (session: string, speaker: Channel | undefined) => void
    /** All that is heard in a session in one tick; valid during the call. */
    onMix: ((session: string, mix: Int16Array) => void) | undefined
}

export class Sessions {
    private readonly mixers = new Map<string, Mixer>()

    constructor(private readonly options: SessionsOptions) {}

    get count(): number {
        return this.mixers.size
    }

    enter(session: string, channel: Channel): void {
        let mixer = this.mixers.get(session)
        if (!mixer) {
            mixer = new Mixer(speaker => this.options.onSpeaker(session, speaker))
            this.mixers.set(session, mixer)
            if (this.mixers.size === 1) this.options.onFirst()
        }
        mixer.add(channel)
    }

    leave(session: string, channel: Channel): void {
        const mixer = this.mixers.get(session)
        mixer?.remove(channel)
        if (mixer?.channels.length !== 0) return
        this.mixers.delete(session)
        if (this.mixers.size === 0) this.options.onLast()
    }

    /** Nobody is left who would hear anything: whatever is still in it has left the tree. */
    isDeserted(session: string): boolean {
        return this.mixers.get(session)?.channels.every(channel => channel.leaving) ?? true
    }

    tick(deadlineMs: number, tick: number): void {
        const { onMix } = this.options
        for (const [session, mixer] of this.mixers) {
            const mix = mixer.tick(deadlineMs, tick)
            onMix?.(session, mix)
        }
    }

    dspUnitsUsed(): number {
        let units = 0
        for (const mixer of this.mixers.values())
            for (const { kind, codec, leaving } of mixer.channels) if (!leaving) units += dspUnitsOf(kind, codec.name)
        return units
    }

    /** Opus has a bounded number of streams; PCMU needs none. */
    problemWithCodec(codec: CodecName): Failure<"too-many"> | undefined {
        if (codec !== "opus") return undefined
        let count = 0
        for (const mixer of this.mixers.values())
            for (const channel of mixer.channels) if (channel.codec.name === codec) count++
        if (count < opusChannelsMost) return undefined
        return failure("too-many", `${opusChannelsMost} legs and links carry Opus already`, "operator")
    }
}
