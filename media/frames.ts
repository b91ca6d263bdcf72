/**
 * Frames of 20 ms as a mixer takes them: how loud one is, and the sum of several, by kernels.
 *
 * Owns the way into the kernels' memory and out of it. Never chooses who is heard.
 */

import { kernels, samplesAt } from "./kernels.ts"

const frameSamplesMax = kernels.frameSamplesMax.value
const input = samplesAt(kernels.frameAt, frameSamplesMax)

/** Mean square of a frame's samples; as many as a multiple of 8, and at most 20 ms. */
export function framePower(frame: Int16Array): number {
    input.set(frame)
    return kernels.power(frame.length)
}

/** The sum of voices. There is one sum in each worker: what is added after a `clear` has to be taken before the next one. */
export class FrameSum {
    private readonly output: Int16Array

    /** `samples` of each frame. */
    constructor(private readonly samples: number) {
        this.output = samplesAt(kernels.mixedAt, samples)
    }

    clear(): void {
        kernels.clearSum(this.samples)
    }

    add(frame: Int16Array): void {
        input.set(frame)
        kernels.addToSum(this.samples)
    }

    /**
     * All that was added, kept within 16 bits: what is loud is bent instead of cut, unless it is one voice. The array that is
     * returned is written again by the next call.
     */
    take(isOne: boolean): Int16Array {
        kernels.takeSum(this.samples, isOne)
        return this.output
    }

    /** The same, but for one of the frames. */
    without(frame: Int16Array, isOne: boolean): Int16Array {
        input.set(frame)
        kernels.takeSumWithout(this.samples, isOne)
        return this.output
    }
}
