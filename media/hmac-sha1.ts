/**
 * HMAC-SHA-1 of short messages, for SRTP: half of node:crypto's time at a packet's size, as no object is made for each.
 *
 * Owns the two states that the key leads to, and scratch space. Never compares tags, never used for anything but SRTP, whose
 * standard profile prescribes it (RFC 3711). The tests hold it against node:crypto.
 */

const blockBytes = 64
const stateWords = 5
const startState = Uint32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0)

const schedule = new Int32Array(80)
const tail = new Uint8Array(2 * blockBytes)
const running = new Uint32Array(stateWords)
const digest = new Uint8Array(20)

export class HmacSha1 {
    private readonly inner = Uint32Array.from(startState)
    private readonly outer = Uint32Array.from(startState)

    /** `key`: at most 64 bytes. */
    constructor(key: Uint8Array) {
        const block = new Uint8Array(blockBytes)
        for (const [pad, state] of [
            [0x36, this.inner],
            [0x5c, this.outer],
        ] as const) {
            for (let i = 0; i < blockBytes; i++) block[i] = (key[i] ?? 0) ^ pad
            compress(state, block, 0)
        }
    }

    /**
     * The code of the first `bytes` of `message` followed by the 32-bit `suffix` in network order (undefined: nothing follows).
     * The 20 bytes that are returned are written again by the next call of any instance.
     */
    of(message: Uint8Array, bytes: number, suffix?: number): Uint8Array {
        running.set(this.inner)
        let at = 0
        for (; at + blockBytes <= bytes; at += blockBytes) compress(running, message, at)
        let filled = 0
        for (; at < bytes; at++) tail[filled++] = message[at]!
        if (suffix !== undefined) {
            write32(tail, filled, suffix)
            filled += 4
        }
        finish(running, filled, blockBytes + bytes + (suffix === undefined ? 0 : 4))
        for (let i = 0; i < stateWords; i++) write32(tail, i * 4, running[i]!)
        running.set(this.outer)
        finish(running, digest.length, blockBytes + digest.length)
        for (let i = 0; i < stateWords; i++) write32(digest, i * 4, running[i]!)
        return digest
    }
}

/** The last one or two blocks: what `tail` holds, the end mark and the length in bits. */
function finish(state: Uint32Array, filled: number, totalBytes: number): void {
    const end = filled + 9 <= blockBytes ? blockBytes : 2 * blockBytes
    tail[filled] = 0x80
    tail.fill(0, filled + 1, end - 4)
    write32(tail, end - 4, totalBytes * 8)
    compress(state, tail, 0)
    if (end > blockBytes) compress(state, tail, blockBytes)
}

function compress(state: Uint32Array, bytes: Uint8Array, offset: number): void {
    const w = schedule
    for (let i = 0, at = offset; i < 16; i++, at += 4)
        w[i] = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
    for (let i = 16; i < 80; i++) {
        const mixed = w[i - 3]! ^ w[i - 8]! ^ w[i - 14]! ^ w[i - 16]!
        w[i] = (mixed << 1) | (mixed >>> 31)
    }
    let a = state[0]! | 0
    let b = state[1]! | 0
    let c = state[2]! | 0
    let d = state[3]! | 0
    let e = state[4]! | 0
    let next = 0
    for (let i = 0; i < 20; i++) {
        next = (((a << 5) | (a >>> 27)) + ((b & c) | (~b & d)) + e + 0x5a827999 + w[i]!) | 0
        e = d
        d = c
        c = (b << 30) | (b >>> 2)
        b = a
        a = next
    }
    for (let i = 20; i < 40; i++) {
        next = (((a << 5) | (a >>> 27)) + (b ^ c ^ d) + e + 0x6ed9eba1 + w[i]!) | 0
        e = d
        d = c
        c = (b << 30) | (b >>> 2)
        b = a
        a = next
    }
    for (let i = 40; i < 60; i++) {
        next = (((a << 5) | (a >>> 27)) + ((b & c) | (b & d) | (c & d)) + e + 0x8f1bbcdc + w[i]!) | 0
        e = d
        d = c
        c = (b << 30) | (b >>> 2)
        b = a
        a = next
    }
    for (let i = 60; i < 80; i++) {
        next = (((a << 5) | (a >>> 27)) + (b ^ c ^ d) + e + 0xca62c1d6 + w[i]!) | 0
        e = d
        d = c
        c = (b << 30) | (b >>> 2)
        b = a
        a = next
    }
    state[0]! += a
    state[1]! += b
    state[2]! += c
    state[3]! += d
    state[4]! += e
}

function write32(bytes: Uint8Array, at: number, value: number): void {
    bytes[at] = value >>> 24
    bytes[at + 1] = value >>> 16
    bytes[at + 2] = value >>> 8
    bytes[at + 3] = value
}
