/**
 * The fast Fourier transform of complex numbers, and cross-correlation by it. Owns the table of the last size used.
 */

let table = { size: 0, cos: new Float64Array(0), sin: new Float64Array(0) }

function tableOf(size: number) {
    if (table.size === size) return table
    const turn = (2 * Math.PI) / size
    table = {
        size,
        cos: Float64Array.from({ length: size / 2 }, (_, i) => Math.cos(turn * i)),
        sin: Float64Array.from({ length: size / 2 }, (_, i) => Math.sin(turn * i)),
    }
    return table
}

/** Transforms `re` and `im` in place; their length is a power of two. `inverse` leaves out the division by the length. */
export function fft(re: Float64Array, im: Float64Array, inverse = false): void {
    const size = re.length
    for (let i = 1, j = 0; i < size; i++) {
        let bit = size >> 1
        for (; j & bit; bit >>= 1) j ^= bit
        j ^= bit
        if (i < j) {
            const r = re[i]!
            re[i] = re[j]!
            re[j] = r
            const m = im[i]!
            im[i] = im[j]!
            im[j] = m
        }
    }
    const { cos, sin } = tableOf(size)
    const sign = inverse ? 1 : -1
    for (let half = 1; half < size; half <<= 1) {
        const stride = size / (2 * half)
        for (let start = 0; start < size; start += 2 * half) {
            for (let k = 0, t = 0; k < half; k++, t += stride) {
                const a = start + k
                const b = a + half
                const c = cos[t]!
                const s = sign * sin[t]!
                const r = re[b]! * c - im[b]! * s
                const m = re[b]! * s + im[b]! * c
                re[b] = re[a]! - r
                im[b] = im[a]! - m
                re[a]! += r
                im[a]! += m
            }
        }
    }
}

/**
 * Sums of products of `a` with `b` shifted by 0..`lags`-1: result[lag] = sum over i of a[i] * b[i + lag].
 */
export function crossCorrelation(a: ArrayLike<number>, b: ArrayLike<number>, lags: number): Float64Array {
    let size = 1
    while (size < a.length + Math.max(b.length, lags)) size <<= 1
    // Both are real: one transform of a + ib carries the two spectra.
    const re = new Float64Array(size)
    const im = new Float64Array(size)
    for (let i = 0; i < a.length; i++) re[i] = a[i]!
    for (let i = 0; i < b.length; i++) im[i] = b[i]!
    fft(re, im)
    const outRe = new Float64Array(size)
    const outIm = new Float64Array(size)
    for (let k = 0; k < size; k++) {
        const n = (size - k) & (size - 1)
        const aRe = (re[k]! + re[n]!) / 2
        const aIm = (im[k]! - im[n]!) / 2
        const bRe = (im[k]! + im[n]!) / 2
        const bIm = (re[n]! - re[k]!) / 2
        outRe[k] = aRe * bRe + aIm * bIm
        outIm[k] = aRe * bIm - aIm * bRe
    }
    fft(outRe, outIm, true)
    const result = new Float64Array(lags)
    for (let lag = 0; lag < lags; lag++) result[lag] = outRe[lag]! / size
    return result
}
