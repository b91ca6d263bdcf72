/**
 * The jitter buffer of one received stream: packets in as they come, sound out at a steady pace, as early as the network allows.
 *
 * Owns the decoder and how its parts work together: packets are judged at the door (`arrivals.ts`), wait for their time and are
 * played (`play-out.ts`), and the play-out is held where it should be (`steering.ts`). Pure: the time comes as an argument, and once a
 * stream runs nothing is allocated but a view of each pull. Never opens a socket.
 */

import { Arrivals } from "./arrivals.ts"
import { type Codec, type Decoder, soundRate } from "./codec.ts"
import { PlayOut } from "./play-out.ts"
import type { RtpHeader } from "./rtp.ts"
import { Steering } from "./steering.ts"

export interface JitterBufferOptions {
    codec: Codec
    /** Samples (16 kHz) of one `pull`, always the same. */
    pullSamples: number
    /** Smallest and largest time that a packet is waited for after its fastest arrival. */
    floorMs: number
    maxMs: number
}

export type PushOutcome = "accepted" | "late" | "duplicate" | "strange" | "wrong-size"

export interface JitterBufferStatistics {
    received: number
    /** Packets that never came. */
    lost: number
    /** Packets that came after their time. */
    late: number
    duplicates: number
    /** Samples made up where sound was missing. */
    concealedSamples: number
    /** Samples of lost packets that the next packet held once more. */
    repairedSamples: number
    /** Interarrival jitter of RFC 3550. */
    jitterMs: number
    /** From a packet's fastest arrival to its play-out. */
    delayMs: number
    restarts: number
    /** How often the delay was changed by a pitch period or in a quiet moment, and by a jump. */
    adjustments: number
    jumps: number
}

const samplesPerMs = soundRate / 1000

export class JitterBuffer {
    private readonly decoder: Decoder | undefined
    private readonly arrivals: Arrivals
    private readonly playOut: PlayOut
    private readonly steering: Steering
    private late = 0
    private delayMs = 0

    constructor(private readonly options: JitterBufferOptions) {
        const { codec, pullSamples, floorMs, maxMs } = options
        this.decoder = codec.createDecoder()
        this.arrivals = new Arrivals(codec.clockRate, floorMs, maxMs)
        this.playOut = new PlayOut(this.decoder, pullSamples)
        const { canRepair } = codec
        this.steering = new Steering({ pullSamples, maxMs, canRepair }, this.arrivals, this.playOut)
    }

    /** False: there was no decoder left for it; everything is refused, and nothing will be heard. */
    get canDecode(): boolean {
        return this.decoder !== undefined
    }

    /** Gives the decoder back. Nothing may be pushed or pulled afterwards. */
    free(): void {
        this.decoder?.free()
    }

    /**
     * A packet whose header was read into `header` arrived at `nowMs`. `excusedMs`: so late is the receiver itself with its next
     * pull, for which this packet is still in time.
     */
    push(packet: Uint8Array, header: RtpHeader, nowMs: number, excusedMs = 0): PushOutcome {
        const { payloadOffset, payloadBytes } = header
        const samples = this.decoder ? this.options.codec.samplesOf(packet, payloadOffset, payloadBytes) : 0
        if (samples === 0) return "wrong-size"
        const { arrivals, playOut } = this
        const arrival = arrivals.take(header, samples, nowMs, excusedMs, playOut.endMost)
        if (arrival === "duplicate" || arrival === "strange") return arrival
        if (arrival === "first") {
            playOut.restart()
            this.steering.restart()
        }
        if (playOut.put(arrivals.sequence, arrivals.start, samples, packet, payloadOffset, payloadBytes))
            return "accepted"
        this.late++
        return "late"
    }

    /** Takes the next `pullSamples` of sound into `samples` at `deadlineMs`. Silence before the stream has begun. */
    pull(samples: Int16Array, deadlineMs: number): void {
        const { playOut, steering } = this
        steering.steer(deadlineMs)
        this.delayMs = deadlineMs - this.arrivals.target.minTransitMs - playOut.position / samplesPerMs
        playOut.take(samples, steering.isShort)
    }

    /** The next pull would have to make sound up. */
    get isDry(): boolean {
        return this.playOut.isDry
    }

    /** Writes 5 ms that lead what was played last to silence, and silence after it; the stream itself goes on unheard. */
    trail(samples: Int16Array): void {
        this.playOut.trail(samples)
    }

    statistics(): JitterBufferStatistics {
        const { arrivals, playOut } = this
        return {
            received: arrivals.received,
            lost: arrivals.lost,
            late: this.late,
            duplicates: arrivals.duplicates,
            concealedSamples: playOut.concealedSamples,
            repairedSamples: playOut.repairedSamples,
            jitterMs: arrivals.jitterMs,
            delayMs: playOut.playing ? Math.max(0, this.delayMs) : 0,
            restarts: arrivals.restarts,
            adjustments: playOut.adjustments,
            jumps: playOut.jumps,
        }
    }
}
