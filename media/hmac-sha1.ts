/**
 * HMAC-SHA-1 of short messages, for SRTP: a fraction of node:crypto's time at a packet's size, as no object is made for each.
 *
 * Owns the two states that a key leads to. Never compares tags, never used for anything but SRTP, whose standard profile
 * prescribes it (RFC 3711). The tests hold it against node:crypto.
 */

import { bytesAt, kernels, wordsAt } from "./kernels.ts"

const blockBytes = 64
const digestBytes = 20

/** A suffix of four bytes comes behind the message. */
export const hmacMessageBytesMax = kernels.messageBytesMax.value - 4
const message = bytesAt(kernels.messageAt, kernels.messageBytesMax.value)
const states = wordsAt(kernels.statesAt, 10)
const digest = bytesAt(kernels.digestAt, digestBytes)

export class HmacSha1 {
    /** Of the inner hash and of the outer one, after the blocks of the key. */
    private readonly states: Uint32Array

    /** `key`: at most 64 bytes. */
    constructor(key: Uint8Array) {
        message.fill(0, 0, blockBytes)
        message.set(key)
        kernels.hmacSha1Key()
        this.states = states.slice()
    }

    /**
     * The code of the first `bytes` of `text` followed by the 32-bit `suffix` in network order (undefined: nothing follows); both
     * together at most `hmacMessageBytesMax`. The 20 bytes that are returned are written again by the next call of any instance.
     */
    of(text: Uint8Array, bytes: number, suffix?: number): Uint8Array {
        const { states: own } = this
        for (let i = 0; i < own.length; i++) states[i] = own[i]!
        // What stands behind the text does no harm.
        if (text.length <= message.length) message.set(text)
        else message.set(text.subarray(0, bytes))
        let end = bytes
        if (suffix !== undefined) {
            message[end++] = suffix >>> 24
            message[end++] = suffix >>> 16
            message[end++] = suffix >>> 8
            message[end++] = suffix
        }
        kernels.hmacSha1(end)
        return digest
    }
}
