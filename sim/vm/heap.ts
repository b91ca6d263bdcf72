/**
 * How much of a machine's garbage-collected heap (64 KB, as on the ESP32) is in use, by walking its blocks from outside.
 *
 * "In use" is what is not free: live objects and garbage that the collector has not swept yet, because that is what an
 * allocation finds. The collector runs after a quarter of the heap was allocated, or when an allocation does not fit.
 */

import type { VmInstance } from "./module.ts"

const heapBytes = 64 * 1024
/** A chunk ends with one word that holds this: tag "final" (0x4f) and a size of one word. */
const finalHeader = 0x4f000001
const freeTag = 0x01
const sizeMask = 0xffffff

export interface HeapUse {
    usedBytes: number
    freeBytes: number
    /** The largest object that would fit without collecting garbage. */
    largestFreeBytes: number
    blocks: number
}

/** The whole memory of a machine as it was, and where in it the first block of the heap lies. */
export interface HeapPicture {
    memory: Uint8Array
    firstBlock: number
}

/** Finds the heap once and measures it as often as asked. A restarted program may get another place; that is noticed. */
export class HeapMeter {
    #chunk = 0
    readonly #instance: VmInstance

    constructor(instance: VmInstance) {
        this.#instance = instance
    }

    /** Undefined while no program runs. */
    measure(): HeapUse | undefined {
        const words = this.#instance.HEAPU32
        if (this.#chunk === 0 || !isChunk(words, this.#chunk)) this.#chunk = findChunk(words)
        if (this.#chunk === 0) return undefined
        const use = walk(words, this.#chunk)
        if (!use) this.#chunk = 0
        return use
    }

    /** Of the program that was measured last. */
    picture(): HeapPicture {
        return { memory: this.#instance.HEAPU8.slice(), firstBlock: (this.#chunk + 2) * 4 }
    }
}

/** A chunk starts with the next chunk (none) and the address of its final word. Indices are of words. */
function isChunk(words: Uint32Array, at: number): boolean {
    const end = words[at + 1]
    if (words[at] !== 0 || (end & 3) !== 0) return false
    // devs_gc_create: the chunk is `heapBytes` long, its last word is the final header.
    const length = end - at * 4
    return length > heapBytes - 64 && length < heapBytes && words[end >> 2] === finalHeader
}

function findChunk(words: Uint32Array): number {
    for (let at = 256; at < words.length - 2; at++)
        if (words[at] === 0 && isChunk(words, at) && walk(words, at)) return at
    return 0
}

function walk(words: Uint32Array, chunk: number): HeapUse | undefined {
    const end = words[chunk + 1] >> 2
    const use: HeapUse = { usedBytes: 0, freeBytes: 0, largestFreeBytes: 0, blocks: 0 }
    for (let at = chunk + 2; at < end; ) {
        const header = words[at]
        const size = header & sizeMask
        if (size === 0 || at + size > end) return undefined
        const bytes = size * 4
        use.blocks++
        if (header >>> 24 === freeTag) {
            use.freeBytes += bytes
            if (bytes > use.largestFreeBytes) use.largestFreeBytes = bytes
        } else {
            use.usedBytes += bytes
        }
        at += size
    }
    return use
}
