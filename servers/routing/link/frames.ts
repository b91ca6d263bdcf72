/**
 * Control messages as bytes: frames cut out of a stream, and CBOR that is safe to decode.
 *
 * Owns the limits of size, depth and form. Never looks at what a message means. The form is checked before the decoder
 * sees it, because a general CBOR decoder allocates what a few hostile bytes announce (a list of 100 million) and knows
 * tags that make regular expressions, errors and shared references.
 */

import { Decoder, Encoder } from "cbor-x"
import { linkLimits } from "../../../protocol/link.ts"

const headBytes = 4
const encoder = new Encoder({ useRecords: false, variableMapSize: true, tagUint8Array: false })
const decoder = new Decoder({ useRecords: false, mapsAsObjects: true })

/** Frame of one message, or undefined when it would be over the limit. */
export function frame(message: object): Buffer | undefined {
    const body = encoder.encode(message)
    if (body.length > linkLimits.controlFrameBytes) return undefined
    const framed = Buffer.allocUnsafe(headBytes + body.length)
    framed.writeUInt32BE(body.length, 0)
    body.copy(framed, headBytes)
    return framed
}

/** The message in a frame's body, or undefined when it is not a well-formed map. */
export function parse(body: Buffer): Record<string, unknown> | undefined {
    if (body.length === 0 || body[0] >> 5 !== 5) return undefined
    if (itemEnd(body, 0, 0) !== body.length) return undefined
    try {
        const message: unknown = decoder.decode(body)
        return typeof message === "object" && message !== null ? (message as Record<string, unknown>) : undefined
    } catch {
        return undefined
    }
}

/**
 * Where the data item at `at` ends, or -1 when it is not in our subset of RFC 8949: definite lengths, map keys are
 * texts, no tags, no more items announced than bytes are left, limited depth.
 */
function itemEnd(body: Buffer, at: number, depth: number): number {
    if (at >= body.length || depth > linkLimits.controlDepth) return -1
    const major = body[at] >> 5
    const minor = body[at] & 31
    const extra = minor < 24 ? 0 : minor < 28 ? 1 << (minor - 24) : -1
    if (extra < 0 || at + 1 + extra > body.length) return -1
    const start = at + 1 + extra
    if (major === 7) return minor === 24 ? -1 : start
    if (major === 6) return -1
    if (major < 2) return start
    const count =
        extra === 0 ? minor : extra === 8 ? Number(body.readBigUInt64BE(at + 1)) : body.readUIntBE(at + 1, extra)
    if (count > body.length - start) return -1
    if (major < 4) return start + count
    let end = start
    for (let i = 0; i < count && end >= 0; i++) {
        if (major === 5) {
            if (body[end] >> 5 !== 3) return -1
            end = itemEnd(body, end, depth + 1)
            if (end < 0) return -1
        }
        end = itemEnd(body, end, depth + 1)
    }
    return end
}

/** Cuts frames out of a stream of chunks. After the first frame over the limit it stays broken. */
export class FrameReader {
    #kept: Buffer[] = []
    #keptBytes = 0
    /** Bytes of the present frame with its head, once the head is here. */
    #wanted = headBytes
    #inHead = true
    broken = false

    /** Calls `take` with each whole frame's body in order. */
    push(chunk: Buffer, take: (body: Buffer) => void): void {
        if (this.broken) return
        this.#kept.push(chunk)
        this.#keptBytes += chunk.length
        while (!this.broken && this.#keptBytes >= this.#wanted) {
            const all = this.#kept.length === 1 ? this.#kept[0] : Buffer.concat(this.#kept, this.#keptBytes)
            const part = all.subarray(0, this.#wanted)
            const rest = all.subarray(this.#wanted)
            this.#kept = rest.length > 0 ? [rest] : []
            this.#keptBytes = rest.length
            if (this.#inHead) {
                this.#wanted = part.readUInt32BE(0)
                this.broken = this.#wanted > linkLimits.controlFrameBytes || this.#wanted === 0
            } else {
                this.#wanted = headBytes
                take(part)
            }
            this.#inHead = !this.#inHead
        }
    }
}
