/**
 * A board's flash that keeps the image from before and after each write, so that a power cut at any of them can be had afterwards:
 * nothing else of a board survives one.
 */

import { type Flash, flashBytes, MemoryFlash } from "../../vm/flash.ts"

export interface Write {
    before: Uint8Array
    after: Uint8Array
}

export class RecordingFlash implements Flash {
    readonly writes: Write[] = []
    #image: Uint8Array

    constructor(image: Uint8Array) {
        this.#image = image
    }

    load(): Uint8Array {
        return this.#image.slice()
    }

    save(image: Uint8Array): void {
        const after = new Uint8Array(flashBytes).fill(0xff)
        after.set(image.subarray(0, flashBytes))
        if (Buffer.compare(after, this.#image) === 0) return
        this.writes.push({ before: this.#image, after })
        this.#image = after
    }
}

export function flashOf(image: Uint8Array): MemoryFlash {
    const flash = new MemoryFlash()
    flash.save(image)
    return flash
}
