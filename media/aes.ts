/**
 * AES-128 of many single blocks at once, for key streams: OpenSSL's, as Node brings it, written into memory of ours where its
 * functions can be reached, else by way of node:crypto, which makes an object and a piece of memory for each answer: half of a
 * mixing server's garbage.
 *
 * Owns the call. Never chooses keys or counters.
 */

import { type Cipher, createCipheriv } from "node:crypto"
import { Beginnings } from "./beginnings.ts"
import { fixedBytes, loadNative, type Native } from "./native.ts"

export const aesBlockBytes = 16

/** One key. */
export interface BlockCipher {
    /** Encrypts the first `bytes` of `blocks`, whole blocks. What it returns is the caller's until the next call. */
    encrypt(blocks: Blocks, bytes: number): Uint8Array
}

/** Memory for what is encrypted, by any of the ciphers. */
export interface Blocks {
    bytes: Buffer
    address: number
    /** Of these bytes, as node:crypto wants them. */
    beginnings: Beginnings
}

export function aesBlocks(count: number): Blocks {
    const memory = fixedBytes(count * aesBlockBytes)
    const bytes = Buffer.from(memory.buffer)
    return { bytes, address: loadNative()?.addressOf(memory) ?? 0, beginnings: new Beginnings(bytes) }
}

/** `key`: 16 bytes. */
export function openAes(key: Uint8Array): BlockCipher {
    return openSsl ? new OpenSslAes(openSsl, key) : new NodeAes(key)
}

export class NodeAes implements BlockCipher {
    private readonly cipher: Cipher

    constructor(key: Uint8Array) {
        this.cipher = createCipheriv("aes-128-ecb", key, null).setAutoPadding(false)
    }

    encrypt({ beginnings }: Blocks, bytes: number): Uint8Array {
        return this.cipher.update(beginnings.first(bytes))
    }
}

/** The functions of OpenSSL (EVP_EncryptInit, 3), with one context for all keys of this thread: to set one costs 0.2 us. */
interface OpenSsl {
    addressOf(bytes: Uint8Array): number
    /** All are addresses. False: OpenSSL refused. */
    encrypt(key: number, from: number, to: number, bytes: number): boolean
}

class OpenSslAes implements BlockCipher {
    private readonly key: Uint8Array
    private readonly keyAddress: number
    private output = fixedBytes(aesBlockBytes)
    private outputAddress: number

    constructor(
        private readonly openSsl: OpenSsl,
        key: Uint8Array,
    ) {
        this.key = fixedBytes(aesBlockBytes)
        this.key.set(key)
        this.keyAddress = openSsl.addressOf(this.key)
        this.outputAddress = openSsl.addressOf(this.output)
    }

    encrypt(blocks: Blocks, bytes: number): Uint8Array {
        // Beyond it is memory of somebody else.
        if (bytes > blocks.bytes.length) throw new RangeError(`${blocks.bytes.length} bytes are there, not ${bytes}`)
        if (bytes > this.output.length) {
            this.output = fixedBytes(bytes)
            this.outputAddress = this.openSsl.addressOf(this.output)
        }
        if (!this.openSsl.encrypt(this.keyAddress, blocks.address, this.outputAddress, bytes))
            throw new Error("OpenSSL did not encrypt")
        return this.output
    }
}

/** Throws where Node does not show the functions of its OpenSSL. */
function bindOpenSsl({ library, addressOf }: Native): OpenSsl {
    const aes128Ecb = library.func("uintptr_t EVP_aes_128_ecb()")
    const newContext = library.func("uintptr_t EVP_CIPHER_CTX_new()")
    const init = library.func(
        "int EVP_EncryptInit_ex(uintptr_t context, uintptr_t cipher, uintptr_t engine, uintptr_t key, uintptr_t iv)",
    )
    const setPadding = library.func("int EVP_CIPHER_CTX_set_padding(uintptr_t context, int on)")
    const update = library.func(
        "int EVP_EncryptUpdate(uintptr_t context, uintptr_t to, uintptr_t toBytes, uintptr_t from, int bytes)",
    )
    const context = newContext()
    const written = new Int32Array(new ArrayBuffer(4))
    const writtenAddress = addressOf(new Uint8Array(written.buffer))
    if (context === 0 || init(context, aes128Ecb(), 0, 0, 0) !== 1 || setPadding(context, 0) !== 1)
        throw new Error("OpenSSL has no AES-128")
    return {
        addressOf,
        encrypt: (key, from, to, bytes) =>
            init(context, 0, 0, key, 0) === 1 &&
            update(context, to, writtenAddress, from, bytes) === 1 &&
            written[0] === bytes,
    }
}

/** Only one that computes what node:crypto does, with one key after another. */
function provenOpenSsl(): OpenSsl | undefined {
    const native = loadNative()
    if (!native) return undefined
    try {
        const bound = bindOpenSsl(native)
        const blocks = aesBlocks(3)
        for (let i = 0; i < blocks.bytes.length; i++) blocks.bytes[i] = i
        for (const fill of [1, 2]) {
            const key = new Uint8Array(aesBlockBytes).fill(fill)
            const own = new OpenSslAes(bound, key).encrypt(blocks, blocks.bytes.length)
            if (Buffer.compare(own, new NodeAes(key).encrypt(blocks, blocks.bytes.length)) !== 0) return undefined
        }
        return bound
    } catch {
        // node:crypto does the same.
        return undefined
    }
}

const openSsl = provenOpenSsl()
