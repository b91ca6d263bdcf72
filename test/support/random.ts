/**
 * Seeded random for tests: one seed, one run. The seed is taken from PARLEY_SEED or drawn, and printed, so that a failure
 * can be played again.
 */

export interface SeededRandom {
    seed: number
    /** 0 <= x < 1. */
    next(): number
    /** An integer, both ends included. */
    int(from: number, to: number): number
    pick<T>(among: readonly T[]): T
    bytes(count: number): Buffer
    chance(probability: number): boolean
}

/** The seed of this run, printed under `name`. */
export function drawSeed(name: string): number {
    const given = Number(process.env.PARLEY_SEED)
    const seed = Number.isInteger(given) && given > 0 ? given : 1 + Math.floor(Math.random() * 0x7ffffffe)
    console.error(`${name}: PARLEY_SEED=${seed}`)
    return seed
}

/** mulberry32: small, fast, and good enough to find faults. */
export function seededRandom(seed: number): SeededRandom {
    let state = seed >>> 0
    const next = () => {
        state = (state + 0x6d2b79f5) >>> 0
        let t = state
        t = Math.imul(t ^ (t >>> 15), t | 1)
        t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
        return ((t ^ (t >>> 14)) >>> 0) / 4294967296
    }
    const int = (from: number, to: number) => from + Math.floor(next() * (to - from + 1))
    return {
        seed,
        next,
        int,
        pick: among => among[int(0, among.length - 1)],
        bytes: count => {
            const buffer = Buffer.alloc(count)
            for (let i = 0; i < count; i++) buffer[i] = int(0, 255)
            return buffer
        },
        chance: probability => next() < probability,
    }
}
