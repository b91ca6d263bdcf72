/**
 * Makes sound a little shorter or longer without a click: by one pitch period where there is speech, by any length where it is
 * quiet. What is left out or said again is chosen so that both sides of the seam look alike, and they are faded over.
 *
 * Owns the search and the seam; the sound is the caller's, changed in place. All lengths are even: PCMU that is decoded, doubled,
 * halved and encoded again keeps its phase.
 */

export interface Period {
    /** Samples; 0 when there is none. */
    lag: number
    /** How alike the two sides are, -1..1. */
    likeness: number
}

/** The shift in shortest..longest at which `sound` from `at` on looks most like itself, later (`way` 1) or before (-1). */
export function findPeriod(
    sound: Int16Array,
    at: number,
    way: 1 | -1,
    shortest: number,
    longest: number,
    span: number,
    found: Period,
): void {
    found.lag = 0
    found.likeness = -1
    let own = 1
    for (let i = 0; i < span; i++) own += sound[at + i]! * sound[at + i]!
    for (let lag = shortest + (shortest & 1); lag <= longest; lag += 2) {
        const other = at + way * lag
        let cross = 0
        let energy = 1
        for (let i = 0; i < span; i++) {
            const value = sound[other + i]!
            cross += sound[at + i]! * value
            energy += value * value
        }
        const likeness = cross / Math.sqrt(own * energy)
        if (likeness > found.likeness) {
            found.likeness = likeness
            found.lag = lag
        }
    }
}

/** Leaves out `count` samples from `at` on, faded over `fade` samples. Returns where the sound goes on; `at + count + fade` is there. */
export function leaveOut(sound: Int16Array, at: number, count: number, fade: number): number {
    // From the end on: where the fade is longer than what is left out, what is written is still to be read.
    for (let i = fade - 1; i >= 0; i--) {
        const share = (i + 1) / (fade + 1)
        const before = sound[at + i]!
        sound[at + count + i] = Math.round(before + (sound[at + count + i]! - before) * share)
    }
    return at + count
}

/** Says the `count` samples before `at` again, faded over `fade` <= `count` samples. Returns where the sound goes on. */
export function sayAgain(sound: Int16Array, at: number, count: number, fade: number): number {
    for (let i = 0; i < fade; i++) {
        const share = (i + 1) / (fade + 1)
        const next = sound[at + i]!
        sound[at - count + i] = Math.round(next + (sound[at - count + i]! - next) * share)
    }
    return at - count
}
