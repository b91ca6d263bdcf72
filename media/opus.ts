/**
 * Opus (RFC 6716, RTP payload of RFC 7587) as a codec: libopus 1.6.1 as WebAssembly, mono, 16 kHz in and out, RTP clock 48 kHz.
 *
 * Owns the module's memory: one piece for sound and one for a packet, and a bounded number of encoders and decoders. `loadOpus`
 * must have ended before a stream is made. It calls the module that `libopus-wasm` is built around and not the package's own
 * face: that is asynchronous where streams are made, allocates for each frame, and throws at what a stranger sends. The version
 * is pinned; its 64 KB stack was measured: 29 KB used at most (mono, 20 ms, all complexities; hostile packets to decode).
 */

import { type Codec, type Decoder, type Encoder, unknownLossPercent } from "./codec.ts"

/** What is used of the module. Addresses are bytes in its memory, whose views change when it grows. */
interface Libopus {
    HEAPU8: Uint8Array
    HEAP16: Int16Array
    _malloc(bytes: number): number
    _free(address: number): void
    _oc_create_encoder(rate: number, channels: number, application: number, error: number): number
    _oc_destroy_encoder(encoder: number): void
    _oc_encoder_ctl(encoder: number, request: number, value: number): number
    _oc_encode(encoder: number, samples: number, count: number, packet: number, bytesMax: number): number
    _oc_create_decoder(rate: number, channels: number, error: number): number
    _oc_destroy_decoder(decoder: number): void
    _oc_decoder_ctl(decoder: number, request: number, value: number): number
    /** Packet 0 of 0 bytes: a lost one. Negative: an error of libopus. */
    _oc_decode(decoder: number, packet: number, bytes: number, samples: number, count: number, recover: number): number
}

/** Requests of opus_defines.h. */
const setBitrate = 4002
const setBandwidth = 4008
const setComplexity = 4010
const setInBandFec = 4012
const setPacketLossPercent = 4014
const setDtx = 4016
const setSignal = 4024
const resetState = 4028
const setPredictionDisabled = 4042
/** Not "voip": that one cuts low frequencies and turns their phases. Speech is coded the same way. */
const applicationAudio = 2049
const signalVoice = 3001
const bandwidthWide = 1103

/** Encoders and decoders of a process (a worker) together; one takes 10 to 40 KB. */
export const opusLimits = { streams: 4096 }
export const opusPayloadType = 111

const rate = 16000
const frameSamples = 320
/** Of speech, libopus makes up 10 or 20 ms; what is shorter comes out wrong. */
const concealSamplesMin = 160
const samplesMax = 960
export const opusSettings = {
    bitsPerSecond: 40000,
    /** 2 costs twice as much as 1 for nothing that is heard at this rate. */
    complexity: 1,
}
/** What the repair that each packet carries for the one before it is dimensioned for, where anything is lost at all. */
const lossPercentMin = unknownLossPercent
const lossPercentMax = 25
/** A frame of 20 ms at most (RFC 6716, section 3.4). */
const payloadBytesMax = 1275
/** So many frames of our silence in a row, and a decoder is silent as well: further ones need not be decoded. */
const settledFrames = 5

let module: Libopus | undefined
let loading: Promise<void> | undefined
let soundAt = 0
let packetAt = 0
let alive = 0
let silence: Uint8Array = new Uint8Array(0)

/** Loads the library, once; 50 to 100 ms of a processor. */
export function loadOpus(): Promise<void> {
    loading ??= load()
    return loading
}

async function load(): Promise<void> {
    const url = new URL("generated/libopus.generated.mjs", import.meta.resolve("libopus-wasm"))
    const { default: create } = (await import(url.href)) as { default: () => Promise<Libopus> }
    const loaded = await create()
    soundAt = loaded._malloc(samplesMax * 2)
    packetAt = loaded._malloc(payloadBytesMax)
    module = loaded
    silence = makeSilence()
}

/** What an encoder sends once it has heard nothing for a while. */
function makeSilence(): Uint8Array {
    const encoder = opus.createEncoder()
    if (!encoder) throw new Error("no Opus encoder for silence")
    const packet = new Uint8Array(payloadBytesMax)
    const nothing = new Int16Array(frameSamples)
    let bytes = 0
    for (let frame = 0; frame < 50; frame++) bytes = encoder.encode(nothing, frameSamples, packet, 0)
    encoder.free()
    return packet.slice(0, bytes)
}

function libopus(): Libopus {
    if (!module) throw new Error("Opus is used before loadOpus() has ended")
    return module
}

class OpusEncoder implements Encoder {
    private lossPercent = unknownLossPercent

    constructor(
        private readonly lib: Libopus,
        private encoder: number,
    ) {}

    encode(samples: Int16Array, count: number, packet: Uint8Array, offset: number, isJoin = false): number {
        const { lib, encoder } = this
        const heap = lib.HEAP16
        const sound = soundAt >> 1
        for (let i = 0; i < count; i++) heap[sound + i] = samples[i]!
        if (isJoin) lib._oc_encoder_ctl(encoder, setPredictionDisabled, 1)
        const bytes = lib._oc_encode(encoder, soundAt, count, packetAt, payloadBytesMax)
        if (isJoin) lib._oc_encoder_ctl(encoder, setPredictionDisabled, 0)
        if (bytes < 0) throw new Error(`Opus cannot encode ${count} samples: ${bytes}`)
        const coded = lib.HEAPU8
        for (let i = 0; i < bytes; i++) packet[offset + i] = coded[packetAt + i]!
        return bytes
    }

    expectLoss(percent: number): void {
        const wanted = percent === 0 ? 0 : Math.min(lossPercentMax, Math.max(lossPercentMin, Math.ceil(percent)))
        if (wanted === this.lossPercent) return
        this.lossPercent = wanted
        this.lib._oc_encoder_ctl(this.encoder, setPacketLossPercent, wanted)
    }

    restart(before?: Int16Array): void {
        const { lib, encoder } = this
        lib._oc_encoder_ctl(encoder, resetState, 0)
        if (!before) return
        lib.HEAP16.set(before, soundAt >> 1)
        lib._oc_encode(encoder, soundAt, before.length, packetAt, payloadBytesMax)
    }

    free(): void {
        if (this.encoder === 0) return
        this.lib._oc_destroy_encoder(this.encoder)
        this.encoder = 0
        alive--
    }
}

class OpusDecoder implements Decoder {
    private silentFrames = 0

    constructor(
        private readonly lib: Libopus,
        private decoder: number,
    ) {}

    decode(packet: Uint8Array, offset: number, bytes: number, samples: Int16Array): number {
        if (bytes > payloadBytesMax) return 0
        this.silentFrames = isSilence(packet, offset, bytes) ? this.silentFrames + 1 : 0
        if (this.silentFrames > settledFrames) {
            samples.fill(0, 0, frameSamples)
            return frameSamples
        }
        return this.run(packet, offset, bytes, samples, samplesMax, false)
    }

    recover(packet: Uint8Array, offset: number, bytes: number, samples: Int16Array): number {
        if (bytes > payloadBytesMax || !carriesRepair(packet, offset, bytes)) return 0
        return this.run(packet, offset, bytes, samples, samplesOf(packet, offset, bytes), true)
    }

    conceal(wanted: number, samples: Int16Array): number {
        const count = wanted >= frameSamples ? frameSamples : concealSamplesMin
        return this.take(this.lib._oc_decode(this.decoder, 0, 0, soundAt, count, 0), samples)
    }

    reset(): void {
        this.silentFrames = 0
        this.lib._oc_decoder_ctl(this.decoder, resetState, 0)
    }

    free(): void {
        if (this.decoder === 0) return
        this.lib._oc_destroy_decoder(this.decoder)
        this.decoder = 0
        alive--
    }

    private run(packet: Uint8Array, at: number, bytes: number, to: Int16Array, count: number, repair: boolean): number {
        const { lib } = this
        const heap = lib.HEAPU8
        for (let i = 0; i < bytes; i++) heap[packetAt + i] = packet[at + i]!
        return this.take(lib._oc_decode(this.decoder, packetAt, bytes, soundAt, count, repair ? 1 : 0), to)
    }

    private take(count: number, samples: Int16Array): number {
        const heap = this.lib.HEAP16
        const sound = soundAt >> 1
        for (let i = 0; i < count; i++) samples[i] = heap[sound + i]!
        return Math.max(0, count)
    }
}

function isSilence(packet: Uint8Array, offset: number, bytes: number): boolean {
    if (bytes !== silence.length) return false
    for (let i = 0; i < bytes; i++) if (packet[offset + i] !== silence[i]) return false
    return true
}

/** RFC 6716, section 3.1: lengths of a frame in samples at 16 kHz, by the configuration number. */
function frameSamplesOf(configuration: number): number {
    if (configuration < 12) return (configuration & 3) === 3 ? 960 : 160 << (configuration & 3)
    return configuration < 16 ? 160 << (configuration & 1) : 40 << (configuration & 3)
}

/** RFC 6716, section 3.2. */
function framesOf(packet: Uint8Array, offset: number, bytes: number): number {
    const code = packet[offset]! & 3
    if (code < 3) return code === 0 ? 1 : 2
    return bytes > 1 ? packet[offset + 1]! & 0x3f : 0
}

function samplesOf(packet: Uint8Array, offset: number, bytes: number): number {
    if (bytes < 1 || bytes > payloadBytesMax) return 0
    const samples = frameSamplesOf(packet[offset]! >> 3) * framesOf(packet, offset, bytes)
    return samples > samplesMax ? 0 : samples
}

/** Whether it holds the frame before it once more (RFC 6716, section 4.2.4): the bit after those of voice activity. */
function carriesRepair(packet: Uint8Array, offset: number, bytes: number): boolean {
    const head = packet[offset]!
    // One mono frame of at most 20 ms, and not of the mode that has no such thing: what else there is, is concealed.
    if (bytes < 2 || (head & 7) !== 0 || head >> 3 >= 16 || frameSamplesOf(head >> 3) > frameSamples) return false
    return (packet[offset + 1]! & 0x40) !== 0
}

export const opus: Codec = {
    name: "opus",
    payloadType: opusPayloadType,
    clockRate: 48000,
    framesMs: [20],
    payloadBytesMax,
    get silence() {
        return silence
    },
    isFixedSize: false,
    canRepair: true,
    samplesOf,
    createEncoder() {
        const lib = libopus()
        if (alive >= opusLimits.streams) return undefined
        const encoder = lib._oc_create_encoder(rate, 1, applicationAudio, soundAt)
        if (encoder === 0) return undefined
        alive++
        for (const [request, value] of [
            [setBitrate, opusSettings.bitsPerSecond],
            [setBandwidth, bandwidthWide],
            [setComplexity, opusSettings.complexity],
            [setSignal, signalVoice],
            [setInBandFec, 1],
            [setPacketLossPercent, unknownLossPercent],
            [setDtx, 0],
        ] as const)
            lib._oc_encoder_ctl(encoder, request, value)
        return new OpusEncoder(lib, encoder)
    },
    createDecoder() {
        const lib = libopus()
        if (alive >= opusLimits.streams) return undefined
        const decoder = lib._oc_create_decoder(rate, 1, soundAt)
        if (decoder === 0) return undefined
        alive++
        return new OpusDecoder(lib, decoder)
    },
}
