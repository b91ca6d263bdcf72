/**
 * Which sequence numbers of a link's datagrams have been seen: each is accepted once, and none from before the window.
 *
 * Owns a ring of bits (RFC 6479: the ring is one block larger than the window, so moving on clears whole blocks).
 * Never authenticates: `accept` only after the tag was found right, or a forger could move the window.
 */

const blockBits = 32

export class ReplayWindow {
    readonly #blocks: Uint32Array
    readonly #size: number
    #highest = 0

    /** `size` is a multiple of 32. */
    constructor(size: number) {
        this.#size = size
        this.#blocks = new Uint32Array(size / blockBits + 1)
    }

    /** Whether `sequence` (1..2^48-1) was not seen and is not too old to tell. */
    isFresh(sequence: number): boolean {
        if (sequence < 1) return false
        if (sequence > this.#highest) return true
        if (sequence + this.#size <= this.#highest) return false
        const block = Math.floor(sequence / blockBits) % this.#blocks.length
        return (this.#blocks[block] & (1 << (sequence % blockBits))) === 0
    }

    accept(sequence: number): void {
        const at = Math.floor(sequence / blockBits)
        if (sequence > this.#highest) {
            const before = Math.floor(this.#highest / blockBits)
            const clear = Math.min(at - before, this.#blocks.length)
            for (let i = 1; i <= clear; i++) this.#blocks[(before + i) % this.#blocks.length] = 0
            this.#highest = sequence
        }
        this.#blocks[at % this.#blocks.length] |= 1 << (sequence % blockBits)
    }
}
