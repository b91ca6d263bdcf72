/**
 * WAV files in: PCM of 8, 16, 24 and 32 bits and float of 32 and 64, of one channel or more, to 16-bit mono at one rate.
 *
 * Owns the format. Never trusts a length in the file: everything is checked against what is there, and a file that a killed
 * writer left behind is read as far as it goes. Writing is in `wav-writer.ts`.
 */

import { open } from "node:fs/promises"
import { failure, type Outcome, success } from "./outcome.ts"
import { resample } from "./resample.ts"

export const wavLimits = { fileBytes: 128 * 1024 * 1024, seconds: 600, rateMin: 4000, rateMax: 192000, channels: 8 }

export type WavRefusal = "not-wav" | "unsupported" | "too-large"
export type WavFileRefusal = WavRefusal | "not-found" | "not-readable"

export interface Wav {
    rate: number
    samples: Int16Array
    /** What the file had. */
    source: { rate: number; channels: number; bits: number; float: boolean }
}

interface Format {
    rate: number
    channels: number
    bits: number
    float: boolean
}

const formatPcm = 1
const formatFloat = 3
const formatExtensible = 0xfffe

/** Reads the WAV file at `path` as 16-bit mono at `rate`. */
export async function loadWav(path: string, rate: number): Promise<Outcome<Wav, WavFileRefusal>> {
    try {
        const file = await open(path, "r")
        try {
            const status = await file.stat()
            if (!status.isFile()) return failure("not-readable", `${path} is not a file`, "you")
            if (status.size > wavLimits.fileBytes)
                return failure(
                    "too-large",
                    `${path} has ${status.size} bytes; at most ${wavLimits.fileBytes} are read`,
                    "you",
                )
            const result = parseWav(await file.readFile(), rate)
            return result.ok ? result : { ...result, what: `${path}: ${result.what}` }
        } finally {
            await file.close()
        }
    } catch (error) {
        const code = (error as NodeJS.ErrnoException).code
        if (code === "ENOENT") return failure("not-found", `there is no file ${path}`, "you")
        return failure("not-readable", `cannot read ${path}: ${code ?? (error as Error).message}`, "you")
    }
}

/** The sound in the bytes of a WAV file, as 16-bit mono at `rate`. */
export function parseWav(bytes: Buffer, rate: number): Outcome<Wav, WavRefusal> {
    if (bytes.length < 12 || bytes.toString("latin1", 0, 4) !== "RIFF" || bytes.toString("latin1", 8, 12) !== "WAVE")
        return failure("not-wav", "not a WAV file: it does not begin with RIFF ... WAVE", "you")
    let format: Format | undefined
    let at = 12
    while (at + 8 <= bytes.length) {
        const name = bytes.toString("latin1", at, at + 4)
        const declared = bytes.readUInt32LE(at + 4)
        const start = at + 8
        const end = Math.min(bytes.length, start + declared)
        if (name === "fmt ") {
            const read = readFormat(bytes.subarray(start, end))
            if (!read.ok) return read
            format = read.value
        } else if (name === "data") {
            if (!format) return failure("not-wav", "its data come before its format", "you")
            // Length 0 or all ones: the writer was killed, or wrote to a pipe. The rest of the file is sound.
            const untold = declared === 0 || declared === 0xffffffff
            return readData(bytes.subarray(start, untold ? bytes.length : end), format, rate)
        }
        at = start + declared + (declared & 1)
    }
    return failure("not-wav", format ? "it has no data" : "it has no format", "you")
}

function readFormat(chunk: Buffer): Outcome<Format, WavRefusal> {
    if (chunk.length < 16) return failure("not-wav", "its format is cut short", "you")
    let tag = chunk.readUInt16LE(0)
    if (tag === formatExtensible && chunk.length >= 26) tag = chunk.readUInt16LE(24)
    const channels = chunk.readUInt16LE(2)
    const rate = chunk.readUInt32LE(4)
    const bits = chunk.readUInt16LE(14)
    if (tag !== formatPcm && tag !== formatFloat)
        return failure("unsupported", `format ${tag} is compressed; save it as PCM`, "you")
    const float = tag === formatFloat
    if (!(float ? [32, 64] : [8, 16, 24, 32]).includes(bits))
        return failure("unsupported", `${bits} bits a sample; 8, 16, 24, 32 or float are read`, "you")
    if (channels < 1 || channels > wavLimits.channels)
        return failure("unsupported", `${channels} channels; 1 to ${wavLimits.channels} are read`, "you")
    if (rate < wavLimits.rateMin || rate > wavLimits.rateMax)
        return failure(
            "unsupported",
            `${rate} samples a second; ${wavLimits.rateMin} to ${wavLimits.rateMax} are read`,
            "you",
        )
    return success({ rate, channels, bits, float })
}

function readData(data: Buffer, format: Format, rate: number): Outcome<Wav, WavRefusal> {
    const sampleBytes = format.bits / 8
    const frames = Math.floor(data.length / (sampleBytes * format.channels))
    if (frames > wavLimits.seconds * format.rate)
        return failure("too-large", `it is longer than ${wavLimits.seconds} s`, "you")
    const mono = new Float32Array(frames)
    const read = sampleReader(data, format)
    for (let frame = 0; frame < frames; frame++) {
        let sum = 0
        for (let channel = 0; channel < format.channels; channel++)
            sum += read((frame * format.channels + channel) * sampleBytes)
        mono[frame] = sum / format.channels
    }
    const wanted = resample(mono, format.rate, rate)
    const samples = new Int16Array(wanted.length)
    for (let i = 0; i < wanted.length; i++) {
        const value = wanted[i]!
        samples[i] = Number.isFinite(value) ? Math.round(Math.max(-32768, Math.min(32767, value * 32768))) : 0
    }
    return success({ rate, samples, source: { ...format } })
}

/** Reads one sample at a byte offset as -1..1. */
function sampleReader(data: Buffer, format: Format): (offset: number) => number {
    if (format.float) return format.bits === 32 ? at => data.readFloatLE(at) : at => data.readDoubleLE(at)
    switch (format.bits) {
        case 8:
            return at => (data[at]! - 128) / 128
        case 16:
            return at => data.readInt16LE(at) / 32768
        case 24:
            return at => data.readIntLE(at, 3) / 8388608
        default:
            return at => data.readInt32LE(at) / 2147483648
    }
}
