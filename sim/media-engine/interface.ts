/**
 * What the simulator sees of a board's media engine. Types only; `createMediaEngine(options)` in `index.ts` makes one.
 *
 *     const engine = createMediaEngine({ ipAddress: "127.0.2.1", port: 5004, delaysMs: { "127.0.1.11": 12 } })
 *     provider = new JDServerServiceProvider("media", [engine.server])   // the Jacdac face
 *     await engine.start(); await engine.setMicrophone("speech.wav", { loop: false }); ...; await engine.stop()
 */

import type { Outcome } from "../../media/outcome.ts"
import type { JDServiceServer } from "./jacdac.ts"

export interface MediaEngineOptions {
    /** The board's own IPv4 address. */
    ipAddress: string
    /** UDP port; 0 takes a free one. */
    port: number
    /** Emulated one-way delay per far address, both ways, for probes and media. Others: none. */
    delaysMs?: Record<string, number>
    /** Emulated extra delay of each datagram, uniform in 0..jitterMs. */
    jitterMs?: number
    /** Emulated loss in per cent, of each datagram and way. */
    lossPercent?: number
    /** How much faster than real time the emulated sound card runs, in parts per million; negative: slower. Default 0. */
    clockPpm?: number
    /** Seed of jitter and loss. */
    seed?: number
    /** Specs of `.devicescript/services.json`; read from there when absent. */
    services?: jdspec.ServiceSpec[]
    /** What is captured and played is kept for this long, for `recording()`. Default 120 s; 0 keeps nothing. */
    recordSeconds?: number
    instanceName?: string
    /** A real sound card in place of emulated microphone and speaker. */
    soundCard?: SoundSource & SoundSink
    log?: (event: string, details: Record<string, unknown>) => void
}

/** Sound from a room, 16 kHz mono, as the engine takes it: a piece each 5 ms. */
export interface SoundSource {
    /** The next `count` samples; silence where there are none. */
    read(target: Int16Array, count: number): void
    /** Time passes unheard. */
    skip(count: number): void
}

/** Sound into a room. */
export interface SoundSink {
    /** `count` samples that are to be heard from `atMs` on. */
    write(atMs: number, samples: Int16Array, count: number): void
    close(): Promise<Outcome<unknown, "not-writable">>
}

/** A stretch of sound without a gap. */
export interface RecordedStretch {
    /** When the first sample was at the microphone, or left the speaker: monotonic ms of this process (`performance.now()`). */
    atMs: number
    /** When the piece after the last sample begins; the sound card's clock, not the rate, says how long the stretch was. */
    endMs: number
    /** 16 kHz by the sound card's clock. */
    samples: Int16Array
}

export interface Recording {
    rate: number
    /** `performance.timeOrigin`: add it to `atMs` to compare recordings of two processes. */
    timeOriginMs: number
    /** What the microphone heard, before mute; there is always one stretch while the engine runs. */
    captured: RecordedStretch[]
    /** What the speaker played, after volume; a stretch begins when a leg opens and ends when it closes. */
    played: RecordedStretch[]
}

export interface MediaEngineStatistics {
    open: boolean
    muted: boolean
    volume: number
    sent: number
    received: number
    lost: number
    late: number
    duplicates: number
    concealed: number
    jitterMs: number
    delayMs: number
    inputDb: number
    outputDb: number
    /** Datagrams that were dropped: not from the leg's address, not RTP, or not for us. */
    refused: number
    ticks: { done: number; late: number; skipped: number; latenessMaxMs: number }
}

export type MediaEngineRefusal =
    | "address-in-use"
    | "address-unavailable"
    | "not-found"
    | "not-readable"
    | "not-writable"
    | "not-wav"
    | "unsupported"
    | "too-large"
    | "not-running"

export interface MediaEngine {
    /** The Jacdac service server of `services/media-engine.md`; put it on the board's bus. */
    server: JDServiceServer
    start(): Promise<Outcome<{ ip: string; port: number }, MediaEngineRefusal>>
    /** Closes the leg and the socket and completes the speaker file. A stopped engine may be started again; it is muted then. */
    stop(): Promise<void>
    /** Plays this WAV file into the microphone from its beginning, at once; null is a silent room. */
    setMicrophone(
        file: string | null,
        options?: { loop?: boolean; leadSilenceMs?: number },
    ): Promise<Outcome<{ durationMs: number }, MediaEngineRefusal>>
    /** Records the speaker into this WAV file (16 kHz, 16 bit) and `<file>.json` (when its first sample was); null ends it. */
    setSpeaker(file: string | null): Promise<Outcome<void, MediaEngineRefusal>>
    /** Emulated delays from now on; the same as the option. */
    setDelays(delaysMs: Record<string, number>): void
    recording(): Recording
    /** Forgets what was recorded so far. */
    clearRecording(): void
    statistics(): MediaEngineStatistics
}

/** What `createMediaEngine` makes. */
export interface OwnMediaEngine extends MediaEngine {
    /** Nobody holds the mute any more: closes the leg and mutes. */
    silence(): void
}
