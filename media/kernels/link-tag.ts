/**
 * The tag of AEAD_CHACHA20_POLY1305 (RFC 8439) over data that is authenticated and not encrypted: node:crypto spends three
 * microseconds to set a cipher or an HMAC up for 200 bytes that take a tenth of that.
 *
 * AssemblyScript. Owns the arithmetic; `servers/routing/link/tag.ts` says what it is for. The nonce are the first 12 bytes of the
 * data. Runs in time that depends on the length only.
 */

const tagBytes: i32 = 16

/** Longest datagram, its tag with it. */
export const datagramBytesMax: i32 = 2048
/** 32 bytes. */
export const keyAt: usize = memory.data(32, 16)
export const datagramAt: usize = memory.data(datagramBytesMax + 2 * tagBytes, 16)
/** First 32 bytes of ChaCha20's block 0 under the key and the nonce: what Poly1305 multiplies with, and what it adds. */
const oneTimeKey: usize = memory.data(32, 16)
const lengths: usize = memory.data(16, 16)

/** Writes the tag of the first `bytes` at `datagramAt` behind them. Returns whether it stood there already. */
export function tagDatagram(bytes: i32): bool {
    makeOneTimeKey()
    const end = datagramAt + bytes
    const low = load<u64>(end)
    const high = load<u64>(end, 8)
    // All blocks are whole: the data is padded with zeros, then come the length of it and that of what is encrypted, none.
    memory.fill(end, 0, tagBytes)
    store<u64>(lengths, bytes)
    authenticate(end)
    return ((low ^ load<u64>(end)) | (high ^ load<u64>(end, 8))) === 0
}

/** RFC 8439, 2.3 and 2.6: four words at a time. */
function makeOneTimeKey(): void {
    const constants = i32x4(0x61707865, 0x3320646e, 0x79622d32, 0x6b206574)
    const keyLow = v128.load(keyAt)
    let a = constants
    let b = keyLow
    let c = v128.load(keyAt, 16)
    // The block's number, 0, and the nonce.
    let d = i32x4.shuffle(i32x4.splat(0), v128.load(datagramAt), 0, 4, 5, 6)
    for (let round = 0; round < 20; round++) {
        a = i32x4.add(a, b)
        d = turned(v128.xor(d, a), 16)
        c = i32x4.add(c, d)
        b = turned(v128.xor(b, c), 12)
        a = i32x4.add(a, b)
        d = turned(v128.xor(d, a), 8)
        c = i32x4.add(c, d)
        b = turned(v128.xor(b, c), 7)
        // Columns become diagonals, and columns again.
        if ((round & 1) === 0) {
            b = i32x4.shuffle(b, b, 1, 2, 3, 0)
            c = i32x4.shuffle(c, c, 2, 3, 0, 1)
            d = i32x4.shuffle(d, d, 3, 0, 1, 2)
        } else {
            b = i32x4.shuffle(b, b, 3, 0, 1, 2)
            c = i32x4.shuffle(c, c, 2, 3, 0, 1)
            d = i32x4.shuffle(d, d, 1, 2, 3, 0)
        }
    }
    v128.store(oneTimeKey, i32x4.add(a, constants))
    v128.store(oneTimeKey, i32x4.add(b, keyLow), 16)
}

function turned(words: v128, bits: i32): v128 {
    return v128.or(i32x4.shl(words, bits), i32x4.shr_u(words, 32 - bits))
}

const limb: u64 = 0x3ffffff

function limbAt(at: usize, shift: u32): u64 {
    return u64(load<u32>(at) >> shift) & limb
}

/** Poly1305 (RFC 8439, 2.5) of whole blocks from `datagramAt` to beyond `end`, and of the lengths, in limbs of 26 bits. The tag goes to `end`. */
function authenticate(end: usize): void {
    const r0 = limbAt(oneTimeKey, 0)
    const r1 = limbAt(oneTimeKey + 3, 2) & 0x3ffff03
    const r2 = limbAt(oneTimeKey + 6, 4) & 0x3ffc0ff
    const r3 = limbAt(oneTimeKey + 9, 6) & 0x3f03fff
    const r4 = limbAt(oneTimeKey + 12, 8) & 0x00fffff
    const s1 = r1 * 5
    const s2 = r2 * 5
    const s3 = r3 * 5
    const s4 = r4 * 5
    let h0: u64 = 0
    let h1: u64 = 0
    let h2: u64 = 0
    let h3: u64 = 0
    let h4: u64 = 0
    for (let at = datagramAt; ; at += 16) {
        const isLast = at >= end
        const block = isLast ? lengths : at
        h0 += limbAt(block, 0)
        h1 += limbAt(block + 3, 2)
        h2 += limbAt(block + 6, 4)
        h3 += limbAt(block + 9, 6)
        h4 += u64(load<u32>(block + 12) >> 8) | (1 << 24)
        const d0 = h0 * r0 + h1 * s4 + h2 * s3 + h3 * s2 + h4 * s1
        const d1 = h0 * r1 + h1 * r0 + h2 * s4 + h3 * s3 + h4 * s2 + (d0 >> 26)
        const d2 = h0 * r2 + h1 * r1 + h2 * r0 + h3 * s4 + h4 * s3 + (d1 >> 26)
        const d3 = h0 * r3 + h1 * r2 + h2 * r1 + h3 * r0 + h4 * s4 + (d2 >> 26)
        const d4 = h0 * r4 + h1 * r3 + h2 * r2 + h3 * r1 + h4 * r0 + (d3 >> 26)
        h0 = (d0 & limb) + (d4 >> 26) * 5
        h1 = (d1 & limb) + (h0 >> 26)
        h0 &= limb
        h2 = d2 & limb
        h3 = d3 & limb
        h4 = d4 & limb
        if (isLast) break
    }

    // Fully carried, then less 2^130 - 5 when it is not below that, without a branch.
    h2 += h1 >> 26
    h1 &= limb
    h3 += h2 >> 26
    h2 &= limb
    h4 += h3 >> 26
    h3 &= limb
    h0 += (h4 >> 26) * 5
    h4 &= limb
    h1 += h0 >> 26
    h0 &= limb
    const g0 = h0 + 5
    const g1 = h1 + (g0 >> 26)
    const g2 = h2 + (g1 >> 26)
    const g3 = h3 + (g2 >> 26)
    const g4 = h4 + (g3 >> 26)
    const isOver: u64 = 0 - (g4 >> 26)
    h0 ^= (h0 ^ g0) & isOver & limb
    h1 ^= (h1 ^ g1) & isOver & limb
    h2 ^= (h2 ^ g2) & isOver & limb
    h3 ^= (h3 ^ g3) & isOver & limb
    h4 ^= (h4 ^ g4) & isOver & limb

    const low = h0 + (h1 << 26) + (h2 << 52)
    const high = (h2 >> 12) + (h3 << 14) + (h4 << 40)
    const sum = low + load<u64>(oneTimeKey, 16)
    store<u64>(end, sum)
    store<u64>(end, high + load<u64>(oneTimeKey, 24) + u64(sum < low), 8)
}
