/**
 * HMAC-SHA-1 (RFC 2104, FIPS 180-4) of one short message.
 *
 * AssemblyScript. Owns the arithmetic; `../hmac-sha1.ts` owns the keys and says what it is for. Knows a key by the two states
 * that SHA-1 is in after the key's two blocks.
 */

const blockBytes: i32 = 64
const digestBytes: i32 = 20

/** Longest message. Its padding is written behind it. */
export const messageBytesMax: i32 = 2048
export const messageAt: usize = memory.data(messageBytesMax + 2 * blockBytes, 16)
/** Inner and outer state of the key, five words each. */
export const statesAt: usize = memory.data(40, 16)
/** The code, once it is made, and room for its own padding. */
export const digestAt: usize = memory.data(blockBytes, 16)
const running: usize = memory.data(20, 16)
const startState: usize = memory.data<u32>([0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0])
const schedule: usize = memory.data(80 * 4, 16)

/** Makes the states of the key at `messageAt`, 64 bytes with the zeros behind it, which is overwritten. */
export function hmacSha1Key(): void {
    turn(0x36363636)
    memory.copy(running, startState, 20)
    compress(messageAt)
    memory.copy(statesAt, running, 20)
    turn(0x36363636 ^ 0x5c5c5c5c)
    memory.copy(running, startState, 20)
    compress(messageAt)
    memory.copy(statesAt + 20, running, 20)
}

function turn(mask: u32): void {
    for (let i = 0; i < blockBytes; i += 4) store<u32>(messageAt + i, load<u32>(messageAt + i) ^ mask)
}

/** Makes the code of the first `bytes` at `messageAt`. What stands behind them is overwritten. */
export function hmacSha1(bytes: i32): void {
    memory.copy(running, statesAt, 20)
    const end = pad(messageAt, bytes)
    for (let at = messageAt; at < end; at += blockBytes) compress(at)
    for (let i = 0; i < digestBytes; i += 4) store<u32>(digestAt + i, bswap<u32>(load<u32>(running + i)))
    memory.copy(running, statesAt + 20, 20)
    pad(digestAt, digestBytes)
    compress(digestAt)
    for (let i = 0; i < digestBytes; i += 4) store<u32>(digestAt + i, bswap<u32>(load<u32>(running + i)))
}

/** The end mark and the length in bits, that of the key's block with it, behind `bytes` at `at`. Returns where the last block ends. */
function pad(at: usize, bytes: i32): usize {
    const end = at + ((bytes + 8) / blockBytes + 1) * blockBytes
    memory.fill(at + bytes, 0, end - at - bytes)
    store<u8>(at + bytes, 0x80)
    store<u32>(end - 4, bswap<u32>((blockBytes + bytes) * 8))
    return end
}

function compress(block: usize): void {
    for (let i = 0; i < 64; i += 4) store<u32>(schedule + i, bswap<u32>(load<u32>(block + i)))
    for (let i = 64; i < 320; i += 4) {
        const at = schedule + i
        const mixed = load<u32>(at - 12) ^ load<u32>(at - 32) ^ load<u32>(at - 56) ^ load<u32>(at - 64)
        store<u32>(at, rotl<u32>(mixed, 1))
    }
    let a = load<u32>(running)
    let b = load<u32>(running, 4)
    let c = load<u32>(running, 8)
    let d = load<u32>(running, 12)
    let e = load<u32>(running, 16)
    for (let i = 0; i < 80; i += 20) {
        const at = schedule + i
        e += load<u32>(at) + 0x5a827999 + ((b & c) | (~b & d))
        e += rotl<u32>(a, 5)
        b = rotl<u32>(b, 30)
        d += load<u32>(at, 4) + 0x5a827999 + ((a & b) | (~a & c))
        d += rotl<u32>(e, 5)
        a = rotl<u32>(a, 30)
        c += load<u32>(at, 8) + 0x5a827999 + ((e & a) | (~e & b))
        c += rotl<u32>(d, 5)
        e = rotl<u32>(e, 30)
        b += load<u32>(at, 12) + 0x5a827999 + ((d & e) | (~d & a))
        b += rotl<u32>(c, 5)
        d = rotl<u32>(d, 30)
        a += load<u32>(at, 16) + 0x5a827999 + ((c & d) | (~c & e))
        a += rotl<u32>(b, 5)
        c = rotl<u32>(c, 30)
    }
    for (let i = 80; i < 160; i += 20) {
        const at = schedule + i
        e += load<u32>(at) + 0x6ed9eba1 + (b ^ c ^ d)
        e += rotl<u32>(a, 5)
        b = rotl<u32>(b, 30)
        d += load<u32>(at, 4) + 0x6ed9eba1 + (a ^ b ^ c)
        d += rotl<u32>(e, 5)
        a = rotl<u32>(a, 30)
        c += load<u32>(at, 8) + 0x6ed9eba1 + (e ^ a ^ b)
        c += rotl<u32>(d, 5)
        e = rotl<u32>(e, 30)
        b += load<u32>(at, 12) + 0x6ed9eba1 + (d ^ e ^ a)
        b += rotl<u32>(c, 5)
        d = rotl<u32>(d, 30)
        a += load<u32>(at, 16) + 0x6ed9eba1 + (c ^ d ^ e)
        a += rotl<u32>(b, 5)
        c = rotl<u32>(c, 30)
    }
    for (let i = 160; i < 240; i += 20) {
        const at = schedule + i
        e += load<u32>(at) + 0x8f1bbcdc + ((b & c) | (b & d) | (c & d))
        e += rotl<u32>(a, 5)
        b = rotl<u32>(b, 30)
        d += load<u32>(at, 4) + 0x8f1bbcdc + ((a & b) | (a & c) | (b & c))
        d += rotl<u32>(e, 5)
        a = rotl<u32>(a, 30)
        c += load<u32>(at, 8) + 0x8f1bbcdc + ((e & a) | (e & b) | (a & b))
        c += rotl<u32>(d, 5)
        e = rotl<u32>(e, 30)
        b += load<u32>(at, 12) + 0x8f1bbcdc + ((d & e) | (d & a) | (e & a))
        b += rotl<u32>(c, 5)
        d = rotl<u32>(d, 30)
        a += load<u32>(at, 16) + 0x8f1bbcdc + ((c & d) | (c & e) | (d & e))
        a += rotl<u32>(b, 5)
        c = rotl<u32>(c, 30)
    }
    for (let i = 240; i < 320; i += 20) {
        const at = schedule + i
        e += load<u32>(at) + 0xca62c1d6 + (b ^ c ^ d)
        e += rotl<u32>(a, 5)
        b = rotl<u32>(b, 30)
        d += load<u32>(at, 4) + 0xca62c1d6 + (a ^ b ^ c)
        d += rotl<u32>(e, 5)
        a = rotl<u32>(a, 30)
        c += load<u32>(at, 8) + 0xca62c1d6 + (e ^ a ^ b)
        c += rotl<u32>(d, 5)
        e = rotl<u32>(e, 30)
        b += load<u32>(at, 12) + 0xca62c1d6 + (d ^ e ^ a)
        b += rotl<u32>(c, 5)
        d = rotl<u32>(d, 30)
        a += load<u32>(at, 16) + 0xca62c1d6 + (c ^ d ^ e)
        a += rotl<u32>(b, 5)
        c = rotl<u32>(c, 30)
    }
    store<u32>(running, load<u32>(running) + a)
    store<u32>(running, load<u32>(running, 4) + b, 4)
    store<u32>(running, load<u32>(running, 8) + c, 8)
    store<u32>(running, load<u32>(running, 12) + d, 12)
    store<u32>(running, load<u32>(running, 16) + e, 16)
}
