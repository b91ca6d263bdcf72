/**
 * The tag of a link's datagram: its last 16 bytes, over all before them. `protocol/link.ts` says which one.
 *
 * Owns this thread's instance of the arithmetic and the memory that it works in. Never knows headers or sequences; whoever
 * seals sees to it that no header is used twice under a key.
 */

import { datagramHeaderBytes, datagramTagBytes } from "../../../../protocol/link.ts"
import { chachaPolyModule } from "./chacha-poly.ts"

export const tagKeyBytes = 32
/** Longer datagrams are nobody's. */
export const taggedBytesMax = 2048

const keyAt = 0
const dataAt = 64

/** What of the standard's interface is used here; Node's types leave it to those of browsers. */
declare const WebAssembly: {
    Module: new (bytes: Uint8Array) => object
    Instance: new (module: object) => { exports: object }
}

interface Exports {
    memory: { buffer: ArrayBuffer }
    run(key: number, data: number, length: number): number
}

const instance = new WebAssembly.Instance(new WebAssembly.Module(chachaPolyModule(1)))
const { run, memory: page } = instance.exports as Exports
const memory = new Uint8Array(page.buffer)

/** Whether the tag of `datagram` is right under `key`. */
export function isTagRight(datagram: Uint8Array, key: Uint8Array): boolean {
    const length = datagram.length - datagramTagBytes
    if (length < datagramHeaderBytes || datagram.length > taggedBytesMax) return false
    memory.set(key, keyAt)
    memory.set(datagram, dataAt)
    return run(keyAt, dataAt, length) === 1
}

/** Writes the tag of `datagram` under `key` into its last bytes. */
export function writeTag(datagram: Uint8Array, key: Uint8Array): void {
    const length = datagram.length - datagramTagBytes
    if (length < datagramHeaderBytes || datagram.length > taggedBytesMax)
        throw new RangeError(`a datagram of ${datagram.length} bytes cannot be sealed`)
    memory.set(key, keyAt)
    memory.set(datagram, dataAt)
    run(keyAt, dataAt, length)
    // Sixteen bytes: a loop costs less than a view to copy from.
    for (let i = length; i < length + datagramTagBytes; i++) datagram[i] = memory[dataAt + i]
}
