/**
 * PCMU (ITU-T G.711 mu-law) at 8 kHz to linear sound at 16 kHz and back, four or eight samples at a time.
 *
 * AssemblyScript. Owns the arithmetic of the law and of the filter between the two rates; `../pcmu.ts` owns the streams. Every
 * second sample of what goes up is the one that came in, the others lie in the middle of 24 of them (`../half-band.ts` has the
 * taps): what goes down again in the same phase comes out as it was.
 */

/** Longest payload: 200 ms. Whole vectors are read and written, so that there is room for one more. */
const longest: i32 = 1600
const slack: i32 = 8
const pairs: i32 = 12
/** What the filter has yet to let go of, in samples. */
export const history: i32 = 2 * pairs - 1

export const tapsAt: usize = memory.data(pairs * 4, 16)
export const payloadAt: usize = memory.data(longest + slack, 16)
/** 16-bit samples at 16 kHz. */
export const soundAt: usize = memory.data((longest + slack) * 4, 16)
/** Floats at 8 kHz, the history first: those that lie between others, and those of the other phase. */
export const workAt: usize = memory.data((history + longest + slack) * 4, 16)
export const middlesAt: usize = memory.data((history + longest + slack) * 4, 16)

// A byte of the law, its bits turned around, is a small floating-point number: sign, three bits of exponent, four of mantissa. With
// the bias of 132 taken away it is that of an IEEE number shifted by 19 bits, whose exponent begins at 127 + 7.
const bias: f32 = 132
const loudest: f32 = 32635
const lawShift: i32 = 19
const lawBase: i16 = (127 + 7) << 4
const halfStep: i32 = 1 << 18

/** Four numbers of the law, 7 bits each, as linear samples without a sign. */
function expand(law: v128): v128 {
    const bits = v128.or(i32x4.shl(law, lawShift), i32x4.splat(halfStep))
    return f32x4.sub(bits, f32x4.splat(bias))
}

/** Decodes `bytes` of `payloadAt` into twice as many samples at `soundAt`. */
export function decodePcmu(bytes: i32): void {
    const fresh = workAt + history * 4
    for (let i = 0; i < bytes; i += 8) {
        const byte = v128.xor(v128.load8x8_u(payloadAt + i), i16x8.splat(0xff))
        const law = i16x8.add(v128.and(byte, i16x8.splat(0x7f)), i16x8.splat(lawBase))
        const sign = v128.and(byte, i16x8.splat(0x80))
        const low = v128.xor(expand(i32x4.extend_low_i16x8_u(law)), i32x4.shl(i32x4.extend_low_i16x8_u(sign), 24))
        const high = v128.xor(expand(i32x4.extend_high_i16x8_u(law)), i32x4.shl(i32x4.extend_high_i16x8_u(sign), 24))
        v128.store(fresh + i * 4, low)
        v128.store(fresh + i * 4, high, 16)
    }
    for (let i = 0; i < bytes; i += 4) {
        const before = i32x4.trunc_sat_f32x4_s(v128.load(workAt + (i + pairs - 1) * 4))
        const between = i32x4.trunc_sat_f32x4_s(f32x4.nearest(betweenOf(workAt + i * 4)))
        const both = i16x8.narrow_i32x4_s(before, between)
        v128.store(soundAt + i * 4, i16x8.shuffle(both, both, 0, 4, 1, 5, 2, 6, 3, 7))
    }
    memory.copy(workAt, workAt + bytes * 4, history * 4)
}

/** Encodes twice `bytes` samples at `soundAt` into `payloadAt`. */
export function encodePcmu(bytes: i32): void {
    for (let i = 0; i < bytes; i += 4) {
        const both = v128.load(soundAt + i * 4)
        const middle = i32x4.shr_s(i32x4.shl(both, 16), 16)
        v128.store(middlesAt + (history + i) * 4, f32x4.convert_i32x4_s(middle))
        v128.store(workAt + (history + i) * 4, f32x4.convert_i32x4_s(i32x4.shr_s(both, 16)))
    }
    for (let i = 0; i < bytes; i += 8) {
        const law = i16x8.narrow_i32x4_s(lawOf(i), lawOf(i + 4))
        const byte = v128.and(v128.not(law), i16x8.splat(0xff))
        v128.store64_lane(payloadAt + i, i8x16.narrow_i16x8_u(byte, byte), 0)
    }
    memory.copy(workAt, workAt + bytes * 4, history * 4)
    memory.copy(middlesAt, middlesAt + bytes * 4, history * 4)
}

/** Four samples of half the rate as numbers of the law, with the sign in bit 7. */
function lawOf(at: i32): v128 {
    const sum = f32x4.add(v128.load(middlesAt + (at + pairs) * 4), betweenOf(workAt + at * 4))
    const sample = f32x4.nearest(f32x4.mul(sum, f32x4.splat(0.5)))
    const bits = f32x4.add(f32x4.min(f32x4.abs(sample), f32x4.splat(loudest)), f32x4.splat(bias))
    const law = i32x4.sub(i32x4.shr_u(bits, lawShift), i32x4.splat(lawBase))
    return v128.or(law, v128.and(f32x4.lt(sample, f32x4.splat(0)), i32x4.splat(0x80)))
}

/** What lies in the middle of 24 floats, from `at` on, and of the 24 from the next on, and so on: four of them. */
function betweenOf(at: usize): v128 {
    let sum = f32x4.splat(0)
    for (let k = 0; k < pairs; k++) {
        const pair = f32x4.add(v128.load(at + (pairs - 1 - k) * 4), v128.load(at + (pairs + k) * 4))
        sum = f32x4.add(sum, f32x4.mul(pair, v128.load32_splat(tapsAt + k * 4)))
    }
    return sum
}
