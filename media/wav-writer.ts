/**
 * WAV files out, 16-bit mono, written while the sound comes.
 *
 * Owns the file. The header on disk is right after every second, so that a kill leaves a valid file; nothing waits for the
 * disk while sound comes, and a disk that cannot follow loses sound (counted), never memory.
 */

import { type FileHandle, open } from "node:fs/promises"
import { failure, type Outcome, success } from "./outcome.ts"

export const wavHeaderBytes = 44
/** Longest file: WAV lengths have 32 bits; 2 GB is 18 h at 16 kHz. */
const dataBytesMax = 0x7fffff00
/** Sound that may wait for the disk. */
const waitingSeconds = 10

export function wavHeader(rate: number, dataBytes: number): Buffer {
    const header = Buffer.alloc(wavHeaderBytes)
    header.write("RIFF", 0, "latin1")
    header.writeUInt32LE(36 + dataBytes, 4)
    header.write("WAVEfmt ", 8, "latin1")
    header.writeUInt32LE(16, 16)
    header.writeUInt16LE(1, 20)
    header.writeUInt16LE(1, 22)
    header.writeUInt32LE(rate, 24)
    header.writeUInt32LE(rate * 2, 28)
    header.writeUInt16LE(2, 32)
    header.writeUInt16LE(16, 34)
    header.write("data", 36, "latin1")
    header.writeUInt32LE(dataBytes, 40)
    return header
}

/** A whole WAV file of `samples`. */
export function wavBytes(rate: number, samples: Int16Array): Buffer {
    const bytes = Buffer.alloc(wavHeaderBytes + samples.length * 2)
    wavHeader(rate, samples.length * 2).copy(bytes)
    for (let i = 0; i < samples.length; i++) bytes.writeInt16LE(samples[i]!, wavHeaderBytes + i * 2)
    return bytes
}

export class WavWriter {
    /** Sound that the disk was too slow for, or that the file could not hold. */
    lostSamples = 0
    private chunk: Buffer
    private filled = 0
    private writtenBytes = 0
    private waitingBytes = 0
    private work: Promise<void> = Promise.resolve()
    private broken: string | undefined

    private constructor(
        private readonly file: FileHandle,
        private readonly rate: number,
    ) {
        this.chunk = Buffer.alloc(rate * 2)
    }

    /** `isNew`: readable by its owner only, and it fails where there is a file already. */
    static async create(path: string, rate: number, isNew = false): Promise<Outcome<WavWriter, "not-writable">> {
        try {
            const file = isNew ? await open(path, "wx", 0o600) : await open(path, "w")
            await file.write(wavHeader(rate, 0), 0, wavHeaderBytes, 0)
            return success(new WavWriter(file, rate))
        } catch (error) {
            const code = (error as NodeJS.ErrnoException).code
            return failure("not-writable", `cannot write ${path}: ${code ?? (error as Error).message}`, "you")
        }
    }

    /** Takes `count` samples. Returns at once. */
    write(samples: Int16Array, count = samples.length): void {
        for (let i = 0; i < count; i++) {
            this.chunk.writeInt16LE(samples[i]!, this.filled)
            this.filled += 2
            if (this.filled === this.chunk.length) this.flush()
        }
    }

    /** Writes what is left and closes the file. */
    async close(): Promise<Outcome<{ samples: number }, "not-writable">> {
        this.flush()
        await this.work
        await this.file.close().catch(() => {})
        if (this.broken) return failure("not-writable", this.broken, "you")
        return success({ samples: this.writtenBytes / 2 })
    }

    private flush(): void {
        if (this.filled === 0) return
        const bytes = this.chunk.subarray(0, this.filled)
        this.filled = 0
        const full = this.writtenBytes + this.waitingBytes + bytes.length > dataBytesMax
        if (this.broken || full || this.waitingBytes > waitingSeconds * this.rate * 2) {
            this.lostSamples += bytes.length / 2
            return
        }
        this.chunk = Buffer.alloc(this.rate * 2)
        this.waitingBytes += bytes.length
        this.work = this.work.then(() => this.append(bytes))
    }

    private async append(bytes: Buffer): Promise<void> {
        try {
            await this.file.write(bytes, 0, bytes.length, wavHeaderBytes + this.writtenBytes)
            this.writtenBytes += bytes.length
            await this.file.write(wavHeader(this.rate, this.writtenBytes), 0, wavHeaderBytes, 0)
        } catch (error) {
            this.broken ??= `the recording was cut short: ${(error as Error).message}`
        }
        this.waitingBytes -= bytes.length
    }
}
