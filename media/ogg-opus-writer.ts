/**
 * Opus in Ogg (RFC 7845, RFC 3533), mono, written while the sound comes: a page a second.
 *
 * Owns the file and its encoder. Each page is whole by itself, so that a kill costs the last second and no more.
 */

import { randomInt } from "node:crypto"
import { type FileHandle, open } from "node:fs/promises"
import { crc32Ogg } from "./ogg-crc.ts"
import { opus } from "./opus.ts"
import { failure, type Outcome, success } from "./outcome.ts"

const frameSamples = 320
const framesPerPage = 50
/** Granules of a frame: Ogg counts Opus at 48 kHz whatever goes in. */
const frameGranules = 960
/** What the encoder looks ahead, in granules: a player leaves so much out at the start. */
const preSkip = 312
const headerBytes = 27
/** In a page. */
const segmentsMax = 255
const [flagFirst, flagLast] = [2, 4]
/** 24 h; then sound is lost, and counted. */
const framesMax = 24 * 3600 * 50
/** Pages that may wait for the disk. */
const waitingMax = 10

export class OggOpusWriter {
    lostSamples = 0
    private readonly frame = new Int16Array(frameSamples)
    private filled = 0
    private packets: Buffer[] = []
    /** Of the packets that wait. */
    private segments = 0
    private frames = 0
    private pages = 0
    private waiting = 0
    private writtenFrames = 0
    private work: Promise<void> = Promise.resolve()
    private broken: string | undefined
    private readonly serial = randomInt(2 ** 32)
    private readonly payload = new Uint8Array(opus.payloadBytesMax)

    private constructor(
        private readonly file: FileHandle,
        private readonly encoder: NonNullable<ReturnType<typeof opus.createEncoder>>,
    ) {}

    static async create(path: string): Promise<Outcome<OggOpusWriter, "not-writable">> {
        const encoder = opus.createEncoder()
        if (!encoder) return failure("not-writable", "no Opus encoder is free", "operator")
        try {
            const writer = new OggOpusWriter(await open(path, "wx", 0o600), encoder)
            writer.append(writer.page([headPacket()], 0, flagFirst), 0)
            writer.append(writer.page([tagsPacket()], 0, 0), 0)
            return success(writer)
        } catch (error) {
            encoder.free()
            const code = (error as NodeJS.ErrnoException).code
            return failure("not-writable", `cannot write ${path}: ${code ?? (error as Error).message}`, "operator")
        }
    }

    write(samples: Int16Array): void {
        for (let i = 0; i < samples.length; i++) {
            this.frame[this.filled++] = samples[i]!
            if (this.filled === frameSamples) this.encode()
        }
    }

    async close(): Promise<Outcome<{ samples: number }, "not-writable">> {
        if (this.filled > 0) {
            this.frame.fill(0, this.filled)
            this.encode()
        }
        this.flush(flagLast)
        this.encoder.free()
        await this.work
        await this.file.close().catch(() => {})
        if (this.broken) return failure("not-writable", this.broken, "operator")
        return success({ samples: this.writtenFrames * frameSamples })
    }

    private encode(): void {
        this.filled = 0
        if (this.frames >= framesMax) {
            this.lostSamples += frameSamples
            return
        }
        const bytes = this.encoder.encode(this.frame, frameSamples, this.payload, 0)
        this.packets.push(Buffer.from(this.payload.subarray(0, bytes)))
        this.frames++
        this.segments += segmentsOf(bytes)
        if (this.packets.length === framesPerPage || this.segments > segmentsMax - segmentsOf(opus.payloadBytesMax))
            this.flush(0)
    }

    private flush(flags: number): void {
        const { packets } = this
        this.packets = []
        this.segments = 0
        if (packets.length === 0 && flags !== flagLast) return
        if (this.broken || this.waiting >= waitingMax) {
            this.lostSamples += packets.length * frameSamples
            return
        }
        this.append(this.page(packets, this.frames * frameGranules, flags), packets.length)
    }

    private append(page: Buffer, frames: number): void {
        this.waiting++
        this.work = this.work.then(async () => {
            try {
                if (!this.broken) await this.file.appendFile(page)
                this.writtenFrames += frames
            } catch (error) {
                this.broken ??= `the recording was cut short: ${(error as Error).message}`
            }
            this.waiting--
        })
    }

    /** RFC 3533, section 6. Pages hold whole packets only. */
    private page(packets: readonly Buffer[], granule: number, flags: number): Buffer {
        const lacing = packets.flatMap(({ length }) => [
            ...Array.from({ length: Math.floor(length / 255) }, () => 255),
            length % 255,
        ])
        const header = Buffer.alloc(headerBytes + lacing.length)
        header.write("OggS", 0, "latin1")
        header[5] = flags
        header.writeBigUInt64LE(BigInt(granule), 6)
        header.writeUInt32LE(this.serial, 14)
        header.writeUInt32LE(this.pages++, 18)
        header[26] = lacing.length
        for (let i = 0; i < lacing.length; i++) header[headerBytes + i] = lacing[i]!
        const page = Buffer.concat([header, ...packets])
        page.writeUInt32LE(crc32Ogg(page), 22)
        return page
    }
}

/** What a packet takes in the table of a page. */
function segmentsOf(bytes: number): number {
    return Math.floor(bytes / 255) + 1
}

/** RFC 7845, section 5.1. */
function headPacket(): Buffer {
    const head = Buffer.alloc(19)
    head.write("OpusHead", 0, "latin1")
    head[8] = 1
    head[9] = 1
    head.writeUInt16LE(preSkip, 10)
    head.writeUInt32LE(16_000, 12)
    return head
}

/** Section 5.2: who has made it, and no comments. */
function tagsPacket(): Buffer {
    const vendor = Buffer.from("parley", "latin1")
    const tags = Buffer.alloc(8 + 4 + vendor.length + 4)
    tags.write("OpusTags", 0, "latin1")
    tags.writeUInt32LE(vendor.length, 8)
    vendor.copy(tags, 12)
    return tags
}
