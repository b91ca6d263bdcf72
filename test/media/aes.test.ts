import assert from "node:assert/strict"
import { createCipheriv } from "node:crypto"
import { describe, test } from "node:test"
import { aesBlockBytes, aesBlocks, type BlockCipher, NodeAes, openAes } from "../../media/aes.ts"
import { loadNative } from "../../media/native.ts"
import { drawSeed, seededRandom } from "../support/random.ts"

const random = seededRandom(drawSeed("aes"))
const blocksMost = 40

function expected(key: Uint8Array, blocks: Uint8Array): string {
    return createCipheriv("aes-128-ecb", key, null).setAutoPadding(false).update(blocks).toString("hex")
}

for (const [name, open] of [
    ["of this system", openAes],
    ["of node:crypto", (key: Uint8Array) => new NodeAes(key)],
] satisfies [string, (key: Uint8Array) => BlockCipher][])
    describe(`AES-128 ${name}`, () => {
        test("encrypts the example of FIPS 197, appendix B", () => {
            const blocks = aesBlocks(1)
            Buffer.from("3243f6a8885a308d313198a2e0370734", "hex").copy(blocks.bytes)
            const cipher = open(Buffer.from("2b7e151628aed2a6abf7158809cf4f3c", "hex"))
            const out = Buffer.from(cipher.encrypt(blocks, aesBlockBytes).subarray(0, aesBlockBytes))
            assert.equal(out.toString("hex"), "3925841d02dc09fbdc118597196a0b32")
        })

        test("keeps keys apart that take turns, and what one has made while others encrypt", () => {
            const keys = Array.from({ length: 5 }, () => random.bytes(aesBlockBytes))
            const ciphers = keys.map(open)
            const blocks = aesBlocks(blocksMost)
            const kept: { made: Uint8Array; expected: string }[] = []
            for (let i = 0; i < 500; i++) {
                const which = random.int(0, keys.length - 1)
                const bytes = random.int(1, blocksMost) * aesBlockBytes
                random.bytes(bytes).copy(blocks.bytes)
                const made = ciphers[which]!.encrypt(blocks, bytes).subarray(0, bytes)
                kept[which] = { made, expected: expected(keys[which]!, blocks.bytes.subarray(0, bytes)) }
                for (const one of kept) if (one) assert.equal(Buffer.from(one.made).toString("hex"), one.expected)
            }
        })
    })

describe("AES-128 by a call of OpenSSL", {
    skip: loadNative() ? false : "koffi is not installed, or has nothing for this system",
}, () => {
    test("does not encrypt blocks that are not there", () => {
        const cipher = openAes(random.bytes(aesBlockBytes))
        assert.throws(() => cipher.encrypt(aesBlocks(2), 3 * aesBlockBytes), /32 bytes are there, not 48/)
    })

    test("makes no memory of its own for each answer", () => {
        const cipher = openAes(random.bytes(aesBlockBytes))
        const blocks = aesBlocks(1)
        assert.equal(cipher.encrypt(blocks, aesBlockBytes), cipher.encrypt(blocks, aesBlockBytes))
    })
})
