/**
 * Memory for datagrams that cross into the system many at a time: an array of `mmsghdr`, each with one piece of memory and one
 * IPv4 address.
 *
 * Owns that memory and its layout (Linux, 64 bits). Never calls the system.
 */

import { intToIpv4, ipv4ToInt } from "../../protocol/text.ts"
import type { Libc } from "./libc.ts"

/** `struct mmsghdr`: a `msghdr` of 56 bytes, the length that was read, and padding. */
export const messageBytes = 64
const wordsOfMessage = messageBytes / 4
const lengthWord = 14
const pieceBytes = 16
const addressBytes = 16
/** Slots that begin at powers of two would share few lines of the processor's caches. */
const skewBytes = 192
const addressesMost = 4096

export class Messages {
    /** Of the first `mmsghdr`. */
    readonly address: number
    readonly #words: Uint32Array
    readonly #pieces: Uint32Array
    readonly #peers: Uint8Array
    readonly #memory: ArrayBuffer
    readonly #bytes: Uint8Array
    readonly #stride: number
    /** The datagram that was in a slot last: the next one is mostly as long. */
    readonly #views: Buffer[] = []

    /** Room for `count` datagrams of up to `slotBytes`. Memory that is never written is never taken from the system. */
    constructor(
        libc: Libc,
        readonly count: number,
        readonly slotBytes: number,
    ) {
        this.#stride = slotBytes + skewBytes
        this.#memory = new ArrayBuffer(count * this.#stride)
        this.#bytes = new Uint8Array(this.#memory)
        const messages = new ArrayBuffer(count * messageBytes)
        const pieces = new ArrayBuffer(count * pieceBytes)
        this.#words = new Uint32Array(messages)
        this.#pieces = new Uint32Array(pieces)
        this.#peers = new Uint8Array(new ArrayBuffer(count * addressBytes))
        this.address = libc.addressOf(new Uint8Array(messages))
        const at = [this.#peers, new Uint8Array(pieces), this.#bytes].map(bytes => libc.addressOf(bytes))
        for (let slot = 0; slot < count; slot++) {
            const word = slot * wordsOfMessage
            this.#setPointer(this.#words, word, at[0] + slot * addressBytes)
            this.#words[word + 2] = addressBytes
            this.#setPointer(this.#words, word + 4, at[1] + slot * pieceBytes)
            this.#words[word + 6] = 1
            this.#setPointer(this.#pieces, slot * 4, at[2] + slot * this.#stride)
            this.#pieces[slot * 4 + 2] = slotBytes
            this.#peers[slot * addressBytes] = 2
        }
    }

    /** What was read into a slot. The same memory holds the next one. */
    datagram(slot: number): Buffer {
        const bytes = this.#words[slot * wordsOfMessage + lengthWord]
        const known = this.#views[slot]
        if (known?.length === bytes) return known
        const view = Buffer.from(this.#memory, slot * this.#stride, bytes)
        this.#views[slot] = view
        return view
    }

    ip(slot: number): string {
        const at = slot * addressBytes + 4
        const peers = this.#peers
        return textOf(((peers[at] << 24) | (peers[at + 1] << 16) | (peers[at + 2] << 8) | peers[at + 3]) >>> 0)
    }

    port(slot: number): number {
        const at = slot * addressBytes + 2
        return (this.#peers[at] << 8) | this.#peers[at + 1]
    }

    /** Copies `packet`, not longer than a slot, and says where it goes. False: `ip` is no IPv4 address. */
    put(slot: number, packet: Uint8Array, ip: string, port: number): boolean {
        const number = numberOf(ip)
        if (number < 0) return false
        this.#bytes.set(packet, slot * this.#stride)
        this.#pieces[slot * 4 + 2] = packet.length
        writePeer(this.#peers, slot * addressBytes, number, port)
        return true
    }

    /** Takes the first `gone` of `count` away and moves the others up. */
    shift(gone: number, count: number): void {
        for (let slot = gone; slot < count; slot++) {
            const to = slot - gone
            const bytes = this.#pieces[slot * 4 + 2]
            this.#bytes.copyWithin(to * this.#stride, slot * this.#stride, slot * this.#stride + bytes)
            this.#pieces[to * 4 + 2] = bytes
            this.#peers.copyWithin(to * addressBytes, slot * addressBytes, (slot + 1) * addressBytes)
        }
    }

    #setPointer(words: Uint32Array, word: number, address: number): void {
        words[word] = address % 4294967296
        words[word + 1] = Math.floor(address / 4294967296)
    }
}

/** A `sockaddr_in`; undefined when `ip` is no IPv4 address. */
export function socketAddress(ip: string, port: number): Uint8Array | undefined {
    const number = numberOf(ip)
    if (number < 0) return undefined
    const address = new Uint8Array(addressBytes)
    address[0] = 2
    writePeer(address, 0, number, port)
    return address
}

function writePeer(peers: Uint8Array, at: number, ip: number, port: number): void {
    peers[at + 2] = port >>> 8
    peers[at + 3] = port
    peers[at + 4] = ip >>> 24
    peers[at + 5] = ip >>> 16
    peers[at + 6] = ip >>> 8
    peers[at + 7] = ip
}

/** Addresses as the rest of the program writes them; kept, as the same few come again and again. */
const texts = new Map<number, string>()
const numbers = new Map<string, number>()

function textOf(number: number): string {
    const known = texts.get(number)
    if (known !== undefined) return known
    if (texts.size >= addressesMost) texts.clear()
    const text = intToIpv4(number)
    texts.set(number, text)
    return text
}

/** -1: it is no IPv4 address. */
function numberOf(text: string): number {
    const known = numbers.get(text)
    if (known !== undefined) return known
    const number = ipv4ToInt(text)
    if (number < 0) return number
    if (numbers.size >= addressesMost) numbers.clear()
    numbers.set(text, number)
    return number
}
