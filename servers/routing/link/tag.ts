/**
 * The tag of a link's datagram: its last 16 bytes, over all before them. `protocol/link.ts` says which one.
 *
 * Owns the way into the kernel's memory. Never knows headers or sequences; whoever seals sees to it that no header is used twice
 * under a key.
 */

import { bytesAt, kernels } from "../../../media/kernels.ts"
import { datagramHeaderBytes, datagramTagBytes } from "../../../protocol/link.ts"

export const tagKeyBytes = 32
/** Longer datagrams are nobody's. */
export const taggedBytesMax = kernels.datagramBytesMax.value

const heldKey = bytesAt(kernels.keyAt, tagKeyBytes)
const held = bytesAt(kernels.datagramAt, taggedBytesMax)

/** Whether the tag of `datagram` is right under `key`. */
export function isTagRight(datagram: Uint8Array, key: Uint8Array): boolean {
    const length = datagram.length - datagramTagBytes
    if (length < datagramHeaderBytes || datagram.length > taggedBytesMax) return false
    heldKey.set(key)
    held.set(datagram)
    return kernels.tagDatagram(length) === 1
}

/** Writes the tag of `datagram` under `key` into its last bytes. */
export function writeTag(datagram: Uint8Array, key: Uint8Array): void {
    const length = datagram.length - datagramTagBytes
    if (length < datagramHeaderBytes || datagram.length > taggedBytesMax)
        throw new RangeError(`a datagram of ${datagram.length} bytes cannot be sealed`)
    heldKey.set(key)
    held.set(datagram)
    kernels.tagDatagram(length)
    // Sixteen bytes: a loop costs less than a view to copy from.
    for (let i = length; i < length + datagramTagBytes; i++) datagram[i] = held[i]!
}
