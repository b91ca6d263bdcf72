/**
 * Jacdac frames on a serial line, as a board's USB port carries them, both ways.
 *
 *     FE FC <frame, each FE in it as FE F8> FE FD      what stands outside is the board's log, as lines of text
 *
 * Owns the bytes: escapes, checks of length and checksum, finding the next frame after damage. Never interprets a frame.
 */

import { jacdac } from "./jacdac.ts"

const magic = 0xfe
const literal = 0xf8
const reserved = 0xf9
const serialGap = 0xfa
const frameGap = 0xfb
const frameStart = 0xfc
const frameEnd = 0xfd
const headerBytes = 12
/** Header and what its size byte can tell. */
const frameBytesMax = headerBytes + 255
/** Longer lines of the log are cut here. */
const lineBytesMax = 1024

/** A whole frame as it goes over the line. */
export function toLine(frame: Uint8Array): Buffer {
    let escapes = 0
    for (const byte of frame) if (byte === magic) escapes++
    const line = Buffer.alloc(frame.length + escapes + 4)
    let at = line.writeUInt16BE((magic << 8) | frameStart, 0)
    for (const byte of frame) {
        line[at++] = byte
        if (byte === magic) line[at++] = literal
    }
    line[at] = magic
    line[at + 1] = frameEnd
    return line
}

/** The checksum of a frame, written into it; the same frame. */
export function sealed(frame: Buffer): Buffer {
    frame.writeUInt16LE(jacdac.crc(frame.subarray(2)), 0)
    return frame
}

export interface LineHandlers {
    frame(frame: Buffer): void
    /** A line of the log, without its end and without colours. */
    log?(line: string): void
}

export class LineReader {
    /** Frames and bytes that were thrown away: damaged, too long, cut off. */
    damaged = 0
    private readonly handlers: LineHandlers
    private readonly frame = Buffer.alloc(frameBytesMax)
    private frameLength = -1
    private escaped = false
    private text: number[] = []

    constructor(handlers: LineHandlers) {
        this.handlers = handlers
    }

    /** What came over the line, in pieces of any size. */
    push(bytes: Uint8Array): void {
        for (const byte of bytes) {
            if (this.escaped) this.takeEscape(byte)
            else if (byte === magic) this.escaped = true
            else this.take(byte)
        }
    }

    private takeEscape(byte: number): void {
        // A doubled FE is damage; the second one may begin an escape.
        this.escaped = byte === magic
        switch (byte) {
            case literal:
                this.take(magic)
                break
            case frameStart:
                if (this.frameLength > 0) this.damaged++
                this.frameLength = 0
                break
            case frameEnd:
                this.end()
                break
            case serialGap:
            case frameGap:
            case reserved:
                break
            default:
                this.giveUp()
        }
    }

    private take(byte: number): void {
        if (this.frameLength < 0) this.takeText(byte)
        else if (this.frameLength < frameBytesMax) this.frame[this.frameLength++] = byte
        else this.giveUp()
    }

    private takeText(byte: number): void {
        // Hosts pad what they write with zeros.
        if (byte === 0 || byte === 13) return
        if (byte !== 10 && this.text.length < lineBytesMax) {
            this.text.push(byte)
            return
        }
        if (byte !== 10) return
        const line = Buffer.from(this.text).toString("utf8")
        this.text = []
        // biome-ignore lint/suspicious/noControlCharactersInRegex: colours of a terminal begin with one.
        if (line !== "") this.handlers.log?.(line.replace(/\u001b\[[0-9;]*m/g, ""))
    }

    private end(): void {
        const length = this.frameLength
        this.frameLength = -1
        if (length < headerBytes || length < headerBytes + this.frame[2]!) {
            if (length >= 0) this.damaged++
            return
        }
        const frame = Buffer.from(this.frame.subarray(0, headerBytes + this.frame[2]!))
        if (jacdac.crc(frame.subarray(2)) === frame.readUInt16LE(0)) this.handlers.frame(frame)
        else this.damaged++
    }

    private giveUp(): void {
        this.damaged++
        this.frameLength = -1
    }
}
