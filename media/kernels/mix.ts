/**
 * Voices added up, and kept within 16 bits: eight samples at a time.
 *
 * AssemblyScript. Owns the one sum that there is at a time; `../frames.ts` says how it is used.
 */

/** Longest frame, 20 ms at 16 kHz; all frames are a multiple of 8 samples. */
export const frameSamplesMax: i32 = 320
export const frameAt: usize = memory.data(frameSamplesMax * 2, 16)
export const mixedAt: usize = memory.data(frameSamplesMax * 2, 16)
const sumAt: usize = memory.data(frameSamplesMax * 4, 16)

/** Sums above this are bent towards full scale instead of being cut. */
const knee: f32 = 24576
const aboveKnee: f32 = 32767 - knee

/** Mean square of the first `count` samples at `frameAt`. */
export function power(count: i32): f64 {
    let sum = i64x2.splat(0)
    for (let at = frameAt; at < frameAt + count * 2; at += 16) {
        const frame = v128.load(at)
        const squares = i32x4.dot_i16x8_s(frame, frame)
        sum = i64x2.add(sum, i64x2.extend_low_i32x4_u(squares))
        sum = i64x2.add(sum, i64x2.extend_high_i32x4_u(squares))
    }
    return f64(i64x2.extract_lane(sum, 0) + i64x2.extract_lane(sum, 1)) / f64(count)
}

export function clearSum(count: i32): void {
    memory.fill(sumAt, 0, count * 4)
}

/** Adds the frame at `frameAt` to the sum. */
export function addToSum(count: i32): void {
    for (let i = 0; i < count; i += 8) {
        const frame = v128.load(frameAt + i * 2)
        const at = sumAt + i * 4
        v128.store(at, i32x4.add(v128.load(at), i32x4.extend_low_i16x8_s(frame)))
        v128.store(at, i32x4.add(v128.load(at, 16), i32x4.extend_high_i16x8_s(frame)), 16)
    }
}

/** Writes the sum to `mixedAt`. `isOne`: it is a single voice, which is left as it is. */
export function takeSum(count: i32, isOne: bool): void {
    for (let i = 0; i < count; i += 8) {
        const at = sumAt + i * 4
        v128.store(mixedAt + i * 2, within16(v128.load(at), v128.load(at, 16), isOne))
    }
}

/** Writes the sum less the frame at `frameAt` to `mixedAt`. */
export function takeSumWithout(count: i32, isOne: bool): void {
    for (let i = 0; i < count; i += 8) {
        const frame = v128.load(frameAt + i * 2)
        const at = sumAt + i * 4
        const low = i32x4.sub(v128.load(at), i32x4.extend_low_i16x8_s(frame))
        const high = i32x4.sub(v128.load(at, 16), i32x4.extend_high_i16x8_s(frame))
        v128.store(mixedAt + i * 2, within16(low, high, isOne))
    }
}

/** Exact below the knee, bent above it. */
function within16(low: v128, high: v128, isOne: bool): v128 {
    const limit = i32x4.splat(i32(knee))
    const isLoud = v128.or(i32x4.gt_s(i32x4.abs(low), limit), i32x4.gt_s(i32x4.abs(high), limit))
    if (isOne || !v128.any_true(isLoud)) return i16x8.narrow_i32x4_s(low, high)
    return i16x8.narrow_i32x4_s(bent(low), bent(high))
}

function bent(sum: v128): v128 {
    const value = f32x4.convert_i32x4_s(sum)
    const size = f32x4.abs(value)
    const over = f32x4.max(f32x4.sub(size, f32x4.splat(knee)), f32x4.splat(0))
    const above = f32x4.splat(aboveKnee)
    const kept = f32x4.div(f32x4.mul(over, above), f32x4.add(over, above))
    const limited = f32x4.add(f32x4.min(size, f32x4.splat(knee)), kept)
    const sign = v128.and(value, i32x4.splat(0x80000000))
    return i32x4.trunc_sat_f32x4_s(v128.or(f32x4.nearest(limited), sign))
}
