/**
 * PCMU (ITU-T G.711 mu-law) by table: 16-bit linear samples to bytes and back, from the law's own definition. What tests send, and
 * what the codec's kernels are held against.
 */

const bias = 0x84
const clip = 32635

function expand(byte: number): number {
    const inverted = ~byte & 0xff
    const magnitude = ((((inverted & 0x0f) << 3) + bias) << ((inverted >> 4) & 7)) - bias
    return inverted & 0x80 ? -magnitude : magnitude
}

function compress(sample: number): number {
    const sign = sample < 0 ? 0x80 : 0
    const magnitude = Math.min(Math.abs(sample), clip) + bias
    let segment = 7
    while (segment > 0 && magnitude < 1 << (segment + 7)) segment--
    return ~(sign | (segment << 4) | ((magnitude >> (segment + 3)) & 0x0f)) & 0xff
}

const toLinear = Int16Array.from({ length: 256 }, (_, byte) => expand(byte))
/** By sample + 32768. All 16 bits: the law has 14, but rounding down first would double the error near zero. */
const toPcmu = Uint8Array.from({ length: 65536 }, (_, index) => compress(index - 32768))

/** The linear sample of one PCMU byte. */
export function pcmuToLinear(byte: number): number {
    return toLinear[byte]!
}

/** Encodes `count` samples into `target` from `offset` on. */
export function encodePcmu(samples: Int16Array, count: number, target: Uint8Array, offset: number): void {
    for (let i = 0; i < count; i++) target[offset + i] = toPcmu[samples[i]! + 32768]!
}

/** Decodes `count` bytes of `source` from `offset` on into `samples`. */
export function decodePcmu(source: Uint8Array, offset: number, count: number, samples: Int16Array): void {
    for (let i = 0; i < count; i++) samples[i] = toLinear[source[offset + i]!]!
}
