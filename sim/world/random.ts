/**
 * Seeded randomness of the virtual world: one seed, one run. Splittable, so that a new consumer of randomness does not
 * shift the numbers of the others. (SplitMix32 to seed, xorshift128 to draw.)
 */

export class Random {
    private a: number
    private b: number
    private c: number
    private d: number

    constructor(readonly seed: number) {
        let state = seed >>> 0
        const next = () => {
            state = (state + 0x9e3779b9) >>> 0
            let z = state
            z = Math.imul(z ^ (z >>> 16), 0x85ebca6b)
            z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
            return (z ^ (z >>> 16)) >>> 0
        }
        this.a = next()
        this.b = next()
        this.c = next()
        this.d = next() || 1
    }

    /** An integer, 0 .. 2^32 - 1. */
    word(): number {
        let t = this.d
        const s = this.a
        this.d = this.c
        this.c = this.b
        this.b = s
        t ^= t << 11
        t ^= t >>> 8
        this.a = (t ^ s ^ (s >>> 19)) >>> 0
        return this.a
    }

    /** 0 <= number < 1. */
    fraction(): number {
        return this.word() / 4294967296
    }

    /** An integer, 0 .. below - 1. */
    below(below: number): number {
        return Math.floor(this.fraction() * below)
    }

    between(low: number, high: number): number {
        return low + this.fraction() * (high - low)
    }

    chance(share: number): boolean {
        return this.fraction() < share
    }

    pick<T>(list: readonly T[]): T {
        return list[this.below(list.length)]
    }

    shuffle<T>(list: readonly T[]): T[] {
        const shuffled = [...list]
        for (let i = shuffled.length - 1; i > 0; i--) {
            const j = this.below(i + 1)
            const swap = shuffled[i]
            shuffled[i] = shuffled[j]
            shuffled[j] = swap
        }
        return shuffled
    }

    /** An independent stream named by a number. */
    split(name: number): Random {
        return new Random((Math.imul(this.seed ^ 0x5bd1e995, 0x9e3779b1) ^ Math.imul(name + 1, 0x85ebca77)) >>> 0)
    }
}
